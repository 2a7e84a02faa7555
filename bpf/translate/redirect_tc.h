/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends translated packets from tc at ingress, past the kernel's routing: hairpins, which the kernel would drop for
 * their outside source. The kernel finds the neighbour.
 */
#ifndef DETNAT_REDIRECT_TC_H
#define DETNAT_REDIRECT_TC_H

#include "egress/nexthop.h"
#include "packet/offload.h"
#include "translate/transmit_ring.h"

/* Sends the packet through an interface, to the neighbour that the routes name. Returns the verdict. */
static __always_inline int redirect_packet(ctx_t *ctx, __u32 ifindex)
{
	struct device *out = device_get(ifindex);

	TRACE_STEP(redirect, ifindex, 0);
	if (out && out->flags & DEVICE_BARE)
		return (int)bpf_redirect(ifindex, 0);
	return (int)bpf_redirect_neigh(ifindex, 0, 0, 0);
}

/*
 * Hands the packet to the agent, which sends it in fragments of at most `mtu` octets; if the ring buffer is full, as it
 * is without an agent, the packet is lost and counted. Returns the verdict.
 */
SUBPROGRAM int transmit_packet(ctx_t *ctx, __u32 ifindex, __u32 mtu)
{
	struct transmission *t = transmission_get();
	struct packet p;
	__u64 length;

	__builtin_memset(&p, 0, sizeof(p));
	parse_packet(ctx, &p);
	/* 64 bits: of 32 that were extended, the 6.1 verifier forgets the lower bound. */
	length = p.length;
	barrier_var(length);
	if (!t || length < sizeof(struct iphdr) || length > TRANSMIT_PACKET_MAX ||
	    ctx_load(ctx, L3_OFFSET, t->frame, length)) {
		count_add(REASON_redirect_errors, 1);
		return CTX_DROP;
	}
	if ((p.proto == IPPROTO_TCP || p.proto == IPPROTO_UDP) && !p.fragment)
		checksum_finish(ctx, (void *)t->frame + ((p.l4_offset - L3_OFFSET) & 127), &p, (__u32)length);
	t->ifindex = ifindex;
	t->length = (__u16)length;
	t->kind = TRANSMISSION_PACKET;
	t->mtu = mtu;
	if (!transmission_send(t, length))
		TRACE_STEP(agent, ifindex, 0);
	return CTX_DROP;
}

#endif
