/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about packets that the kernel routed, built at tc and sent by the agent. A packet whose checksum is left
 * to the card (CHECKSUM_PARTIAL), as a local container or a VM sends it, cannot be turned into another one: the kernel
 * would still finish the checksum at its old place, in the middle of the quote.
 *
 * The quote is what the card would have sent: with its checksum finished, and the first segment of a GSO frame.
 */
#ifndef DETNAT_ICMP_ERROR_TC_H
#define DETNAT_ICMP_ERROR_TC_H

#include "answer/icmp_error_headers.h"
#include "packet/offload.h"
#include "translate/transmit_ring.h"

/* Restores in *ip the packet that the subscriber, or its card, sent. */
static __always_inline void quote_as_sent(ctx_t *ctx, struct iphdr *ip, const struct packet *p, __u32 length)
{
	__u16 *ttl = (__u16 *)&ip->ttl, lowered = *ttl;
	__be16 tot_len = bpf_htons((__u16)length);

	/* At egress the kernel has decremented the TTL; the quote has the subscriber's value. */
	if (!AT_INGRESS)
		ip->ttl++;
	ip->check = csum_update(ip->check, csum_change16(csum_change16(0, lowered, *ttl), ip->tot_len, tot_len));
	ip->tot_len = tot_len;
	if ((p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) && !p->fragment)
		checksum_finish(ctx, (void *)ip + ((p->l4_offset - L3_OFFSET) & 127), p, length);
}

/* Sum of the first octets of the quote in a transmission, zeros behind them, as 32-bit words; below 2^32. */
SUBPROGRAM __u32 quote_sum(const struct transmission *t, __u32 quote)
{
	const __u32 *word;
	__u64 sum = 0;

	if (!t)
		return 0;
	word = (const void *)t->frame + ICMP_ERROR_HEADERS;
	for (__u32 i = 0; i < ICMP_ERROR_QUOTE / sizeof(*word); i++) {
		if (i * sizeof(*word) >= quote)
			break;
		sum += word[i];
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__u32)((sum & 0xffff) + (sum >> 16));
}

/* Hands the ICMP error to the agent and drops the packet. quote: octets to be quoted, at most ICMP_ERROR_QUOTE. */
static __always_inline int icmp_error_send(ctx_t *ctx, const struct arguments *n, const struct device *in,
					   __u32 in_ifindex, const struct packet *p, __u32 quote)
{
	struct transmission *t = transmission_get();
	__u32 length = segment_length(ctx, p);

	if (quote > length)
		quote = length;
	barrier_var(quote);
	if (!t || quote < sizeof(struct iphdr) || quote > ICMP_ERROR_QUOTE ||
	    ctx_load(ctx, L3_OFFSET, t->frame + ICMP_ERROR_HEADERS, quote))
		return drop(n->reason);
	/* Zero the word in which the quote may end. */
	__builtin_memset(t->frame + ICMP_ERROR_HEADERS + quote, 0, sizeof(__u32));
	quote_as_sent(ctx, (void *)t->frame + ICMP_ERROR_HEADERS, p, length);
	icmp_error_headers((void *)t->frame, n, in, p, quote, quote_sum(t, quote));
	t->ifindex = in_ifindex;
	t->length = (__u16)(ICMP_ERROR_HEADERS + quote);
	t->kind = TRANSMISSION_PACKET;
	t->mtu = 0;
	TRACE_STEP(redirect, in_ifindex, 0);
	if (!transmission_send(t, ICMP_ERROR_HEADERS + quote))
		count_add(n->sent, 1);
	return drop(n->reason);
}

#endif
