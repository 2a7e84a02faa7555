/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The steps of in2out.h for XDP, which routes and sends the packet itself. */
#ifndef DETNAT_IN2OUT_XDP_H
#define DETNAT_IN2OUT_XDP_H

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
	enum packet_kind kind = parse(ctx, p);
	struct next_hop *nh;
	struct ethhdr *eth;

	if (kind == PACKET_NOT_IPV4)
		return is_tagged(ctx) ? tail_call(ctx, PROG_vlan) : pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (address_is_link_local(p->src) || address_is_link_local(p->dst))
		return link_local_is_misplaced(ctx, p->src, p->dst) ? drop(REASON_drop_martian) : pass_untranslated();
	/* If the kernel forwards, tc translates; only hairpins are forwarded here. */
	if (!settings.redirect && !index_find(&out_index, p->dst))
		return is_martian(p) ? drop(REASON_drop_martian) : in2out_routed(ctx, p, kind);
	nh = next_hop_get(ctx, p);
	TRACE_NEXT_HOP(nh);
	eth = ctx_data(ctx);
	if (!nh || (void *)(eth + 1) > ctx_data_end(ctx) || !mac_equal(eth->h_dest, nh->in_mac))
		return pass_untranslated();
	if (nh->kind > HOP_POOL)
		return is_martian(p) ? drop(REASON_drop_martian) : in2out_routed(ctx, p, kind);
	io->egress = &nh->egress;
	io->hairpin = nh->kind == HOP_POOL;
	*ret_kind = kind;
	return CONTINUE;
}

static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	switch (source_of_subscriber(ctx, io->f.m, &io->f.p, is_hairpin(io) ? 0 : io->egress->ifindex)) {
	case SOURCE_GOOD:
		return CONTINUE;
	case SOURCE_REFUSED:
		return drop(REASON_drop_martian);
	default:
		return pass_untranslated();
	}
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return is_hairpin(io) ? CONTINUE : egress_check_out(ctx, &io->f.p, io->egress);
}

#endif
