/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions of draining mappings, <detnat/drains.h>. Packets from inside look for them after the slots of their own
 * mapping, before anything is opened. Compiled away while nothing drains.
 */
#ifndef DETNAT_DRAIN_H
#define DETNAT_DRAIN_H

#include "subscriber/drain_lookup.h"
#include "session/session_lookup.h"
#if FAMILY6
#include "session/host6.h"
#endif

/*
 * Outside port, and mapping, of a session in a draining mapping, of a tenant's packet; 0: none. As
 * session_lookup_in2out().
 */
static __always_inline int drain_find_in2out(__u32 tenant, const struct packet *p, enum session_use use,
					     const struct mapping **ret_m)
{
	const struct drain_entry *e = drain_entry_of(p->src);
	const struct mapping_table *t = mapping_table_get();

	if (!e || !t)
		return 0;
	for (__u32 i = 0; i < DRAIN_DEPTH; i++) {
		const struct mapping *m;
		int port;

		if (i >= e->n)
			return 0;
		m = &t->mapping[e->from[i].mapping & (MAX_MAPPINGS - 1)];
		if (!drain_is_of(m, tenant) || six_turn_to(m, mapping_subscriber(&m->geo, p->src)))
			continue;
		port = use == SESSION_PACKET ? session_packet_in2out(m, p) : session_quote_in2out(m, p);
		if (port) {
			*ret_m = m;
			return port;
		}
	}
	return 0;
}

/* The same for the flow of a packet, which becomes one of that mapping. */
static __always_inline int drain_take(__u32 tenant, struct flow *f, enum session_use use)
{
	const struct mapping *m = 0;
	int port = settings.drains ? drain_find_in2out(tenant, &f->p, use, &m) : 0;

	if (!port || !m) {
		if (FAMILY6 && settings.drains && f->m)
			six_turn_to(f->m, mapping_subscriber(&f->m->geo, f->p.src));
		return 0;
	}
	f->m = m;
	flow_complete(f);
	TRACE_SUBSCRIBER(f->m, f->subscriber);
	return port;
}

#endif
