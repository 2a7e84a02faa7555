/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet from outside without a slot in stage 2: to a portmap, or unsolicited. */
#ifndef DETNAT_STAGE2_IN_SLOW_H
#define DETNAT_STAGE2_IN_SLOW_H

#include "slow/inbound.h"
#include "slow/out2in.h"
#include "slow/portmap_source.h"
#include "egress/stage2_egress.h"

static __always_inline int stage2_in_slow(ctx_t *ctx)
{
	const struct stage_entry *e = stage2_current();
	const struct egress *egress = stage2_egress();
	struct receiver r;
	struct out2in oi;
	int in_port;

	if (!e || !egress || parse(ctx, &oi.p) != PACKET_SESSION)
		return drop(REASON_drop_stage2);
	oi.m = mapping_by_outside(oi.p.dst);
	oi.subscriber = e->subscriber;
	/* Stage 1 has judged by the mapping of before, if another one has the port meanwhile. */
	if (!oi.m || mapping_reverse(&oi.m->geo, oi.p.dst, oi.p.dport) != oi.subscriber ||
	    oi.m->geo.in_base + oi.subscriber != e->new_addr)
		return drop(REASON_drop_no_session);
	if (address_is_link_local(oi.p.src) || source_is_martian(oi.p.src) || address_is_inside(oi.p.src))
		return drop_stranger(oi.p.dst, REASON_drop_martian);
	in_port = portmap_receiver(&oi.p, &r);
	/* Stage 1 has looked up the way to the subscriber whose block the port is in. */
	if (in_port >= 0 ? r.number != oi.subscriber : !inbound_may_open(oi.m, oi.subscriber, &oi.p, now_ticks()))
		return drop_stranger_to(oi.m, oi.subscriber, oi.p.dst, REASON_drop_no_session);
	if (in_port >= 0 && !endpoint_takes_from(&r, &oi.p, oi.p.src, oi.p.sport))
		return drop_stranger_to(oi.m, oi.subscriber, oi.p.dst, REASON_drop_portmap_filter);
	if (!portmap_source_leads_out(ctx, &oi.p))
		return drop_stranger(oi.p.dst, REASON_drop_martian);
	if (in_port >= 0) {
		endpoint_count(&r);
		return out2in_finish(ctx, &oi, egress, (__u16)in_port);
	}
	in_port = inbound_open(oi.m, oi.subscriber, &oi.p);
	if (in_port < 0)
		return drop_stranger_to(oi.m, oi.subscriber, oi.p.dst, inbound_refusal(in_port));
	return out2in_finish(ctx, &oi, egress, (__u16)in_port);
}

#endif
