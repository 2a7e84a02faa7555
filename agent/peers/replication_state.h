/* SPDX-License-Identifier: BSD-2-Clause */
/* States of peers: worked out, and told to operators by notices, the log and TROUBLE_REPLICATION. */
#ifndef DETNAT_REPLICATION_STATE_H
#define DETNAT_REPLICATION_STATE_H

#include "peers/replication_private.h"

void replication_peer_figures(const struct replication_peer *p, struct peer_figures *ret);

/* REPLICATION_TICKS_A_SECOND times a second. */
void replication_state_tick(struct replication *r);

/* Replication is off: no trouble is left. */
void replication_state_end(void);

#endif
