/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How cores concurrently cache a subscriber's next hop in its record. Pure, so that tests can race on it. */
#ifndef DETNAT_CACHED_HOP_H
#define DETNAT_CACHED_HOP_H

#include "slots.h"
#include "tables.h"

/*
 * Caches a next hop that was learned in an epoch. A core that reads first the epoch and then the next hop sees one that
 * is at least as new.
 *
 * At the same time another core may cache one that it learned before a change, which would then be stored beside this
 * core's epoch. Either the core that wrote the next hop last finds the epoch changed, or the other one finds its next
 * hop changed: each then clears the epoch, and the next packet learns the hop again. The compare-and-swap is the
 * barrier between the two.
 */
static inline __attribute__((always_inline)) void subscriber_hop_keep(struct subscriber *s, __u64 hop, __u32 epoch,
								      __u32 now)
{
	__u32 before = LOAD(s->way_epoch), wanted = (before & SUBSCRIBER_HAIRPINS) | (epoch & HOP_EPOCH);

	*(volatile __u64 *)&s->way = hop;
	*(volatile __u32 *)&s->way_tick = now;
	if (__sync_val_compare_and_swap(&s->way_epoch, before, wanted) != before || LOAD(s->way) != hop)
		__sync_fetch_and_and(&s->way_epoch, SUBSCRIBER_HAIRPINS);
}

#endif
