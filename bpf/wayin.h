/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 3 of the way in: the next hop towards a subscriber, cached in the subscriber's record. */
#ifndef DETNAT_WAYIN_H
#define DETNAT_WAYIN_H

#include "nexthop.h"

enum way_in_verdict {
	WAY_IN_READY,	   /* *ret is filled in */
	WAY_IN_KERNEL,	   /* the kernel must deliver it */
	WAY_IN_REFUSING,   /* the same, as the interface takes no frames from XDP; *ret is filled in */
	WAY_IN_UNRESOLVED, /* its neighbour is not resolved: ifindex and gateway address are filled in */
};

/* A hairpin has no other way than by XDP, which hands it to the agent where it must: see transmit.h. */
static __always_inline enum way_in_verdict hairpin_way(enum way_in_verdict verdict)
{
	return verdict == WAY_IN_REFUSING ? WAY_IN_READY : verdict;
}

struct way_in {
	struct ether_addresses mac;
	__u32 ifindex;
	__u32 mtu;
	__u32 gateway; /* host byte order */
};

/* A stamp of which no packet can be older than a second: epoch and tick, never 0. */
static __always_inline __u32 way_in_stamp(__u32 epoch, __u32 tick)
{
	return epoch << 16 | (tick & 0xffff);
}

static __always_inline int way_in_fresh(__u32 stamp, __u32 epoch, __u32 now)
{
	return stamp >> 16 == (epoch & 0xffff) && stamp &&
	       (__u16)((__u16)now - (__u16)stamp) <= settings.hz >> TICK_SHIFT;
}

/* The addresses of a frame that goes this way. */
static __always_inline void way_in_addresses(void *ret, __u64 way, const struct device *out)
{
	/* In words, as the compiler would copy octet by octet; the frame's IP header begins after them. */
	struct {
		__u32 dmac_high;
		__u16 dmac_low;
		__u16 smac_high;
		__u32 smac_low;
	} *words = ret;

	words->dmac_high = ((__u32 *)&way)[0];
	words->dmac_low = ((__u16 *)&way)[2];
	words->smac_high = *(__u16 *)out->mac;
	words->smac_low = *(__u32 *)(out->mac + 2);
}

/*
 * The way in to a subscriber, from its record or from the kernel, for a packet from src to in_addr, host byte order.
 * Returns enum way_in_verdict; *ret must be initialised.
 */
STEP int way_in_get(ctx_t *ctx, struct subscriber *s, __u32 src, __u32 in_addr, struct way_in *ret)
{
	struct globals *g = globals_get();
	__u32 now = now_ticks();
	__u32 epoch = g ? LOAD(g->epoch) : 0;
	__u64 way;

	if (!s || !ret)
		return WAY_IN_KERNEL;
	if (way_in_fresh(LOAD(s->way_stamp), epoch, now)) {
		way = LOAD(s->way);
	} else {
		struct bpf_fib_lookup fib;
		long verdict = route(ctx, src, in_addr, packet_ingress(ctx), &fib);

		ret->ifindex = fib.ifindex;
		ret->gateway = bpf_ntohl(fib.ipv4_dst);
		if (verdict == BPF_FIB_LKUP_RET_NO_NEIGH)
			return WAY_IN_UNRESOLVED;
		if (verdict != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex >= MAX_IFINDEX)
			return WAY_IN_KERNEL;
		way = fib.ifindex & 0xffff;
		way <<= 48;
		__builtin_memcpy(&way, fib.dmac, 6);
		/* The word first: whoever reads the new stamp then reads a word at least as new. */
		*(volatile __u64 *)&s->way = way;
		*(volatile __u32 *)&s->way_stamp = way_in_stamp(epoch, now);
	}

	__u32 ifindex = (__u32)(way >> 48);
	struct device *out = device_get(ifindex);

	if (!out || !out->roles)
		return WAY_IN_KERNEL;
	way_in_addresses(&ret->mac, way, out);
	ret->ifindex = ifindex;
	ret->mtu = out->mtu;
	return out->flags & (DEVICE_REDIRECT | DEVICE_TAGGED) ? WAY_IN_READY : WAY_IN_REFUSING;
}

#endif
