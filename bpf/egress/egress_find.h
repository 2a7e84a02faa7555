/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 3, inbound: the egress towards a subscriber. The subscriber's record caches its next hop. */
#ifndef DETNAT_EGRESS_FIND_H
#define DETNAT_EGRESS_FIND_H

#include <detnat/cached_hop.h>

#include "egress/route.h"

#define RP_STRICT 1 /* value of device.rp_filter */

/* A hairpin is sent by XDP or by the agent (transmit_ring.h), never by the kernel: a route's limit becomes its MTU. */
static __always_inline void egress_of_hairpin(struct egress *e)
{
	if (e->state == EGRESS_READY || e->state == EGRESS_REFUSING)
		e->mtu = e->longest;
	if (e->state == EGRESS_REFUSING)
		e->state = EGRESS_READY;
}

/* The kernel resolves the neighbours of what it sends, and of what tc redirects. */
static __always_inline void egress_resolve(struct egress *e)
{
	struct device *out = device_get(e->ifindex);

	if (e->state != EGRESS_UNRESOLVED)
		return;
	e->state = out && out->roles & DEVICE_INSIDE ? EGRESS_READY : EGRESS_KERNEL;
	e->mtu = e->longest = out ? out->mtu : 0;
}

/* Interfaces without an Ethernet header have no neighbours to resolve: the agent sends hairpins to them. */
static __always_inline void egress_resolve_bare(struct egress *e)
{
	struct device *out = device_get(e->ifindex);

	if (e->state == EGRESS_UNRESOLVED && out && out->flags & DEVICE_BARE)
		egress_resolve(e);
}

/* Ticks for which a cached next hop stays valid while no agent reports changes. */
static __always_inline __u32 subscriber_hop_ticks(void)
{
	return settings.hz >> TICK_SHIFT;
}

/* Returns 1 if a subscriber's next hop was learned in this epoch and at most `ticks` ago. */
static __always_inline int subscriber_hop_is_fresh(const struct subscriber *s, __u32 epoch, __u32 now, __u32 ticks)
{
	return !((LOAD(s->way_epoch) ^ epoch) & HOP_EPOCH) && now - LOAD(s->way_tick) <= ticks;
}

/*
 * Routes a packet from src, received on in_ifindex, to a subscriber, and caches the next hop in its record s (NULL: not
 * cached). The next hop is not cached if routes depend on more than the destination, or if the route's MTU is below the
 * interface's, for which the record has no room. Returns as route(), with ret_fib->mtu_result as route_longest().
 */
static __always_inline long subscriber_route(ctx_t *ctx, struct subscriber *s, __u32 src, __u32 in_addr,
					     __u32 in_ifindex, struct bpf_fib_lookup *ret_fib)
{
	struct globals *g = globals_get();
	__u32 epoch = g ? LOAD(g->epoch) : 0, now = now_ticks(); /* before the lookup, as in next_hop_learn() */
	long verdict = route(ctx, src, in_addr, in_ifindex, ret_fib);
	__u64 hop = ret_fib->ifindex & 0xffff;
	struct device *out = device_get(ret_fib->ifindex);

	hop <<= 48;
	__builtin_memcpy(&hop, ret_fib->dmac, 6);
	ret_fib->mtu_result = (__u16)route_longest(ret_fib, in_addr);
	if (s && verdict == BPF_FIB_LKUP_RET_SUCCESS && ret_fib->ifindex < MAX_IFINDEX && !settings.policy_routing &&
	    !(settings.route_mtus && out && ret_fib->mtu_result < out->mtu))
		subscriber_hop_keep(s, hop, epoch, now);
	return verdict;
}

/* Writes the MAC addresses of a frame to a subscriber's next hop. hop: as in subscriber.way. */
static __always_inline void subscriber_hop_addresses(void *ret, __u64 hop, const struct device *out)
{
	/* Written as words: the compiler would copy octet by octet. */
	struct {
		__u32 dmac_high;
		__u16 dmac_low;
		__u16 smac_high;
		__u32 smac_low;
	} *words = ret;

	words->dmac_high = ((__u32 *)&hop)[0];
	words->dmac_low = ((__u16 *)&hop)[2];
	words->smac_high = *(__u16 *)out->mac;
	words->smac_low = *(__u32 *)(out->mac + 2);
}

/* Returns 1 if an interface is an outside interface only, so that a route through it leads out again. */
static __always_inline int leads_out_again(__u32 ifindex)
{
	struct device *out = device_get(ifindex);

	return out && out->roles == DEVICE_OUTSIDE;
}

/*
 * Returns 1 if a packet from outside passes the strict reverse-path filter of its ingress interface, or if there is
 * none. in_ifindex: the interface through which a reply would come in.
 */
static __always_inline int source_is_behind(ctx_t *ctx, __u32 in_addr, __u32 src, __u32 in_ifindex,
					    struct bpf_fib_lookup *fib)
{
	struct device *in = device_get(packet_ingress(ctx));
	const struct fib_hop *told;
	long verdict;

	if (!in || in->rp_filter != RP_STRICT || in->roles & DEVICE_INSIDE)
		return 1;
	told = fib_told(src, FIB_ROUTED);
	if (told)
		return told->ifindex == received_by(in, packet_ingress(ctx));
	verdict = route(ctx, in_addr, src, in_ifindex, fib);
	return (verdict == BPF_FIB_LKUP_RET_SUCCESS || verdict == BPF_FIB_LKUP_RET_NO_NEIGH) &&
	       fib->ifindex == received_by(in, packet_ingress(ctx));
}

/*
 * Looks up the egress towards a subscriber, in its record or with the kernel, for a packet from src to in_addr (host
 * byte order). s: NULL for an inside host that is no subscriber, which has no record. Returns enum egress_state; *ret
 * must be initialised.
 */
SUBPROGRAM int egress_in(ctx_t *ctx, struct subscriber *s, __u32 src, __u32 in_addr, struct egress *ret)
{
	struct fib_hop *told = fib_told(in_addr, FIB_ROUTED | FIB_RESOLVED);
	struct globals *g = globals_get();
	struct bpf_fib_lookup fib; /* shared with source_is_behind() to save stack */
	__u32 longest = ~0U;
	__u64 hop;

	if (!g || !ret)
		return EGRESS_KERNEL;
	if (told) {
		hop = (__u64)told->ifindex << 48;
		__builtin_memcpy(&hop, told->dmac, 6);
		longest = told->mtu;
		fib_used(told, now_ticks());
	} else if (s && !settings.policy_routing &&
		   subscriber_hop_is_fresh(s, LOAD(g->epoch), now_ticks(), subscriber_hop_ticks())) {
		hop = LOAD(s->way);
	} else {
		long verdict = subscriber_route(ctx, s, src, in_addr, packet_received_by(ctx), &fib);

		ret->ifindex = fib.ifindex;
		ret->family = fib.family;
		__builtin_memcpy(ret->gateway, fib.ipv6_dst, sizeof(ret->gateway));
		if (verdict == BPF_FIB_LKUP_RET_NOT_FWDED)
			return EGRESS_NOWHERE;
		if (verdict == BPF_FIB_LKUP_RET_NO_NEIGH)
			return leads_out_again(fib.ifindex) ? EGRESS_NOWHERE : EGRESS_UNRESOLVED;
		if (verdict != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex >= MAX_IFINDEX)
			return EGRESS_KERNEL;
		hop = fib.ifindex & 0xffff;
		hop <<= 48;
		__builtin_memcpy(&hop, fib.dmac, 6);
		if (settings.route_mtus)
			longest = fib.mtu_result;
	}

	__u32 ifindex = (__u32)(hop >> 48);
	struct device *out = device_get(ifindex);

	if (!out || !out->roles)
		return EGRESS_KERNEL;
	if (!(out->roles & DEVICE_INSIDE))
		return EGRESS_NOWHERE;
	if (settings.outside_strict && !source_is_behind(ctx, in_addr, src, ifindex, &fib))
		return EGRESS_KERNEL;
	subscriber_hop_addresses(&ret->mac, hop, out);
	ret->ifindex = ifindex;
	ret->mtu = out->mtu;
	ret->longest = longest < out->mtu ? longest : out->mtu;
	return out->flags & (DEVICE_REDIRECT | DEVICE_TAGGED) ? EGRESS_READY : EGRESS_REFUSING;
}

#endif
