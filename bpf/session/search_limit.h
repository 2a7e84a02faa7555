/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits how many of a subscriber's slots are searched per tick: for sessions to remove at the quota, and for a free
 * port. Without a limit each packet that finds none would cost a walk through them all, and one subscriber could keep a
 * core busy.
 *
 * A failed search for a port is not repeated in the same tick for the same external endpoint. As endpoints can be
 * varied, the work of all searches together is limited, too, except for those that found a free port: the quota limits
 * the sessions that they open. The fields are not atomic: a lost race counts a search too few.
 */
#ifndef DETNAT_SEARCH_LIMIT_H
#define DETNAT_SEARCH_LIMIT_H

#include "session/session_slots.h"

/* Slots per unit of search work. */
#define SEARCH_UNIT 256U
/* Units per tick and subscriber: about 2 ms of a core. */
#define SEARCH_UNITS 240U

/* Begins a search. Returns 0, or -1 if it has to wait for the next tick. */
static __always_inline int search_begin(struct subscriber *s, __u32 now)
{
	if (LOAD(s->search_tick) != (__u16)now) {
		s->searched = 0;
		s->exhausted = 0;
		s->quota_pass = QUOTA_NOT_BEGUN;
		s->search_tick = (__u16)now;
	}
	return s->searched < SEARCH_UNITS ? 0 : -1;
}

/* Counts units of search work. */
static __always_inline void search_count(struct subscriber *s, __u32 units)
{
	units += s->searched;
	s->searched = units < SEARCH_UNITS ? units : SEARCH_UNITS;
}

/* Counts the slots searched, one unit at least. */
static __always_inline void search_end(struct subscriber *s, __u32 slots)
{
	search_count(s, slots / SEARCH_UNIT + (slots < SEARCH_UNIT));
}

/* Value of subscriber.exhausted for an external endpoint; never 0. */
static __always_inline __u16 search_mark(const struct packet *p)
{
	return slot_key(p->dst, p->dport, p->proto) * 0x9e3779b97f4a7c15ULL >> 48 | 1;
}

/* Value of subscriber.exhausted if a protocol has no port left to bind; even, unlike those of external endpoints. */
static __always_inline __u16 binding_mark(__u8 proto)
{
	return (__u16)(proto << 1 | 0x8000);
}

/* Value of subscriber.growth_vain after a search in vain of so many granted blocks, for one of these marks; never 0. */
static __always_inline __u32 growth_mark(__u32 now, __u32 grants, __u16 mark)
{
	return now << GROWTH_MARK_TICK | (grants & 0x3f) << 16 | mark;
}

#endif
