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

/*
 * The agent sends a packet in fragments. mtu: the least that a way of IPv6 has. A next hop that is not resolved has
 * been asked for. Returns a verdict.
 */
static __always_inline int six_leave_in_fragments(ctx_t *ctx, const struct egress *e, __u32 mtu)
{
	struct ethhdr *eth = ctx_data(ctx);

	if (e->state != EGRESS_READY)
		return drop(e->state == EGRESS_UNRESOLVED ? REASON_drop_unresolved : REASON_drop_unreachable);
	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return drop(REASON_drop_error);
	ether_addresses_set(eth, &e->mac);
	return transmit(ctx, e->ifindex, mtu < e->longest + LEAVE_GROWTH ? mtu : e->longest + LEAVE_GROWTH);
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
	return refused ? drop((enum reason)refused) : deliver_by(ctx, e, (enum sender)LOAD(x->sender));
}

#endif
