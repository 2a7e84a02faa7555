/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers a packet with an ICMP error from the gateway's address on the ingress interface. The quote is the packet as
 * its sender sent it; the error has at most 576 octets in all (RFC 1812 section 4.3.2.3). icmp_limit.h decides what may
 * be answered, struct arguments holds type, code and MTU.
 */
#ifndef DETNAT_ICMP_ERROR_H
#define DETNAT_ICMP_ERROR_H

#include "answer/icmp_error_headers.h"
#include "answer/icmp_limit.h"
#include "slow/in2out.h"
#if !HOOK_XDP
#include "answer/icmp_error_tc.h"
#endif

#if HOOK_XDP

/* Turns the packet into the ICMP error about it and sends it back. Returns the verdict. quote: octets to be quoted. */
static __always_inline int icmp_error_send(ctx_t *ctx, const struct arguments *n, const struct device *in,
					   __u32 in_ifindex, const struct packet *p, __u32 quote)
{
	struct ethhdr *eth = ctx_data(ctx);
	__u32 linear = (__u32)(ctx->data_end - ctx->data) - L3_OFFSET;
	__u8 sender[6];
	__u64 sum;

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return drop(n->reason);
	/* Only the first buffer of a frame can be read. */
	if (quote > linear)
		quote = linear;
	__builtin_memcpy(sender, eth->h_source, 6);
	/* Cuts the frame off after the quote and makes room for the new headers. */
	if (frame_cut(ctx, L3_OFFSET + quote) || bpf_xdp_adjust_head(ctx, -(int)ICMP_ERROR_HEADERS))
		return drop(n->reason);
	sum = frame_sum(ctx, L3_OFFSET + ICMP_ERROR_HEADERS, L3_OFFSET + ICMP_ERROR_HEADERS + quote);
	eth = ctx_data(ctx);
	if (sum == FRAME_SUM_FAILED || (void *)(eth + 1) + ICMP_ERROR_HEADERS > ctx_data_end(ctx))
		return drop(n->reason);
	__builtin_memcpy(eth->h_dest, sender, 6);
	__builtin_memcpy(eth->h_source, in->mac, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	icmp_error_headers((void *)(eth + 1), n, in, p, quote, sum);
	count_add(n->sent, 1);
	count_add(n->reason, 1);
	return send_by(ctx, in_ifindex);
}

#endif

static __always_inline int icmp_error_about(ctx_t *ctx, const struct arguments *n)
{
	struct packet p;
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);
	enum packet_kind kind = parse(ctx, &p);
	__u32 quote = p.length < ICMP_ERROR_QUOTE ? p.length : ICMP_ERROR_QUOTE;

	if (kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER || !in || !in->addr)
		return drop(n->reason);
	if (!icmp_may_answer(ctx, &p) || !icmp_budget_allows())
		return drop(n->reason);
	return icmp_error_send(ctx, n, in, in_ifindex, &p, quote);
}

static __always_inline int icmp_error(ctx_t *ctx)
{
	struct arguments *n = arguments_get();

	return n ? icmp_error_about(ctx, n) : drop(REASON_drop_error);
}

#endif
