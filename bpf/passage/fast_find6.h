/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets of IPv6 subscribers whose session is not in its preferred slot: it may be in any other of the subscriber's,
 * or in his extent, <detnat/extents.h>. Subprograms, as in fast_extent.h, on whose look-ups they are built.
 */
#ifndef DETNAT_PASSAGE_FAST_FIND6_H
#define DETNAT_PASSAGE_FAST_FIND6_H

#include "fast/fast_extent.h"
#include "session/host6.h"

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
 * Applies a packet of a host to its session, if the source is vouched for. Returns the state word, or 0: it is for the
 * slow path. flow: fast_flow(); hi, lo: the host's address as in struct six.
 */
SUBPROGRAM __u64 fast_six_find_out(const struct mapping *m, __u64 key, __u64 flow, __u64 hi, __u64 lo)
{
	const struct globals *g = globals_get();
	__u32 subscriber = (__u32)(flow >> 32);
	struct six *x = six_get();
	__u64 word;

	if (!m || !x || !g ||
	    !fast_six_is_displaced(m, subscriber, key, (__u8)flow, mapping_first_choice(&m->geo, key_in_port(key))) ||
	    !source_is_vouched(g, m->geo.in_base + subscriber, now_ticks()) || six_subscriber(x, m, subscriber))
		return 0;
	x->hi = hi;
	x->lo = lo;
	if (host6_find() < 0)
		return 0;
	TRACE_SUBSCRIBER(m, subscriber);
	word = fast_apply_in2out(m, key, flow);
	return word == EXTENT_LEAVE ? 0 : word;
}

/* The same from outside: returns the inside port, and the host is in struct six; or -1. As fast_packet_out2in(). */
SUBPROGRAM int fast_six_find_in(const struct mapping *m, __u32 subscriber, __u64 ext, __u32 to)
{
	if (!m ||
	    !fast_six_is_displaced(m, subscriber, ext << 16, (__u8)to,
				   (to >> 16) - mapping_port_lo(&m->geo, subscriber)) ||
	    six_begin_receiver(m, subscriber))
		return -1;
	TRACE_SUBSCRIBER(m, subscriber);
	return fast_apply_out2in(m, subscriber, ext, to);
}

#endif
