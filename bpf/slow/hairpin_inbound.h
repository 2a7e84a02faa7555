/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens the receiver's session of a hairpin to a bound port with endpoint-independent filtering, then calls the hairpin
 * program. A program of its own, as the stack has no room for both.
 */
#ifndef DETNAT_HAIRPIN_INBOUND_H
#define DETNAT_HAIRPIN_INBOUND_H

#include "slow/hairpin.h"
#include "slow/in2out.h"
#include "slow/inbound.h"

/* PROG_hairpin_inbound. */
static __always_inline int hairpin_inbound(ctx_t *ctx)
{
	struct receiver r;
	struct in2out io;
	int verdict = in2out_prepare(ctx, &io, PACKET_SESSION), in_port;
	struct packet *p = &io.f.p;
	struct subscriber *sender;
	int sport;

	if (verdict != CONTINUE)
		return verdict;
	/* The packet as it would come from outside. */
	sender = subscriber_get(io.f.m, io.f.subscriber);
	if (!sender)
		return drop(REASON_drop_no_mapping);
	sport = hairpin_send(&io, sender);
	p->sport = (__u16)sport;
	p->src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
	if (!sport || receiver_get(p, &r))
		return drop(REASON_drop_no_session);
	in_port = inbound_open(r.m, r.number, p);
	if (in_port >= 0)
		return tail_call(ctx, PROG_hairpin);
	if (in_port == INBOUND_GROWS)
		return extent_wait(ctx, r.m, r.in_addr, PROG_hairpin_inbound);
	return drop(inbound_refusal(in_port));
}

/* PROG_turned_inbound: the same of an IPv6 subscriber's packet, whose half is done, see slow/turned.h. */
static __always_inline int turned_inbound(ctx_t *ctx)
{
	return inbound_open_towards(ctx, PROG_turned, PROG_turned_inbound);
}

#endif
