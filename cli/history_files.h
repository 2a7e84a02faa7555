/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the commands on the mapping history. */
#ifndef DETNATCTL_HISTORY_H
#define DETNATCTL_HISTORY_H

#include "command.h"
#include "proto/history_read.h"

/*
 * Reads the history that the arguments name, or that of the agent at the socket, if one is named and an agent runs
 * there, or else the one in the usual place. Returns an exit status, with err set unless it is 0.
 */
int history_read_named(const char *socket, const cJSON *args, struct history_files *ret, struct error *err);

/* Warns on stderr about damage, if there is any; the answers are still worth showing. */
void history_warn(const struct history_files *f);

/* If lines are missing at the end, or the last one is incomplete, says so in text and returns true. */
bool history_end_text(const struct history_files *f, char *text, size_t size);

#endif
