/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The program for packets of no session from outside to a portmap. It creates no state. */
#ifndef DETNAT_PORTMAP_IN_H
#define DETNAT_PORTMAP_IN_H

#include "slow/egress_check.h"
#include "session/endpoint.h"
#include "subscriber/stranger_count.h"
#include "slow/portmap_source.h"
#include "translate/translate.h"

/* PROG_portmap_in. */
static __always_inline int portmap_in(ctx_t *ctx)
{
	struct egress *e;
	struct rewrite to;
	struct receiver r;
	struct packet p;
	int verdict, in_port;

	if (parse(ctx, &p) != PACKET_SESSION)
		return drop(REASON_drop_malformed);
	in_port = portmap_receiver(&p, &r);
	if (in_port < 0)
		return drop_stranger(p.dst, REASON_drop_no_session);
	if (portmap_source_is_martian(&p))
		return drop_stranger(p.dst, REASON_drop_martian);
	TRACE_SUBSCRIBER(r.m, r.number);
	if (!endpoint_takes_from(&r, &p, p.src, p.sport))
		return drop_stranger_to(r.m, r.number, p.dst, REASON_drop_portmap_filter);
	verdict = egress_towards(ctx, &p, r.m, r.s, r.in_addr, DIRECTION_IN, r.s, &e);
	if (verdict != CONTINUE)
		return verdict;
	if (!portmap_source_leads_out(ctx, &p, r.in_addr, e))
		return drop_stranger(p.dst, REASON_drop_martian);
	endpoint_count(&r);
	to = rewrite_of(&p);
	to.dst = r.in_addr;
	to.dport = (__u16)in_port;
	return translate_session(ctx, &p, &to, e, DIRECTION_IN, r.in_addr);
}

#endif
