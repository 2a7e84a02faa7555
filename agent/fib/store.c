/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/store.h"

#include <detnat/fib.h>
#include <stdlib.h>

#include "base/hash.h"

/* A segment grows by a quarter when four fifths of it are in use. */
#define FIRST_SIZE 16U

static uint32_t hash_of(uint32_t dst, unsigned plen, uint8_t flags)
{
	return (uint32_t)HASH_OF((uint64_t)dst << 8 | plen << 1 | (flags & FIB_ROUTE_LOCAL));
}

/* The top bits choose the segment, all others the place in it. */
static uint32_t home(uint32_t hash, uint32_t size)
{
	return (uint32_t)((uint64_t)(hash << 8) * size >> 32);
}

static uint32_t hash_of_route(const struct fib_route *r)
{
	return hash_of(r->dst, r->plen, r->flags);
}

static bool same_prefix(const struct fib_route *r, uint32_t dst, unsigned plen, uint8_t flags)
{
	return r->dst == dst && r->plen == plen && !((r->flags ^ flags) & FIB_ROUTE_LOCAL);
}

static bool same_route(const struct fib_route *a, const struct fib_route *b)
{
	return same_prefix(a, b->dst, b->plen, b->flags) && a->metric == b->metric && a->hop == b->hop &&
	       a->tag == b->tag;
}

void fib_store_free(struct fib_store *s)
{
	for (size_t i = 0; i < FIB_SEGMENTS; i++)
		free(s->segment[i].route);
	*s = (struct fib_store){ 0 };
}

static struct fib_segment *segment_of(const struct fib_store *s, uint32_t hash)
{
	return (struct fib_segment *)&s->segment[hash >> 24];
}

static struct fib_route *put(struct fib_segment *g, const struct fib_route *route)
{
	uint32_t at = home(hash_of_route(route), g->size);

	while (g->route[at].flags & FIB_ROUTE_USED)
		at = at + 1 < g->size ? at + 1 : 0;
	g->route[at] = *route;
	g->route[at].flags |= FIB_ROUTE_USED;
	g->count++;
	return &g->route[at];
}

static bool grow(struct fib_segment *g)
{
	struct fib_segment grown = { .size = g->size ? g->size + g->size / 4 : FIRST_SIZE };

	grown.route = calloc(grown.size, sizeof(*grown.route));
	if (!grown.route)
		return false;
	for (uint32_t i = 0; i < g->size; i++)
		if (g->route[i].flags & FIB_ROUTE_USED)
			put(&grown, &g->route[i]);
	free(g->route);
	*g = grown;
	return true;
}

/* Adds a route to the counts, or subtracts it. */
static void tally(struct fib_store *s, const struct fib_route *r, int n)
{
	if (!(r->flags & FIB_ROUTE_LOCAL))
		s->of_length[r->plen] += (size_t)n;
	if (r->flags & FIB_ROUTE_GONE)
		return;
	s->count += (size_t)n;
	s->kept[r->kept] += (size_t)n;
	if (r->flags & FIB_ROUTE_UNSURE)
		s->unsure += (size_t)n;
}

struct fib_route *fib_store_next(const struct fib_store *s, uint32_t dst, unsigned plen, uint8_t flags,
				 struct fib_route *from)
{
	uint32_t hash = hash_of(dst, plen, flags), at;
	const struct fib_segment *g = segment_of(s, hash);

	if (!g->size)
		return NULL;
	at = from ? (uint32_t)(from - g->route) + 1 : home(hash, g->size);
	for (;; at++) {
		if (at >= g->size)
			at = 0;
		if (!(g->route[at].flags & FIB_ROUTE_USED))
			return NULL;
		if (same_prefix(&g->route[at], dst, plen, flags))
			return &g->route[at];
	}
}

struct fib_route *fib_store_find(const struct fib_store *s, const struct fib_route *route)
{
	struct fib_route *r = NULL;

	while ((r = fib_store_next(s, route->dst, route->plen, route->flags, r)))
		if (same_route(r, route))
			break;
	return r;
}

struct fib_route *fib_store_add(struct fib_store *s, const struct fib_route *route, bool *ret_new)
{
	struct fib_segment *g = segment_of(s, hash_of_route(route));
	struct fib_route *r = fib_store_find(s, route);

	if (ret_new)
		*ret_new = !r;
	if (r)
		return r;
	if (g->count + 1 > g->size / 5 * 4 && !grow(g))
		return NULL;
	tally(s, route, 1);
	return put(g, route);
}

void fib_store_remove(struct fib_store *s, struct fib_route *route)
{
	struct fib_segment *g = segment_of(s, hash_of_route(route));
	uint32_t hole = (uint32_t)(route - g->route), at = hole;

	tally(s, route, -1);
	g->count--;
	/* Moves up the entries behind it that lookups would no longer find. */
	for (;;) {
		uint32_t from;

		at = at + 1 < g->size ? at + 1 : 0;
		if (!(g->route[at].flags & FIB_ROUTE_USED))
			break;
		from = home(hash_of_route(&g->route[at]), g->size);
		if (hole <= at ? hole < from && from <= at : hole < from || from <= at)
			continue;
		g->route[hole] = g->route[at];
		hole = at;
	}
	g->route[hole] = (struct fib_route){ 0 };
}

void fib_store_flag(struct fib_store *s, struct fib_route *route, uint8_t flags)
{
	tally(s, route, -1);
	route->flags = flags | FIB_ROUTE_USED;
	tally(s, route, 1);
}

bool fib_store_best(const struct fib_store *s, uint32_t dst, unsigned plen, uint8_t flags, uint32_t *ret_hop)
{
	struct fib_route *r = NULL;
	uint32_t metric = 0, hop = 0;
	bool found = false;

	while ((r = fib_store_next(s, dst, plen, flags, r))) {
		if (r->flags & FIB_ROUTE_GONE)
			continue;
		if (found && r->metric > metric)
			continue;
		if (!found || r->metric < metric)
			hop = r->flags & FIB_ROUTE_UNSURE ? FIB_HOP_KERNEL : r->hop;
		else if (r->hop != hop || r->flags & FIB_ROUTE_UNSURE)
			hop = FIB_HOP_KERNEL;
		metric = r->metric;
		found = true;
	}
	if (found)
		*ret_hop = hop;
	return found;
}

unsigned fib_store_cover(const struct fib_store *s, uint32_t dst, unsigned plen, uint32_t *ret_hop)
{
	while (plen-- > 1)
		if (s->of_length[plen] && fib_store_best(s, dst & fib_mask(plen), plen, 0, ret_hop))
			return plen;
	return 0;
}

size_t fib_store_memory(const struct fib_store *s)
{
	size_t routes = 0;

	for (size_t i = 0; i < FIB_SEGMENTS; i++)
		routes += s->segment[i].size;
	return sizeof(*s) + routes * sizeof(struct fib_route);
}
