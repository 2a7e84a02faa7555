/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors from inside to a routed host, <detnat/routed.h>, about its packets to a pool address: the host knows only
 * the outside endpoint. Errors about answers go to the pool address and are handled like those from outside
 * (icmp_in.h).
 */
#ifndef DETNAT_ICMP_ROUTED_H
#define DETNAT_ICMP_ROUTED_H

#include "icmp/icmp_out.h"
#include "subscriber/routed_flows.h"
#include "packet/ether.h"

/* PROG_icmp_routed. */
static __always_inline int icmp_routed(ctx_t *ctx)
{
	struct device *in = device_get(packet_ingress(ctx));
	struct ethhdr *eth = ctx_data(ctx);
	struct icmp_from_inside i = {};
	struct egress *e;
	struct rewrite to, quoted;
	struct subscriber *of;
	enum reason refused;
	int out_port, verdict;

	if (!in || (void *)(eth + 1) > ctx_data_end(ctx) || !frame_is_for(ctx, eth, in) ||
	    !icmp_from_inside_parse(ctx, &i))
		return pass_untranslated();
	if (i.kind == QUOTE_MALFORMED || i.kind == QUOTE_OTHER || !i.f.m ||
	    !routed_flow_is_noted(packet_tenant(ctx), &i.f.p))
		return pass_untranslated();
	out_port = icmp_from_inside_port(&i);
	of = subscriber_get(i.f.m, i.f.subscriber);
	if (!out_port || !of)
		return pass_untranslated();
	refused = options_refusal(ctx, &i.p);
	if (!refused)
		refused = quote_options_refusal(ctx, &i.q);
	if (refused)
		return drop(refused);
	verdict = egress_towards(ctx, &i.p, 0, of, i.p.dst, DIRECTION_HAIRPIN, 0, &e);
	if (verdict != CONTINUE)
		return verdict;
	to = rewrite_of(&i.p);
	to.src = icmp_from_inside_source(&i, e->ifindex);
	quoted = rewrite_of_quote(&i.q);
	quoted.dst = mapping_out_addr(&i.f.m->geo, i.f.subscriber);
	quoted.dport = (__u16)out_port;
	return icmp_translate(ctx, &i.p, &to, &i.q, &quoted, e, DIRECTION_HAIRPIN, i.sender, i.p.src);
}

#endif
