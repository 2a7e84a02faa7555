/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers of the kernel's about routes, for packets of both directions and for sources: the one cache, which all cores
 * share. It answers where the agent's copy of the routes does not (fib_lookup.h): without an agent, where routing
 * depends on more than the destination, and for what the copy leaves to the kernel. Direct-mapped by destination,
 * ingress interface and, if routing depends on it, source. An entry is valid within the agent's epoch and for a second
 * at most.
 *
 * Only programs that send packets themselves have it: where the kernel does, its own way costs more than what it saves.
 */
#ifndef DETNAT_EGRESS_CACHE_H
#define DETNAT_EGRESS_CACHE_H

#include <detnat/cached_hop.h>

#include "egress/route.h"

#define EGRESS_CACHED (FORWARDS && !STAGE2)

#if EGRESS_CACHED

/* log2 of the entries. Subscribers with consecutive addresses, up to so many, have one each. */
#define CACHED_HOPS_SHIFT 17U

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* begins a page, so that an entry is one cache line */
	__uint(max_entries, 1U << CACHED_HOPS_SHIFT);
	__type(key, __u32);
	__type(value, struct cached_hop);
} cached_hops SEC(".maps");

static __always_inline struct cached_hop *egress_cache_place(const struct cached_question *q)
{
	__u32 hash = q->dst * 0x9e3779b1U + q->src * 0x85ebca6bU + q->in_ifindex * 0xc2b2ae35U;
	__u32 at = hash >> (32 - CACHED_HOPS_SHIFT);

	return bpf_map_lookup_elem(&cached_hops, &at);
}

static __always_inline struct cached_question egress_question(__u32 epoch, __u32 in_ifindex, __u32 src, __u32 dst)
{
	return (struct cached_question){
		.dst = dst,
		.in_ifindex = in_ifindex,
		.src = settings.policy_routing == POLICY_SOURCES ? src : 0,
		.epoch = epoch,
	};
}

#endif

/* Returns 1 and copies the next hop of packets from src to dst (host byte order), if it is cached. */
static __always_inline int egress_cached(const struct globals *g, __u32 in_ifindex, __u32 src, __u32 dst, __u32 now,
					 struct fib_hop *ret)
{
#if EGRESS_CACHED
	const struct cached_question q = egress_question(LOAD(g->epoch), in_ifindex, src, dst);
	const struct cached_hop *c = egress_cache_place(&q);

	return c && cached_hop_read(c, &q, now, ret);
#else
	return 0;
#endif
}

/* Caches a next hop. epoch: from before the kernel was asked, so that a change meanwhile makes the entry stale. */
static __always_inline void egress_cache(__u32 epoch, __u32 in_ifindex, __u32 src, __u32 dst, __u32 now,
					 const struct fib_hop *hop)
{
#if EGRESS_CACHED
	const struct cached_question q = egress_question(epoch, in_ifindex, src, dst);
	struct cached_hop *c = egress_cache_place(&q);

	if (c)
		cached_hop_write(c, &q, now + (settings.hz >> TICK_SHIFT), hop);
#endif
}

#endif
