/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A subscriber's answers to a routed host, <detnat/routed.h>: they leave by the outside endpoint to which the host has
 * sent. Packets that answer nothing are routed unchanged.
 */
#ifndef DETNAT_ROUTED_OUT_H
#define DETNAT_ROUTED_OUT_H

#include "slow/fragment_later.h"
#include "slow/hairpin.h"
#include "subscriber/routed_flows.h"
#include "packet/ether.h"

/* A later fragment of an answer. Before the first one, it looks like any fragment that is routed unchanged. */
static __always_inline int routed_out_fragment(ctx_t *ctx, const struct packet *p, struct subscriber *sender)
{
	struct egress *egress;
	struct fragment_piece f;
	enum reason refused;
	struct fragment *e;
	struct rewrite to;
	int verdict;

	if (fragment_piece_get(ctx, p, FRAGMENT_FROM_INSIDE, &f))
		return drop(REASON_drop_error);
	f.in_addr = p->src;
	e = fragment_find(&f, &to.src, &to.dst);
	if (!e || to.dst != p->dst)
		return pass_untranslated();
	refused = options_refusal(ctx, p);
	if (refused)
		return drop(refused);
	verdict = egress_towards(ctx, p, 0, sender, p->dst, DIRECTION_HAIRPIN, 0, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, p, e, &f, &to, egress, DIRECTION_HAIRPIN);
}

/* PROG_routed_out. */
static __always_inline int routed_out(ctx_t *ctx)
{
	struct device *in = device_get(packet_ingress(ctx));
	struct ethhdr *eth = ctx_data(ctx);
	struct packet *p;
	struct egress *e;
	struct subscriber *sender;
	struct in2out io;
	struct rewrite to;
	enum packet_kind kind = parse(ctx, &io.f.p);
	enum reason refused;
	int out_port, verdict;

	p = &io.f.p;
	io.f.m = kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER ? 0
								      : mapping_by_inside(packet_tenant(ctx), p->src);
	if (!io.f.m || !in || (void *)(eth + 1) > ctx_data_end(ctx) || !frame_is_for(ctx, eth, in))
		return pass_untranslated();
	io.f.now = now_ticks();
	flow_from_inside(&io.f);
	sender = subscriber_get(io.f.m, io.f.subscriber);
	if (!sender)
		return pass_untranslated();
	if (kind == PACKET_FRAGMENT)
		return routed_out_fragment(ctx, p, sender);
	verdict = source_check(ctx, p->src, p->dst, 0);
	if (verdict != SOURCE_GOOD)
		return verdict == SOURCE_REFUSED ? drop(REASON_drop_martian) : pass_untranslated();
	refused = options_refusal(ctx, p);
	if (refused)
		return drop(refused);
	verdict = egress_towards(ctx, p, 0, sender, p->dst, DIRECTION_HAIRPIN, sender, &e);
	if (verdict != CONTINUE)
		return verdict;
	out_port = hairpin_send(&io, sender);
	if (!out_port)
		return pass_untranslated();
	to = rewrite_of(p);
	to.src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
	if (kind == PACKET_SESSION) {
		to.sport = (__u16)out_port;
		return translate_session(ctx, p, &to, e, DIRECTION_HAIRPIN, p->src);
	}
	return translate(ctx, p, PACKET_PROTOCOL, &to, e, DIRECTION_HAIRPIN);
}

#endif
