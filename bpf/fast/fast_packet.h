/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet on the fast path, at any hook: see fast_path.h. */
#ifndef DETNAT_FAST_PACKET_H
#define DETNAT_FAST_PACKET_H

#include "session/session_slots.h"

/* A TCP header, or a UDP header and octets that every Ethernet frame has, if only as padding. */
union fast_transport {
	struct tcphdr tcp;
	struct udphdr udp;
	struct {
		__be16 sport;
		__be16 dport;
	};
};
_Static_assert(sizeof(union fast_transport) == 20, "TCP without options");

/* No session's, nor that of a free slot, whose last seen may be this tick: a refresh may come late. */
#define STEADY_NEVER 0xffffU
#define STEADY_UDP   ((IPPROTO_UDP & WORD_PROTO) << 8 | SESSION_UDP)
#define STEADY_TCP   ((IPPROTO_TCP & WORD_PROTO) << 8 | SESSION_ESTABLISHED)

/* The headers of a frame, and the values read from them. */
struct fast_packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	union fast_transport *l4;
	/*
	 * Protocol and state, as WORD_KIND leaves them of a state word, of a session that this packet cannot change;
	 * STEADY_NEVER for a TCP segment that opens, closes or resets.
	 */
	__u32 steady;
	__u8 proto;
};

/* Flags of a TCP segment whose header is in reach. */
static __always_inline __u8 fast_tcp_flags(const struct fast_packet *q)
{
	return ((const __u8 *)&q->l4->tcp)[13];
}

/* The same of any packet, or 0, where a header of TCP is in reach, whatever the protocol. */
static __always_inline __u8 fast_flags(const struct fast_packet *q)
{
	return q->proto == IPPROTO_TCP ? fast_tcp_flags(q) : 0;
}

/*
 * Builds the packet for slow-path functions. The caller passes the addresses and ports that it has read, so that the
 * compiler reuses its results from them, above all the buckets; and the flags, as it knows whether they are in reach.
 */
static __always_inline struct packet fast_parsed(const struct fast_packet *q, __u32 src, __u32 dst, __u16 sport,
						 __u16 dport, __u8 flags)
{
	return (struct packet){
		.src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = q->proto,
		.flags = flags,
	};
}

/* Preferred slot of a port offset towards an external endpoint (host byte order), or NULL. */
static __always_inline struct slot *fast_slot(const struct mapping *m, __u32 subscriber, __u32 ext_addr, __u16 ext_port,
					      __u8 proto, __u32 port_offset)
{
	struct bucket_pair pair = session_buckets(ext_addr, ext_port, proto, port_offset, m->bucket_shift);
	struct bucket_range range;
	struct bucket *b;

	if (unlikely(bucket_range_get(m, subscriber, &range)))
		return 0;
	b = bucket_get(&range, pair.first);
	return b ? &b->slot[port_offset & (BUCKET_SLOTS - 1)] : 0;
}

#endif
