/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of IPv6 subscribers that do more than refresh a session in its preferred slot: it may be in any other of the
 * subscriber's, or in his extent, <detnat/extents.h>, or change its state, or open. Subprograms, as in fast_extent.h,
 * on whose look-ups they are built.
 */
#ifndef DETNAT_PASSAGE_FAST_FIND6_H
#define DETNAT_PASSAGE_FAST_FIND6_H

#include "egress/source.h"
#include "fast/fast_extent.h"
#include "session/host6.h"

/* A verdict in the place of a state word, none of which is so small. */
#define NO_WORD(verdict) ((__u64)(__u32)(verdict))
#define IS_NO_WORD(word) (!((word) >> 32))

/*
 * Whether sessions of a subscriber towards an external endpoint are in other slots than they prefer. ext: slot_key()
 * with any inside port.
 */
static __always_inline int fast_six_is_displaced(const struct mapping *m, __u32 subscriber, __u64 ext, __u8 proto,
						 __u32 port_offset)
{
	const struct subscriber *s = subscriber_get(m, subscriber);
	struct bucket_pair pair =
		session_buckets(key_ext_addr(ext), key_ext_port(ext), proto, port_offset, m->bucket_shift);

	return s && LOAD(s->displaced) & home_bit(pair.first);
}

/*
 * Applies a packet of a host to its session in another slot than the preferred one, if the source is vouched for.
 * Returns the state word; EXTENT_NONE: there is none, the host is known; or EXTENT_LEAVE. flow: fast_flow(); hi, lo:
 * the host's address as in struct six.
 */
SUBPROGRAM __u64 fast_six_find_out(const struct mapping *m, __u64 key, __u64 flow, __u64 hi, __u64 lo)
{
	const struct globals *g = globals_get();
	__u32 subscriber = (__u32)(flow >> 32);
	struct six *x = six_get();

	/* The subnet-router anycast address is nobody's. */
	if (!m || !x || !g || !lo || !source_is_vouched(g, m->geo.in_base + subscriber, now_ticks()) ||
	    six_subscriber(x, m, subscriber))
		return EXTENT_LEAVE;
	x->hi = hi;
	x->lo = lo;
	if (host6_find() < 0)
		return EXTENT_LEAVE;
	TRACE_SUBSCRIBER(m, subscriber);
	if (!fast_six_is_displaced(m, subscriber, key, (__u8)flow, mapping_first_choice(&m->geo, key_in_port(key))))
		return EXTENT_NONE;
	return fast_apply_in2out(m, key, flow);
}

/*
 * After EXTENT_NONE: the same in the preferred slot, where the packet may change more than last seen; or opens the
 * session as IPv4's fast path does. Returns the state word, or NO_WORD() of a verdict.
 */
SUBPROGRAM __u64 fast_six_open(const struct mapping *m, __u64 key, __u64 flow)
{
	struct subscriber *record;
	struct bucket_pair pair;
	struct slot *s;
	struct flow f;
	int verdict;
	__u64 word;

	if (!m)
		return NO_WORD(TO_SLOW_PATH);
	f = fast_flow_of(m, key, flow);
	pair = session_buckets(f.p.dst, f.p.dport, f.p.proto, f.port_offset, m->bucket_shift);
	s = fast_slot(m, f.subscriber, f.p.dst, f.p.dport, f.p.proto, f.port_offset);
	record = subscriber_get(m, f.subscriber);
	if (!s || !record)
		return NO_WORD(TO_SLOW_PATH);
	word = slot_match_in(s, key, f.p.proto, f.now, m->timeout_ticks);
	if (!word) {
		verdict = fast_open(&f, record, s, home_bit(pair.first), &word);
		return verdict == CONTINUE ? word : NO_WORD(verdict);
	}
	if (session_reopens(word, &f.p))
		return NO_WORD(TO_SLOW_PATH);
	session_hit_beyond(s, word, &f.p, f.now, m, f.subscriber);
	return word;
}

/* fast_apply_out2in() of a subscriber whose sessions are in their preferred slots, or in none. */
static __always_inline int fast_six_apply_preferred(const struct mapping *m, __u32 subscriber, __u64 ext, __u32 to)
{
	const struct packet p = { .proto = (__u8)to, .flags = (__u8)(to >> 8) };
	__u32 now = now_ticks(), port_offset = (to >> 16) - mapping_port_lo(&m->geo, subscriber);
	struct slot *s = fast_slot(m, subscriber, (__u32)(ext >> 16), (__u16)ext, p.proto, port_offset);
	__u64 key = 0,
	      word = s ? slot_match_out(s, ext << 16, (__u16)(to >> 16), p.proto, now, m->timeout_ticks, &key) : 0;

	if (!word)
		return -1;
	session_hit_fast(s, word, &p, 0, now, m, subscriber);
	return key_in_port(key);
}

/* The same from outside: returns the inside port, and the host is in struct six; or -1. As fast_packet_out2in(). */
SUBPROGRAM int fast_six_find_in(const struct mapping *m, __u32 subscriber, __u64 ext, __u32 to)
{
	if (!m || six_begin_receiver(m, subscriber))
		return -1;
	TRACE_SUBSCRIBER(m, subscriber);
	return fast_six_is_displaced(m, subscriber, ext << 16, (__u8)to,
				     (to >> 16) - mapping_port_lo(&m->geo, subscriber))
		       ? fast_apply_out2in(m, subscriber, ext, to)
		       : fast_six_apply_preferred(m, subscriber, ext, to);
}

#endif
