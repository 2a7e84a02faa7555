/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets from outside to a portmap, in the common case: the port is in the block of the portmap's subscriber, anyone
 * may send to it, and the agent vouches for the sender's address. portmap_in.h does everything else.
 */
#ifndef DETNAT_FAST_PORTMAP_H
#define DETNAT_FAST_PORTMAP_H

#include "egress/source.h"
#include "session/portmap.h"

/*
 * Returns 1 if a slot may hold a session of a packet from outside to a subscriber with record s. not_preferred: the
 * preferred slot is known not to.
 */
static __always_inline int fast_slot_may_be(const struct mapping *m, const struct subscriber *s, __u32 subscriber,
					    const struct packet *p, __u32 now, int not_preferred)
{
	__u32 offset = p->dport - mapping_port_lo(&m->geo, subscriber);
	struct bucket_choice b;
	__u64 key, word;

	if (not_preferred && !LOAD(s->displaced))
		return 0;
	if (bucket_choice_get(m, subscriber, p->src, p->sport, p->proto, offset, &b))
		return 1;
	return (!not_preferred && slot_match_out(preferred_slot(&b, offset), slot_key(p->src, p->sport, 0), p->dport,
						 p->proto, now, m->timeout_ticks, &key)) ||
	       (LOAD(s->displaced) & b.home && slot_lookup_out2in(m, subscriber, p, now, &word, &key));
}

/* In `ext`: the preferred slot does not hold a session of the packet. */
#define EXT_NOT_PREFERRED (1ULL << 63)

/*
 * Inside port of the portmap that takes a packet from outside, whose port is in the block of an inside address of m,
 * and which has no session; -1: the packet is for the slow path. ext, out: addresses 32 | ports 16, out with the
 * protocol below.
 */
SUBPROGRAM int fast_portmap_in(const struct mapping *m, __u32 in_addr, __u64 ext, __u64 out)
{
	struct packet p = { .src = (__u32)(ext >> 16),
			    .sport = (__u16)ext,
			    .dst = (__u32)(out >> 24),
			    .dport = (__u16)(out >> 8),
			    .proto = (__u8)out };
	const struct globals *g = globals_get();
	__u32 subscriber, now = now_ticks();
	const struct subscriber *s;
	struct portmap_value *v;
	int port;

	if (!m || !g || settings.outside_filter || !source_is_vouched(g, p.src, now))
		return -1;
	subscriber = in_addr - m->geo.in_base;
	s = subscriber_get(m, subscriber);
	if (!s || LOAD(s->beyond) != SUBSCRIBER_PORTMAPS ||
	    fast_slot_may_be(m, s, subscriber, &p, now, !!(ext & EXT_NOT_PREFERRED)))
		return -1;
	/* An exception may have the address; in stage 2 the mapping may have another outside address since stage 1. */
	if (mapping_by_inside(LOAD(m->tenant), in_addr) != m || mapping_out_addr(&m->geo, subscriber) != p.dst)
		return -1;
	if (source_is_martian(p.src) || address_is_inside(p.src))
		return -1;
	port = portmap_take_line((__u64)p.dst << 32 | in_addr, p.dport, p.proto, PORTMAP_OUT2IN);
	if (port >= 0)
		return port;
	v = portmap_of_outside(&p);
	if (!v || v->addr != in_addr || LOAD(v->filtered))
		return -1;
	portmap_count(v, REASON_portmap_in);
	return v->port;
}

#endif
