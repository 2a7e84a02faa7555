/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of answers about replication. */
#ifndef DETNAT_PEER_JSON_H
#define DETNAT_PEER_JSON_H

#include <cjson/cJSON.h>

#include "control/answer.h"
#include "peers/replication.h"

/* Adds "lag_seconds", null where it is not known. */
void json_add_lag(cJSON *json, const struct peer_figures *f);

/* Adds "replication": null where it is off, else how many peers are in which state, and the longest lag. */
void json_add_replication(cJSON *json, const struct replication *x);

/*
 * Adds "replication" to an explanation: how many sessions of an inside address are this gateway's own, and how many are
 * copies of which peer. Nothing where replication is off.
 */
void json_add_owners(cJSON *json, const struct replication *x, uint32_t in_addr);

#endif
