/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looks up the session of a packet. Protocols without ports have none: their packets
 * belong to the subscriber that has the outside address to itself.
 */
#ifndef DETNAT_SESSION_LOOKUP_H
#define DETNAT_SESSION_LOOKUP_H

#include "session/bind_port.h"
#include "session/grant.h"
#include "subscriber/stateless.h"

/* The purpose of a session lookup. */
enum session_use {
	SESSION_SEEK,	/* to know whether there is one */
	SESSION_QUOTE,	/* for an ICMP error about it, which does not change it (RFC 5508 REQ-6) */
	SESSION_PACKET, /* for one of its packets, which is applied to it */
};

/* The subscriber to which a packet to a pool address belongs. */
struct receiver {
	const struct mapping *m;
	struct subscriber *s;
	__u32 number; /* within the mapping */
	__u32 in_addr;
	struct portmap_value *portmap; /* that leads to it, see endpoint_owner(); NULL: a session does */
};

/*
 * The number of the only subscriber of m with an outside address, for packets without a session; -1 if it has none, as
 * an exception may have taken the inside address out of the mapping.
 */
SUBPROGRAM int receiver_alone(const struct mapping *m, __u32 out_addr)
{
	__u32 number;

	if (!m)
		return -1;
	number = out_addr - m->geo.out_base;
	return index_find_inside(LOAD(m->tenant), m->geo.in_base + number) == leaf_outside(out_addr) ? (int)number : -1;
}

/* Returns 0, or -1 if there is none. */
static __always_inline int receiver_get(const struct packet *p, struct receiver *ret)
{
	const struct mapping *m = mapping_by_outside(p->dst);
	__s64 number = -1;

	/* The sessions of the other family are for other programs. */
	if (!m || mapping_is_six(m) || six_is_foreign(m))
		return -1;
	if (protocol_has_ports(p->proto) && !mapping_is_open(m))
		number = port_owner(m, p->dst, p->dport);
	else if (mapping_is_one_to_one(m))
		number = receiver_alone(m, p->dst);
	if (number < 0)
		return -1;
	ret->m = m;
	ret->number = (__u32)number;
	ret->in_addr = m->geo.in_base + ret->number;
	ret->s = subscriber_get(m, ret->number);
	if (six_begin_receiver(m, ret->number))
		return -1;
	return ret->s ? 0 : -1;
}

/*
 * Outside port of the session of a packet from inside, whose source m maps; 0 if there is none, or one that the packet
 * reopens. For a protocol without ports, 1 if m translates it. In an open mapping, OPEN_PORT and the same port.
 */
static __always_inline int session_lookup_in2out(const struct mapping *m, const struct packet *p, enum session_use use)
{
	struct slot *slot;
	struct flow f;
	__u64 word;

	if (!m || !p)
		return 0;
	if (!protocol_has_ports(p->proto))
		return mapping_is_one_to_one(m);
	if (mapping_is_open(m))
		return OPEN_PORT | p->sport;
	f = flow_of(m, p);
	slot = slot_lookup_in2out(&f, &word);
	if (!slot || (use == SESSION_PACKET && session_reopens(word, p)))
		return 0;
	if (use == SESSION_PACKET)
		session_hit(slot, word, p->flags, m, f.subscriber | FROM_INSIDE);
	else
		TRACE_STEP(session, word, word);
	return word_out_port(word);
}

/*
 * Inside port of the session of a packet from outside, for a subscriber of m; -1: none. For a protocol without ports, 0
 * if m translates it. In an open mapping, the same port.
 */
static __always_inline int session_lookup_out2in(const struct mapping *m, __u32 subscriber, const struct packet *p,
						 enum session_use use)
{
	__u32 now = now_ticks();
	struct slot *slot;
	__u64 word, key;

	if (!m || !p)
		return -1;
	if (!protocol_has_ports(p->proto))
		return mapping_is_one_to_one(m) ? 0 : -1;
	if (mapping_is_open(m))
		return p->dport;
	slot = slot_lookup_out2in(m, subscriber, p, now, &word, &key);
	if (!slot)
		return -1;
	if (use == SESSION_PACKET)
		session_hit(slot, word, p->flags, m, subscriber);
	else if (use == SESSION_QUOTE)
		TRACE_STEP(session, word, word);
	return key_in_port(key);
}

/* The lookups as subprograms, one per purpose: those that change nothing are much shorter. */
SUBPROGRAM int session_packet_in2out(const struct mapping *m, const struct packet *p)
{
	return session_lookup_in2out(m, p, SESSION_PACKET);
}

SUBPROGRAM int session_quote_in2out(const struct mapping *m, const struct packet *p)
{
	return session_lookup_in2out(m, p, SESSION_QUOTE);
}

SUBPROGRAM int session_packet_out2in(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	return session_lookup_out2in(m, subscriber, p, SESSION_PACKET);
}

SUBPROGRAM int session_quote_out2in(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	return session_lookup_out2in(m, subscriber, p, SESSION_QUOTE);
}

SUBPROGRAM int session_seek_out2in(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	return session_lookup_out2in(m, subscriber, p, SESSION_SEEK);
}

/*
 * Handles a packet to a pool address without a receiver: it goes to the kernel if the address is local, else is
 * dropped.
 */
static __always_inline int refuse_to_pool(ctx_t *ctx, const struct packet *p, enum reason reason)
{
	return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop(reason);
}

#endif
