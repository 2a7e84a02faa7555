/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's passages between its two families, on the slow path: from inside it enters, and is restored if it has to
 * be refused; inwards it leaves.
 */
#ifndef DETNAT_PASSAGE_H
#define DETNAT_PASSAGE_H

#include "egress/egress.h"
#include "six/enter.h"
#include "six/leave.h"
#include "six/state.h"
#include "translate/translate.h"

/* Makes a packet that has entered what it was, where nothing else has been changed. Returns 0, or -1. */
SUBPROGRAM int six_undo(ctx_t *ctx)
{
	struct six *x = six_get();

	if (!x || enter_undo(ctx))
		return -1;
	x->entered = 0;
	x->is_six = 1;
	return 0;
}

#if HOOK_XDP

/* Hands the frame to the agent, which sends it in fragments of at most `mtu` octets. Returns the verdict. */
static __always_inline int six_transmit(ctx_t *ctx, const struct egress *e, __u32 mtu)
{
	struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return drop(REASON_drop_error);
	ether_addresses_set(eth, &e->mac);
	return transmit(ctx, e->ifindex, mtu);
}

/* What the agent need not cut is sent as it is. */
static __always_inline int six_deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	return deliver_by(ctx, e, sender);
}

#else

/* The same of the packet alone, with its checksum finished: the kernel finds the neighbour. */
SUBPROGRAM int six_transmit_packet(ctx_t *ctx, __u32 ifindex, __u32 mtu)
{
	const __u32 headers = sizeof(struct ipv6hdr) + sizeof(struct fragment6);
	struct transmission *t = transmission_get();
	const struct packet6 *s = packet6_get();
	__u64 length = ctx_length(ctx) - L3_OFFSET;
	const struct ipv6hdr *ip;
	struct upper u = {};

	if (!t || !s)
		return drop(REASON_drop_error);
	/* Without what is behind the packet. */
	if (length > headers + (__u64)s->in4.length)
		length = headers + (__u64)s->in4.length;
	barrier_var(length);
	if (OUTSIDE(length, headers, TRANSMIT_PACKET_MAX) || ctx_load(ctx, L3_OFFSET, t->frame, (__u32)length)) {
		count_add(REASON_redirect_errors, 1);
		return CTX_DROP;
	}
	ip = (void *)t->frame;
	u.addresses = addresses6_sum((void *)&ip->saddr, (void *)&ip->daddr);
	u.at = L3_OFFSET + headers;
	u.length = s->in4.length;
	u.proto = s->in4.proto;
	if ((u.proto == IPPROTO_TCP || u.proto == IPPROTO_UDP) && !s->in4.field)
		upper_checksum_finish(ctx, t->frame + headers, &u, u.length);
	if (!transmission_send(t, TRANSMISSION_PACKET, length, ifindex, mtu))
		TRACE_STEP(agent, ifindex, 0);
	return CTX_DROP;
}

static __always_inline int six_transmit(ctx_t *ctx, const struct egress *e, __u32 mtu)
{
	return six_transmit_packet(ctx, e->ifindex, mtu);
}

static __always_inline int six_deliver(ctx_t *ctx, const struct egress *e, enum sender sender)
{
	return deliver_by(ctx, e, sender == SENDER_AGENT ? SENDER_PROGRAM : sender);
}

#endif

/*
 * The agent sends a packet in fragments. mtu: the least that a way of IPv6 has. A next hop that is not resolved has
 * been asked for. Returns a verdict.
 */
static __always_inline int six_leave_in_fragments(ctx_t *ctx, const struct egress *e, __u32 mtu)
{
	if (e->state != EGRESS_READY)
		return drop(e->state == EGRESS_UNRESOLVED ? REASON_drop_unresolved : REASON_drop_unreachable);
	return six_transmit(ctx, e, mtu < e->longest + LEAVE_GROWTH ? mtu : e->longest + LEAVE_GROWTH);
}

/*
 * PROG_six_leave: makes an IPv6 packet to the host in struct six of a packet to the virtual address of its subscriber,
 * whose egress is known, and has it sent. Its ports are those inside already, and its TTL becomes the hop limit.
 */
static __always_inline int six_leave(ctx_t *ctx)
{
	const struct six *x = six_get();
	const struct record6 *r = x ? record6_of(x->leaf) : 0;
	const struct egress *e = egress_get();
	const struct device *in = device_get(packet_ingress(ctx));
	struct leave_to to = {};
	int refused;

	if (!r || !e)
		return drop(REASON_drop_error);
	to.addr[0] = be64_number(LOAD(x->hi));
	to.addr[1] = LOAD(x->lo);
	if (e->state == EGRESS_READY)
		to.mtu6 = e->longest + LEAVE_GROWTH;
	to.mtu4 = in ? in->mtu : 0;
	refused = leave_packet(ctx, r, &to);
	if (refused == LEAVE_IN_FRAGMENTS)
		return six_leave_in_fragments(ctx, e, LOAD(r->lowest_mtu));
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return refused ? drop((enum reason)refused) : six_deliver(ctx, e, (enum sender)LOAD(x->sender));
}

#endif
