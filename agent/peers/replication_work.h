/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work on sessions, in slices of two milliseconds with as long a pause after each: passes, whole copies for peers,
 * and the refreshes of what peers vouch for.
 */
#ifndef DETNAT_REPLICATION_WORK_H
#define DETNAT_REPLICATION_WORK_H

#include "peers/replication_private.h"

/* 0 or -ENOMEM. */
int replication_work_start(struct replication *r);
void replication_work_stop(struct replication *r);

/* REPLICATION_TICKS_A_SECOND times a second: begins what is due. */
void replication_work_tick(struct replication *r);

#endif
