/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds granted ports for sessions, once no port of the block is free; those of bound ports are found by grant_bind.h.
 */
#ifndef DETNAT_OPEN_GRANT_H
#define DETNAT_OPEN_GRANT_H

#include "session/grant.h"
#include "slow/open.h"

/* A walk through the ports of a granted block. */
struct grant_walk {
	const struct flow *f;
	struct subscriber *s;
	__u32 port_lo;
	__u32 ports;
	__u32 of;   /* 0, or OVERFLOW_PORT_OF_RESET */
	__u32 port; /* found; 0: none */
};

static long grant_walk_port(__u32 i, struct grant_walk *w)
{
	__u32 at = i + w->f->p.sport % w->ports, port;

	port = w->port_lo + (at < w->ports ? at : at - w->ports);
	if (overflow_port_used(w->f->m, w->s, &w->f->p, port | w->of) ||
	    (settings.portmaps && portmap_is_on(w->f->m, w->f->subscriber, w->f->p.proto, port)))
		return 0;
	w->port = port;
	return 1;
}

/* Under the lock: a port of the subscriber's granted blocks that is free towards the flow's endpoint; 0: none. */
static __noinline __u32 grant_port(const struct flow *f, struct subscriber *s, __u32 of)
{
	struct grant_walk w = { .f = f, .s = s, .ports = LOAD(f->m->growth.block), .of = of };
	__u32 n = LOAD(f->m->growth.max_blocks), last = grant_search_first(s, n), walked = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i <= GROWTH_MAX_BLOCKS && !w.port; i++) {
		__u32 k = i ? i - 1 : last;

		if (k >= n || !w.ports)
			break;
		w.port_lo = (__u32)grant_port_lo(f->m, f->p.src, k);
		if (w.port_lo)
			walked += (__u32)bpf_loop(w.ports, grant_walk_port, &w, 0);
	}
	search_count(s, walked / GRANT_PORTS_OF_UNIT + !w.port);
	return w.port;
}

#endif
