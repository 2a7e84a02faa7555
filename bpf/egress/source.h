/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source validation of subscribers' packets, equivalent to the kernel's fib_validate_source(): the source must not be
 * one of the gateway's own addresses, and, depending on the interface's reverse-path filter (RFC 3704), a route must
 * lead back to it. Checked when a session opens or is refreshed, so at most once per tick and session; for every packet
 * with SOURCES_STRICT_EACH. The kernel decides what cannot be decided here.
 *
 * If no reverse-path filter is on and routes depend only on destinations, only the gateway's own addresses are refused,
 * and the agent vouches for all others (globals.own_sources). Otherwise, and without an agent, the route back to the
 * address is looked for as any egress is (egress_find.h): as that of an answer, which comes in where the packet goes
 * out; or, where interfaces are in VRFs, by the VRF that the packet comes from, as the kernel does it.
 */
#ifndef DETNAT_SOURCE_H
#define DETNAT_SOURCE_H

#include "subscriber/classify.h"
#include "egress/egress_find.h"

enum source_verdict {
	SOURCE_GOOD,
	SOURCE_REFUSED, /* one of the gateway's own addresses, or unroutable */
	SOURCE_KERNEL,	/* the kernel must decide; at tc it already has */
};

static __always_inline int source_is_vouched(const struct globals *g, __u32 src, __u32 now)
{
	__u32 bit = own_source_bit(src);

	return (__s32)(LOAD(g->sources_until) - now) >= 0 && !address_is_link_local(src) &&
	       !(LOAD(g->own_sources[bit >> 6 & 3]) >> (bit & 63) & 1);
}

/*
 * Returns 1 if the route back to a sender is cached and, if the check is strict, leads through the ingress interface.
 * out_ifindex: through which an answer would come in.
 */
static __always_inline int source_is_known(const struct globals *g, __u32 src, __u32 dst, __u32 in_ifindex,
					   __u32 out_ifindex, __u32 now)
{
	struct fib_hop back;

	return egress_cached(g, settings.vrf ? in_ifindex : out_ifindex, dst, src, now, &back) &&
	       (settings.source_check == SOURCES_ROUTED || back.ifindex == in_ifindex);
}

/* The same by the agent's copy of the routes, which knows all senders behind a route: see fib_lookup.h. */
static __always_inline int source_is_told(const struct fib_hop *back, __u32 in_ifindex)
{
	return LOAD(back->flags) & FIB_ROUTED &&
	       (settings.source_check == SOURCES_ROUTED || LOAD(back->ifindex) == in_ifindex);
}

static __always_inline enum source_verdict source_judge(const struct egress *back, const struct device *in,
							__u32 in_ifindex)
{
	int strict = LOAD(in->rp_filter) == RP_STRICT, full = LOAD(in->rp_filter) || settings.policy_routing;

	if (back->state == EGRESS_NOWHERE)
		return SOURCE_REFUSED;
	if (egress_is_routed(back))
		return strict && back->ifindex != in_ifindex ? SOURCE_KERNEL : SOURCE_GOOD;
	return (back->state == EGRESS_TUNNELLED ? strict : full) ? SOURCE_KERNEL : SOURCE_GOOD;
}

/*
 * Checks the source of a packet from src to dst (host byte order) with egress out_ifindex (0: unknown). Returns enum
 * source_verdict.
 */
SUBPROGRAM int source_check(ctx_t *ctx, __u32 src, __u32 dst, __u32 out_ifindex)
{
	struct globals *g = globals_get();
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);
	struct egress back = {};

	if (!g || !in)
		return SOURCE_KERNEL;
	in_ifindex = received_by(in, in_ifindex);
	if (source_is_vouched(g, src, now_ticks()))
		return SOURCE_GOOD;
	if (settings.vrf)
		out_ifindex = packet_ingress(ctx);
	egress_find_back(ctx, src, dst, out_ifindex ? out_ifindex : in_ifindex, &back);
	return source_judge(&back, in, in_ifindex);
}

/*
 * The verdict on a packet by that check, or CONTINUE. What the check leaves to the kernel is passed on: the kernel
 * drops it, having checked the source or for the blackhole route.
 */
static __always_inline int source_verdict(ctx_t *ctx, __u32 src, __u32 dst, __u32 out_ifindex)
{
	switch (source_check(ctx, src, dst, out_ifindex)) {
	case SOURCE_GOOD:
		return CONTINUE;
	case SOURCE_REFUSED:
		return drop(REASON_drop_martian);
	default:
		return pass_untranslated();
	}
}

/*
 * Interface of the route back to a source outside all mappings; 0: there is no route, or the source is the gateway's
 * own address.
 */
SUBPROGRAM int source_way_back(ctx_t *ctx, __u32 src, __u32 dst)
{
	struct egress back = {};

	egress_find_back(ctx, src, dst, packet_ingress(ctx), &back);
	return egress_is_routed(&back) ? (int)back.ifindex : 0;
}

/*
 * Returns 1 if a packet whose source is in no mapping is dropped (BCP 38): the route back to the source does not lead
 * through the ingress interface.
 */
static __always_inline int source_is_spoofed(ctx_t *ctx, const struct packet *p)
{
	return (__u32)source_way_back(ctx, p->src, p->dst) != packet_received_by(ctx);
}

/* Returns 1 if subscribers may be behind an interface. */
static __always_inline int leads_inside(__u32 ifindex)
{
	const struct device *out = device_get(ifindex);

	if (!ifindex || !out)
		return 0;
	if (out->roles)
		return !!(out->roles & DEVICE_INSIDE);
	return settings.inside_from == INSIDE_ANY || (settings.inside_from != INSIDE_NAMED && ifindex >= MAX_IFINDEX);
}

/*
 * Returns 1 if a packet from inside to a pool address, with a source in no mapping, is dropped: it would be taken for
 * one from outside. The route back must lead inside, whatever `unmatched` says; through the ingress interface if that
 * or the reverse-path filter demands it.
 */
SUBPROGRAM int source_is_forged(ctx_t *ctx, __u32 src, __u32 dst)
{
	__u32 back = (__u32)source_way_back(ctx, src, dst), in_ifindex = packet_ingress(ctx);
	const struct device *in = device_get(in_ifindex);

	if (!in)
		return 1;
	if (settings.unmatched == UNMATCHED_STRICT || LOAD(in->rp_filter) == RP_STRICT)
		return back != received_by(in, in_ifindex);
	return !leads_inside(back);
}

/* Handles a packet from inside with a source in no mapping that leaves through an outside interface. */
static __always_inline int source_unmatched(ctx_t *ctx, const struct packet *p)
{
	/* On a stick, packets from outside to untranslated addresses get here, too. */
	if (unmatched_is_dropped(packet_tenant(ctx), p->src) && !is_untranslated(packet_tenant(ctx), p->dst))
		return drop(REASON_drop_no_mapping);
	if (!STAGE2 && settings.unmatched == UNMATCHED_STRICT && source_is_spoofed(ctx, p))
		return drop(REASON_drop_spoofed);
	return pass_untranslated();
}

#endif
