/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The program for packets of no session from outside to a bound port with endpoint-independent filtering. */
#ifndef DETNAT_INBOUND_IN_H
#define DETNAT_INBOUND_IN_H

#include "slow/inbound.h"
#include "slow/out2in.h"
#include "slow/portmap_source.h"

/* PROG_inbound. Its caller has found that the packet may open a session. */
static __always_inline int inbound(ctx_t *ctx)
{
	struct egress *e;
	const struct binding_header *h;
	struct subscriber *s;
	struct out2in oi;
	int verdict = out2in_prepare(ctx, &oi, 1), in_port, full;

	if (verdict != CONTINUE)
		return verdict;
	s = subscriber_get(oi.m, oi.subscriber);
	h = binding_header_get(oi.m, oi.subscriber);
	/* A source in the pool is a subscriber, whose packets come from inside. */
	if (!s || !h || leaf_outside(oi.p.src) || portmap_source_is_own(ctx, &oi.p))
		return drop_stranger(oi.p.dst, REASON_drop_martian);
	/* A flood beyond the limit gets no further. */
	full = inbound_full(oi.m, s, oi.subscriber, h, oi.now);
	if (full)
		return drop_stranger_to(oi.m, oi.subscriber, oi.p.dst, inbound_refusal(full));
	verdict = egress_towards(ctx, &oi.p, oi.m, s, oi.m->geo.in_base + oi.subscriber, DIRECTION_IN, s, &e);
	if (verdict != CONTINUE)
		return verdict;
	if (!portmap_source_leads_out(ctx, &oi.p, oi.m->geo.in_base + oi.subscriber, e))
		return drop_stranger(oi.p.dst, REASON_drop_martian);
	in_port = inbound_open(oi.m, oi.subscriber, &oi.p);
	if (in_port == INBOUND_GROWS)
		return extent_wait(ctx, oi.m, oi.m->geo.in_base + oi.subscriber, PROG_inbound);
	if (in_port == INBOUND_NOT) {
		stranger_met(oi.m, oi.subscriber);
		return out2in_unsolicited(ctx, &oi.p);
	}
	if (in_port < 0)
		return drop_stranger_to(oi.m, oi.subscriber, oi.p.dst, inbound_refusal(in_port));
	return out2in_finish(ctx, &oi, e, (__u16)in_port);
}

#endif
