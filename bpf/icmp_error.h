/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf that answers a packet with an ICMP error from the gateway's address on the interface it came in by, quoting
 * it as its sender sent it: as much as fits into 576 octets (RFC 1812 section 4.3.2.3), where icmp_limit.h lets it.
 * What is answered is in the note.
 */
#ifndef DETNAT_ICMP_ERROR_H
#define DETNAT_ICMP_ERROR_H

#include "checksum.h"
#include "icmp_limit.h"
#include "in2out.h"

#define ICMP_ERROR_HEADERS (sizeof(struct iphdr) + sizeof(struct icmphdr))
#define ICMP_ERROR_QUOTE   (576U - ICMP_ERROR_HEADERS)

/* Sum of the quote, which begins behind the new headers. Only its last word may be cut short. */
STEP __u64 quote_sum(ctx_t *ctx, __u32 quote)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	void *at = data + L3_OFFSET + ICMP_ERROR_HEADERS;
	__u64 sum = 0;

	for (__u32 i = 0; i < ICMP_ERROR_QUOTE / 4; i++) {
		if (quote < 4 || at + 4 > data_end)
			break;
		sum += *(__u32 *)at;
		at += 4;
		quote -= 4;
	}
	for (__u32 i = 0; i < 3; i++) {
		if (!quote || at + 1 > data_end)
			break;
		sum += (__u32) * (__u8 *)at << (i & 1 ? 8 : 0);
		at++;
		quote--;
	}
	return sum;
}

/* Cuts the frame behind the quote and makes room for the new headers. 0, or -1. */
static __always_inline int icmp_error_resize(ctx_t *ctx, __u32 quote)
{
#if HOOK_XDP
	if (frame_cut(ctx, L3_OFFSET + quote))
		return -1;
	return bpf_xdp_adjust_head(ctx, -(int)ICMP_ERROR_HEADERS) ? -1 : 0;
#else
	if (ctx->len > L3_OFFSET + quote && bpf_skb_change_tail(ctx, L3_OFFSET + quote, 0))
		return -1;
	if (bpf_skb_adjust_room(ctx, ICMP_ERROR_HEADERS, BPF_ADJ_ROOM_MAC, 0))
		return -1;
	bpf_csum_level(ctx, BPF_CSUM_LEVEL_RESET);
	return bpf_skb_pull_data(ctx, 0) ? -1 : 0;
#endif
}

static __always_inline int icmp_error_send(ctx_t *ctx, const struct note *n)
{
	struct packet p;
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);
	enum packet_kind kind = parse(ctx, &p);
	__u32 quote = p.length < ICMP_ERROR_QUOTE ? p.length : ICMP_ERROR_QUOTE;
	__u8 subscriber_mac[6];
	struct ethhdr *eth = ctx_data(ctx);

	if (kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER || !in || !in->addr ||
	    (void *)(eth + 1) > ctx_data_end(ctx))
		return drop(n->reason);
	if (!icmp_may_answer(ctx, &p) || !icmp_budget_allows())
		return drop(n->reason);
#if HOOK_XDP
	/* Of a frame of several buffers only the first can be read. */
	__u32 linear = (__u32)(ctx->data_end - ctx->data) - L3_OFFSET;

	if (quote > linear)
		quote = linear;
#endif
	__builtin_memcpy(subscriber_mac, eth->h_source, 6);
	if (icmp_error_resize(ctx, quote))
		return drop(n->reason);

	eth = ctx_data(ctx);
	struct iphdr *ip = (void *)(eth + 1), *quoted;
	struct icmphdr *icmp = (void *)(ip + 1);

	quoted = (void *)(icmp + 1);
	if ((void *)(quoted + 1) > ctx_data_end(ctx))
		return drop(n->reason);
#if !HOOK_XDP
	/* The kernel lowered the TTL on its way here; the subscriber knows its packet from before. */
	__u16 *word = (__u16 *)&quoted->ttl, lowered = *word;

	quoted->ttl++;
	quoted->check = csum_update(quoted->check, csum_change16(0, lowered, *word));
#endif
	__builtin_memcpy(eth->h_dest, subscriber_mac, 6);
	__builtin_memcpy(eth->h_source, in->mac, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812 section 4.3.2.5) */
		.tot_len = bpf_htons(ICMP_ERROR_HEADERS + quote),
		.frag_off = bpf_htons(IP_FLAG_DF),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = bpf_htonl(in->addr),
		.daddr = bpf_htonl(p.src),
	};
	*icmp = (struct icmphdr){ .type = n->type, .code = n->code, .sequence = bpf_htons((__u16)n->mtu) };

	__u64 sum = 0;

	for (__u32 i = 0; i < sizeof(*ip) / 4; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~csum_fold(sum);
	sum = quote_sum(ctx, quote);
	sum += ((__u32 *)icmp)[0];
	sum += ((__u32 *)icmp)[1];
	icmp->checksum = ~csum_fold(sum);

	count_add(n->sent, 1);
	count_add(n->reason, 1);
#if HOOK_XDP
	return send_by(ctx, in_ifindex);
#else
	TRACE_STEP(redirect, in_ifindex, 0);
	return bpf_redirect_neigh(in_ifindex, 0, 0, 0);
#endif
}

static __always_inline int icmp_error(ctx_t *ctx)
{
	struct note *n = note_get();

	return n ? icmp_error_send(ctx, n) : drop(REASON_drop_error);
}

#endif
