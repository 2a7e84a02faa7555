/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the history is. Look-ups do not ask the agent for it each time: one that hangs would stop them. Thread-safe.
 */
#ifndef DETNAT_DESK_STATE_DIR_H
#define DETNAT_DESK_STATE_DIR_H

#include <limits.h>

#include "ask.h"

/* Asks the agent, for as long as it answers at all. */
void state_dir_learn(const struct ask_at *at);

/*
 * The directory that the options name, the one the agent last named, or the usual one if it has not answered. Returns
 * NULL while it has not been asked: then detnatctl asks.
 */
const char *state_dir_known(const struct ask_at *at, char room[static PATH_MAX]);

#endif
