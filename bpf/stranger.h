/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sources of packets from outside that belong to no session, where anyone may send: no session shows that the way back
 * leads out, so the reverse-path filter is asked, and the sender may not be the gateway.
 */
#ifndef DETNAT_STRANGER_H
#define DETNAT_STRANGER_H

#include "classify.h"
#include "egress_in.h"

#if STAGE2

/* By the agent's copy of the routes, which held in stage 1. */
static __always_inline int stranger_leads_out_staged(ctx_t *ctx, const struct packet *p)
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
static __always_inline int stranger_leads_out(ctx_t *ctx, const struct packet *p, __u32 in_addr, const struct egress *e)
{
	struct bpf_fib_lookup fib;

	if (e->state != EGRESS_READY)
		return 1;
	return !address_is_local(ctx, p->dst, p->src) && source_is_behind(ctx, in_addr, p->src, e->ifindex, &fib);
}

#endif

#endif
