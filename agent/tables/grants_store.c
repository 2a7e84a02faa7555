// SPDX-License-Identifier: BSD-2-Clause
/* The agent's records of granted blocks: by outside address and port, and in lists by inside and by outside address. */
#include <errno.h>

#include "tables/grants_private.h"

struct place {
	struct hash_entry entry;
	/* With those of the inside and of the outside address. */
	struct hash_links of_in;
	struct hash_links of_out;
	struct grant grant;
};

static uint64_t hash_place(const void *entry)
{
	const struct place *p = entry;

	return HASH_OF((uint64_t)p->grant.out_addr << 16 | p->grant.port_lo);
}

static bool same_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->grant.out_addr == y->grant.out_addr && x->grant.port_lo == y->grant.port_lo;
}

static const struct hash_type places = { sizeof(struct place), GRANTS_MAX, hash_place, same_place };

static struct place *place_of(const struct grant *grant)
{
	return (struct place *)((char *)grant - offsetof(struct place, grant));
}

static uint64_t hash_in(const void *entry)
{
	return HASH_OF(((const struct place *)entry)->grant.in_addr);
}

static bool same_in(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->grant.in_addr == y->grant.in_addr;
}

static uint64_t hash_out(const void *entry)
{
	return HASH_OF(((const struct place *)entry)->grant.out_addr);
}

static bool same_out(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->grant.out_addr == y->grant.out_addr;
}

static const struct hash_list_type of_in = { &places, offsetof(struct place, of_in), hash_in, same_in };
static const struct hash_list_type of_out = { &places, offsetof(struct place, of_out), hash_out, same_out };

void grant_tally(struct grants *g, const struct grant *grant, int by)
{
	if (grant->state == GRANT_RESTS)
		g->figures.rests += (uint32_t)by;
	if (grant->state == GRANT_FREE)
		g->figures.free += (uint32_t)by;
	if (grant->state != GRANT_OPEN && grant->state != GRANT_CLOSED)
		return;
	g->figures.grants += (uint32_t)by;
	g->figures.ports += (uint64_t)(by * grant->ports);
}

struct grant *grant_store(struct grants *g, const struct grant *like)
{
	const struct place model = { .grant = *like };
	struct place *p = hash_add(&places, &g->by_out, &model);

	if (!p)
		return NULL;
	if (hash_list_add(&of_out, &g->by_out, &g->by_out_addr, p)) {
		hash_del(&places, &g->by_out, p);
		return NULL;
	}
	if (like->in_addr && hash_list_add(&of_in, &g->by_out, &g->by_in_addr, p)) {
		hash_list_del(&of_out, &g->by_out, &g->by_out_addr, p);
		hash_del(&places, &g->by_out, p);
		return NULL;
	}
	grant_tally(g, &p->grant, 1);
	return &p->grant;
}

void grant_leave(struct grants *g, struct grant *grant)
{
	if (grant->in_addr)
		hash_list_del(&of_in, &g->by_out, &g->by_in_addr, place_of(grant));
	grant->in_addr = 0;
}

void grant_forget(struct grants *g, struct grant *grant)
{
	struct place *p = place_of(grant);

	grant_tally(g, grant, -1);
	grant_leave(g, grant);
	hash_list_del(&of_out, &g->by_out, &g->by_out_addr, p);
	hash_del(&places, &g->by_out, p);
}

void grant_store_free(struct grants *g)
{
	hash_free(&g->by_out);
	hash_index_free(&g->by_in_addr);
	hash_index_free(&g->by_out_addr);
	hash_index_free(&g->full);
}

struct grant *grants_find(const struct grants *g, uint32_t out_addr, uint16_t port_lo)
{
	const struct place like = { .grant = { .out_addr = out_addr, .port_lo = port_lo } };
	struct place *p = hash_find(&places, &g->by_out, &like);

	return p ? &p->grant : NULL;
}

static struct grant *next_of(const struct grants *g, const struct hash_list_type *list, const struct hash_index *first,
			     const struct grant *like, const struct grant *before)
{
	const struct place model = { .grant = *like };
	struct place *p = before ? hash_list_next(list, &g->by_out, place_of(before))
				 : hash_list_first(list, &g->by_out, first, &model);

	return p ? &p->grant : NULL;
}

uint8_t grant_tenant(const struct grants *g, uint32_t out_addr)
{
	int number = mappings_find_outside(g->m, out_addr);

	return number < 0 ? 0 : mappings_get(g->m, number)->tenant;
}

struct grant *grants_of(const struct grants *g, uint64_t place, const struct grant *before)
{
	const struct grant like = { .in_addr = inside_addr(place) };
	struct grant *found = next_of(g, &of_in, &g->by_in_addr, &like, before);

	/* One that is reserved has no tenant yet. */
	while (found && inside_tenant(place) && grant_tenant(g, found->out_addr) != inside_tenant(place))
		found = next_of(g, &of_in, &g->by_in_addr, &like, found);
	return found;
}

struct grant *grants_on(const struct grants *g, uint32_t out_addr, const struct grant *before)
{
	return next_of(g, &of_out, &g->by_out_addr, &(struct grant){ .out_addr = out_addr }, before);
}

struct grant *grants_walk(const struct grants *g, uint32_t *at)
{
	struct place *p = hash_walk(&places, &g->by_out, at);

	return p ? &p->grant : NULL;
}

uint32_t grants_end(const struct grants *g)
{
	return g->by_out.end;
}

const struct grant *grants_get(const struct grants *g, uint32_t place)
{
	const struct place *p = hash_get(&places, &g->by_out, place);

	return p ? &p->grant : NULL;
}

static bool has_port(const struct grant *grant, uint16_t port)
{
	return grant->state != GRANT_FREE && port >= grant->port_lo && port - grant->port_lo < grant->ports;
}

struct grant *grants_at(const struct grants *g, uint32_t out_addr, uint16_t port)
{
	int number = g->by_out.n ? mappings_find_outside(g->m, out_addr) : -1;
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);
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
