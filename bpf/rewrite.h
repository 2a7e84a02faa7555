/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 5: addresses, ports and checksums of a packet of PACKET_SESSION kind.
 *
 * Checksums are updated by difference, so a wrong one stays wrong. A UDP checksum of 0 (none) stays 0, and none
 * becomes 0 (RFC 768).
 */
#ifndef DETNAT_REWRITE_H
#define DETNAT_REWRITE_H

#include <stddef.h>

#include "checksum.h"
#include "parse.h"

/* New endpoint for one side of the packet, host byte order. */
struct rewrite {
	__u32 addr;
	__u16 port;
	__u8 source; /* 1: replaces the source, 0: the destination */
};

/* Offset of the port to replace, from the start of the transport header. */
static __always_inline __u32 rewrite_port_offset(const struct packet *p, const struct rewrite *w)
{
	if (p->proto == IPPROTO_ICMP)
		return offsetof(struct icmphdr, id);
	return w->source ? offsetof(struct udphdr, source) : offsetof(struct udphdr, dest);
}

static __always_inline __u32 rewrite_check_offset(const struct packet *p)
{
	switch (p->proto) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	default:
		return offsetof(struct icmphdr, checksum);
	}
}

/* Lowers the TTL by one; the header checksum's change is added to sum. */
static __always_inline __u64 rewrite_ttl(struct iphdr *ip, __u64 sum)
{
	__u16 *word = (__u16 *)&ip->ttl, old = *word;

	ip->ttl--;
	return csum_change16(sum, old, *word);
}

#if HOOK_XDP

/* Port and checksum of the transport header; sum is the change of the address. 0, or -1 where it is cut short. */
static __always_inline int rewrite_transport(void *l4, void *data_end, const struct packet *p, const struct rewrite *w,
					     __u64 sum)
{
	__be16 new_port = bpf_htons(w->port);

	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		__be16 *port = w->source ? &tcp->source : &tcp->dest;

		if ((void *)(tcp + 1) > data_end)
			return -1;
		tcp->check = csum_update(tcp->check, csum_change16(sum, *port, new_port));
		*port = new_port;
	} else if (p->proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;
		__be16 *port = w->source ? &udp->source : &udp->dest;

		if ((void *)(udp + 1) > data_end)
			return -1;
		if (udp->check) {
			udp->check = csum_update(udp->check, csum_change16(sum, *port, new_port));
			if (!udp->check)
				udp->check = 0xffff;
		}
		*port = new_port;
	} else {
		struct icmphdr *icmp = l4;

		if ((void *)(icmp + 1) > data_end)
			return -1;
		icmp->checksum = csum_update(icmp->checksum, csum_change16(0, icmp->id, new_port));
		icmp->id = new_port;
	}
	return 0;
}

/*
 * 0, or -1 with nothing changed where the packet is not what parse() saw. lower_ttl: XDP forwards it by itself.
 */
static __always_inline int rewrite_packet(ctx_t *ctx, const struct packet *p, const struct rewrite *w, int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + L3_OFFSET;

	if ((void *)(ip + 1) > data_end)
		return -1;

	__be32 *addr = w->source ? &ip->saddr : &ip->daddr;
	__be32 new_addr = bpf_htonl(w->addr);
	__u64 sum = csum_change32(0, *addr, new_addr);

	if (rewrite_transport(data + (p->l4_offset & 127), data_end, p, w, sum))
		return -1;
	ip->check = csum_update(ip->check, lower_ttl ? rewrite_ttl(ip, sum) : sum);
	*addr = new_addr;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#else

/*
 * The same by helpers, as they know of segmentation and checksum offload (CHECKSUM_PARTIAL). The kernel has lowered
 * the TTL itself.
 */
static __always_inline int rewrite_packet(ctx_t *ctx, const struct packet *p, const struct rewrite *w, int lower_ttl)
{
	__u32 l4 = p->l4_offset & 127, check = l4 + rewrite_check_offset(p);
	__u32 addr_offset = L3_OFFSET + (w->source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
	__be32 old_addr = bpf_htonl(w->source ? p->src : p->dst), new_addr = bpf_htonl(w->addr);
	__be16 new_port = bpf_htons(w->port), old_port;
	__u32 port_offset = l4 + rewrite_port_offset(p, w);
	__u64 flags = p->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	if (bpf_skb_load_bytes(ctx, port_offset, &old_port, sizeof(old_port)))
		return -1;
	if (p->proto != IPPROTO_ICMP &&
	    bpf_l4_csum_replace(ctx, check, old_addr, new_addr, flags | BPF_F_PSEUDO_HDR | 4))
		return -1;
	if (bpf_l4_csum_replace(ctx, check, old_port, new_port, flags | 2))
		return -1;
	if (bpf_skb_store_bytes(ctx, port_offset, &new_port, sizeof(new_port), 0))
		return -1;
	if (bpf_l3_csum_replace(ctx, L3_OFFSET + offsetof(struct iphdr, check), old_addr, new_addr, 4))
		return -1;
	if (bpf_skb_store_bytes(ctx, addr_offset, &new_addr, sizeof(new_addr), 0))
		return -1;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#endif
#endif
