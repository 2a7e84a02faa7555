/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors from outside about a subscriber's packets (RFC 5508 REQ-4). The quote is the packet that left here, from
 * a pool address to an external endpoint. Destination and quoted source become the inside endpoint; the source, usually
 * a router's address, is kept.
 */
#ifndef DETNAT_ICMP_IN_H
#define DETNAT_ICMP_IN_H

#include "session/endpoint.h"
#include "icmp/icmp_quote.h"
#include "slow/out2in.h"
#include "slow/portmap_source.h"
#include "subscriber/stranger_count.h"

/* As refuse_to_pool(), for an error from outside. */
static __always_inline int icmp_in_refuse(ctx_t *ctx, const struct packet *p, enum reason reason)
{
	return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop_stranger(p->dst, reason);
}

/* PROG_icmp_in. */
static __always_inline int icmp_in(ctx_t *ctx)
{
	struct device *in = device_get(packet_ingress(ctx));
	struct icmp_quote q = {};
	struct egress *e;
	struct rewrite to, quoted;
	struct receiver r;
	enum quote_kind kind;
	enum reason refused;
	struct packet p;
	int in_port = -1, verdict;

	if (parse(ctx, &p) != PACKET_ICMP_OTHER || !in)
		return drop(REASON_drop_malformed);
	kind = quote_parse(ctx, &p, ICMP_ECHO, &q);
	if (kind == QUOTE_MALFORMED)
		return icmp_in_refuse(ctx, &p, quote_malformed_reason(&p));
	if (kind == QUOTE_OTHER || q.reply.dst != p.dst)
		return icmp_in_refuse(ctx, &p, REASON_drop_no_session);
	if (portmap_source_is_martian(&p))
		return icmp_in_refuse(ctx, &p, REASON_drop_martian);
	/* NAT on a stick: an inside router that is no subscriber reports about a hairpin. */
	if (in->roles & DEVICE_INSIDE && address_is_inside(q.reply.src))
		return tail_call(ctx, PROG_icmp_hairpin);
	/* Hairpins never pass outside routers. */
	if (!leaf_outside(q.reply.src))
		in_port = endpoint_owner(&q.reply, SESSION_QUOTE, &r);
	if (in_port < 0)
		return icmp_in_refuse(ctx, &p, REASON_drop_no_session);
	if (tenant_intrudes(ctx, r.m))
		return drop(REASON_drop_tenant);
	TRACE_SUBSCRIBER(r.m, r.number);
	refused = quote_options_refusal(ctx, &q);
	if (refused)
		return icmp_in_refuse(ctx, &p, refused);
	/* An ICMP error is never answered with another. */
	verdict = egress_towards(ctx, &p, r.m, r.s, r.in_addr, DIRECTION_IN, 0, &e);
	if (verdict != CONTINUE)
		return verdict;
	if (!portmap_source_leads_out(ctx, &p, r.in_addr, e))
		return drop_stranger(p.dst, REASON_drop_martian);
	to = rewrite_of(&p);
	quoted = rewrite_of_quote(&q);
	to.dst = quoted.src = r.in_addr;
	quoted.sport = (__u16)in_port;
	return icmp_translate(ctx, &p, &to, &q, &quoted, e, DIRECTION_IN, r.m, r.in_addr);
}

#endif
