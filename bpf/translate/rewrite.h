/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 5: rewrites addresses, ports and checksums.
 *
 * Checksums are updated incrementally, so a wrong one stays wrong. A UDP checksum of 0 (none) stays 0, and no other
 * becomes 0 (RFC 768).
 */
#ifndef DETNAT_REWRITE_H
#define DETNAT_REWRITE_H

#include <stddef.h>

#include "packet/checksum.h"
#include "packet/parse.h"
#include "packet/protocol_sums.h"

/* A packet's endpoints after the rewrite, host byte order; unchanged ones are those of the packet. */
struct rewrite {
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
};

/* Starts with the packet's own endpoints, for the caller to change. */
static __always_inline struct rewrite rewrite_of(const struct packet *p)
{
	return (struct rewrite){ .src = p->src, .dst = p->dst, .sport = p->sport, .dport = p->dport };
}

/* Decrements the TTL. Returns sum plus the change, for the header checksum. */
static __always_inline __u64 rewrite_ttl(struct iphdr *ip, __u64 sum)
{
	__u16 *word = (__u16 *)&ip->ttl, old = *word;

	ip->ttl--;
	return csum_change16(sum, old, *word);
}

/* Replaces both addresses of a header and updates its checksum. Returns their change, for other checksums. */
static __always_inline __u64 rewrite_addresses(struct iphdr *ip, const struct rewrite *to, int lower_ttl)
{
	__be32 src_be = bpf_htonl(to->src), dst_be = bpf_htonl(to->dst);
	__u64 sum = csum_change32(csum_change32(0, ip->saddr, src_be), ip->daddr, dst_be);

	ip->check = csum_update(ip->check, lower_ttl ? rewrite_ttl(ip, sum) : sum);
	ip->saddr = src_be;
	ip->daddr = dst_be;
	return sum;
}

/* Replaces both ports. udp: start of a TCP or UDP header. Returns sum plus the change. */
static __always_inline __u64 rewrite_ports(struct udphdr *udp, const struct rewrite *to, __u64 sum)
{
	__be16 sport_be = bpf_htons(to->sport), dport_be = bpf_htons(to->dport);

	sum = csum_change16(csum_change16(sum, udp->source, sport_be), udp->dest, dport_be);
	udp->source = sport_be;
	udp->dest = dport_be;
	return sum;
}

/* Replaces the identifier of an echo message, which is the requester's port. Returns sum plus the change. */
static __always_inline __u64 rewrite_echo(struct icmphdr *icmp, const struct rewrite *to, __u64 sum)
{
	__be16 id_be = bpf_htons(icmp->type == ICMP_ECHO ? to->sport : to->dport);

	sum = csum_change16(sum, icmp->id, id_be);
	icmp->id = id_be;
	return sum;
}

/* Updates a checksum for which 0 means none. */
static __always_inline void rewrite_optional_check(__sum16 *check, __u64 sum)
{
	if (!*check)
		return;
	*check = csum_update(*check, sum);
	if (!*check)
		*check = 0xffff;
}

#if HOOK_XDP

/* Rewrites the transport header of a packet with ports. sum: change of the addresses. Returns 0, or -1 if truncated. */
static __always_inline int rewrite_session(void *l4, void *data_end, __u8 proto, const struct rewrite *to, __u64 sum)
{
	struct icmphdr *icmp = l4;
	struct tcphdr *tcp = l4;
	struct udphdr *udp = l4;

	if (proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > data_end)
			return -1;
		tcp->check = csum_update(tcp->check, rewrite_ports(l4, to, sum));
	} else if (proto == IPPROTO_UDP) {
		if ((void *)(udp + 1) > data_end)
			return -1;
		rewrite_optional_check(&udp->check, rewrite_ports(l4, to, sum));
	} else {
		if ((void *)(icmp + 1) > data_end)
			return -1;
		icmp->checksum = csum_update(icmp->checksum, rewrite_echo(l4, to, 0));
	}
	return 0;
}

/* rewrite_session() for a packet without ports, or whose ports stay. */
static __always_inline int rewrite_protocol(void *l4, void *data_end, __u8 proto, __u64 sum)
{
	__sum16 *check = l4 + protocol_check_offset(proto);

	if (!protocol_sums_addresses(proto))
		return 0;
	if ((void *)(check + 1) > data_end)
		return -1;
	if (protocol_check_is_optional(proto))
		rewrite_optional_check(check, sum);
	else
		*check = csum_update(*check, sum);
	return 0;
}

/*
 * Rewrites a packet. kind: as parse() found; of PACKET_FRAGMENT only the addresses change. lower_ttl: XDP forwards it
 * itself. Returns 0, or -1 if the packet is not what parse() saw.
 */
static __always_inline int rewrite(ctx_t *ctx, const struct packet *p, enum packet_kind kind, const struct rewrite *to,
				   int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx), *l4 = data + (p->l4_offset & 127);
	struct iphdr *ip = data + L3_OFFSET;
	__u64 sum;

	if ((void *)(ip + 1) > data_end)
		return -1;
	sum = rewrite_addresses(ip, to, lower_ttl);
	if (kind == PACKET_SESSION && rewrite_session(l4, data_end, p->proto, to, sum))
		return -1;
	if (kind == PACKET_PROTOCOL && p->fragment != FRAGMENT_LATER && rewrite_protocol(l4, data_end, p->proto, sum))
		return -1;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#else

static __always_inline __u32 rewrite_check_offset(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	default:
		return offsetof(struct icmphdr, checksum);
	}
}

/* Updates a transport checksum for the change of an address. Returns 0, or -1. */
static __always_inline int rewrite_sum_address(ctx_t *ctx, __u32 check, __u64 flags, __u32 from, __u32 to)
{
	return from != to && bpf_l4_csum_replace(ctx, check, bpf_htonl(from), bpf_htonl(to),
						 flags | BPF_F_PSEUDO_HDR | 4)
		       ? -1
		       : 0;
}

/* Both of them. At egress only the source changes. */
static __always_inline int rewrite_sum_addresses(ctx_t *ctx, const struct packet *p, __u32 check, __u64 flags,
						 const struct rewrite *to)
{
	return rewrite_sum_address(ctx, check, flags, p->src, to->src) ||
			       (AT_INGRESS && rewrite_sum_address(ctx, check, flags, p->dst, to->dst))
		       ? -1
		       : 0;
}

/* Replaces a port, or the identifier of an echo message, at `offset`. Returns 0, or -1. */
static __always_inline int rewrite_port(ctx_t *ctx, __u32 offset, __u32 check, __u64 flags, __u16 from, __u16 to)
{
	__be16 port = bpf_htons(to);

	if (from == to)
		return 0;
	return bpf_l4_csum_replace(ctx, check, bpf_htons(from), port, flags | 2) ||
			       ctx_store(ctx, offset, &port, sizeof(port))
		       ? -1
		       : 0;
}

/* Rewrites the transport header of a packet with ports. Returns 0, or -1. */
static __always_inline int rewrite_session(ctx_t *ctx, const struct packet *p, const struct rewrite *to)
{
	__u32 l4 = p->l4_offset & 127, check = l4 + rewrite_check_offset(p->proto);
	__u64 flags = p->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	if (p->proto == IPPROTO_ICMP) {
		int echo = !AT_INGRESS || p->icmp_type == ICMP_ECHO;

		return rewrite_port(ctx, l4 + offsetof(struct icmphdr, id), check, 0, echo ? p->sport : p->dport,
				    echo ? to->sport : to->dport);
	}
	if (rewrite_sum_addresses(ctx, p, check, flags, to))
		return -1;
	if (rewrite_port(ctx, l4 + offsetof(struct udphdr, source), check, flags, p->sport, to->sport))
		return -1;
	return AT_INGRESS ? rewrite_port(ctx, l4 + offsetof(struct udphdr, dest), check, flags, p->dport, to->dport)
			  : 0;
}

/* rewrite_session() for a packet without ports, or whose ports stay. */
static __always_inline int rewrite_protocol(ctx_t *ctx, const struct packet *p, const struct rewrite *to)
{
	__u64 flags = protocol_check_is_optional(p->proto) ? BPF_F_MARK_MANGLED_0 : 0;

	return protocol_sums_addresses(p->proto)
		       ? rewrite_sum_addresses(ctx, p, (p->l4_offset & 127) + protocol_check_offset(p->proto), flags,
					       to)
		       : 0;
}

/* Replaces an address of the IP header. Returns 0, or -1. */
static __always_inline int rewrite_address(ctx_t *ctx, __u32 offset, __u32 from, __u32 to)
{
	__be32 addr = bpf_htonl(to);

	if (from == to)
		return 0;
	return bpf_l3_csum_replace(ctx, L3_OFFSET + offsetof(struct iphdr, check), bpf_htonl(from), addr, 4) ||
			       ctx_store(ctx, L3_OFFSET + offset, &addr, sizeof(addr))
		       ? -1
		       : 0;
}

/* Decrements the TTL. Returns 0, or -1. */
static __always_inline int rewrite_lower_ttl(ctx_t *ctx)
{
	__u32 at = L3_OFFSET + offsetof(struct iphdr, ttl);
	__be16 old, lower;

	if (ctx_load(ctx, at, &old, sizeof(old)))
		return -1;
	lower = bpf_htons((__u16)(bpf_ntohs(old) - 0x0100));
	return bpf_l3_csum_replace(ctx, L3_OFFSET + offsetof(struct iphdr, check), old, lower, 2) ||
			       ctx_store(ctx, at, &lower, sizeof(lower))
		       ? -1
		       : 0;
}

/*
 * rewrite() at tc uses helpers, which handle segmentation and checksum offload (CHECKSUM_PARTIAL). At egress only the
 * source changes, and the kernel has already decremented the TTL.
 */
static __always_inline int rewrite_by_helpers(ctx_t *ctx, const struct packet *p, enum packet_kind kind,
					      const struct rewrite *to, int lower_ttl)
{
	if (kind == PACKET_SESSION && rewrite_session(ctx, p, to))
		return -1;
	if (kind == PACKET_PROTOCOL && p->fragment != FRAGMENT_LATER && rewrite_protocol(ctx, p, to))
		return -1;
	if (rewrite_address(ctx, offsetof(struct iphdr, saddr), p->src, to->src))
		return -1;
	if (AT_INGRESS && rewrite_address(ctx, offsetof(struct iphdr, daddr), p->dst, to->dst))
		return -1;
	if (AT_INGRESS && lower_ttl && rewrite_lower_ttl(ctx))
		return -1;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#if FORWARDS

/* The programs that call it have more on their stacks. */
SUBPROGRAM int rewrite(ctx_t *ctx, const struct packet *p, __u32 kind, const struct rewrite *to, int lower_ttl)
{
	return p && to ? rewrite_by_helpers(ctx, p, kind, to, lower_ttl) : -1;
}

#else

static __always_inline int rewrite(ctx_t *ctx, const struct packet *p, enum packet_kind kind, const struct rewrite *to,
				   int lower_ttl)
{
	return rewrite_by_helpers(ctx, p, kind, to, lower_ttl);
}

#endif
#endif
#endif
