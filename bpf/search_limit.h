/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much of a subscriber's slots may be searched in a tick: for sessions to take away at its quota, and for a port
 * of its block. Without a bound each packet that finds none would cost a walk through them all, and one subscriber
 * could keep a core busy.
 *
 * A search for a port that ended in vain is not repeated in the tick for the same external endpoint. As the endpoint
 * can be varied, the work of all searches together is bounded, too; but for those that found a free port, as the
 * sessions that they open are bounded by the quota. The fields are plain: a lost race counts a search too few.
 */
#ifndef DETNAT_SEARCH_LIMIT_H
#define DETNAT_SEARCH_LIMIT_H

#include "session_slots.h"

/* Slots searched, in units of so many. */
#define SEARCH_UNIT 256U
/* In a tick and subscriber: some 2 ms of a core. */
#define SEARCH_UNITS 240U

/* Begins a search: 0, or -1 where it has to wait for the next tick. */
static __always_inline int search_begin(struct subscriber *s, __u32 now)
{
	if (LOAD(s->search_tick) != (__u16)now) {
		s->searched = 0;
		s->exhausted = 0;
		s->search_tick = (__u16)now;
	}
	return s->searched < SEARCH_UNITS ? 0 : -1;
}

/* Books it: a unit at least. */
static __always_inline void search_end(struct subscriber *s, __u32 slots)
{
	__u32 units = s->searched + slots / SEARCH_UNIT + (slots < SEARCH_UNIT);

	s->searched = units < SEARCH_UNITS ? units : SEARCH_UNITS;
}

/* What subscriber.exhausted is for an external endpoint; never 0. */
static __always_inline __u16 search_mark(const struct packet *p)
{
	return slot_key(p->dst, p->dport, p->proto) * 0x9e3779b97f4a7c15ULL >> 48 | 1;
}

#endif
