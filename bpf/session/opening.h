/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by all openers of a session in a slot, under the opener's lock and by the rules of <detnat/session.h>: packets
 * from either side (open.h, inbound.h) and sessions announced by another gateway (session_copy.h). They scan the two
 * buckets, choose a slot and claim it.
 */
#ifndef DETNAT_OPENING_H
#define DETNAT_OPENING_H

#include "session/session_slots.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct opening);
} openings SEC(".maps");

/* This core's scratch record. */
static __always_inline struct opening *opening_record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&openings, &zero);
}

/* The scratch record, set up to look for a flow from inside in the group of a port offset. */
static __always_inline struct opening *opening_get(const struct mapping *m, const struct packet *p, __u32 port_offset)
{
	struct opening *o = opening_record();

	if (o) {
		o->key = slot_key(p->dst, p->dport, p->sport);
		o->port_offset = port_offset;
		o->port_lo = mapping_port_lo(&m->geo, mapping_subscriber(&m->geo, p->src));
		o->proto = p->proto;
	}
	return o;
}

enum opened {
	OPENED,	      /* the session is found or opened, *ret_word is set */
	OPEN_NO_ROOM, /* no slot, or no port in the group */
	OPEN_AT_QUOTA,
	OPEN_LOST,    /* lost a race against the sweep, or another core keeps the lock */
	OPEN_EXISTS,  /* another core has opened it meanwhile */
	OPEN_NO_PORT, /* no port of the block is free towards the endpoint */
};

/* Under the lock: returns 1 if the subscriber is at its quota, and the opening has no place in it. */
static __always_inline int quota_is_reached(const struct mapping *m, const struct subscriber *s)
{
	const struct opening *o = opening_record();

	return !(o && LOAD(o->reserved)) && LOAD(s->sessions) >= m->sessions_per_user;
}

/*
 * Under the lock: counts a session before it exists, so that the count is never too low; or takes the place of one that
 * has given way. Returns 0, or -1 at the quota.
 */
static __always_inline int quota_take(const struct mapping *m, struct subscriber *s)
{
	struct opening *o = opening_record();

	if (o && LOAD(o->reserved)) {
		STORE(o->reserved, 0);
		return 0;
	}
	if (quota_is_reached(m, s))
		return -1;
	__sync_fetch_and_add(&s->sessions, 1);
	return 0;
}

/* Reports the sessions that a scan removed. */
static __always_inline void opening_tell(const struct opening *o, const struct mapping *m, __u32 subscriber)
{
	if (!settings.session_events || !LOAD(o->gone))
		return;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * BUCKET_SLOTS; i++) {
		if (LOAD(o->gone) & (1U << i))
			slot_closed(m, subscriber, LOAD(o->gone_slot[i].key), LOAD(o->gone_slot[i].truth));
	}
}

/* opening_scan_slot() into the scratch record, of slot `at` of both buckets: eight of the first, then of the second. */
SUBPROGRAM int open_scan_slot(const struct mapping *m, struct bucket *b, __u32 at, __u32 now)
{
	struct opening *o = opening_record();

	if (!m || !b || !o)
		return -1;
	opening_scan_slot(o, &b->slot[at & (BUCKET_SLOTS - 1)], at & (2 * BUCKET_SLOTS - 1), now, m->timeout_ticks);
	return 0;
}

/*
 * Under the lock, for a packet from inside: scans both buckets of the group of a port offset into the scratch record.
 * Returns 0; or -1, only while tables are being deleted.
 */
SUBPROGRAM int open_scan_buckets(const struct mapping *m, struct subscriber *s, const struct packet *p,
				 __u32 port_offset, __u32 now)
{
	struct bucket_choice b;
	struct opening *o;
	__u32 subscriber;

	if (!m || !s || !p)
		return -1;
	subscriber = mapping_subscriber(&m->geo, p->src);
	o = opening_get(m, p, port_offset);
	if (!o || bucket_choice_get(m, subscriber, p->dst, p->dport, p->proto, port_offset, &b))
		return -1;
	opening_begin(o);
	for (__u32 at = 0; at < BUCKET_SLOTS; at++)
		open_scan_slot(m, b.first, at, now);
	for (__u32 at = BUCKET_SLOTS; at < 2 * BUCKET_SLOTS && b.second != b.first; at++)
		open_scan_slot(m, b.second, at, now);
	if (LOAD(o->freed))
		__sync_fetch_and_add(&s->sessions, -LOAD(o->freed));
	opening_tell(o, m, subscriber);
	return 0;
}

/*
 * Under the lock: claims a slot, whose state word is `from`, for the session (key, word). A session that it displaces
 * is reported. Returns OPENED, OPEN_AT_QUOTA or OPEN_LOST.
 */
static __always_inline enum opened opening_claim(const struct mapping *m, struct subscriber *s, __u32 subscriber,
						 struct slot *slot, __u64 from, __u64 key, __u64 word, __u32 now)
{
	__u64 before = LOAD(slot->key);
	int time_wait = word_state(from) == SESSION_TIME_WAIT;

	if (word_is_live(from) && !time_wait && !word_expired(from, now, m->timeout_ticks))
		return OPEN_LOST;

	/* Replacing an expired session that still counts leaves the count unchanged. */
	int counts = !word_is_live(from) || time_wait;

	if (counts && quota_take(m, s))
		return OPEN_AT_QUOTA;
	if (!slot_claim(slot, from, key, word)) {
		if (counts)
			__sync_fetch_and_add(&s->sessions, -1U);
		return OPEN_LOST;
	}
	if (word_is_live(from))
		slot_closed(m, subscriber, before, from);
	return OPENED;
}

#endif
