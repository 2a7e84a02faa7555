// SPDX-License-Identifier: BSD-2-Clause
/* The agent's records of granted blocks, found. */
#include "tables/grants_private.h"

void grant_tally(struct assignments *s, const void *record, int by)
{
	struct grants *g = (struct grants *)s;
	const struct grant *grant = record;

	if (grant->state == GRANT_RESTS)
		g->figures.rests += (uint32_t)by;
	if (grant->state == GRANT_FREE)
		g->figures.free += (uint32_t)by;
	if (grant->state != GRANT_OPEN && grant->state != GRANT_CLOSED)
		return;
	g->figures.grants += (uint32_t)by;
	g->figures.ports += (uint64_t)(by * grant->ports);
}

struct grant *grants_find(const struct grants *g, uint32_t out_addr, uint16_t port_lo)
{
	return assignments_find(&g->table, 0, (struct endpoint){ out_addr, port_lo });
}

struct grant *grants_of(const struct grants *g, uint64_t place, const struct grant *before)
{
	struct grant *i = assignments_next(&g->table, ASSIGNED_TO, inside_addr(place), before);

	/* One that is reserved has no tenant yet. */
	while (i && inside_tenant(place) && mappings_outside_tenant(g->table.m, i->out_addr) != inside_tenant(place))
		i = assignments_next(&g->table, ASSIGNED_TO, inside_addr(place), i);
	return i;
}

struct grant *grants_on(const struct grants *g, uint32_t out_addr, const struct grant *before)
{
	return assignments_next(&g->table, ASSIGNED_BY, out_addr, before);
}

struct grant *grants_walk(const struct grants *g, uint32_t *at)
{
	return assignments_walk(&g->table, at);
}

uint32_t grants_end(const struct grants *g)
{
	return g->table.records.end;
}

const struct grant *grants_get(const struct grants *g, uint32_t place)
{
	return hash_get(&g->table.type, &g->table.records, place);
}

static bool has_port(const struct grant *grant, uint16_t port)
{
	return grant->state != GRANT_FREE && port >= grant->port_lo && port - grant->port_lo < grant->ports;
}

struct grant *grants_at(const struct grants *g, uint32_t out_addr, uint16_t port)
{
	int number = g->table.records.n ? mappings_find_outside(g->table.m, out_addr) : -1;
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->table.m, number);
	int block = m && m->growth.block ? growth_block_of(&m->geo, m->growth.block, port) : -1;
	struct grant *found =
		block < 0
			? NULL
			: grants_find(g, out_addr, (uint16_t)growth_port_lo(&m->geo, m->growth.block, (uint32_t)block));

	if (found && has_port(found, port))
		return found;
	/* One of another size, from before a change of the mapping. */
	for (found = grants_on(g, out_addr, NULL); found; found = grants_on(g, out_addr, found))
		if (has_port(found, port))
			return found;
	return NULL;
}

const struct grant *grants_owner(const struct grants *g, uint32_t out_addr, uint16_t port)
{
	const struct grant *grant = grants_at(g, out_addr, port);

	return grant && (grant->state == GRANT_OPEN || grant->state == GRANT_CLOSED) ? grant : NULL;
}
