/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A fragment that arrives before its first one (RFC 4787 REQ-14): its frame goes to the agent, which sends it through
 * the datapath again once the first one has passed. Until then, or until the agent gives up, it is counted under no
 * reason. Without an agent it is dropped at once.
 */
#ifndef DETNAT_FRAGMENT_PARK_H
#define DETNAT_FRAGMENT_PARK_H

#include "translate/fragment.h"
#include "base/tail_call.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct early_fragment);
} fragment_copies SEC(".maps");

/*
 * Limits fragments from inside per source, and those from outside, whose subscriber is still unknown, per outside
 * address.
 */
static __always_inline int fragment_park_admit(const struct fragment_piece *f)
{
	int inside = f->key.side == FRAGMENT_FROM_INSIDE;
	__u32 *word = fragment_limit(inside ? f->key.src : 0, inside ? 0 : f->key.dst);

	return word ? fragment_admit(word, FRAGMENTS_PER_SECOND) : -1;
}

/* Copies a frame of so many octets; a packet without an Ethernet header gets one. Returns 0, or -errno. */
static __always_inline long fragment_copy(ctx_t *ctx, __u8 *to, __u64 length)
{
#if BARE
	struct ethhdr *eth = (void *)to;

	if (length <= ETH_HLEN)
		return -1;
	__builtin_memset(eth, 0, sizeof(*eth));
	eth->h_proto = bpf_htons(ETH_P_IP);
	return ctx_load(ctx, 0, to + ETH_HLEN, length - ETH_HLEN);
#else
	return ctx_load(ctx, 0, to, length);
#endif
}

static __always_inline int fragment_park(ctx_t *ctx, const struct fragment_piece *f)
{
	const struct globals *g = globals_get();
	__u32 until = g ? LOAD(g->fragments_until) : 0, zero = 0;
	struct early_fragment *copy = bpf_map_lookup_elem(&fragment_copies, &zero);
	__u64 length = ctx_length(ctx) + (ETH_HLEN - L3_OFFSET);

	if (!copy || !until || (__s32)(until - now_ticks()) < 0 || length < ETH_HLEN || length > FRAGMENT_FRAME_MAX)
		return drop(REASON_drop_fragment);
	if (fragment_park_admit(f))
		return drop(REASON_drop_fragment_limit);
	barrier_var(length);
	if (length < ETH_HLEN || length > FRAGMENT_FRAME_MAX || fragment_copy(ctx, copy->frame, length))
		return drop(REASON_drop_error);
	copy->time_ns = bpf_ktime_get_ns();
	copy->key = f->key;
	copy->ifindex = packet_ingress(ctx);
	copy->length = (__u16)length;
	copy->hook = AT_INGRESS ? FRAGMENT_AT_XDP : FRAGMENT_AT_TC;
	if (bpf_ringbuf_output(&early_fragments, copy, sizeof(*copy) - FRAGMENT_FRAME_MAX + length, 0))
		return drop(REASON_drop_fragment_limit);
	return finish(CTX_DROP, REASON_fragments_parked);
}

#endif
