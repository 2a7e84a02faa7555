/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sources of packets that need no session: to a portmap, a bound port, an outside address that is one subscriber's, and
 * of ICMP errors. Anyone may send, and no session shows that the way back leads out. So the sender may be neither a
 * subscriber, who comes from inside, nor the gateway, and must pass the reverse-path filter.
 */
#ifndef DETNAT_PORTMAP_SOURCE_H
#define DETNAT_PORTMAP_SOURCE_H

#include "egress/source.h"

#if STAGE2

/* By the agent's copy of the routes, which held in stage 1. ifindex: the ingress. */
static __always_inline int portmap_source_is_told(const struct globals *g, __u32 src, __u32 ifindex, __u32 now)
{
	const struct device *in = device_get(ifindex);
	__u32 leaf = fib_find_leaf(src);
	const struct fib_hop *back = &fib.hop[FIB_HOP(leaf)];

	if (!in)
		return 0;
	if (in->rp_filter != RP_STRICT && source_is_vouched(g, src, now))
		return 1;
	/* Its own address, or one of a prefix that is its own as a whole. */
	if (LOAD(back->flags) & FIB_LOCAL || FIB_RANK(leaf) >= FIB_RANK_LOCAL_PREFIX)
		return 0;
	return in->rp_filter != RP_STRICT || LOAD(back->ifindex) == received_by(in, ifindex);
}

static __always_inline int portmap_source_leads_out(ctx_t *ctx, const struct packet *p)
{
	const struct globals *g = globals_get();

	return g && portmap_source_is_told(g, p->src, packet_ingress(ctx), now_ticks());
}

#else

static __always_inline int portmap_source_is_own(ctx_t *ctx, const struct packet *p)
{
	const struct globals *g = globals_get();

	return !(g && source_is_vouched(g, p->src, now_ticks())) && address_is_local(ctx, p->dst, p->src);
}

/* The kernel itself checks the packets that it sends. */
static __always_inline int portmap_source_leads_out(ctx_t *ctx, const struct packet *p, __u32 in_addr,
						    const struct egress *e)
{
	if (e->state != EGRESS_READY)
		return 1;
	return !portmap_source_is_own(ctx, p) && source_is_behind(ctx, in_addr, p->src, e->ifindex);
}

#endif

static __always_inline int portmap_source_is_martian(const struct packet *p)
{
	return source_is_martian(p->src) || address_is_inside(p->src);
}

#endif
