/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The steps of in2out.h for XDP, and for tc where it does the same: the program routes and sends the packet itself. */
#ifndef DETNAT_IN2OUT_FORWARD_H
#define DETNAT_IN2OUT_FORWARD_H

#include "slow/egress_check.h"
#include "slow/in2out_routed.h"

struct in2out {
	struct flow f;
	const struct egress *egress; /* of the next hop; a hairpin's is known once its receiver is found */
	int hairpin;
};

static __always_inline const struct egress *in2out_egress(const struct in2out *io)
{
	return io->egress;
}

static __always_inline int is_hairpin(const struct in2out *io)
{
	return io->hairpin;
}

/* Parses the packet. Returns CONTINUE if it would leave through an outside interface or is a hairpin. */
static __always_inline int in2out_admit(ctx_t *ctx, struct in2out *io, enum packet_kind *ret_kind)
{
	struct packet *p = &io->f.p;
	struct device *in = device_get(packet_ingress(ctx));
	enum packet_kind kind = parse(ctx, p);
	struct egress *e = egress_get();
	enum hop_kind to;
	struct ethhdr *eth;

	if (kind == PACKET_NOT_IPV4 && HOOK_XDP && is_tagged(ctx))
		return tail_call(ctx, PROG_vlan);
	if (kind == PACKET_NOT_IPV4)
		return is_for_six(ctx) ? tail_call(ctx, PROG_six_out) : pass_untranslated();
	/* At tc the tag is not in the frame; its interface is another one. */
	if (!HOOK_XDP && is_tagged(ctx))
		return pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (address_is_link_local(p->src) || address_is_link_local(p->dst))
		return link_local_is_misplaced(ctx, p->src, p->dst) ? drop(REASON_drop_martian) : pass_untranslated();
	/* If the kernel forwards, tc translates; only hairpins are forwarded here. */
	if (!settings.redirect && !leaf_outside(p->dst))
		return is_martian(p) ? drop(REASON_drop_martian) : in2out_routed(ctx, p, kind);
	if (!in || !in->roles || !e)
		return pass_untranslated();
	/* Of a hairpin it is known once its receiver is. */
	if (TRACING || !leaf_outside(p->dst))
		egress_find(ctx, p->src, p->dst, packet_ingress(ctx), e);
	else
		e->state = EGRESS_KERNEL;
	to = hop_kind(e, p->dst);
	TRACE_NEXT_HOP(e, to);
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_data_end(ctx) || !frame_is_for(ctx, eth, in))
		return pass_untranslated();
	if (to > HOP_POOL)
		return is_martian(p) ? drop(REASON_drop_martian) : in2out_routed(ctx, p, kind);
	io->egress = e;
	io->hairpin = to == HOP_POOL;
	*ret_kind = kind;
	return CONTINUE;
}

static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	return source_verdict(ctx, io->f.p.src, io->f.p.dst, is_hairpin(io) ? 0 : io->egress->ifindex);
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return is_hairpin(io) ? CONTINUE : egress_check_out(ctx, &io->f.p, io->egress, io->f.m, io->f.p.src);
}

#endif
