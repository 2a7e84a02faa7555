/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Protocols without ports on their way to subscribers that have an outside address to themselves (XDP alone): from
 * outside, and as hairpins. See protocol.h.
 */
#ifndef DETNAT_PROTOCOL_IN_H
#define DETNAT_PROTOCOL_IN_H

#include "hairpin.h"
#include "protocol_address.h"

/* The leaf: from outside, to a pool address that is not the gateway's own; out2in_prepare() has seen to that. */
static __always_inline int protocol_in(ctx_t *ctx)
{
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);
	struct mapping *m = mapping_by_outside(p.dst);

	if (kind != PACKET_PROTOCOL || !m || !mapping_is_one_to_one(m))
		return drop(REASON_drop_protocol);
	if (source_is_martian(p.src) || index_find(&in_index, p.src))
		return drop(REASON_drop_martian);

	__u32 subscriber = p.dst - m->geo.out_base, in_addr = m->geo.in_base + subscriber;
	struct subscriber *s = subscriber_get(m, subscriber);
	struct egress way = {};

	if (!s)
		return drop(REASON_drop_no_mapping);
	TRACE_SUBSCRIBER(m, subscriber);

	enum egress_state way_verdict = egress_in(ctx, s, p.src, in_addr, &way);
	int verdict = ttl_and_mtu(ctx, &p, s, way_verdict, &way);
	int direct = egress_is_direct(ctx, way_verdict, &way, p.length);

	TRACE_EGRESS(way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	if (protocol_address(ctx, &p, 0, in_addr, direct))
		return drop(REASON_drop_malformed);
	count_translated(REASON_out2in_translated, p.length);
	return direct ? forward(ctx, &way.mac, way.ifindex) : CTX_PASS;
}

/* From one subscriber to another by outside addresses, both of which have one to themselves. */
static __always_inline int protocol_hairpin(ctx_t *ctx, const struct in2out *io)
{
	const struct packet *p = &io->f.p;
	struct mapping *m = mapping_by_outside(p->dst);
	struct subscriber *sender = subscriber_get(io->f.m, io->f.subscriber), *s;
	struct egress way = {};
	__u32 subscriber, in_addr;
	int verdict;

	if (!m || !sender)
		return drop(REASON_drop_no_mapping);
	if (!settings.hairpin)
		return drop(REASON_drop_no_session);
	if (!mapping_is_one_to_one(m))
		return drop(REASON_drop_protocol);
	subscriber = p->dst - m->geo.out_base;
	in_addr = m->geo.in_base + subscriber;
	s = subscriber_get(m, subscriber);
	if (!s)
		return drop(REASON_drop_no_mapping);
	TRACE_SUBSCRIBER(m, subscriber);

	enum egress_state way_verdict = hairpin_egress(egress_in(ctx, s, p->src, in_addr, &way), &way);

	TRACE_EGRESS(way_verdict, &way);
	verdict = ttl_and_mtu(ctx, p, sender, way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	if (way_verdict == EGRESS_UNRESOLVED)
		return hairpin_unresolved(s, &way);
	if (way_verdict != EGRESS_READY)
		return drop(REASON_drop_unreachable);
	if (hairpin_too_long(p, &way))
		return drop(REASON_drop_too_big);
	if (protocol_address(ctx, p, 1, mapping_out_addr(&io->f.m->geo, io->f.subscriber), 1) ||
	    protocol_address(ctx, p, 0, in_addr, 0))
		return drop(REASON_drop_malformed);
	count_translated(REASON_hairpin_translated, p->length);
	return hairpin_forward(ctx, p->length, &way);
}

#endif
