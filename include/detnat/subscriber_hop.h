/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How cores keep the way in to a subscriber in its record, several at once. Pure, so that tests can race on it. */
#ifndef DETNAT_SUBSCRIBER_HOP_H
#define DETNAT_SUBSCRIBER_HOP_H

#include "slots.h"
#include "tables.h"

/*
 * Keeps a way that was learned in an epoch, of which the cores that read the epoch first and the way then see a way at
 * least as new.
 *
 * Another core may keep one at the same time that it learned before a change, so that its way would stand beside this
 * one's epoch. Whoever wrote the way last finds the epoch changed, or the other finds its way changed: either then
 * leaves a way of no epoch, which the next packet learns anew. The exchange is a barrier between the two.
 */
static inline __attribute__((always_inline)) void subscriber_hop_keep(struct subscriber *s, __u64 way, __u32 epoch,
								      __u32 now)
{
	__u32 before = LOAD(s->way_epoch), wanted = (before & SUBSCRIBER_HAIRPINS) | (epoch & HOP_EPOCH);

	*(volatile __u64 *)&s->way = way;
	*(volatile __u32 *)&s->way_tick = now;
	if (__sync_val_compare_and_swap(&s->way_epoch, before, wanted) != before || LOAD(s->way) != way)
		__sync_fetch_and_and(&s->way_epoch, SUBSCRIBER_HAIRPINS);
}

#endif
