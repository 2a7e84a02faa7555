/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sources of packets to a portmap. Anyone may send, and no session shows that the way back leads out: so the sender may
 * be neither a subscriber, who comes from inside, nor the gateway, and the reverse-path filter is asked.
 */
#ifndef DETNAT_PORTMAP_SOURCE_H
#define DETNAT_PORTMAP_SOURCE_H

#include "classify.h"
#include "egress_in.h"

#if STAGE2

/* By the agent's copy of the routes, which held in stage 1. */
static __always_inline int portmap_source_leads_out(ctx_t *ctx, const struct packet *p)
{
	const struct fib_hop *back = fib_find(p->src);
	__u32 ifindex = packet_ingress(ctx);
	const struct device *in = device_get(ifindex);

	if (!in || LOAD(back->flags) & FIB_LOCAL)
		return 0;
	return in->rp_filter != RP_STRICT || LOAD(back->ifindex) == received_by(in, ifindex);
}

#else

/* The kernel asks by itself for what it is left to send. */
static __always_inline int portmap_source_leads_out(ctx_t *ctx, const struct packet *p, __u32 in_addr,
						    const struct egress *e)
{
	struct bpf_fib_lookup fib;

	if (e->state != EGRESS_READY)
		return 1;
	return !address_is_local(ctx, p->dst, p->src) && source_is_behind(ctx, in_addr, p->src, e->ifindex, &fib);
}

#endif

static __always_inline int portmap_source_is_martian(const struct packet *p)
{
	return source_is_martian(p->src) || address_is_inside(p->src);
}

#endif
