/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 3, outbound: finds the kernel's route for a packet before anything is rewritten.
 *
 * While the agent lives, its copy of the routes has the answer (fib_lookup.h). Otherwise the kernel is asked and the
 * result cached: per core, direct-mapped by destination and ingress interface. An entry is valid within the agent's
 * epoch and for a second at most. If `bpf_fib_lookup` gives no final result (neighbour unresolved, forwarding off, no
 * route), the kernel handles the packet.
 */
#ifndef DETNAT_ROUTE_H
#define DETNAT_ROUTE_H

#include "subscriber/bypass.h"
#include "subscriber/drain_lookup.h"
#include "egress/egress.h"
#include "egress/fib_lookup.h"
#include "base/tail_call.h"
#include "subscriber/lookup.h"
#include "packet/parse.h"
#include "base/settings.h"

#ifndef AF_INET
#define AF_INET 2
#endif

#define NEXT_HOPS 4096U

enum hop_kind {
	HOP_OUT,	/* leaves through an outside interface, XDP can send it */
	HOP_OUT_TAGGED, /* same, with VLAN tags; not for the fast path */
	HOP_OUT_KERNEL, /* leaves through an outside interface, the kernel must send it */
	HOP_POOL,	/* to a pool address */
	HOP_LOCAL,	/* to the gateway itself, or not forwarded */
	HOP_OTHER,	/* anywhere else, to a bypassed destination, or nowhere */
};

struct next_hop {
	union {
		struct {
			__u32 dst;
			__u32 in_ifindex;
		};
		__u64 key;
	};
	union {
		struct {
			__u32 src; /* 0 unless routing depends on it */
			__u32 epoch;
		};
		__u64 conditions;
	};
	__u32 until; /* last tick at which it is valid */
	struct egress egress;
	union {
		struct {
			__u8 in_mac[6]; /* of the ingress interface; frames to other stations go to the kernel */
			__u8 kind;	/* enum hop_kind */
			__u8 pad;
		};
		__u64 station;
	};
};
_Static_assert(sizeof(struct next_hop) == 56, "no hidden padding");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NEXT_HOPS);
	__type(key, __u32);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

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
 * the kernel cannot be asked.
 */
static __always_inline long route(ctx_t *ctx, __u32 src, __u32 dst, __u32 in_ifindex, struct bpf_fib_lookup *ret_fib)
{
	__builtin_memset(ret_fib, 0, sizeof(*ret_fib));
	ret_fib->family = AF_INET;
	ret_fib->ifindex = in_ifindex;
	ret_fib->ipv4_src = bpf_htonl(src);
	ret_fib->ipv4_dst = bpf_htonl(dst);
	/* At tc the kernel reports the route's MTU only if a length is given. */
	if (!HOOK_XDP && AT_INGRESS)
		ret_fib->tot_len = 1;
	NEEDS_CONTEXT(ctx);

	long verdict = STAGE2 ? BPF_FIB_LKUP_RET_UNREACHABLE : bpf_fib_lookup(ctx, ret_fib, sizeof(*ret_fib), 0);

	if (verdict == BPF_FIB_LKUP_RET_SUCCESS)
		next_hop_used(ret_fib, dst);
	return verdict;
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

	if (!settings.route_mtus)
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

/* Last tick at which an entry made now is valid: a second at most. */
static __always_inline __u32 next_hop_until(__u32 now)
{
	return now + (settings.hz >> TICK_SHIFT);
}

static __always_inline enum hop_kind next_hop_kind(long verdict, const struct bpf_fib_lookup *fib, __u32 dst)
{
	if (verdict == BPF_FIB_LKUP_RET_NOT_FWDED || address_is_martian(dst))
		return HOP_LOCAL;
	if (is_bypassed(dst))
		return HOP_OTHER;
	if (verdict != BPF_FIB_LKUP_RET_SUCCESS && verdict != BPF_FIB_LKUP_RET_NO_NEIGH)
		return HOP_OTHER;

	struct device *out = device_get(fib->ifindex);

	if (!out || !(out->roles & DEVICE_OUTSIDE))
		return HOP_OTHER;
	/*
	 * NAT on a stick: a packet back out of the same interface to another inside address is routed, not translated.
	 */
	if (out->roles & DEVICE_INSIDE && address_is_inside(dst))
		return HOP_OTHER;
	if (verdict != BPF_FIB_LKUP_RET_SUCCESS)
		return HOP_OUT_KERNEL;
	return out->flags & DEVICE_REDIRECT ? HOP_OUT : out->flags & DEVICE_TAGGED ? HOP_OUT_TAGGED : HOP_OUT_KERNEL;
}

/* The cache entry for a packet's next hop, valid or not. */
static __always_inline struct next_hop *next_hop_place(__u32 in_ifindex, __u32 src, __u32 dst)
{
	__u32 at = (dst * 0x9e3779b1U + in_ifindex + src) >> 20 & (NEXT_HOPS - 1);

	return bpf_map_lookup_elem(&next_hops, &at);
}

/* The source address if routing depends on it, else 0. */
static __always_inline __u32 next_hop_source(__u32 src)
{
	return settings.policy_routing ? src : 0;
}

static __always_inline int next_hop_holds(const struct next_hop *nh, __u32 in_ifindex, __u32 src, __u32 dst,
					  __u32 epoch, __u32 now)
{
	struct next_hop sought = { .dst = dst, .in_ifindex = in_ifindex, .src = src, .epoch = epoch };

	return nh->key == sought.key && nh->conditions == sought.conditions && (__s32)(nh->until - now) >= 0;
}

/* Valid next hop from the cache only, or NULL. source: see next_hop_source(). */
static __always_inline const struct next_hop *next_hop_cached(const struct globals *g, __u32 in_ifindex, __u32 source,
							      __u32 dst, __u32 now)
{
	const struct next_hop *nh = next_hop_place(in_ifindex, source, dst);

	return nh && next_hop_holds(nh, in_ifindex, source, dst, g->epoch, now) ? nh : 0;
}

/* Converts a next hop of the agent's copy to the result of route(). */
static __always_inline long next_hop_told(struct fib_hop *hop, __u32 now, struct bpf_fib_lookup *ret_fib)
{
	ret_fib->ifindex = hop->ifindex;
	__builtin_memcpy(ret_fib->dmac, hop->dmac, 6);
	__builtin_memcpy(ret_fib->smac, hop->smac, 6);
	fib_used(hop, now);
	return BPF_FIB_LKUP_RET_SUCCESS;
}

/*
 * Makes sure that the cache holds the next hop of packets from src to dst (host byte order). Returns 0, or -1 if the
 * ingress interface has no role.
 */
SUBPROGRAM int next_hop_learn(ctx_t *ctx, __u32 src, __u32 dst)
{
	__u32 in_ifindex = packet_ingress(ctx), source = next_hop_source(src), now = now_ticks();
	struct next_hop *nh = next_hop_place(in_ifindex, source, dst);
	struct globals *g = globals_get();

	if (!nh || !g)
		return -1;

	struct fib_hop *told = fib_told(dst, FIB_ROUTED | FIB_RESOLVED);

	if (!told && next_hop_holds(nh, in_ifindex, source, dst, g->epoch, now))
		return 0;

	struct device *in = device_get(in_ifindex);

	if (!in || !in->roles)
		return -1;

	struct bpf_fib_lookup fib;
	__u32 epoch = LOAD(g->epoch); /* before the lookup: a change during it must make the entry stale */
	long verdict = told ? next_hop_told(told, now, &fib) : route(ctx, src, dst, received_by(in, in_ifindex), &fib);

	nh->kind = index_find(&out_index, dst) ? HOP_POOL : next_hop_kind(verdict, &fib, dst);
	nh->dst = dst;
	nh->in_ifindex = in_ifindex;
	nh->src = source;
	nh->epoch = epoch;
	nh->until = next_hop_until(now);
	nh->egress.state = nh->kind == HOP_OUT_KERNEL ? EGRESS_KERNEL : EGRESS_READY;
	nh->egress.ifindex = fib.ifindex;
	nh->egress.mtu = nh->egress.longest = told ? told->mtu : route_longest(&fib, dst);
	__builtin_memcpy(nh->egress.mac.dmac, fib.dmac, 6);
	__builtin_memcpy(nh->egress.mac.smac, fib.smac, 6);
	__builtin_memcpy(nh->in_mac, in->mac, 6);
	return 0;
}

/* Next hop of a packet, from the cache or from the kernel; NULL if the ingress interface has no role. */
static __always_inline struct next_hop *next_hop_get(ctx_t *ctx, const struct packet *p)
{
	if (next_hop_learn(ctx, p->src, p->dst))
		return 0;
	return next_hop_place(packet_ingress(ctx), next_hop_source(p->src), p->dst);
}

#endif
