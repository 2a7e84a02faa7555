/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens sessions on granted ports, once no port of the block is free; and asks the agent for a block, once none of the
 * granted ones is.
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
	if (overflow_port_used(w->f->m, w->s, &w->f->p, port | w->of))
		return 0;
	w->port = port;
	return 1;
}

/* Value of subscriber.growth_vain after a search in vain for an external endpoint; never 0. */
static __always_inline __u32 growth_mark(const struct flow *f)
{
	return f->now << 16 | search_mark(&f->p);
}

/* Units of search work for so many ports of granted blocks. */
#define GRANT_PORTS_OF_UNIT 64U

/* Under the lock: a port of the subscriber's granted blocks that is free towards the flow's endpoint; 0: none. */
static __noinline __u32 grant_port(const struct flow *f, struct subscriber *s, __u32 of)
{
	struct grant_walk w = { .f = f, .s = s, .ports = LOAD(f->m->growth.block), .of = of };
	__u32 n = LOAD(f->m->growth.max_blocks), walked = 0;

#pragma clang loop unroll(disable)
	for (__u32 k = 0; k < GROWTH_MAX_BLOCKS && !w.port; k++) {
		if (k >= n || !w.ports)
			break;
		w.port_lo = (__u32)grant_port_lo(f->m, f->p.src, k);
		if (w.port_lo)
			walked += (__u32)bpf_loop(w.ports, grant_walk_port, &w, 0);
	}
	search_count(s, walked / GRANT_PORTS_OF_UNIT + !w.port);
	return w.port;
}

/* Asks the agent for a block, as often as the rate limit allows. */
static __always_inline void growth_ask(const struct flow *f, struct subscriber *s)
{
	if (!rate_allows(&s->growth_next, GROWTH_ASKS_PER_SECOND))
		return;

	struct nat_event e = {
		.type = EVENT_GROWTH,
		.proto = f->p.proto,
		.in_addr = f->p.src,
		.out_addr = mapping_out_addr(&f->m->geo, f->subscriber),
		.ext_addr = f->p.dst,
		.ext_port = f->p.dport,
		.in_port = f->p.sport,
	};

	notify(&e);
}

/*
 * Refuses a flow without a port: in silence while the agent is on its way to grant a block, as the retransmission will
 * find it.
 */
static __always_inline int open_grow(ctx_t *ctx, const struct flow *f, struct subscriber *s)
{
	if (!mapping_grows(f->m, f->p.proto))
		return refuse(ctx, REASON_drop_ports_exhausted);
	if (!grant_may_follow(f->m, f->p.src))
		return refuse(ctx, REASON_drop_growth_exhausted);
	if (!growth_is_served(f->now))
		return refuse(ctx, REASON_drop_ports_exhausted);
	growth_ask(f, s);
	return drop(REASON_drop_ports_exhausted);
}

#endif
