// SPDX-License-Identifier: BSD-2-Clause
/* The agent's records of granted blocks: by outside address and port, and in lists by inside and by outside address. */
#include <errno.h>

#include "tables/grants_private.h"

/* Numbers + 1 of the neighbours in a list, 0: none. */
struct links {
	uint32_t next;
	uint32_t before;
};

enum list { BY_IN, BY_OUT };

struct place {
	struct hash_entry entry;
	struct links links[2];
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

static struct place *place_at(const struct grants *g, uint32_t number)
{
	return hash_at(&places, &g->by_out, number);
}

static struct hash_index *index_of(const struct grants *g, enum list list)
{
	return (struct hash_index *)(list == BY_IN ? &g->by_in_addr : &g->by_out_addr);
}

static uint32_t addr_of(const struct place *p, enum list list)
{
	return list == BY_IN ? p->grant.in_addr : p->grant.out_addr;
}

static struct place *first_of(const struct grants *g, enum list list, uint32_t addr)
{
	const struct hash_index *x = index_of(g, list);
	uint64_t hash = HASH_OF(addr);
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(x, hash, &step, &number);)
		if (addr_of(place_at(g, number), list) == addr)
			return place_at(g, number);
	return NULL;
}

/* Puts a place before all others of its address. */
static int link_place(struct grants *g, struct place *p, enum list list)
{
	struct place *first = first_of(g, list, addr_of(p, list));
	uint64_t hash = HASH_OF(addr_of(p, list));

	/* Reuses the room of the removed one. */
	if (first)
		hash_index_del(index_of(g, list), hash, first->entry.number);
	if (hash_index_add(index_of(g, list), hash, p->entry.number))
		return -ENOMEM;
	p->links[list] = (struct links){ 0 };
	if (first) {
		p->links[list].next = first->entry.number + 1;
		first->links[list].before = p->entry.number + 1;
	}
	return 0;
}

static void unlink_place(struct grants *g, struct place *p, enum list list)
{
	struct links *l = &p->links[list];
	uint64_t hash = HASH_OF(addr_of(p, list));

	if (l->next)
		place_at(g, l->next - 1)->links[list].before = l->before;
	if (l->before) {
		place_at(g, l->before - 1)->links[list].next = l->next;
		return;
	}
	hash_index_del(index_of(g, list), hash, p->entry.number);
	if (l->next)
		hash_index_add(index_of(g, list), hash, l->next - 1);
}

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
	if (link_place(g, p, BY_OUT)) {
		hash_del(&places, &g->by_out, p);
		return NULL;
	}
	if (like->in_addr && link_place(g, p, BY_IN)) {
		unlink_place(g, p, BY_OUT);
		hash_del(&places, &g->by_out, p);
		return NULL;
	}
	grant_tally(g, &p->grant, 1);
	return &p->grant;
}

void grant_leave(struct grants *g, struct grant *grant)
{
	if (grant->in_addr)
		unlink_place(g, place_of(grant), BY_IN);
	grant->in_addr = 0;
}

void grant_forget(struct grants *g, struct grant *grant)
{
	struct place *p = place_of(grant);

	grant_tally(g, grant, -1);
	grant_leave(g, grant);
	unlink_place(g, p, BY_OUT);
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

static struct grant *next_of(const struct grants *g, enum list list, uint32_t addr, const struct grant *before)
{
	uint32_t next = before ? place_of(before)->links[list].next : 0;
	struct place *p = !before ? first_of(g, list, addr) : next ? place_at(g, next - 1) : NULL;

	return p ? &p->grant : NULL;
}

uint8_t grant_tenant(const struct grants *g, uint32_t out_addr)
{
	int number = mappings_find_outside(g->m, out_addr);

	return number < 0 ? 0 : mappings_get(g->m, number)->tenant;
}

struct grant *grants_of(const struct grants *g, uint64_t place, const struct grant *before)
{
	struct grant *found = next_of(g, BY_IN, inside_addr(place), before);

	/* One that is reserved has no tenant yet. */
	while (found && inside_tenant(place) && grant_tenant(g, found->out_addr) != inside_tenant(place))
		found = next_of(g, BY_IN, inside_addr(place), found);
	return found;
}

struct grant *grants_on(const struct grants *g, uint32_t out_addr, const struct grant *before)
{
	return next_of(g, BY_OUT, out_addr, before);
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
