/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Interfaces, and the kernel's own answer about a route, for what egress_find.h knows no better of. */
#ifndef DETNAT_ROUTE_H
#define DETNAT_ROUTE_H

#include "base/tail_call.h"
#include "egress/fib_lookup.h"

#ifndef AF_INET
#define AF_INET 2
#endif
#if FAMILY6
#include "six/route6.h"
#endif

static __always_inline struct device_table *device_table_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&devices, &zero);
}

/* Device of an interface index. One beyond the table has no roles, like index 0, which no interface has. */
static __always_inline struct device *device_at(struct device_table *t, __u32 ifindex)
{
	if (ifindex >= MAX_IFINDEX)
		ifindex = 0;
	/* Keeps the mask, which the compiler would drop as needless, for the verifier. */
	barrier_var(ifindex);
	return &t->device[ifindex & (MAX_IFINDEX - 1)];
}

static __always_inline struct device *device_get(__u32 ifindex)
{
	struct device_table *t = device_table_get();

	return t ? device_at(t, ifindex) : 0;
}

/* Number of the tenant that an interface is inside of; 0: none. In a VRF, tc sees the VRF's record. */
static __always_inline __u32 tenant_at(__u32 ifindex)
{
	const struct device *d = device_get(ifindex);

	return d ? d->tenant : 0;
}

/* The tenant whose a packet from inside is; 0 for one from outside, and where there are no tenants. */
static __always_inline __u32 packet_tenant(const ctx_t *ctx)
{
	return settings.tenants ? tenant_at(packet_ingress(ctx)) : 0;
}

/*
 * The receiving interface as the kernel sees it: for a packet that came in on a bond's port, the bond. in: the record
 * of the ingress interface.
 */
static __always_inline __u32 received_by(const struct device *in, __u32 in_ifindex)
{
	return in && in->master ? in->master : in_ifindex;
}

static __always_inline __u32 packet_received_by(const ctx_t *ctx)
{
	return received_by(device_get(packet_ingress(ctx)), packet_ingress(ctx));
}

/* Records that packets to dst (host byte order) use the neighbour in *fib, the result of a kernel lookup. */
SUBPROGRAM int next_hop_used(const struct bpf_fib_lookup *fib, __u32 dst)
{
	struct next_hop_address at = {};
	struct next_hop_use use = { .tick = now_ticks() }, *known;

	if (!fib)
		return 0;
	at.ifindex = fib->ifindex;
	at.family = fib->family;
	at.addr[0] = fib->ipv4_dst;
	if (fib->family != AF_INET)
		__builtin_memcpy(at.addr, fib->ipv6_dst, sizeof(at.addr));
	use.router = fib->family != AF_INET || fib->ipv4_dst != bpf_htonl(dst);
	known = bpf_map_lookup_elem(&next_hops_used, &at);
	if (!known)
		return bpf_map_update_elem(&next_hops_used, &at, &use, BPF_ANY);
	if (known->tick != use.tick)
		*(volatile __u32 *)&known->tick = use.tick;
	if (known->router < use.router)
		*(volatile __u32 *)&known->router = use.router;
	return 0;
}

/*
 * Looks up the kernel's route for a packet received on in_ifindex. Returns BPF_FIB_LKUP_RET_*, or -errno. In stage 2
 * the kernel cannot be asked. length: of the packet, octets; 0: that in hand. At tc the kernel reports the route's MTU
 * only if one is given.
 */
static __always_inline long route_of_length(ctx_t *ctx, __u32 src, __u32 dst, __u32 in_ifindex, __u16 length,
					    struct bpf_fib_lookup *ret_fib)
{
	__builtin_memset(ret_fib, 0, sizeof(*ret_fib));
	ret_fib->family = AF_INET;
	ret_fib->ifindex = in_ifindex;
	ret_fib->ipv4_src = bpf_htonl(src);
	ret_fib->ipv4_dst = bpf_htonl(dst);
	ret_fib->tot_len = length;

#if FAMILY6
	if (addr_is_virtual(dst))
		route6_ask(ret_fib, in_ifindex);
#endif

	long verdict = STAGE2 ? BPF_FIB_LKUP_RET_UNREACHABLE : bpf_fib_lookup(ctx, ret_fib, sizeof(*ret_fib), 0);

	if (verdict == BPF_FIB_LKUP_RET_SUCCESS)
		next_hop_used(ret_fib, dst);
	return verdict;
}

static __always_inline long route(ctx_t *ctx, __u32 src, __u32 dst, __u32 in_ifindex, struct bpf_fib_lookup *ret_fib)
{
	return route_of_length(ctx, src, dst, in_ifindex, !HOOK_XDP && AT_INGRESS, ret_fib);
}

/*
 * Longest packet to dst, in octets, that is sure to fit the MTU that the kernel applies when forwarding. That is
 * fib.mtu_result, except that it leaves out the `mtu` of a route that is not locked.
 */
static __always_inline __u32 route_longest(struct bpf_fib_lookup *fib, __u32 dst)
{
	__u32 longest = fib->mtu_result, *mtu;
	/* Uses the place of an IPv6 address to save stack. */
	struct prefix_key *key = (void *)&fib->ipv6_src[2];

	if (!settings.route_mtus || addr_is_virtual(dst))
		return longest;
	key->plen = 32;
	key->addr = bpf_htonl(dst);
	mtu = bpf_map_lookup_elem(&route_mtus, key);
	return mtu && *mtu < longest ? *mtu : longest;
}

/* Returns 1 if an address is one of the gateway's own. For the slow path. */
SUBPROGRAM int address_is_local(ctx_t *ctx, __u32 src, __u32 addr)
{
	const struct fib_hop *told = fib_told(addr, 0);
	__u8 flags = told ? LOAD(told->flags) : 0;
	struct bpf_fib_lookup fib;

	if (flags & (FIB_LOCAL | FIB_ROUTED | FIB_DISCARD))
		return !!(flags & FIB_LOCAL);
	return route(ctx, src, addr, packet_ingress(ctx), &fib) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Returns 1 if a packet with a link-local address would leave the link; it is then dropped. */
SUBPROGRAM int link_local_is_misplaced(ctx_t *ctx, __u32 src, __u32 dst)
{
	if (!address_is_link_local(src) && !address_is_link_local(dst))
		return 0;
	return !address_is_martian(dst) && !address_is_local(ctx, src, dst);
}

#endif
