/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The address of a packet of a protocol without ports, and the checksums that cover it. Of the transport protocols
 * that sum up a pseudo header, TCP and UDP have sessions; UDP-Lite (RFC 3828) and DCCP (RFC 4340) are treated here.
 * SCTP's checksum, GRE and ESP do not cover addresses; that of AH does, and no NAT can pass it intact.
 */
#ifndef DETNAT_PROTOCOL_ADDRESS_H
#define DETNAT_PROTOCOL_ADDRESS_H

#include "rewrite.h"

#define PROTOCOL_DCCP	  33
#define PROTOCOL_UDP_LITE 136
/* Both have their checksum there. */
#define PROTOCOL_CHECK_OFFSET 6

/* Whether the packet begins with a transport header whose checksum covers the addresses. */
static __always_inline int protocol_sums_addresses(const struct iphdr *ip)
{
	return (ip->protocol == PROTOCOL_DCCP || ip->protocol == PROTOCOL_UDP_LITE) &&
	       !(ip->frag_off & bpf_htons(IP_OFFSET_MASK));
}

#if HOOK_XDP

static __always_inline int protocol_check(void *l4, void *data_end, __u8 proto, __u64 sum)
{
	__sum16 *check = l4 + PROTOCOL_CHECK_OFFSET;

	if ((void *)(check + 1) > data_end)
		return -1;
	/* To UDP-Lite 0 is no checksum, and none that it takes. */
	if (proto == PROTOCOL_UDP_LITE && !*check)
		return 0;
	*check = csum_update(*check, sum);
	if (proto == PROTOCOL_UDP_LITE && !*check)
		*check = 0xffff;
	return 0;
}

/* Replaces source or destination. 0, or -1 with nothing changed where the transport header is cut short. */
static __always_inline int protocol_address(ctx_t *ctx, const struct packet *p, int source, __u32 new_addr,
					    int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + L3_OFFSET;

	if ((void *)(ip + 1) > data_end)
		return -1;

	__be32 *addr = source ? &ip->saddr : &ip->daddr, addr_be = bpf_htonl(new_addr);
	__u64 sum = csum_change32(0, *addr, addr_be);

	if (protocol_sums_addresses(ip) && protocol_check(data + (p->l4_offset & 127), data_end, p->proto, sum))
		return -1;
	ip->check = csum_update(ip->check, lower_ttl ? rewrite_ttl(ip, sum) : sum);
	*addr = addr_be;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#else

static __always_inline int protocol_address(ctx_t *ctx, const struct packet *p, int source, __u32 new_addr,
					    int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + L3_OFFSET;
	__be32 old_be = bpf_htonl(source ? p->src : p->dst), new_be = bpf_htonl(new_addr);
	__u32 offset = L3_OFFSET + (source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
	__u64 flags = BPF_F_PSEUDO_HDR | (p->proto == PROTOCOL_UDP_LITE ? BPF_F_MARK_MANGLED_0 : 0);

	if ((void *)(ip + 1) > data_end)
		return -1;
	if (protocol_sums_addresses(ip) &&
	    bpf_l4_csum_replace(ctx, (p->l4_offset & 127) + PROTOCOL_CHECK_OFFSET, old_be, new_be, flags | 4))
		return -1;
	if (bpf_l3_csum_replace(ctx, L3_OFFSET + offsetof(struct iphdr, check), old_be, new_be, 4))
		return -1;
	if (bpf_skb_store_bytes(ctx, offset, &new_be, sizeof(new_be), 0))
		return -1;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

#endif
#endif
