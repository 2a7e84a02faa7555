/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers a packet with an ICMP error from the gateway's address on the ingress interface. The quote is the packet as
 * its sender sent it; the error has at most 576 octets in all (RFC 1812 section 4.3.2.3). icmp_limit.h decides which
 * packets may be answered, struct arguments holds type, code and MTU.
 *
 * At tc the agent sends the error. A packet whose checksum is left to the card (CHECKSUM_PARTIAL), as a local container
 * or a VM sends it, cannot be turned into another one: the kernel would still finish the checksum at its old place, in
 * the middle of the quote. The quote is the packet as the card would have sent it: with its checksum finished, and the
 * first segment of a GSO frame.
 */
#ifndef DETNAT_ICMP_ERROR_H
#define DETNAT_ICMP_ERROR_H

#include "base/subprogram.h"
#include "packet/frame_sum.h"
#if !HOOK_XDP
#include "packet/offload.h"
#include "translate/transmit_ring.h"
#endif
#include "slow/in2out.h"
#include "answer/icmp_limit.h"

#define ICMP_ERROR_HEADERS    (sizeof(struct iphdr) + sizeof(struct icmphdr))
#define ICMP_ERROR_QUOTE      (576U - ICMP_ERROR_HEADERS)
#define ICMP_ERROR_QUOTE_MASK 1023U

/*
 * Writes both headers of an ICMP error from an interface's address to p->src. quote: length of the quote in octets;
 * sum: its unfolded checksum.
 */
static __always_inline void icmp_error_headers(struct iphdr *ip, const struct arguments *n, const struct device *in,
					       const struct packet *p, __u32 quote, __u64 sum)
{
	struct icmphdr *icmp = (void *)(ip + 1);
	__u64 ip_sum = 0;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812 section 4.3.2.5) */
		.tot_len = bpf_htons(ICMP_ERROR_HEADERS + quote),
		.frag_off = bpf_htons(IP_FLAG_DF),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = bpf_htonl(in->addr ? in->addr : p->dst),
		.daddr = bpf_htonl(p->src),
	};
	*icmp = (struct icmphdr){ .type = n->type, .code = n->code, .sequence = bpf_htons((__u16)n->mtu) };
	for (__u32 i = 0; i < sizeof(*ip) / 4; i++)
		ip_sum += ((__u32 *)ip)[i];
	ip->check = ~csum_fold(ip_sum);
	icmp->checksum = ~csum_fold(sum + ((__u32 *)icmp)[0] + ((__u32 *)icmp)[1]);
}

#if HOOK_XDP

/* The sender of a hairpin between families gets an error by its own programs. */
static __always_inline int error_crosses(ctx_t *ctx)
{
	arguments_crossed(0);
	return tail_call(ctx, FAMILY6 ? PROG_turned : PROG_six_turned);
}

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
	return n->crossed ? error_crosses(ctx) : send_by(ctx, in_ifindex);
}

#else

/* Restores in *ip the packet that the subscriber, or its card, sent. */
static __always_inline void quote_as_sent(ctx_t *ctx, struct iphdr *ip, const struct packet *p, __u32 length)
{
	__u16 *ttl = (__u16 *)&ip->ttl, lowered = *ttl;
	__be16 tot_len = bpf_htons((__u16)length);

	/* At egress the kernel has decremented the TTL; the quote has the subscriber's value. */
	if (!AT_INGRESS)
		ip->ttl++;
	ip->check = csum_update(ip->check, csum_change16(csum_change16(0, lowered, *ttl), ip->tot_len, tot_len));
	ip->tot_len = tot_len;
	if ((p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) && !p->fragment)
		checksum_finish(ctx, (void *)ip + ((p->l4_offset - L3_OFFSET) & 127), p, length);
}

/* A sum over words of a quote. */
struct quote_words {
	const struct transmission *t;
	__u64 sum;
	__u32 at; /* of the first word, in words */
	__u32 pad;
};

/* Words of a transmission in which a quote may be. */
#define QUOTE_WORDS 512U

static long quote_sum_step(__u32 i, struct quote_words *q)
{
	q->sum += ((const __u32 *)q->t->frame)[(q->at + i) & (QUOTE_WORDS - 1)];
	return LOOP_ON;
}

/*
 * Sum of the quote in a transmission, which begins at a multiple of four octets and is so many long, with zeros behind,
 * as 32-bit words; below 2^32.
 */
SUBPROGRAM __u32 quote_sum(const struct transmission *t, __u32 at, __u32 quote)
{
	struct quote_words q = { .t = t, .at = at / sizeof(__u32) };

	if (!t)
		return 0;
	bpf_loop((quote + 3) / sizeof(__u32), quote_sum_step, &q, 0);
	q.sum = (q.sum & 0xffffffff) + (q.sum >> 32);
	return (__u32)((q.sum & 0xffff) + (q.sum >> 16));
}

#if FORWARDS

/*
 * The sender of a hairpin between families gets an error by its own programs, which make of the packet what it has
 * sent: one whose checksum is left to the card cannot become the error on its way back.
 */
static __always_inline int error_crosses(ctx_t *ctx, const struct arguments *n)
{
	arguments_crossed(0);
	arguments_carry(ctx, n);
	return tail_call(ctx, FAMILY6 ? PROG_turned_error : PROG_six_turned_error);
}

#endif

/* Hands the ICMP error to the agent and drops the packet. quote: octets to be quoted, at most ICMP_ERROR_QUOTE. */
static __always_inline int icmp_error_send(ctx_t *ctx, const struct arguments *n, const struct device *in,
					   __u32 in_ifindex, const struct packet *p, __u64 quote)
{
	struct transmission *t = transmission_get();
	__u32 length = segment_length(ctx, p);

	if (quote > length)
		quote = length;
	if (!t || quote < sizeof(struct iphdr) || quote > ICMP_ERROR_QUOTE)
		return drop(n->reason);
	/* From memory, as the verifier would follow what comes for each way to this length. */
	STORE(t->length, (__u16)quote);
	quote = LOAD(t->length);
	quote = KNOWN_LENGTH(quote, ICMP_ERROR_QUOTE_MASK);
	if (ctx_load(ctx, L3_OFFSET, t->frame + ICMP_ERROR_HEADERS, (__u32)quote))
		return drop(n->reason);
	/* Zero the word in which the quote may end. */
	__builtin_memset(t->frame + ICMP_ERROR_HEADERS + quote, 0, sizeof(__u32));
	quote_as_sent(ctx, (void *)t->frame + ICMP_ERROR_HEADERS, p, length);
	icmp_error_headers((void *)t->frame, n, in, p, (__u32)quote, quote_sum(t, ICMP_ERROR_HEADERS, (__u32)quote));
	TRACE_STEP(redirect, in_ifindex, 0);
	if (!transmission_send(t, TRANSMISSION_PACKET, ICMP_ERROR_HEADERS + quote, in_ifindex, 0))
		count_add(n->sent, 1);
	return drop(n->reason);
}

#endif

static __always_inline int icmp_error_about(ctx_t *ctx, const struct arguments *n)
{
	struct packet p;
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);
	enum packet_kind kind = parse(ctx, &p);
	__u32 quote = p.length < ICMP_ERROR_QUOTE ? p.length : ICMP_ERROR_QUOTE;

	if (kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER || !in || !(in->addr | n->crossed))
		return drop(n->reason);
	if (!icmp_may_answer_from(ctx, &p, n->crossed) || !icmp_budget_allows())
		return drop(n->reason);
	return icmp_error_send(ctx, n, in, in_ifindex, &p, quote);
}

/* PROG_icmp_error. */
static __always_inline int icmp_error(ctx_t *ctx)
{
	struct arguments *n = arguments_get();

	if (!n)
		return drop(REASON_drop_error);
#if FORWARDS && !HOOK_XDP
	if (n->crossed)
		return error_crosses(ctx, n);
#endif
	return icmp_error_about(ctx, n);
}

#if FORWARDS && !HOOK_XDP

/* PROG_turned_error: the error about a hairpin to the other family that an IPv4 subscriber has sent. */
static __always_inline int turned_error(ctx_t *ctx)
{
	struct arguments *n = arguments_get();
	struct rewrite to;
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);

	if (!n)
		return drop(REASON_drop_error);
	arguments_carried(ctx, n);
	to = rewrite_of(&p);
	to.src = n->sender;
	to.sport = n->sender_port;
	return rewrite(ctx, &p, kind, &to, 0) ? drop(n->reason) : icmp_error_about(ctx, n);
}

#endif

#endif
