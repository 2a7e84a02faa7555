/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the commands on the mapping history. */
#ifndef DETNATCTL_HISTORY_H
#define DETNATCTL_HISTORY_H

#include "command.h"
#include "history/history_read.h"

/*
 * Reads the history that the arguments name, or that of the agent at the socket (NULL: the usual one), or, with a
 * warning, the one in the usual place if no agent answers there. Returns an exit status, with err set unless it is 0;
 * the caller frees *ret_dir, its directory. cached: earlier results may be used.
 */
int history_read_named(const char *socket, const cJSON *args, bool cached, struct history_files *ret, char **ret_dir,
		       struct error *err);

/* The directory alone, of which nothing is read. */
int history_dir_named(const char *socket, const cJSON *args, char **ret_dir, struct error *err);

/* Warns on stderr about damage, if there is any; the answers are still useful. */
void history_warn(const struct history_files *f);

/* If lines are missing at the end, or the last one is incomplete, says so in text and returns true. */
bool history_end_text(const struct history_files *f, char *text, size_t size);

#endif
