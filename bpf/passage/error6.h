/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers a packet of an IPv6 subscriber with an ICMPv6 error (RFC 4443), which quotes it as its sender sent it, from
 * the gateway's address on the interface. Struct arguments has the ICMP error that an IPv4 subscriber would get.
 */
#ifndef DETNAT_ERROR6_H
#define DETNAT_ERROR6_H

#include "answer/icmp_error.h"
#include "passage/passage.h"

#define ICMP6_ADMIN 1 /* codes of ICMP6_DEST_UNREACH: no route is 0 */
#define ICMP6_ADDR  3

#define ERROR6_HEADERS (sizeof(struct ipv6hdr) + sizeof(struct icmphdr))
#define ERROR6_QUOTE   (ERROR6_MAX - ERROR6_HEADERS)

/* An error's first 8 octets, its checksum 0. */
struct error6 {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 field; /* MTU, or pointer */
};

/* What a refusal's reason is to the sender. */
static __always_inline __u8 error6_code(__u32 reason)
{
	if (reason == REASON_drop_unreachable)
		return 0;
	return reason == REASON_drop_martian || reason == REASON_drop_no_mapping || reason == REASON_drop_protocol
		       ? ICMP6_ADMIN
		       : ICMP6_ADDR;
}

static __always_inline void error6_of(const struct arguments *n, struct error6 *ret)
{
	__u32 mtu = n->mtu + LEAVE_GROWTH;

	if (n->sent == REASON_sent_icmp_too_big) {
		ret->type = ICMP6_PACKET_TOO_BIG;
		ret->field = bpf_htonl(mtu < LOWEST_IPV6_MTU ? LOWEST_IPV6_MTU : mtu);
	} else if (n->sent == REASON_sent_icmp_ttl) {
		ret->type = ICMP6_TIME_EXCEEDED;
	} else if (n->sent == REASON_sent_icmp_parameter) {
		ret->type = ICMP6_PARAMETER;
		ret->field = bpf_htonl(n->mtu);
	} else {
		ret->type = ICMP6_DEST_UNREACH;
		ret->code = error6_code(n->reason);
	}
}

/* Returns 1 if an error may be sent about what packet6_read() has read (RFC 4443 section 2.4 (e)). */
static __always_inline int error6_may_answer(ctx_t *ctx, const struct packet6 *s)
{
	const struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_data_end(ctx) || eth->h_dest[0] & 1 || eth->h_source[0] & 1)
		return 0;
	/* One about a later fragment would quote no port; ICMPv6 other than echo may be an error. */
	return !s->is_error && !(s->whole.field & IP_OFFSET_MASK);
}

static __always_inline void error6_header(struct ipv6hdr *ip, const struct address6_octets *src,
					  const struct packet6 *s, __u32 quote)
{
	ipv6_header_put(ip, 0, sizeof(struct error6) + quote, IPPROTO_ICMPV6, 64);
	__builtin_memcpy(&ip->saddr, src, sizeof(*src));
	__builtin_memcpy(&ip->daddr, s->whole.src, sizeof(s->whole.src));
}

/* Writes both headers of an error. sum: folded, of its quote, which has `quote` octets. */
static __always_inline void error6_put(struct ipv6hdr *ip, struct error6 *at, const struct arguments *n,
				       const struct packet6 *s, const struct address6_octets *src, __u32 quote,
				       __u64 sum)
{
	struct error6 e = {};

	error6_header(ip, src, s, quote);
	error6_of(n, &e);
	sum += addresses6_sum((void *)&ip->saddr, (void *)&ip->daddr) + pseudo6_icmp(sizeof(e) + quote) + *(__u16 *)&e +
	       (e.field & 0xffff) + (e.field >> 16);
	e.check = ~csum_fold(sum);
	*at = e;
}

#if HOOK_XDP

/* Sends the error back. Returns the verdict. */
static __always_inline int error6_send(ctx_t *ctx, const struct arguments *n, const struct packet6 *s,
				       const struct address6_octets *src, const struct device *in, __u32 in_ifindex)
{
	__u32 quote = s->whole.end - L3_OFFSET, linear = (__u32)(ctx->data_end - ctx->data) - L3_OFFSET;
	struct ethhdr *eth = ctx_data(ctx);
	struct error6 *at;
	struct ipv6hdr *ip;
	__u8 sender[6];
	__u64 sum;

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return drop(n->reason);
	if (quote > ERROR6_QUOTE)
		quote = ERROR6_QUOTE;
	if (quote > linear)
		quote = linear;
	__builtin_memcpy(sender, eth->h_source, 6);
	if (frame_cut(ctx, L3_OFFSET + quote) || bpf_xdp_adjust_head(ctx, -(int)ERROR6_HEADERS))
		return drop(n->reason);
	sum = frame_sum(ctx, L3_OFFSET + ERROR6_HEADERS, L3_OFFSET + ERROR6_HEADERS + quote);
	eth = ctx_data(ctx);
	ip = (void *)(eth + 1);
	at = (void *)(ip + 1);
	if (sum == FRAME_SUM_FAILED || (void *)(at + 1) > ctx_data_end(ctx))
		return drop(n->reason);
	__builtin_memcpy(eth->h_dest, sender, 6);
	__builtin_memcpy(eth->h_source, in->mac, 6);
	eth->h_proto = bpf_htons(ETH_P_IPV6);
	error6_put(ip, at, n, s, src, quote, csum_fold(sum));
	count_add(n->sent, 1);
	count_add(n->reason, 1);
	return send_by(ctx, in_ifindex);
}

#else

#define ERROR6_QUOTE_MASK 2047U

/* Makes of the copied quote the packet as the sender's card would have sent it, of so many octets. */
static __always_inline void quote6_as_sent(ctx_t *ctx, struct transmission *t, const struct upper *u, __u32 length)
{
	struct ipv6hdr *ip = (void *)t->frame + ERROR6_HEADERS;
	__u32 headers = u->at - L3_OFFSET;

	ip->payload_len = bpf_htons((__u16)(length - sizeof(*ip)));
	upper_checksum_finish(ctx, (void *)ip + (headers & 511), u, length - headers);
}

/* Has the agent send the error, as in icmp_error_send(). Returns the verdict. */
static __always_inline int error6_send(ctx_t *ctx, const struct arguments *n, const struct packet6 *s,
				       const struct address6_octets *src, const struct device *in, __u32 in_ifindex)
{
	struct transmission *t = transmission_get();
	const struct upper u = { .addresses = addresses6_sum(s->whole.src, s->whole.dst),
				 .at = s->whole.l4,
				 .length = s->whole.end - s->whole.l4,
				 .proto = s->whole.proto };
	__u32 length = u.at - L3_OFFSET + upper_sent(ctx, u.proto, u.at, u.length);
	__u64 quote = length < ERROR6_QUOTE ? length : ERROR6_QUOTE;

	if (!t)
		return drop(n->reason);
	barrier_var(quote);
	if (OUTSIDE(quote, sizeof(struct ipv6hdr), ERROR6_QUOTE))
		return drop(n->reason);
	quote = KNOWN_LENGTH(quote, ERROR6_QUOTE_MASK);
	if (ctx_load(ctx, L3_OFFSET, t->frame + ERROR6_HEADERS, (__u32)quote))
		return drop(n->reason);
	/* Zero the word in which the quote may end. */
	__builtin_memset(t->frame + ERROR6_HEADERS + quote, 0, sizeof(__u32));
	if ((u.proto == IPPROTO_TCP || u.proto == IPPROTO_UDP) && !s->whole.field && length >= u.at - L3_OFFSET + 8)
		quote6_as_sent(ctx, t, &u, length);
	error6_put((void *)t->frame, (void *)t->frame + sizeof(struct ipv6hdr), n, s, src, (__u32)quote,
		   quote_sum(t, ERROR6_HEADERS, (__u32)quote));
	TRACE_STEP(redirect, in_ifindex, 0);
	if (!transmission_send(t, TRANSMISSION_PACKET, ERROR6_HEADERS + quote, in_ifindex, 0))
		count_add(n->sent, 1);
	return drop(n->reason);
}

#endif

static __always_inline int error6_about(ctx_t *ctx, const struct arguments *n)
{
	const struct packet6 *s = packet6_get();
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);
	__u32 at = in_ifindex < MAX_IFINDEX ? in_ifindex : 0;
	const struct address6_octets *src = bpf_map_lookup_elem(&addresses6, &at);

	if (!s || !in || !src || !(src->octet[0] | src->octet[1]))
		return drop(n->reason);
	if (!error6_may_answer(ctx, s) || !icmp_budget_allows())
		return drop(n->reason);
	return error6_send(ctx, n, s, src, in, in_ifindex);
}

/* PROG_icmp_error: about a packet of either family, which may have entered. */
static __always_inline int six_icmp_error(ctx_t *ctx)
{
	struct arguments *n = arguments_get();
	struct six *x = six_get();

	if (!n || !x)
		return drop(REASON_drop_error);
#if !HOOK_XDP
	if (n->crossed)
		return error_crosses(ctx, n);
#endif
	if (LOAD(x->entered) && six_undo(ctx))
		return drop(n->reason);
	return LOAD(x->is_six) ? error6_about(ctx, n) : icmp_error_about(ctx, n);
}

#if !HOOK_XDP

/* PROG_six_turned_error: the error about a hairpin to an IPv4 subscriber, whose packet has entered. */
static __always_inline int six_turned_error(ctx_t *ctx)
{
	struct arguments *n = arguments_get();
	const struct device *in;

	if (!n)
		return drop(REASON_drop_error);
	arguments_carried(ctx, n);
	/* Nothing longer comes to the sender than what its own link takes. */
	in = device_get(packet_ingress(ctx));
	if (in && n->mtu + LEAVE_GROWTH > in->mtu)
		n->mtu = in->mtu - LEAVE_GROWTH;
	return six_icmp_error(ctx);
}

#endif

#endif
