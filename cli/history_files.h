/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands on the mapping history share. */
#ifndef DETNATCTL_HISTORY_H
#define DETNATCTL_HISTORY_H

#include "command.h"
#include "proto/history_read.h"

/* Reads the history that the arguments name. An exit status, other than 0 with err. */
int history_read_named(const cJSON *args, struct history_files *ret, struct error *err);

/* Says on stderr what is damaged, where anything is; the answers are still worth showing. */
void history_warn(const struct history_files *f);

/* Lines that are missing at the end, or an incomplete one: writes what it is and returns true. */
bool history_end_text(const struct history_files *f, char *text, size_t size);

#endif
