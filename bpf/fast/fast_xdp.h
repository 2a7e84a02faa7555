/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The primitives of the fast path at XDP; fast_tc.h has the same for tc. */
#ifndef DETNAT_FAST_XDP_H
#define DETNAT_FAST_XDP_H

#include "fast/fast_packet.h"
#include "translate/ports.h"
#include "translate/rewrite.h"

/* Returns 1 if the frame has a VLAN tag that is not in it. */
static __always_inline int fast_tag_is_aside(const ctx_t *ctx)
{
	return 0;
}

/* Returns 1 if a packet of `length` octets is in the frame, and all of it in reach. */
static __always_inline int fast_frame_holds(const ctx_t *ctx, const void *data, const void *data_end, __u32 length)
{
	return data + L3_OFFSET + length <= data_end;
}

/* Octets of the longest packet that leaves. */
static __always_inline __u32 fast_sent_length(ctx_t *ctx, const struct fast_packet *q)
{
	return bpf_ntohs(q->ip->tot_len);
}

/*
 * Rewrites one endpoint (new_addr and new_port in host byte order) and decrements the TTL. The address change is folded
 * first, as both checksums need it; the TTL change is always the same: its word loses 0x0100 in network byte order.
 */
static __always_inline void fast_rewrite(const struct fast_packet *q, int source, __u32 new_addr, __u16 new_port)
{
	__be32 *addr = source ? &q->ip->saddr : &q->ip->daddr, addr_be = bpf_htonl(new_addr);
	__be16 *port = source ? &q->l4->sport : &q->l4->dport, port_be = bpf_htons(new_port);
	__u32 change = csum_fold_once(csum_change32(0, *addr, addr_be));
	__u32 l4_change = change + (__u16) ~*port + port_be;

	if (q->proto == IPPROTO_TCP) {
		q->l4->tcp.check = csum_update_short(q->l4->tcp.check, l4_change);
	} else if (likely(q->l4->udp.check)) {
		__sum16 check = csum_update_short(q->l4->udp.check, l4_change);

		q->l4->udp.check = check ? check : 0xffff;
	}
	q->ip->check = csum_update_short(q->ip->check, change + (__u16)~bpf_htons(0x0100));
	q->ip->ttl--;
	*port = port_be;
	*addr = addr_be;
}

/* Rewrites one endpoint of a packet, which is counted, and sends it to a next hop. Returns the verdict. */
static __always_inline int fast_send(ctx_t *ctx, const struct fast_packet *q, int source, __u32 new_addr,
				     __u16 new_port, const struct fib_hop *hop)
{
	fast_rewrite(q, source, new_addr, new_port);
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	TRACE_STEP(redirect, hop->ifindex, 0);
	return redirect_to(ctx, hop->ifindex);
}

#endif
