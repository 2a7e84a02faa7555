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
	OPEN_LOST,     /* lost a race against the sweep, or another core keeps the lock */
	OPEN_EXISTS,   /* another core has opened it meanwhile */
	OPEN_NO_PORT,  /* no port of the block is free towards the endpoint */
	OPEN_AT_LIMIT, /* of the sessions of its protocol */
	OPEN_TOO_FAST, /* no token is left for it */
	OPEN_NO_HOST,  /* the subscriber has no number for another host */
	OPEN_GROWS,    /* once the subscriber has a larger extent: PROG_extent */
};

/* The protocol of an opening for limit_take(): of the opener's own ones alone, the rate is limited. */
static __always_inline __u32 opening_limit(const struct opening *o, __u8 proto)
{
	return proto | (o && LOAD(o->rated) ? LIMIT_WITH_TOKEN : 0);
}

/* Under the lock: returns 1 if the subscriber is at its quota, and the opening has no place in it. */
static __always_inline int quota_is_reached(const struct mapping *m, const struct subscriber *s)
{
	const struct opening *o = opening_record();

	return !(o && LOAD(o->reserved)) && LOAD(s->sessions) >= m->sessions_per_user;
}

/* Under the lock: limit_take() for a session that the opening counts, as enum opened. */
static __always_inline enum opened quota_take_limit(const struct mapping *m, __u32 subscriber, __u8 proto)
{
	int taken =
		mapping_is_limited(m) ? limit_take(m, subscriber, opening_limit(opening_record(), proto)) : LIMIT_TAKEN;

	return taken == LIMIT_TAKEN ? OPENED : taken == LIMIT_REACHED ? OPEN_AT_LIMIT : OPEN_TOO_FAST;
}

/* Under the lock: undoes quota_take_limit(). */
static __always_inline void quota_leave_limit(const struct mapping *m, __u32 subscriber, __u8 proto)
{
	if (mapping_is_limited(m))
		limit_give_back(m, subscriber, opening_limit(opening_record(), proto));
}

/*
 * Under the lock: counts a session before it exists, so that the count is never too low; or takes the place of one that
 * has given way. Returns OPENED, OPEN_AT_QUOTA, OPEN_AT_LIMIT or OPEN_TOO_FAST. Not inlined, for the stack.
 */
static __noinline enum opened quota_take(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u8 proto)
{
	struct opening *o = opening_record();
	enum opened taken;

	if (quota_is_reached(m, s))
		return OPEN_AT_QUOTA;
	taken = quota_take_limit(m, subscriber, proto);
	if (taken != OPENED)
		return taken;
	if (o && LOAD(o->reserved))
		STORE(o->reserved, 0);
	else
		__sync_fetch_and_add(&s->sessions, 1);
	return OPENED;
}

/* Under the lock: undoes quota_take(). */
static __always_inline void quota_leave(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u8 proto)
{
	quota_leave_limit(m, subscriber, proto);
	__sync_fetch_and_add(&s->sessions, -1U);
}

/* Reports the sessions that a scan of two buckets removed, whose bits in the masks begin at `first`. */
static __always_inline void opening_tell(const struct opening *o, const struct mapping *m, __u32 subscriber,
					 __u32 first)
{
	if (!settings.session_events || !LOAD(o->gone))
		return;
#pragma clang loop unroll(disable)
	for (__u32 i = first; i < first + 2 * BUCKET_SLOTS; i++) {
		if (LOAD(o->gone) & (1U << i))
			slot_closed(m, subscriber, LOAD(o->gone_slot[i].key), LOAD(o->gone_slot[i].truth));
	}
}

/* After a scan of two buckets, whose bits in the masks begin at `first`: counts and reports what it removed. */
static __always_inline void opening_account(const struct opening *o, const struct mapping *m, struct subscriber *s,
					    __u32 subscriber, __u32 first)
{
	/* Those that a scan frees are of the flow's protocol. */
	if (LOAD(o->freed)) {
		limit_ended(m, subscriber, o->proto, LOAD(o->freed));
		__sync_fetch_and_add(&s->sessions, -LOAD(o->freed));
	}
	opening_tell(o, m, subscriber, first);
}

/* opening_scan_slot() into the scratch record, of a slot of the bucket whose bits in the masks `at` is among. */
SUBPROGRAM int open_scan_slot(const struct mapping *m, struct bucket *b, __u32 at, __u32 now)
{
	struct opening *o = opening_record();

	if (!m || !b || !o)
		return -1;
	opening_scan_slot(o, &b->slot[at & (BUCKET_SLOTS - 1)], at & (OPENING_SLOTS - 1), now, m->timeout_ticks);
	return 0;
}

/*
 * Number among the slots of all extents of that of the lowest bit set in a mask of the scratch record that has none of
 * the subscriber's own.
 */
static __always_inline __s64 opening_number_beyond(const struct opening *o, __u32 mask)
{
	mask >>= OPENING_EXTENT;
	return extent_slot_number(mask & 0xff ? LOAD(o->extent.first) : LOAD(o->extent.second), opening_slot_at(mask));
}

/* That slot; NULL: it has gone. */
static __always_inline struct slot *opening_slot_beyond(const struct opening *o, __u32 mask)
{
	return extent_slot(opening_number_beyond(o, mask));
}

/* The slot of the lowest bit set in a mask of the scratch record, whose own buckets are b; NULL: it has gone. */
static __always_inline struct slot *opening_slot_of(const struct opening *o, const struct bucket_choice *b, __u32 mask)
{
	return !settings.extent_buckets || mask & OPENING_OWN ? opening_slot(b, mask) : opening_slot_beyond(o, mask);
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
	opening_account(o, m, s, subscriber, 0);
	return 0;
}

/*
 * Under the lock, after open_scan_buckets(): the same in the subscriber's extent, if it has one. Notes which buckets
 * they are. Returns 0; or -1, only while tables are being deleted.
 */
SUBPROGRAM int open_scan_extent(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 port_offset,
				__u32 now)
{
	struct opening *o = opening_record();
	struct bucket *first, *second;
	struct bucket_pair pair;
	__u32 extent;

	if (!m || !s || !o)
		return -1;
	extent = subscriber_extent(s);
	if (!extent)
		return 0;
	pair = extent_pair(extent, o->key, o->proto, port_offset);
	STORE(o->extent.first, pair.first);
	STORE(o->extent.second, pair.second);
	first = extent_bucket(pair.first);
	second = extent_bucket(pair.second);
	if (!first || !second)
		return -1;
	STORE(o->freed, 0);
	for (__u32 at = OPENING_EXTENT; at < OPENING_EXTENT + BUCKET_SLOTS; at++)
		open_scan_slot(m, first, at, now);
	for (__u32 at = OPENING_EXTENT + BUCKET_SLOTS; at < OPENING_SLOTS && second != first; at++)
		open_scan_slot(m, second, at, now);
	opening_account(o, m, s, subscriber, OPENING_EXTENT);
	return 0;
}

/* Slots that are free in both buckets below which a session that does not get its preferred one wants others. */
#define EXTENT_CROWDED 4U

/* Whether sessions find little room in the slots of an extent that two buckets have free. */
static __always_inline int extent_is_crowded(__u32 free, __u32 port_offset)
{
	return !(free & preferred_bit(port_offset)) &&
	       count_bits8(free & 0xff) + count_bits8(free >> 8) < EXTENT_CROWDED;
}

/*
 * Under the lock: place of a free slot in a bucket, the preferred one of a port offset if it can be; -1: none. On a
 * stack of its own (stacks.py).
 */
SUBPROGRAM int extent_room_in(__u32 bucket, __u32 port_offset)
{
	struct bucket *b = extent_bucket(bucket);
	__u32 room = 0;

	if (!b)
		return -1;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		room |= word_free_bit(LOAD(b->slot[i].truth)) << i;
	room = room & preferred_bit(port_offset) ? preferred_bit(port_offset) : room;
	return room ? (int)opening_slot_at(room) : -1;
}

/* Under the lock: number of a free slot for a session in an extent; -1: none. */
static __always_inline __s64 extent_room(__u32 extent, __u64 key, __u8 proto, __u32 port_offset)
{
	struct bucket_pair pair = extent_pair(extent, key, proto, port_offset);
	int at = extent_room_in(pair.first, port_offset);

	if (at >= 0)
		return extent_slot_number(pair.first, (__u32)at);
	at = extent_room_in(pair.second, port_offset);
	return at >= 0 ? extent_slot_number(pair.second, (__u32)at) : -1;
}

/* Which ports a search takes, in this order: free ones first, then those of sessions in time-wait or reset. */
enum port_of { PORT_FREE, PORT_OF_TIME_WAIT, PORT_OF_RESET, N_PORT_OF };

/*
 * Under the lock: ends the session in a slot if it has expired, or is in the state that `of` names. Returns 1 if none
 * is there any more.
 */
SUBPROGRAM int slot_gives_way(const struct mapping *m, struct subscriber *s, struct slot *slot, __u32 subscriber,
			      __u32 of)
{
	__u64 word, key;

	if (!m || !s || !slot)
		return 0;
	word = LOAD(slot->truth);
	if (!word_is_live(word))
		return 1;
	/* The clock is asked last, as `of` need not be kept for it. */
	if ((of != PORT_OF_TIME_WAIT || word_state(word) != SESSION_TIME_WAIT) &&
	    (of != PORT_OF_RESET || !(word_state(word) & SESSION_RESET)) &&
	    !word_expired(word, now_ticks(), m->timeout_ticks))
		return 0;
	key = LOAD(slot->key);
	if (!slot_change(slot, word, 0))
		return 0;
	if (word_state(word) != SESSION_TIME_WAIT) {
		limit_ended(m, subscriber, word_proto(word), 1);
		__sync_fetch_and_add(&s->sessions, -1U);
	}
	/* The deepest chains of the programs for IPv6 subscribers end here: they have no room for another frame. */
	if (!FAMILY6)
		slot_closed(m, subscriber, key, word);
	else
		slot_closed_here(m, subscriber, key, word);
	return 1;
}

/*
 * Under the lock, after another scan for the same flow: scans the subscriber's extent alone for a group of ports whose
 * first one is port_lo plus the group of the offset, of whatever block. Returns 0, or -1.
 */
static __always_inline int open_scan_ports(const struct mapping *m, struct subscriber *s, __u32 subscriber,
					   __u32 port_lo, __u32 port_offset, __u32 now)
{
	struct opening *o = opening_record();

	if (!o)
		return -1;
	STORE(o->port_lo, port_lo);
	STORE(o->port_offset, port_offset);
	opening_begin(o);
	return settings.extent_buckets ? open_scan_extent(m, s, subscriber, port_offset, now) : 0;
}

/*
 * Under the lock: exchanges the place of an expired session in the limit of its protocol for one of a new session,
 * which takes a token. Returns OPENED, OPEN_AT_LIMIT or OPEN_TOO_FAST.
 */
static __always_inline enum opened opening_exchange(const struct mapping *m, __u32 subscriber, __u8 proto, __u8 before)
{
	enum opened taken;

	if (!mapping_is_limited(m))
		return OPENED;
	limit_count(m, subscriber, before, -1U);
	taken = quota_take_limit(m, subscriber, proto);
	if (taken != OPENED)
		limit_count(m, subscriber, before, 1);
	return taken;
}

/* Under the lock: undoes opening_exchange(). */
static __always_inline void opening_exchange_back(const struct mapping *m, __u32 subscriber, __u8 proto, __u8 before)
{
	if (!mapping_is_limited(m))
		return;
	quota_leave_limit(m, subscriber, proto);
	limit_count(m, subscriber, before, 1);
}

/*
 * Under the lock: claims a slot, whose state word is `from`, for the session (key, word). A session that it displaces
 * is reported. Returns OPENED, OPEN_LOST, or as quota_take().
 */
static __always_inline enum opened opening_claim(const struct mapping *m, struct subscriber *s, __u32 subscriber,
						 struct slot *slot, __u64 from, __u64 key, __u64 word, __u32 now)
{
	__u64 before = LOAD(slot->key);
	int time_wait = word_state(from) == SESSION_TIME_WAIT;

	if (word_is_live(from) && !time_wait && !word_expired(from, now, m->timeout_ticks))
		return OPEN_LOST;

	/* Replacing an expired session that still counts leaves the count unchanged, except that of its protocol. */
	int counts = !word_is_live(from) || time_wait;
	__u8 proto = word_proto(word);
	enum opened taken;

	taken = counts ? quota_take(m, s, subscriber, proto) : opening_exchange(m, subscriber, proto, word_proto(from));
	if (taken != OPENED)
		return taken;
	if (!slot_claim(slot, from, key, word)) {
		if (counts)
			quota_leave(m, s, subscriber, proto);
		else
			opening_exchange_back(m, subscriber, proto, word_proto(from));
		return OPEN_LOST;
	}
	if (word_is_live(from))
		slot_closed(m, subscriber, before, from);
	return OPENED;
}

#endif
