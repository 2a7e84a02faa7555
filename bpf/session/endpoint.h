/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The owner of an outside endpoint: first a session, then a portmap. All programs look it up here. */
#ifndef DETNAT_ENDPOINT_H
#define DETNAT_ENDPOINT_H

#include "session/portmap.h"
#include "session/session_lookup.h"

/* portmap_receiver() for the portmap found. */
static __always_inline int portmap_leads_to(const struct packet *p, struct portmap_value *v, struct receiver *ret)
{
	/* The outside address says whose inside address it is. */
	const struct mapping *of = mapping_by_outside(p->dst);
	const struct mapping *m = of ? mapping_by_inside(LOAD(of->tenant), v->addr) : 0;

	if (!m)
		return -1;
	ret->m = m;
	ret->number = mapping_subscriber(&m->geo, v->addr);
	ret->in_addr = v->addr;
	ret->s = subscriber_get(m, ret->number);
	ret->portmap = v;
	/* In the middle of a change the address may be another subscriber's already. */
	return ret->s && mapping_out_addr(&m->geo, ret->number) == p->dst ? v->port : -1;
}

/* Inside port of the portmap that takes a packet to a pool address, with its subscriber in *ret; -1: none. */
static __always_inline int portmap_receiver(const struct packet *p, struct receiver *ret)
{
	struct portmap_value *v = portmap_of_outside(p);

	return v ? portmap_leads_to(p, v, ret) : -1;
}

/*
 * Inside port to which a packet to a pool address goes, with its subscriber in *ret; -1: none. For a protocol without
 * ports, 0 if its mapping translates it. use: the purpose of the lookup. A packet that a portmap takes is
 * counted by endpoint_count(), once it is sure to pass.
 */
static __always_inline int endpoint_owner(const struct packet *p, enum session_use use, struct receiver *ret)
{
	int in_port = -1;

	ret->portmap = 0;
	if (!receiver_get(p, ret))
		in_port = use == SESSION_PACKET	 ? session_packet_out2in(ret->m, ret->number, p)
			  : use == SESSION_QUOTE ? session_quote_out2in(ret->m, ret->number, p)
						 : session_seek_out2in(ret->m, ret->number, p);
	return in_port < 0 ? portmap_receiver(p, ret) : in_port;
}

/* Returns 1 if a filter of an outside endpoint's portmap matches a sender. */
SUBPROGRAM int portmap_takes_from(__u32 out_addr, __u32 out_port, __u32 proto, __u32 src, __u32 sport)
{
	struct portmap_key key = {
		.addr = out_addr, .port = (__u16)out_port, .proto = (__u8)proto, .direction = PORTMAP_OUT2IN
	};
	const struct portmap_filters *f = bpf_map_lookup_elem(&portmap_filters, &key);

	return f && portmap_filters_match(f, src, (__u16)sport);
}

/*
 * Returns 1 if the receiver accepts a packet from a sender's outside endpoint: a session always, a portmap unless its
 * filters exclude the sender.
 */
static __always_inline int endpoint_takes_from(const struct receiver *r, const struct packet *p, __u32 src, __u16 sport)
{
	return !r->portmap || !LOAD(r->portmap->filtered) || portmap_takes_from(p->dst, p->dport, p->proto, src, sport);
}

static __always_inline void endpoint_count(const struct receiver *r)
{
	if (r->portmap)
		portmap_count(r->portmap, REASON_portmap_in);
}

#endif
