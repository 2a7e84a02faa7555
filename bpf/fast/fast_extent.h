/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets whose session may be in the extent of their subscriber, <detnat/extents.h>. Subprograms, called only for
 * subscribers that have one, or may: so other packets have all registers to themselves.
 */
#ifndef DETNAT_FAST_EXTENT_H
#define DETNAT_FAST_EXTENT_H

#include "session/fast_open.h"

/* Results besides a state word: the flow has no session; its packet is for the slow path. */
#define EXTENT_NONE  0ULL
#define EXTENT_LEAVE 1ULL

/* fast_packet_in2out() without a stack of its own. */
static __always_inline __u64 fast_apply_in2out(const struct mapping *m, __u64 key, __u64 flow)
{
	struct flow f = fast_flow_of(m, key, flow);
	struct slot *slot;
	__u64 word;

	slot = slot_lookup_in2out(&f, &word);
	if (!slot)
		return EXTENT_NONE;
	if (session_reopens(word, &f.p))
		return EXTENT_LEAVE;
	session_hit_beyond(slot, word, &f.p, f.now, m, f.subscriber);
	return word;
}

/* Applies a packet from inside to its session, in any slot, and returns the state word. flow: fast_flow(). */
SUBPROGRAM __u64 fast_packet_in2out(const struct mapping *m, __u64 key, __u64 flow)
{
	return m ? fast_apply_in2out(m, key, flow) : EXTENT_LEAVE;
}

/* fast_packet_out2in() without a stack of its own. */
static __always_inline int fast_apply_out2in(const struct mapping *m, __u32 subscriber, __u64 ext, __u32 to)
{
	struct packet p = { .src = (__u32)(ext >> 16),
			    .sport = (__u16)ext,
			    .dport = (__u16)(to >> 16),
			    .flags = (__u8)(to >> 8),
			    .proto = (__u8)to };
	__u32 now = now_ticks();
	struct slot *slot;
	__u64 word, key;

	slot = slot_lookup_out2in(m, subscriber, &p, now, &word, &key);
	if (!slot)
		return -1;
	session_hit_fast(slot, word, &p, 0, now, m, subscriber);
	return key_in_port(key);
}

/*
 * The same from outside: returns the inside port, or -1. ext: address 32 | port 16; to: outside port 16 | TCP flags 8 |
 * protocol 8.
 */
SUBPROGRAM int fast_packet_out2in(const struct mapping *m, __u32 subscriber, __u64 ext, __u32 to)
{
	return m ? fast_apply_out2in(m, subscriber, ext, to) : -1;
}

#endif
