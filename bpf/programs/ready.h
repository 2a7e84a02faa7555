/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tc programs at the ingress do to a frame before the first step. */
#ifndef DETNAT_READY_H
#define DETNAT_READY_H

#include "egress/route.h"
#include "icmp/icmp_quote.h"
#include "packet/ether.h"

/*
 * Returns 1 if the frame begins with the IPv4 header, which the kernel knows the place of. A frame that the agent has
 * injected has an Ethernet header.
 */
static __always_inline int is_bare(ctx_t *ctx)
{
	__u32 first[sizeof(struct iphdr) / 4], known[sizeof(struct iphdr) / 4], differ = 0;

	if (ctx->protocol != bpf_htons(ETH_P_IP) || ctx_load(ctx, 0, first, sizeof(first)) ||
	    bpf_skb_load_bytes_relative(ctx, 0, known, sizeof(known), BPF_HDR_START_NET))
		return 0;
	for (__u32 i = 0; i < sizeof(first) / 4; i++)
		differ |= first[i] ^ known[i];
	return !differ;
}

/*
 * Gives a packet without an Ethernet header (PPP, WireGuard, tunnels) one of zeros, so that all steps find the IPv4
 * header at one place. The kernel ignores what stands before the IPv4 header. Returns 0, or -1.
 */
static __always_inline int bare_header_push(ctx_t *ctx)
{
	struct device *in = device_get(ctx->ifindex);
	__be16 type = bpf_htons(ETH_P_IP);

	if (!in || !(in->flags & DEVICE_BARE) || !is_bare(ctx))
		return 0;
	if (bpf_skb_change_head(ctx, ETH_HLEN, 0))
		return -1;
	return ctx_store(ctx, offsetof(struct ethhdr, h_proto), &type, sizeof(type)) ? -1 : 0;
}

/* A packet with an unusual header may be handed over in pieces. */
static __always_inline int reach_headers(ctx_t *ctx)
{
	__u32 headers = ctx->len < ICMP_QUOTE_HEADERS ? ctx->len : ICMP_QUOTE_HEADERS;

	return ctx_data(ctx) + headers > ctx_data_end(ctx) && bpf_skb_pull_data(ctx, headers) ? -1 : 0;
}

#if FORWARDS

/* A tag that carries only a priority would leave with the frame. Returns 0, or -1. */
static __always_inline int priority_tag_pop(ctx_t *ctx)
{
	return ctx->vlan_present && !(ctx->vlan_tci & VLAN_ID_MASK) && bpf_skb_vlan_pop(ctx) ? -1 : 0;
}

#else

static __always_inline int priority_tag_pop(ctx_t *ctx)
{
	return 0;
}

#endif

/* Brings the headers to where the steps expect them. Returns 0, or -1. */
static __always_inline int make_ready(ctx_t *ctx)
{
	return bare_header_push(ctx) || priority_tag_pop(ctx) || reach_headers(ctx) ? -1 : 0;
}

#endif
