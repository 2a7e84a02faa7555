/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of the fast path of IPv6 subscribers, by the primitives of the hook: the headers of the other family. */
#ifndef DETNAT_PASSAGE_FAST_SEND6_H
#define DETNAT_PASSAGE_FAST_SEND6_H

#include "fast/fast_path.h"
#include "six/enter.h"
#include "six/leave.h"

/* A frame of IPv6 and the values read from it. */
struct fast_six {
	struct ethhdr *eth;
	struct ipv6hdr *ip;
	union fast_transport *l4;
	__u32 steady; /* as in struct fast_packet */
	__u32 length; /* octets behind the header */
	__u8 proto;
	__u8 hop_limit;
};

static __always_inline void fast_six_ether(struct ethhdr *eth, const struct fib_hop *hop, __u16 proto)
{
	ether_addresses_set(eth, (const struct ether_addresses *)hop->dmac);
	((__be16 *)eth)[6] = bpf_htons(proto);
}

/* Writes a header of IPv4, the addresses of which are numbers in host byte order. longest: octets of the longest packet
 * that leaves, which decides on DF; ident is for those without. */
static __always_inline void fast_six_to4(void *ip, __u32 tos, __u32 total, __u32 longest, __u16 ident, __u8 ttl,
					 __u8 proto, __u32 src, __u32 dst)
{
	__u32 field = longest > ENTER_DF_ABOVE ? IP_FLAG_DF : (__u32)ident << 16;
	__u32 first = 0x45000000 | tos << 16 | total, last = (__u32)ttl << 24 | (__u32)proto << 16;
	__be32 *word = ip;

	last |= csum_update_short(0xffff, csum_fold_once((__u64)first + field + last + src + dst));
	word[0] = bpf_htonl(first);
	word[1] = bpf_htonl(field);
	word[2] = bpf_htonl(last);
	word[3] = bpf_htonl(src);
	word[4] = bpf_htonl(dst);
}

/* The same of IPv6. from, to: octets as in a packet. */
static __always_inline void fast_six_to6(struct ipv6hdr *ip, __u32 tos, __u32 payload, __u8 ttl, __u8 proto,
					 const __u64 from[2], const __u64 to[2])
{
	__u64 *addresses = (void *)&ip->saddr;

	ipv6_header_put(ip, tos, payload, proto, ttl);
	addresses[0] = from[0];
	addresses[1] = from[1];
	addresses[2] = to[0];
	addresses[3] = to[1];
}

#if HOOK_XDP

/* 2^48 - 1, a multiple of 2^16 - 1: as good as 0 in a sum, and more than those of a few words. */
#define SUM_ZERO 0xffffffffffffULL

/* Changes the checksum of a transport header by sums of what it no longer covers and what it covers now. */
static __always_inline void fast_six_sum(union fast_transport *l4, __u8 proto, __u64 minus, __u64 plus)
{
	__u32 change = csum_fold_once(plus + SUM_ZERO - minus);

	if (proto == IPPROTO_TCP) {
		l4->tcp.check = csum_update_short(l4->tcp.check, change);
	} else {
		__sum16 check = csum_update_short(l4->udp.check, change);

		l4->udp.check = check ? check : 0xffff;
	}
}

/* Octets of the upper layer in the longest packet that leaves. */
static __always_inline __u32 fast_six_sent(ctx_t *ctx, const struct fast_six *q)
{
	return q->length;
}

/* Sends a packet, which is counted, as one of IPv4 from another endpoint, to a next hop. Returns the verdict. */
static __always_inline int fast_six_send4(ctx_t *ctx, const struct fast_six *q, __u32 src, __u32 dst, __be16 port,
					  __u16 ident, const struct fib_hop *hop)
{
	__u32 tos = bpf_ntohl(*(__be32 *)q->ip) >> 20 & 0xff, total = q->length + sizeof(struct iphdr);
	__u64 *from = (__u64 *)&q->ip->saddr, *to = (__u64 *)&q->ip->daddr;

	fast_six_sum(q->l4, q->proto, addresses6_sum(from, to) + q->l4->sport,
		     (__u64)bpf_htonl(src) + bpf_htonl(dst) + port);
	q->l4->sport = port;
	/* They end where those of IPv6 did. */
	fast_six_to4((void *)q->ip + LEAVE_GROWTH, tos, total, total, ident, q->hop_limit - 1, q->proto, src, dst);
	fast_six_ether((void *)q->eth + LEAVE_GROWTH, hop, ETH_P_IP);
	if (bpf_xdp_adjust_head(ctx, LEAVE_GROWTH))
		return XDP_ABORTED;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

/* The same as one of IPv6 to another port. */
static __always_inline int fast_six_send6(ctx_t *ctx, const struct fast_packet *q, const __u64 from[2],
					  const __u64 to[2], __be16 port, const struct fib_hop *hop)
{
	__u32 tos = q->ip->tos, ttl = q->ip->ttl - 1U, proto = q->proto;
	__u32 payload = bpf_ntohs(q->ip->tot_len) - sizeof(struct iphdr);
	void *data;

	fast_six_sum(q->l4, q->proto, (__u64)q->ip->saddr + q->ip->daddr + q->l4->dport,
		     addresses6_sum(from, to) + port);
	q->l4->dport = port;
	if (bpf_xdp_adjust_head(ctx, -(int)LEAVE_GROWTH))
		return XDP_ABORTED;
	data = ctx_data(ctx);
	if (data + sizeof(struct ethhdr) + sizeof(struct ipv6hdr) > ctx_data_end(ctx))
		return XDP_ABORTED;
	fast_six_ether(data, hop, ETH_P_IPV6);
	fast_six_to6(data + L3_OFFSET, tos, payload, (__u8)ttl, (__u8)proto, from, to);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

#else

static __always_inline __u32 fast_six_sent(ctx_t *ctx, const struct fast_six *q)
{
	__u32 size = ctx_gso_size(ctx);
	__u32 headers = q->proto == IPPROTO_TCP ? q->l4->tcp.doff * 4U : sizeof(struct udphdr);

	return size && headers + size < q->length ? headers + size : q->length;
}

/* As in fast_send(). */
static __always_inline int fast_six_lost(void)
{
	count_add(REASON_redirect_errors, 1);
	return CTX_DROP;
}

/* Changes the checksum of a transport header by a port, and by what the pseudo header has. Returns 0, or -1. */
static __always_inline int fast_six_check(ctx_t *ctx, __u8 proto, __u32 l4, __u64 pseudo, __u64 content)
{
	__u32 at = l4 + (proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));

	return frame_check_change(ctx, at, 0, pseudo, content, proto == IPPROTO_UDP);
}

/* Puts the header of the other family in its place. Returns 0, or -1. */
static __always_inline int fast_six_put(ctx_t *ctx, void *ip, __u32 size, __u16 proto)
{
	struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return -1;
	eth->h_proto = bpf_htons(proto);
	return bpf_skb_store_bytes(ctx, L3_OFFSET, ip, size, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

static __always_inline int fast_six_send4(ctx_t *ctx, const struct fast_six *q, __u32 src, __u32 dst, __be16 port,
					  __u16 ident, const struct fib_hop *hop)
{
	__u32 tos = bpf_ntohl(*(__be32 *)q->ip) >> 20 & 0xff, total = q->length + sizeof(struct iphdr);
	__u64 *from = (__u64 *)&q->ip->saddr, *to = (__u64 *)&q->ip->daddr;
	__u64 pseudo = sum_change(addresses6_sum(from, to), (__u64)bpf_htonl(src) + bpf_htonl(dst));
	__u64 content = sum_change(q->l4->sport, port);
	__u32 ip[sizeof(struct iphdr) / 4];

	fast_six_to4(ip, tos, total, fast_six_sent(ctx, q) + sizeof(struct iphdr), ident, q->hop_limit - 1, q->proto,
		     src, dst);
	q->l4->sport = port;
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	sent_priority_set(ctx, (__u8)tos);
	if (fast_six_check(ctx, q->proto, L3_OFFSET + sizeof(struct ipv6hdr), pseudo, content) ||
	    frame_shift(ctx, LEAVE_GROWTH, bpf_htons(ETH_P_IP)) || fast_six_put(ctx, ip, sizeof(ip), ETH_P_IP))
		return fast_six_lost();
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

static __always_inline int fast_six_send6(ctx_t *ctx, const struct fast_packet *q, const __u64 from[2],
					  const __u64 to[2], __be16 port, const struct fib_hop *hop)
{
	__u64 pseudo = sum_change((__u64)q->ip->saddr + q->ip->daddr, addresses6_sum(from, to));
	__u64 content = sum_change(q->l4->dport, port), ip[sizeof(struct ipv6hdr) / 8];

	fast_six_to6((void *)ip, q->ip->tos, bpf_ntohs(q->ip->tot_len) - sizeof(struct iphdr), q->ip->ttl - 1, q->proto,
		     from, to);
	q->l4->dport = port;
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	if (fast_six_check(ctx, q->proto, L3_OFFSET + sizeof(struct iphdr), pseudo, content) ||
	    frame_shift(ctx, -(int)LEAVE_GROWTH, bpf_htons(ETH_P_IPV6)) ||
	    fast_six_put(ctx, ip, sizeof(ip), ETH_P_IPV6))
		return fast_six_lost();
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

#endif
#endif
