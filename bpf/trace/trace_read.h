/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads the addresses of any packet for a trace. It uses helpers, so it copes with tags, fragments and non-linear data,
 * and shows malformed packets, too.
 */
#ifndef DETNAT_TRACE_READ_H
#define DETNAT_TRACE_READ_H

#include <detnat/tables.h>

#include "packet/parse.h"

/* An ARP packet for IPv4 over Ethernet (RFC 826). */
struct trace_arp {
	__u8 before_sender[14];
	__u8 sender[4];
	__u8 before_target[6];
	__u8 target[4];
};

/* The first octets of a TCP, UDP or ICMP header. */
union trace_ports {
	struct {
		__be16 sport;
		__be16 dport;
	};
	struct icmphdr icmp;
};

/* Host byte order; fields that the packet lacks are 0. The quote is that of an ICMP error. */
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
	__u16 id;
	__u16 vlan[MAX_VLAN_TAGS];
	__u8 n_tags;
	__u8 proto;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 quoted_proto;
	/* Buffers for reading, in network byte order. */
	__be16 type;
	__be16 tci;
	struct iphdr ip;
	union trace_ports l4;
	struct trace_arp arp;
#if FAMILY6
	struct ipv6hdr ip6;
	__u64 addr[4]; /* source and destination of that */
	__u8 option[8];
	struct trace_six six;
#endif
};

/* Headers of the current packet. In a map, because the programs leave too little stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_headers);
} trace_headers SEC(".maps");

#if HOOK_XDP
#define trace_load(ctx, offset, ret) bpf_xdp_load_bytes(ctx, offset, ret, sizeof(*(ret)))
#else
#define trace_load(ctx, offset, ret) bpf_skb_load_bytes(ctx, offset, ret, sizeof(*(ret)))
#endif

static __always_inline int trace_is_icmp_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == 4 || type == 5 || type == 12;
}

/* Reads source and destination port after an IPv4 header. For other protocols h->l4 becomes 0. */
static __always_inline void trace_read_ports(ctx_t *ctx, __u32 offset, __u8 proto, struct trace_headers *h,
					     __u16 *sport, __u16 *dport)
{
	const union trace_ports *l4 = &h->l4;

	__builtin_memset(&h->l4, 0, sizeof(h->l4));
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMP) || trace_load(ctx, offset, &h->l4))
		return;
	if (proto != IPPROTO_ICMP) {
		*sport = bpf_ntohs(l4->sport);
		*dport = bpf_ntohs(l4->dport);
	} else if (l4->icmp.type == ICMP_ECHO) {
		*sport = bpf_ntohs(l4->icmp.id);
	} else if (l4->icmp.type == ICMP_ECHOREPLY) {
		*dport = bpf_ntohs(l4->icmp.id);
	}
}

static __always_inline void trace_read_quote(ctx_t *ctx, __u32 offset, struct trace_headers *h)
{
	if (trace_load(ctx, offset, &h->ip))
		return;
	h->quoted_src = bpf_ntohl(h->ip.saddr);
	h->quoted_dst = bpf_ntohl(h->ip.daddr);
	h->quoted_proto = h->ip.protocol;
	if (!(h->ip.frag_off & bpf_htons(IP_OFFSET_MASK)))
		trace_read_ports(ctx, offset + h->ip.ihl * 4U, h->ip.protocol, h, &h->quoted_sport, &h->quoted_dport);
}

static __always_inline void trace_read_ip(ctx_t *ctx, __u32 l3, struct trace_headers *h)
{
	if (trace_load(ctx, l3, &h->ip))
		return;
	h->src = bpf_ntohl(h->ip.saddr);
	h->dst = bpf_ntohl(h->ip.daddr);
	h->length = bpf_ntohs(h->ip.tot_len);
	h->fragment = bpf_ntohs(h->ip.frag_off);
	h->id = bpf_ntohs(h->ip.id);
	h->proto = h->ip.protocol;
	h->ttl = h->ip.ttl;
	if (h->fragment & IP_OFFSET_MASK)
		return;
	l3 += h->ip.ihl * 4U;
	trace_read_ports(ctx, l3, h->proto, h, &h->sport, &h->dport);
	if (h->proto == IPPROTO_TCP) {
		trace_load(ctx, l3 + 13, &h->tcp_flags);
	} else if (h->proto == IPPROTO_ICMP) {
		h->icmp_type = h->l4.icmp.type;
		h->icmp_code = h->l4.icmp.code;
		if (trace_is_icmp_error(h->icmp_type))
			trace_read_quote(ctx, l3 + sizeof(struct icmphdr), h);
	}
}

#if FAMILY6

#define TRACE_EXTENSIONS 4 /* headers between those of IPv6 and of the transport that are read */

/* Of an address pair, source first: what IPv4 has for it. six: where to note it; may be NULL. */
static __always_inline void trace_read_pair(const __u64 addr[4], __u32 *src, __u32 *dst, struct trace_six *six)
{
	__u64 from = six_index(be64_number(addr[0])), to = from ? 0 : six_index(be64_number(addr[2]));
	const struct record6 *r = from | to ? record6_of((__u32)(from | to)) : 0;
	const __u64 *host = from ? addr : addr + 2, *ext = from ? addr + 2 : addr;
	__u32 virt = (__u32)((from | to) >> 32), remote;

	if (!r)
		return;
	remote = nat64_has(r, ext) ? nat64_address4(r, ext) : 0;
	*src = from ? virt : remote;
	*dst = from ? remote : virt;
	if (!six)
		return;
	six->host[0] = host[0];
	six->host[1] = host[1];
	six->ext[0] = ext[0];
	six->ext[1] = ext[1];
	six->virt = virt;
	six->addr = remote;
}

/* Reads ports behind the headers of IPv6. ICMPv6 is ICMP in all that IPv4 has. */
static __always_inline void trace_read_ports6(ctx_t *ctx, __u32 offset, __u8 proto, struct trace_headers *h,
					      __u16 *sport, __u16 *dport)
{
	if (proto != IPPROTO_ICMPV6) {
		trace_read_ports(ctx, offset, proto, h, sport, dport);
		return;
	}
	__builtin_memset(&h->l4, 0, sizeof(h->l4));
	if (trace_load(ctx, offset, &h->l4))
		return;
	if (h->l4.icmp.type == ICMP6_ECHO)
		*sport = bpf_ntohs(h->l4.icmp.id);
	else if (h->l4.icmp.type == ICMP6_ECHOREPLY)
		*dport = bpf_ntohs(h->l4.icmp.id);
}

/* Skips extension headers. *next: the header that is first; then the one that is none. Returns its offset. */
static __always_inline __u32 trace_skip(ctx_t *ctx, __u32 offset, __u8 *next, struct trace_headers *h)
{
	__u32 field;

#pragma unroll
	for (int i = 0; i < TRACE_EXTENSIONS; i++) {
		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_ROUTING && *next != IPPROTO_DSTOPTS &&
		    *next != IPPROTO_FRAGMENT)
			break;
		if (trace_load(ctx, offset, &h->option))
			break;
		if (*next == IPPROTO_FRAGMENT) {
			field = (__u32)h->option[2] << 8 | h->option[3];
			h->fragment = (__u16)(field >> 3 | (field & 1 ? 0x2000 : 0));
			offset += 8;
		} else {
			offset += (h->option[1] + 1U) * 8;
		}
		*next = h->option[0];
	}
	return offset;
}

static __always_inline void trace_read_quote6(ctx_t *ctx, __u32 offset, struct trace_headers *h)
{
	__u8 next;

	if (trace_load(ctx, offset, &h->ip6) || trace_load(ctx, offset + 8, &h->addr))
		return;
	trace_read_pair(h->addr, &h->quoted_src, &h->quoted_dst, 0);
	next = h->ip6.nexthdr;
	h->quoted_proto = next == IPPROTO_ICMPV6 ? IPPROTO_ICMP : next;
	trace_read_ports6(ctx, offset + sizeof(h->ip6), next, h, &h->quoted_sport, &h->quoted_dport);
}

static __always_inline void trace_read_ip6(ctx_t *ctx, __u32 l3, struct trace_headers *h)
{
	__u8 next;

	if (trace_load(ctx, l3, &h->ip6) || trace_load(ctx, l3 + 8, &h->addr))
		return;
	trace_read_pair(h->addr, &h->src, &h->dst, &h->six);
	h->length = bpf_ntohs(h->ip6.payload_len) + sizeof(h->ip6);
	h->ttl = h->ip6.hop_limit;
	next = h->ip6.nexthdr;
	l3 = trace_skip(ctx, l3 + sizeof(h->ip6), &next, h);
	h->proto = next == IPPROTO_ICMPV6 ? IPPROTO_ICMP : next;
	if (h->fragment & IP_OFFSET_MASK)
		return;
	trace_read_ports6(ctx, l3, next, h, &h->sport, &h->dport);
	if (next == IPPROTO_TCP)
		trace_load(ctx, l3 + 13, &h->tcp_flags);
	if (next != IPPROTO_ICMPV6)
		return;
	h->icmp_type = h->l4.icmp.type;
	h->icmp_code = h->l4.icmp.code;
	if (h->icmp_type < ICMP6_ECHO)
		trace_read_quote6(ctx, l3 + sizeof(struct icmphdr), h);
}

#endif

static __always_inline __u32 trace_address(const __u8 octet[4])
{
	return (__u32)octet[0] << 24 | octet[1] << 16 | octet[2] << 8 | octet[3];
}

static __always_inline void trace_read_arp(ctx_t *ctx, __u32 l3, struct trace_headers *h)
{
	if (trace_load(ctx, l3, &h->arp))
		return;
	h->src = trace_address(h->arp.sender);
	h->dst = trace_address(h->arp.target);
}

/* Reads the packet. Never returns NULL, except to the verifier. */
static __always_inline struct trace_headers *trace_read(ctx_t *ctx)
{
	__u32 offset = 2 * ETH_ALEN, zero = 0;
	struct trace_headers *h = bpf_map_lookup_elem(&trace_headers, &zero);

	if (!h)
		return 0;
	__builtin_memset(h, 0, sizeof(*h));
#if !HOOK_XDP
	if (BARE) {
		h->ether_type = bpf_ntohs((__be16)ctx->protocol);
		if (h->ether_type == ETH_P_IP)
			trace_read_ip(ctx, 0, h);
		return h;
	}
#endif
	if (trace_load(ctx, offset, &h->type))
		return h;
#pragma unroll
	for (__u32 i = 0; i < MAX_VLAN_TAGS; i++) {
		if (h->type != bpf_htons(ETH_P_8021Q) && h->type != bpf_htons(ETH_P_8021AD))
			break;
		if (trace_load(ctx, offset + 2, &h->tci) || trace_load(ctx, offset + 4, &h->type))
			return h;
		h->vlan[i] = bpf_ntohs(h->tci) & 0xfff;
		h->n_tags = i + 1;
		offset += 4;
	}
	h->ether_type = bpf_ntohs(h->type);
	if (h->ether_type == ETH_P_IP)
		trace_read_ip(ctx, offset + 2, h);
	else if (h->ether_type == ETH_P_ARP)
		trace_read_arp(ctx, offset + 2, h);
#if FAMILY6
	else if (h->ether_type == ETH_P_IPV6)
		trace_read_ip6(ctx, offset + 2, h);
#endif
	return h;
}

#endif
