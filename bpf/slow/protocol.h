/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Protocols without ports (GRE, ESP, SCTP, UDP-Lite ...) for subscribers with an outside address to themselves, i.e. in
 * mappings with a sharing ratio of 1: only the address is translated. There are no sessions, so no quota applies, and
 * packets from outside are let in. Where inbound is open, TCP, UDP and ICMP pass in the same way, but for hairpins and
 * for ICMP errors, which have programs of their own.
 */
#ifndef DETNAT_PROTOCOL_H
#define DETNAT_PROTOCOL_H

#include "slow/in2out.h"
#include "slow/portmap_source.h"
#include "subscriber/stranger_count.h"
#include "session/session_lookup.h"

#if AT_INGRESS

/* The program for packets from outside to a pool address, which out2in_prepare() has found not to be local. */
static __always_inline int protocol_in(ctx_t *ctx)
{
	struct egress *e;
	struct receiver r;
	struct rewrite to;
	enum packet_kind kind;
	struct packet p;
	int verdict;

	kind = parse(ctx, &p);
	if ((kind != PACKET_PROTOCOL && !kind_passes_open(kind)) || receiver_get(&p, &r) ||
	    (kind != PACKET_PROTOCOL && !mapping_is_open(r.m)))
		return drop_stranger(p.dst, kind == PACKET_PROTOCOL ? REASON_drop_protocol : REASON_drop_no_session);
	if (portmap_source_is_martian(&p))
		return drop_stranger(p.dst, REASON_drop_martian);
	TRACE_SUBSCRIBER(r.m, r.number);
	verdict = egress_towards(ctx, &p, r.m, r.s, r.in_addr, DIRECTION_IN, r.s, &e);
	if (verdict != CONTINUE)
		return verdict;
	if (!portmap_source_leads_out(ctx, &p, r.in_addr, e))
		return drop_stranger(p.dst, REASON_drop_martian);
	to = rewrite_of(&p);
	to.dst = r.in_addr;
	mss_clamp(ctx, &p, egress_mss_mtu(ctx, e, DIRECTION_IN));
	return translate(ctx, &p, PACKET_PROTOCOL, &to, e, DIRECTION_IN);
}

/* Handles a packet from one subscriber to another. to: already has the sender's outside address. */
static __always_inline int protocol_hairpin(ctx_t *ctx, const struct in2out *io, struct rewrite *to)
{
	const struct packet *p = &io->f.p;
	struct egress *e;
	struct receiver r;
	int verdict;

	if (!settings.hairpin)
		return drop(REASON_drop_no_session);
	if (receiver_get(p, &r))
		return drop(REASON_drop_protocol);
	TRACE_SUBSCRIBER(r.m, r.number);
	verdict = egress_towards(ctx, p, r.m, r.s, r.in_addr, DIRECTION_HAIRPIN,
				 subscriber_get(io->f.m, io->f.subscriber), &e);
	if (verdict != CONTINUE)
		return verdict;
	to->dst = r.in_addr;
	return translate(ctx, p, PACKET_PROTOCOL, to, e, DIRECTION_HAIRPIN);
}

#endif

/* The program for packets from inside. */
static __always_inline int protocol_out(ctx_t *ctx)
{
	struct in2out io;
	struct rewrite to;
	int verdict = in2out_prepare(ctx, &io, PACKET_PROTOCOL);

	if (verdict != CONTINUE)
		return verdict;
	if (!mapping_is_one_to_one(io.f.m))
		return drop(REASON_drop_protocol);
	to = rewrite_of(&io.f.p);
	to.src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
#if AT_INGRESS
	if (is_hairpin(&io))
		return protocol_hairpin(ctx, &io, &to);
#endif
	mss_clamp(ctx, &io.f.p, egress_mss_mtu(ctx, in2out_egress(&io), DIRECTION_OUT));
	return translate(ctx, &io.f.p, PACKET_PROTOCOL, &to, in2out_egress(&io), DIRECTION_OUT);
}

#endif
