/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The primitives of the fast path at tc, as fast_xdp.h: frames are as the kernel has them, of several segments, with
 * data out of reach, and with checksums that the card is to finish (CHECKSUM_PARTIAL).
 */
#ifndef DETNAT_FAST_TC_H
#define DETNAT_FAST_TC_H

#include "fast/fast_packet.h"
#include "packet/checksum.h"

/*
 * Rewrites one endpoint. The transport checksum is left to helpers, which know whether it is still to be computed
 * (CHECKSUM_PARTIAL) and whether the device has summed the packet; the rest needs no calls. l3: L3_OFFSET as a
 * constant. Returns 0, or -1; q's pointers are invalid then.
 */
static __always_inline int fast_rewrite_tc(ctx_t *ctx, const struct fast_packet *q, __u32 l3, int source,
					   __u32 new_addr, __u16 new_port, int lower_ttl)
{
	__u32 check = l3 + sizeof(struct iphdr) +
		      (q->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
	__u64 flags = q->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__be32 *addr_at = source ? &q->ip->saddr : &q->ip->daddr, addr = *addr_at, addr_be = bpf_htonl(new_addr);
	__be16 *port_at = source ? &q->l4->sport : &q->l4->dport, port = *port_at, port_be = bpf_htons(new_port);
	__u32 change = csum_fold_once(csum_change32(0, addr, addr_be));

	if (lower_ttl) {
		change += (__u16)~bpf_htons(0x0100);
		q->ip->ttl--;
	}
	q->ip->check = csum_update_short(q->ip->check, change);
	*addr_at = addr_be;
	*port_at = port_be;
	if (addr != addr_be && bpf_l4_csum_replace(ctx, check, addr, addr_be, flags | BPF_F_PSEUDO_HDR | sizeof(addr)))
		return -1;
	return port != port_be && bpf_l4_csum_replace(ctx, check, port, port_be, flags | sizeof(port)) ? -1 : 0;
}

#if FORWARDS

#include "translate/ports.h"
#include "translate/rewrite.h"

static __always_inline int fast_tag_is_aside(const ctx_t *ctx)
{
	return ctx->vlan_present != 0;
}

static __always_inline int fast_frame_holds(const ctx_t *ctx, const void *data, const void *data_end, __u32 length)
{
	return L3_OFFSET + length <= ctx->len;
}

/* Of a frame of several segments, the longest of them. */
static __always_inline __u32 fast_sent_length(const ctx_t *ctx, const struct fast_packet *q)
{
	__u32 length = bpf_ntohs(q->ip->tot_len), size = ctx_gso_size(ctx);
	__u32 headers = sizeof(struct iphdr) + (q->proto == IPPROTO_TCP ? q->l4->tcp.doff * 4U : sizeof(struct udphdr));

	return size && headers + size < length ? headers + size : length;
}

/* A packet that is lost now is counted as if sent, like any that the way out does not take. */
static __always_inline int fast_send(ctx_t *ctx, const struct fast_packet *q, int source, __u32 new_addr,
				     __u16 new_port, const struct fib_hop *hop)
{
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	sent_priority_set(ctx, q->ip->tos);
	if (fast_rewrite_tc(ctx, q, ETH_HLEN, source, new_addr, new_port, 1)) {
		count_add(REASON_redirect_errors, 1);
		return CTX_DROP;
	}
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

#endif
#endif
