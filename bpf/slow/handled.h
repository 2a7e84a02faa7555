/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that XDP has handled already: while it takes the place of tc, frames that it leaves to the kernel come to the
 * program at tc with the inside address. The agent says until when that may be, see limits.handled_until. In that time
 * a packet passes to an inside endpoint only if a session or a portmap leads there from its sender: sent to the outside
 * endpoint it would arrive, too.
 */
#ifndef DETNAT_HANDLED_H
#define DETNAT_HANDLED_H

#include "session/drain.h"
#include "session/portmap.h"

#if SENDS_BY_TC

/* Of a packet with ports from outside to an inside address. */
static __always_inline int is_handled_by_xdp(const ctx_t *ctx, const struct packet *p)
{
	const struct mapping_table *t = mapping_table_get();
	__u32 tenant = packet_tenant(ctx);
	const struct mapping *m;
	struct packet back = *p;

	if (!t || (__s32)(LOAD(t->limits.handled_until) - now_ticks()) < 0)
		return 0;
	back.src = p->dst;
	back.dst = p->src;
	back.sport = p->dport;
	back.dport = p->sport;
	m = mapping_by_inside(tenant, back.src);
	if (m && (session_quote_in2out(m, &back) || portmap_quote_in2out(m, &back)))
		return 1;
	return settings.drains && drain_find_in2out(tenant, &back, SESSION_QUOTE, &m);
}

#else

static __always_inline int is_handled_by_xdp(const ctx_t *ctx, const struct packet *p)
{
	return 0;
}

#endif
#endif
