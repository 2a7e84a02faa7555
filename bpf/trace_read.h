/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The addresses of a packet for a trace, whatever it is: read by helpers, so that neither tags, nor fragments, nor what
 * lies beyond the linear part is in the way, and no packet is too malformed to be shown.
 */
#ifndef DETNAT_TRACE_READ_H
#define DETNAT_TRACE_READ_H

#include "parse.h"

#define TRACE_VLAN_TAGS 2

/* Host byte order; 0 where there is no such thing. The quote is that of an ICMP error. */
struct trace_headers {
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
	__u32 quoted_src;
	__u32 quoted_dst;
	__u16 quoted_sport;
	__u16 quoted_dport;
	__u16 ether_type;
	__u16 length;
	__u16 fragment;
	__u8 proto;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
};

/* What ARP over Ethernet says of IPv4 (RFC 826), from its beginning. */
struct trace_arp {
	__u8 before_sender[14];
	__u8 sender[4];
	__u8 before_target[6];
	__u8 target[4];
};

#if HOOK_XDP
#define trace_load(ctx, offset, ret) bpf_xdp_load_bytes(ctx, offset, ret, sizeof(*(ret)))
#else
#define trace_load(ctx, offset, ret) bpf_skb_load_bytes(ctx, offset, ret, sizeof(*(ret)))
#endif

/* The first octets of TCP, UDP and ICMP. */
union trace_ports {
	struct {
		__be16 sport;
		__be16 dport;
	};
	struct icmphdr icmp;
};

static __always_inline int trace_is_icmp_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == 4 || type == 5 || type == 12;
}

/* Ports behind an IPv4 header, those of the one who sent it first. */
static __always_inline void trace_read_ports(ctx_t *ctx, __u32 l4, __u8 proto, __u16 *sport, __u16 *dport,
					     union trace_ports *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMP) || trace_load(ctx, l4, ret))
		return;
	if (proto != IPPROTO_ICMP) {
		*sport = bpf_ntohs(ret->sport);
		*dport = bpf_ntohs(ret->dport);
	} else if (ret->icmp.type == ICMP_ECHO) {
		*sport = bpf_ntohs(ret->icmp.id);
	} else if (ret->icmp.type == ICMP_ECHOREPLY) {
		*dport = bpf_ntohs(ret->icmp.id);
	}
}

static __always_inline void trace_read_quote(ctx_t *ctx, __u32 offset, struct trace_headers *h)
{
	union trace_ports ports;
	struct iphdr ip;

	if (trace_load(ctx, offset, &ip))
		return;
	h->quoted_src = bpf_ntohl(ip.saddr);
	h->quoted_dst = bpf_ntohl(ip.daddr);
	if (!(ip.frag_off & bpf_htons(IP_OFFSET_MASK)))
		trace_read_ports(ctx, offset + ip.ihl * 4U, ip.protocol, &h->quoted_sport, &h->quoted_dport, &ports);
}

static __always_inline void trace_read_ip(ctx_t *ctx, __u32 l3, struct trace_headers *h)
{
	union trace_ports ports;
	struct iphdr ip;

	if (trace_load(ctx, l3, &ip))
		return;
	h->src = bpf_ntohl(ip.saddr);
	h->dst = bpf_ntohl(ip.daddr);
	h->length = bpf_ntohs(ip.tot_len);
	h->fragment = bpf_ntohs(ip.frag_off);
	h->proto = ip.protocol;
	h->ttl = ip.ttl;
	if (h->fragment & IP_OFFSET_MASK)
		return;
	l3 += ip.ihl * 4U;
	trace_read_ports(ctx, l3, ip.protocol, &h->sport, &h->dport, &ports);
	if (ip.protocol == IPPROTO_TCP) {
		trace_load(ctx, l3 + 13, &h->tcp_flags);
	} else if (ip.protocol == IPPROTO_ICMP) {
		h->icmp_type = ports.icmp.type;
		h->icmp_code = ports.icmp.code;
		if (trace_is_icmp_error(h->icmp_type))
			trace_read_quote(ctx, l3 + sizeof(struct icmphdr), h);
	}
}

static __always_inline void trace_read_arp(ctx_t *ctx, __u32 l3, struct trace_headers *h)
{
	struct trace_arp a;

	if (trace_load(ctx, l3, &a))
		return;
	h->src = (__u32)a.sender[0] << 24 | a.sender[1] << 16 | a.sender[2] << 8 | a.sender[3];
	h->dst = (__u32)a.target[0] << 24 | a.target[1] << 16 | a.target[2] << 8 | a.target[3];
}

static __always_inline void trace_read(ctx_t *ctx, struct trace_headers *h)
{
	__u32 offset = 2 * ETH_ALEN;
	__be16 type = 0;

	__builtin_memset(h, 0, sizeof(*h));
	if (trace_load(ctx, offset, &type))
		return;
	for (int i = 0; i < TRACE_VLAN_TAGS; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		offset += 4;
		if (trace_load(ctx, offset, &type))
			return;
	}
	h->ether_type = bpf_ntohs(type);
	if (h->ether_type == ETH_P_IP)
		trace_read_ip(ctx, offset + 2, h);
	else if (h->ether_type == ETH_P_ARP)
		trace_read_arp(ctx, offset + 2, h);
}

#endif
