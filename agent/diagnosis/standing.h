/* SPDX-License-Identifier: BSD-2-Clause */
/* What a start or explain would warn of, for those who ask again and again: looked at beside the event loop. */
#ifndef DETNAT_STANDING_H
#define DETNAT_STANDING_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "config/parts.h"

/*
 * The warnings of the running configuration, an array of {"what", "text"} that stays the callee's, of twenty seconds
 * ago at most. *ret_anew: whether they have been looked at since the last call.
 */
const cJSON *standing_warnings(const struct parts *a, bool *ret_anew);

/* Adds such a warning to an array. */
void standing_add(cJSON *list, const char *what, const char *text);

/* At the end of the agent: waits for a look under way. */
void standing_end(void);

#endif
