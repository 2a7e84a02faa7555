/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 3: finds a packet's egress, before anything is rewritten. One function does for both directions, as a subscriber
 * is a destination like any other. It asks, in this order:
 *
 * 1. the agent's copy of the routes, while the agent lives (fib_lookup.h);
 * 2. the cache of the kernel's answers (egress_cache.h);
 * 3. the kernel (route.h).
 *
 * The fast path asks the first two itself. If the kernel gives no final answer (neighbour unresolved, forwarding off,
 * no route), it handles the packet.
 */
#ifndef DETNAT_EGRESS_FIND_H
#define DETNAT_EGRESS_FIND_H

#include "egress/egress.h"
#include "egress/egress_cache.h"
#include "subscriber/bypass.h"
#include "subscriber/drain_lookup.h"

#define RP_STRICT 1 /* value of device.rp_filter */

/* Where a packet from inside goes. */
enum hop_kind {
	HOP_OUT,	/* leaves through an outside interface, XDP can send it */
	HOP_OUT_TAGGED, /* same, with VLAN tags; not for the fast path */
	HOP_OUT_KERNEL, /* leaves through an outside interface, the kernel must send it */
	HOP_POOL,	/* to a pool address */
	HOP_LOCAL,	/* to the gateway itself, or not forwarded */
	HOP_OTHER,	/* anywhere else, to a bypassed destination, or nowhere */
};

/* Kind of a destination (host byte order) with this egress: enum hop_kind. */
SUBPROGRAM int hop_kind(const struct egress *e, __u32 dst)
{
	const struct device *out;

	if (!e)
		return HOP_OTHER;
	if (leaf_outside(dst))
		return HOP_POOL;
	if (e->state == EGRESS_NOWHERE || address_is_martian(dst))
		return HOP_LOCAL;
	if (is_bypassed(dst) || e->state == EGRESS_KERNEL || e->state == EGRESS_TUNNELLED)
		return HOP_OTHER;
	out = device_get(e->ifindex);
	if (!out || !(out->roles & DEVICE_OUTSIDE))
		return HOP_OTHER;
	/*
	 * NAT on a stick: a packet back out of the same interface to another inside address is routed, not translated.
	 */
	if (out->roles & DEVICE_INSIDE && address_is_inside(dst))
		return HOP_OTHER;
	if (e->state != EGRESS_READY)
		return HOP_OUT_KERNEL;
	return out->flags & DEVICE_REDIRECT ? HOP_OUT : HOP_OUT_TAGGED;
}

/* Octets by which a packet grows on its way to an inside address: all lengths are of what it is before. */
static __always_inline __u32 egress_growth(__u32 dst)
{
	return addr_is_virtual(dst) ? 20 : 0;
}

/* By a next hop that the copy or the cache has for an address. */
static __always_inline void egress_by(const struct fib_hop *hop, __u32 dst, struct egress *ret)
{
	const struct device *out = device_get(hop->ifindex);

	egress_of_hop(ret, hop, out ? out->mtu - egress_growth(dst) : 0);
	/* What tc sends, every interface takes. */
	if (!out || (!SENDS_BY_TC && !(out->flags & (DEVICE_REDIRECT | DEVICE_TAGGED))))
		ret->state = EGRESS_REFUSING;
	egress_is_resolved(ret);
}

static __always_inline enum egress_state egress_state_of(long verdict)
{
	switch (verdict) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return EGRESS_READY;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED: /* at tc egress, where the kernel compares the frame that is in hand */
		return EGRESS_UNRESOLVED;
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return EGRESS_NOWHERE;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		return EGRESS_TUNNELLED;
	default:
		return EGRESS_KERNEL;
	}
}

/* Flags of a next hop of the kernel's for packets to dst, as in the copy of the routes. */
static __always_inline __u8 egress_hop_flags(const struct egress *e, __u32 dst)
{
	const struct device *out = device_get(e->ifindex);
	__u8 flags = FIB_ROUTED | FIB_RESOLVED;

	int kind = hop_kind(e, dst);

	if (kind == HOP_OUT || (SENDS_BY_TC && kind == HOP_OUT_TAGGED))
		flags |= FIB_SENDS_OUT;
	if (out && out->roles & DEVICE_INSIDE && (SENDS_BY_TC || out->flags & DEVICE_REDIRECT))
		flags |= FIB_SENDS_IN;
	return flags;
}

/*
 * Returns 1 if a route leads into another VRF by its device (route leaking). The kernel then looks up the packet's
 * route in that one.
 */
static __always_inline int egress_is_vrf(const struct egress *e)
{
	const struct device *out = settings.vrf ? device_get(e->ifindex) : 0;

	return out && out->flags & DEVICE_VRF;
}

#if SENDS_BY_TC

/*
 * tc sends to a next hop that is not resolved, too: the kernel then asks for its address, and keeps the packet
 * meanwhile. The kernel tells the route's MTU of a packet that is too long.
 */
static __always_inline void egress_of_neighbour(ctx_t *ctx, __u32 src, __u32 dst, __u32 in_ifindex,
						struct bpf_fib_lookup *fib, struct egress *ret)
{
	const struct device *out = device_get(ret->ifindex);
	__u32 mtu = out ? out->mtu - egress_growth(dst) : 0, longest = mtu;

	ret->neighbour.nh_family = ret->family;
	__builtin_memcpy(ret->neighbour.ipv6_nh, ret->gateway, sizeof(ret->gateway));
	if (route_of_length(ctx, src, dst, in_ifindex, 0xffff, fib) == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		longest = route_longest(fib, dst) - egress_growth(dst);
	__builtin_memset(&ret->mac, 0, sizeof(ret->mac));
	ret->mtu = mtu;
	ret->longest = longest < mtu ? longest : mtu;
	ret->state = EGRESS_READY;
}

#endif

/*
 * The source that the kernel is asked for. An answer that is cached for all sources is asked for without one: by which
 * of a multipath route's next hops packets to an address leave must not depend on whose packet asks next.
 */
static __always_inline __u32 egress_source(__u32 src)
{
	return EGRESS_CACHED && settings.policy_routing != POLICY_SOURCES ? 0 : src;
}

/* By the kernel's answer, which is cached if XDP can send to it; another one may be so no more in a moment. */
static __always_inline void egress_ask(ctx_t *ctx, const struct globals *g, __u32 src, __u32 dst, __u32 in_ifindex,
				       __u32 now, struct fib_hop *hop, struct egress *ret)
{
	__u32 epoch = LOAD(g->epoch); /* before the lookup */
	struct egress_room *room = egress_room_get();
	struct bpf_fib_lookup *fib;
	long verdict;

	if (!room)
		return;
	src = egress_source(src);
	fib = &room->fib;
	verdict = route(ctx, src, dst, received_by(device_get(in_ifindex), in_ifindex), fib);
	if (verdict != BPF_FIB_LKUP_RET_SUCCESS) {
		ret->ifindex = fib->ifindex;
		ret->family = fib->family;
		__builtin_memcpy(ret->gateway, fib->ipv6_dst, sizeof(ret->gateway));
		ret->state = egress_is_vrf(ret) ? EGRESS_KERNEL : egress_state_of(verdict);
#if SENDS_BY_TC
		if (ret->state == EGRESS_UNRESOLVED)
			egress_of_neighbour(ctx, src, dst, received_by(device_get(in_ifindex), in_ifindex), fib, ret);
#endif
		return;
	}
	__builtin_memcpy(hop->dmac, fib->dmac, sizeof(hop->dmac));
	__builtin_memcpy(hop->smac, fib->smac, sizeof(hop->smac));
	hop->ifindex = fib->ifindex;
	hop->mtu = (__u16)(route_longest(fib, dst) - egress_growth(dst));
	egress_by(hop, dst, ret);
	hop->mtu = (__u16)ret->longest;
	if (egress_is_vrf(ret)) {
		ret->state = EGRESS_KERNEL;
		return;
	}
	hop->flags = egress_hop_flags(ret, dst);
	hop->pad = 0;
	hop->used = 0;
#if FAMILY6
	if (addr_is_virtual(dst) && route6_is_on_link(fib))
		return;
#endif
	egress_cache(epoch, in_ifindex, src, dst, now, hop);
}

/*
 * Finds the egress of packets from src to dst (host byte order) that come in through an interface. Returns 0.
 */
SUBPROGRAM int egress_find(ctx_t *ctx, __u32 src, __u32 dst, __u32 in_ifindex, struct egress *ret)
{
	struct fib_hop *told = fib_told(dst, FIB_ROUTED | FIB_RESOLVED), hop;
	const struct globals *g = globals_get();
	__u32 now = now_ticks();

	if (!ret)
		return 0;
	ret->state = EGRESS_KERNEL;
	if (!g)
		return 0;
	if (told) {
		fib_used(told, now);
		egress_by(told, dst, ret);
	} else if (egress_cached(g, in_ifindex, src, dst, now, &hop)) {
		egress_by(&hop, dst, ret);
	} else {
		egress_ask(ctx, g, src, dst, in_ifindex, now, &hop, ret);
	}
	return 0;
}

/*
 * Finds where a packet back to addr would leave that is an answer to one for `to`, and comes in through in_ifindex. The
 * copy of the routes need not know the neighbour.
 */
static __always_inline void egress_find_back(ctx_t *ctx, __u32 addr, __u32 to, __u32 in_ifindex, struct egress *ret)
{
	const struct fib_hop *told = fib_told(addr, FIB_ROUTED);

	if (told) {
		ret->ifindex = told->ifindex;
		ret->state = EGRESS_READY;
	} else {
		egress_find(ctx, to, addr, in_ifindex, ret);
	}
}

/* Returns 1 if a route leads back, whether or not its neighbour is resolved. */
static __always_inline int egress_is_routed(const struct egress *e)
{
	return egress_is_known(e) || e->state == EGRESS_UNRESOLVED;
}

/*
 * Returns 1 if a packet from outside to in_addr passes the strict reverse-path filter of its ingress interface, or if
 * there is none. in_ifindex: the interface through which a reply would come in. In a VRF the kernel looks up the route
 * of its own.
 */
SUBPROGRAM int source_is_behind(ctx_t *ctx, __u32 in_addr, __u32 src, __u32 in_ifindex)
{
	struct device *in = device_get(packet_ingress(ctx));
	struct egress back = {};

	if (!in || in->rp_filter != RP_STRICT || in->roles & DEVICE_INSIDE)
		return 1;
	egress_find_back(ctx, src, in_addr, settings.vrf ? packet_ingress(ctx) : in_ifindex, &back);
	return egress_is_routed(&back) && back.ifindex == received_by(in, packet_ingress(ctx));
}

/*
 * An egress towards an inside host must be an inside interface. What leaves through an outside interface would come
 * back.
 */
static __always_inline enum egress_state egress_state_inwards(const struct egress *e)
{
	const struct device *out = device_get(e->ifindex);

	if (e->state == EGRESS_UNRESOLVED)
		return out && out->roles == DEVICE_OUTSIDE ? EGRESS_NOWHERE : EGRESS_UNRESOLVED;
	if (e->state == EGRESS_NOWHERE)
		return EGRESS_NOWHERE;
	if (!egress_is_known(e) || !out || !out->roles || e->ifindex >= MAX_IFINDEX)
		return EGRESS_KERNEL;
	return out->roles & DEVICE_INSIDE ? e->state : EGRESS_NOWHERE;
}

/*
 * Finds the egress of a packet from src towards an inside host, in_addr (host byte order). way: of way_inwards(),
 * tenant.h.
 */
static __always_inline void egress_find_inwards(ctx_t *ctx, __u32 src, __u32 in_addr, __u32 way, struct egress *ret)
{
	if (settings.tenants && way == WAY_NONE) {
		ret->state = EGRESS_NOWHERE;
		return;
	}
	egress_find(ctx, src, in_addr, way, ret);
	ret->state = egress_state_inwards(ret);
	if (settings.outside_strict && egress_is_known(ret) && !source_is_behind(ctx, in_addr, src, ret->ifindex))
		ret->state = EGRESS_KERNEL;
}

/* A hairpin is sent by XDP or by the agent (transmit_ring.h), never by the kernel: a route's limit becomes its MTU. */
static __always_inline void egress_of_hairpin(struct egress *e)
{
	if (egress_is_known(e))
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

#endif
