/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leave.h reads of a packet of IPv4, and how the headers of IPv6 get in front of it. */
#ifndef DETNAT_LEAVING_H
#define DETNAT_LEAVING_H

#include "packet/frame_sum.h"
#include "six/packet6.h"

struct fragment6 {
	__u8 next;
	__u8 reserved;
	__be16 field; /* offset in octets, and whether more follow */
	__be32 ident;
};

static __always_inline int is_icmp4_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* Reads the packet of a frame. Returns 0, or the reason to drop it. */
static __always_inline int leaving_read(ctx_t *ctx, struct leaving *l)
{
	struct iphdr ip;
	__u32 headers, field;
	__u64 sum;
	__u8 type;

	if (ctx_load(ctx, L3_OFFSET, &ip, sizeof(ip)))
		return REASON_drop_malformed;
	headers = ip.ihl * 4U;
	l->total = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || headers < sizeof(ip) || l->total < headers)
		return REASON_drop_malformed;
	sum = frame_sum(ctx, L3_OFFSET, L3_OFFSET + headers);
	if (sum == FRAME_SUM_FAILED || csum_fold(sum) != 0xffff || L3_OFFSET + l->total > ctx_length(ctx))
		return REASON_drop_malformed;
	field = bpf_ntohs(ip.frag_off);
	l->addresses = (__u64)ip.saddr + ip.daddr;
	l->src = bpf_ntohl(ip.saddr);
	l->l4 = L3_OFFSET + headers;
	l->length = l->total - headers;
	l->ident = bpf_ntohs(ip.id);
	l->field = (__u16)(field & (IP_FLAG_MF | IP_OFFSET_MASK));
	l->df = !!(field & IP_FLAG_DF);
	l->proto = ip.protocol;
	l->tos = ip.tos;
	l->ttl = ip.ttl;
	l->is_error = 0;
	l->sent = frame_upper_sent(ctx, l->proto, l->l4, l->length);
	if (ip.protocol != IPPROTO_ICMP || l->field)
		return 0;
	if (l->length < sizeof(struct icmphdr) || ctx_load(ctx, l->l4, &type, sizeof(type)))
		return REASON_drop_malformed;
	l->is_error = is_icmp4_error(type);
	return 0;
}

static __always_inline __u8 proto_to6(__u8 proto)
{
	return proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : proto;
}

/* Writes a header of IPv6, flow label 0. payload: octets behind it. */
static __always_inline void ipv6_header_put(struct ipv6hdr *ip, __u32 tos, __u32 payload, __u8 next, __u8 hops)
{
	*(__be32 *)ip = bpf_htonl(6U << 28 | tos << 20);
	*((__be32 *)ip + 1) = bpf_htonl(payload << 16 | (__u32)next << 8 | hops);
}

static __always_inline void leave_header(struct ipv6hdr *ip, const struct leaving *l, const struct record6 *r,
					 const struct leave_to *to, __u32 payload)
{
	__u64 *addresses = (void *)&ip->saddr;

	ipv6_header_put(ip, l->tos, payload, proto_to6(l->proto), l->ttl);
	nat64_address(r, l->src, addresses);
	addresses[2] = to->addr[0];
	addresses[3] = to->addr[1];
}

/* Puts a fragment header behind a header of IPv6. field: as IPv4 has it. */
static __always_inline void fragment6_put(struct ipv6hdr *ip, __u32 field, __u32 ident)
{
	struct fragment6 *f = (void *)(ip + 1);

	f->next = ip->nexthdr;
	f->reserved = 0;
	f->field = bpf_htons((__u16)((field & IP_OFFSET_MASK) << 3 | !!(field & IP_FLAG_MF)));
	f->ident = bpf_htonl(ident);
	ip->nexthdr = IPPROTO_FRAGMENT;
}

/* Has the frame begin with the Ethernet header in made[]. Returns 0, or -1. */
static __always_inline int made_ether(ctx_t *ctx, struct packet6 *s, __be16 proto)
{
	if (ctx_load(ctx, 0, s->made, 2 * ETH_ALEN))
		return -1;
	*(__be16 *)(s->made + 2 * ETH_ALEN) = proto;
	return 0;
}

/* Replaces `old` octets of headers by the first `now` of made[], behind the Ethernet header. Returns 0, or -1. */
static __always_inline int leave_resize(ctx_t *ctx, struct packet6 *s, __u32 old, __u32 now)
{
	if (made_ether(ctx, s, bpf_htons(ETH_P_IPV6)) || frame_shift(ctx, (int)old - (int)now, bpf_htons(ETH_P_IPV6)))
		return -1;
	return frame_put(ctx, s->made, L3_OFFSET + now, 127);
}

#endif
