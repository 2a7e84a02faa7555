/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 1: classifies the packet. Nothing is changed or decided yet. */
#ifndef DETNAT_PARSE_H
#define DETNAT_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include <detnat/reasons.h>
#include <detnat/tcp_state.h>

#include "base/subprogram.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* <linux/icmp.h> cannot be included here: it pulls in C library headers. */
#define ICMP_ECHOREPLY	   0
#define ICMP_DEST_UNREACH  3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT	   5
#define ICMP_ECHO	   8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_NET_UNREACH   0 /* codes of ICMP_DEST_UNREACH */
#define ICMP_PROT_UNREACH  2
#define ICMP_FRAG_NEEDED   4

struct icmphdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 id;	 /* echo only; unused in errors */
	__be16 sequence; /* echo; the next hop's MTU in ICMP_FRAG_NEEDED */
};

/* Frames with a VLAN tag belong to another interface and are not parsed, so the IP header is always at L3_OFFSET. */
#define IP_FLAG_MF     0x2000U
#define IP_FLAG_DF     0x4000U
#define IP_OFFSET_MASK 0x1fffU

enum packet_kind {
	PACKET_SESSION,		 /* TCP, UDP or ICMP echo, whole or a first fragment: ports are filled in */
	PACKET_NOT_IPV4,	 /* ARP, IPv6, VLAN tags, anything else */
	PACKET_BAD_HEADER,	 /* the IPv4 header is malformed; no field is valid */
	PACKET_BAD_TRANSPORT,	 /* malformed after a valid IPv4 header; addresses are valid from here on */
	PACKET_FRAGMENT,	 /* a later fragment of TCP, UDP or ICMP */
	PACKET_TINY_FRAGMENT,	 /* a first fragment without the whole transport header (RFC 1858) */
	PACKET_ENDLESS_FRAGMENT, /* a fragment that ends beyond 65535 octets */
	PACKET_ICMP_OTHER,	 /* ICMP other than echo, mostly errors */
	PACKET_PROTOCOL,	 /* a protocol without ports, whole or a fragment */
};

enum packet_fragment { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/* All in host byte order. For ICMP echo the identifier is the requester's port, and the other port is 0. */
struct packet {
	__u32 src;
	__u32 dst;
	__u32 length; /* octets of the IP packet; more than 65535 in a BIG TCP frame */
	__u16 sport;
	__u16 dport;
	__u16 l4_offset; /* from the start of the frame */
	__u8 proto;
	__u8 ttl;
	__u8 flags; /* TCP flags */
	__u8 icmp_type;
	__u8 df;
	__u8 fragment; /* enum packet_fragment */
};

/* Returns 1 if a protocol has sessions; for ICMP echo the identifier serves as the port. */
static __always_inline int protocol_has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMP;
}

static __always_inline enum packet_kind parse_transport(void *data, void *data_end, struct packet *p)
{
	void *l4 = data + (p->l4_offset & 127); /* the verifier must see its bounds */
	__u32 length = p->length - (p->l4_offset - L3_OFFSET);

	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		if (length < sizeof(*tcp) || (void *)(tcp + 1) > data_end)
			return p->fragment ? PACKET_TINY_FRAGMENT : PACKET_BAD_TRANSPORT;
		if (tcp->doff < 5)
			return PACKET_BAD_TRANSPORT;
		if (tcp->doff * 4U > length)
			return p->fragment ? PACKET_TINY_FRAGMENT : PACKET_BAD_TRANSPORT;
		p->sport = bpf_ntohs(tcp->source);
		p->dport = bpf_ntohs(tcp->dest);
		p->flags = ((__u8 *)tcp)[13];
		return PACKET_SESSION;
	}
	if (p->proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;

		if (length < sizeof(*udp) || (void *)(udp + 1) > data_end)
			return PACKET_BAD_TRANSPORT;
		/* A first fragment holds only part of the announced length. */
		if (bpf_ntohs(udp->len) < sizeof(*udp) || (!p->fragment && bpf_ntohs(udp->len) > length))
			return PACKET_BAD_TRANSPORT;
		p->sport = bpf_ntohs(udp->source);
		p->dport = bpf_ntohs(udp->dest);
		return PACKET_SESSION;
	}
	if (p->proto == IPPROTO_ICMP) {
		struct icmphdr *icmp = l4;

		if (length < sizeof(*icmp) || (void *)(icmp + 1) > data_end)
			return PACKET_BAD_TRANSPORT;
		p->icmp_type = icmp->type;
		if (icmp->type == ICMP_ECHO)
			p->sport = bpf_ntohs(icmp->id);
		else if (icmp->type == ICMP_ECHOREPLY)
			p->dport = bpf_ntohs(icmp->id);
		else
			return PACKET_ICMP_OTHER;
		return icmp->code ? PACKET_BAD_TRANSPORT : PACKET_SESSION;
	}
	return PACKET_PROTOCOL;
}

/* Returns 1 if a PACKET_ICMP_OTHER packet is an error that quotes another packet, and is translated with the quote. */
static __always_inline int is_icmp_error(const struct packet *p)
{
	return p->icmp_type == ICMP_DEST_UNREACH || p->icmp_type == ICMP_TIME_EXCEEDED ||
	       p->icmp_type == ICMP_PARAMETERPROB || p->icmp_type == ICMP_SOURCE_QUENCH;
}

/* Classifies a fragment. Only a datagram's last one may end within a unit of 8 octets (RFC 791). */
static __always_inline enum packet_kind parse_fragment(void *data, void *data_end, __u32 field, struct packet *p)
{
	__u32 length = p->length - (p->l4_offset - L3_OFFSET), offset = (field & IP_OFFSET_MASK) * 8;

	if (!length || (field & IP_FLAG_MF && length & 7))
		return PACKET_BAD_TRANSPORT;
	if (offset + p->length > 65535)
		return PACKET_ENDLESS_FRAGMENT;
	p->fragment = offset ? FRAGMENT_LATER : FRAGMENT_FIRST;
	if (!offset)
		return parse_transport(data, data_end, p);
	return protocol_has_ports(p->proto) ? PACKET_FRAGMENT : PACKET_PROTOCOL;
}

/*
 * Length of an IP packet in octets. A packet that the kernel has merged from segments, or will segment, may be too long
 * for its header: its total length is then 0 (BIG TCP), and the length of the frame counts. No frame on a wire is that
 * long, so XDP looks at the length alone.
 */
static __always_inline __u32 ip_length(ctx_t *ctx, const struct iphdr *ip)
{
	__u32 length = bpf_ntohs(ip->tot_len);
	__u64 frame;

	if (likely(length) || ip->protocol != IPPROTO_TCP)
		return length;
	frame = ctx_length(ctx);
	if (!ctx_gso_size(ctx) && frame <= L3_OFFSET + 65535)
		return 0;
	return (__u32)frame - L3_OFFSET;
}

static __always_inline int is_ipv4(const ctx_t *ctx, const struct ethhdr *eth, const void *data_end)
{
#if !HOOK_XDP
	if (BARE)
		return ctx->protocol == bpf_htons(ETH_P_IP);
#endif
	return (void *)(eth + 1) <= data_end && eth->h_proto == bpf_htons(ETH_P_IP);
}

/* parse() for a zeroed *p: fills in the fields valid for the packet's kind. Returns enum packet_kind. */
SUBPROGRAM int parse_packet(ctx_t *ctx, struct packet *p)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	const __u32 l3 = L3_OFFSET;
	struct iphdr *ip = data + l3;

	if (!p)
		return PACKET_BAD_HEADER;
	if (!is_ipv4(ctx, data, data_end))
		return PACKET_NOT_IPV4;
	if ((void *)(ip + 1) > data_end || ip->version != 4 || ip->ihl < 5)
		return PACKET_BAD_HEADER;

	p->length = ip_length(ctx, ip);
	p->l4_offset = l3 + ip->ihl * 4U;
	if (p->length < ip->ihl * 4U)
		return PACKET_BAD_HEADER;
	if (data + l3 + p->length > data_end && l3 + (__u64)p->length > ctx_length(ctx))
		return PACKET_BAD_HEADER;
	p->src = bpf_ntohl(ip->saddr);
	p->dst = bpf_ntohl(ip->daddr);
	p->proto = ip->protocol;
	p->ttl = ip->ttl;
	p->df = !!(ip->frag_off & bpf_htons(IP_FLAG_DF));
	if (ip->frag_off & bpf_htons(IP_FLAG_MF | IP_OFFSET_MASK))
		return parse_fragment(data, data_end, bpf_ntohs(ip->frag_off), p);
	return parse_transport(data, data_end, p);
}

static __always_inline enum packet_kind parse(ctx_t *ctx, struct packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	return parse_packet(ctx, p);
}

/* The reason to drop a packet that needs translation but cannot be translated. */
static __always_inline enum reason parse_drop_reason(enum packet_kind kind)
{
	switch (kind) {
	case PACKET_FRAGMENT:
		return REASON_drop_fragment;
	case PACKET_TINY_FRAGMENT:
		return REASON_drop_fragment_tiny;
	case PACKET_ENDLESS_FRAGMENT:
		return REASON_drop_fragment_endless;
	case PACKET_ICMP_OTHER:
		return REASON_drop_no_session;
	case PACKET_PROTOCOL:
		return REASON_drop_protocol;
	default:
		return REASON_drop_malformed;
	}
}

/* Compares two MAC addresses, e.g. a frame's destination with an interface's own. */
static __always_inline int mac_equal(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

#endif
