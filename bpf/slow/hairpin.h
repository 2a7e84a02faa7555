/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hairpins (RFC 4787 REQ-9): packets from one subscriber to another, or to itself, through outside addresses. The
 * source becomes the sender's outside endpoint, the destination the receiver's inside endpoint.
 */
#ifndef DETNAT_HAIRPIN_H
#define DETNAT_HAIRPIN_H

#include "session/drain.h"
#include "session/endpoint.h"
#include "slow/in2out.h"
#include "session/inbound_slots.h"
#include "slow/turned.h"

/*
 * Outside port of the sender's session, to which the packet is applied, or of its portmap; 0: none. The flow becomes
 * one of the session's mapping, which may drain.
 */
static __always_inline int hairpin_send(struct in2out *io, const struct subscriber *sender)
{
	int out_port = session_packet_in2out(io->f.m, &io->f.p);

	if (!out_port)
		out_port = drain_take(LOAD(io->f.m->tenant), &io->f, SESSION_PACKET);
	return out_port ? out_port : portmap_packet_in2out(io->f.m, sender, &io->f.p);
}

/*
 * Inside port of the receiver's session with the sender's outside endpoint, to which the packet is applied, or of its
 * portmap; -1: none.
 */
static __always_inline int hairpin_receive(const struct packet *p, const struct rewrite *to, struct receiver *ret)
{
	struct packet outside = *p;

	outside.src = to->src;
	outside.sport = p->proto == IPPROTO_ICMP ? 0 : to->sport;
	return endpoint_owner(&outside, SESSION_PACKET, ret);
}

/* Returns 1 if the sender, or the receiver, is an IPv6 subscriber. */
static __always_inline int hairpin_is_turned(const struct packet *p)
{
	const struct mapping *m = FAMILY6 || settings.six ? mapping_by_outside(p->dst) : 0;

	return FAMILY6 || (m && mapping_is_six(m));
}

/* PROG_hairpin. */
static __always_inline int hairpin(ctx_t *ctx)
{
	struct egress *e;
	struct subscriber *sender;
	struct receiver r;
	struct rewrite to;
	struct in2out io;
	int verdict = in2out_prepare(ctx, &io, PACKET_SESSION), in_port, out_port;
	const struct packet *p = &io.f.p;

	if (verdict != CONTINUE)
		return verdict;
	sender = subscriber_get(io.f.m, io.f.subscriber);
	if (!sender)
		return drop(REASON_drop_no_mapping);
	if (!settings.hairpin || p->ttl <= 1) {
		if (address_is_local(ctx, p->src, p->dst))
			return pass_untranslated();
		/* Before anything is opened or refreshed. */
		verdict = egress_check_ttl(ctx, p, sender);
		return verdict != CONTINUE ? verdict : drop(REASON_drop_no_session);
	}
	to = rewrite_of(p);
	out_port = hairpin_send(&io, sender);
	to.src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
	to.sport = (__u16)out_port;
	if (!out_port)
		return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : tail_call(ctx, PROG_open);
	if (hairpin_is_turned(p))
		return hairpin_turn(ctx, p, &to);
	in_port = hairpin_receive(p, &to, &r);
	if (in_port < 0 && inbound_may_open_hairpin(p))
		return tail_call(ctx, PROG_hairpin_inbound);
	if (in_port < 0)
		return refuse_to_pool(ctx, p, REASON_drop_no_session);
	if (!endpoint_takes_from(&r, p, to.src, to.sport))
		return drop(REASON_drop_portmap_filter);
	to.dst = r.in_addr;
	to.dport = (__u16)in_port;
	verdict = egress_towards(ctx, p, r.m, r.s, r.in_addr, DIRECTION_HAIRPIN, sender, &e);
	if (verdict != CONTINUE)
		return verdict;
	endpoint_count(&r);
	return translate_session(ctx, p, &to, e, DIRECTION_HAIRPIN, p->src);
}

#endif
