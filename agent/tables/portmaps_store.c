/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's records of all portmaps, found. */
#include "tables/portmaps_private.h"

const struct portmap *portmaps_by_out(const struct portmaps *p, uint8_t proto, struct endpoint out)
{
	return assignments_find(&p->table, proto, out);
}

const struct portmap *portmaps_by_in(const struct portmaps *p, uint8_t tenant, uint8_t proto, struct endpoint in)
{
	return assignments_inside(&p->table, tenant, proto, in);
}

const struct portmap *portmaps_of(const struct portmaps *p, uint64_t place, const struct portmap *before)
{
	const struct portmap *m = before;

	do {
		m = assignments_next(&p->table, ASSIGNED_TO, inside_addr(place), m);
	} while (m && inside_tenant(place) && m->tenant != inside_tenant(place));
	return m;
}

const struct portmap *portmaps_next(const struct portmaps *p, const struct portmap *before)
{
	uint32_t at = before ? before->entry.number + 1 : 0;

	return assignments_walk(&p->table, &at);
}

const struct portmap *portmaps_walk(const struct portmaps *p, uint32_t *place, uint32_t end)
{
	const struct portmap *m = NULL;

	while (!m && *place < p->table.records.end && *place < end)
		m = hash_get(&p->table.type, &p->table.records, (*place)++);
	if (!m && *place >= p->table.records.end)
		*place = 0;
	return m;
}

size_t portmaps_lease_room(const struct portmaps *p)
{
	return p->lease_room;
}

size_t portmaps_count(const struct portmaps *p, enum portmap_origin origin)
{
	return p->n_of[origin];
}
