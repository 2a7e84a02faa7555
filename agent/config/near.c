/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/near.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* An index of the names takes as long to make as this many looks at all names. */
#define NAMES_PAY 8U

/* A range of addresses; those of a list are in the order of their beginnings. */
struct span {
	uint32_t first, last;
	uint32_t number; /* of the mapping */
	uint32_t most;	 /* last address of all ranges of the piece whose middle this is */
};

struct spans {
	bool made;
	struct span *item;
	uint32_t n;
};

/* The indexes of a list. They name mappings by number, so they are those of a copy of the list, too. */
struct indexes {
	uint32_t sharers; /* lists besides the first */
	struct spans side[NEAR_SIDES];
	bool has_names;
	uint32_t named; /* times that somebody has looked for a name while there was no index of them */
	struct hash_index names;
};

struct near_index {
	/* The list that the indexes are of: a configuration may be copied, and its list cut short. */
	const struct config_mapping *mappings;
	size_t n_mappings;
	struct indexes *of; /* NULL: none were made */
};

struct near_index *near_index_new(void)
{
	return calloc(1, sizeof(struct near_index));
}

static void let_go(struct indexes *i)
{
	if (!i || i->sharers--)
		return;
	for (unsigned s = 0; s < NEAR_SIDES; s++)
		free(i->side[s].item);
	hash_index_free(&i->names);
	free(i);
}

void near_index_forget(struct near_index *x)
{
	if (!x || !x->of)
		return;
	if (x->of->sharers) {
		let_go(x->of);
		x->of = NULL;
		return;
	}
	for (unsigned s = 0; s < NEAR_SIDES; s++)
		x->of->side[s].made = false;
	x->of->has_names = false;
	x->of->named = 0;
}

void near_index_free(struct near_index *x)
{
	if (x)
		let_go(x->of);
	free(x);
}

/* NULL: there is none, or no memory for one. */
static struct indexes *index_of(const struct config *c)
{
	struct near_index *x = c->near;

	if (!x)
		return NULL;
	if (x->mappings != c->mappings || x->n_mappings != c->n_mappings) {
		near_index_forget(x);
		x->mappings = c->mappings;
		x->n_mappings = c->n_mappings;
	}
	if (!x->of)
		x->of = calloc(1, sizeof(*x->of));
	return x->of;
}

struct near_index *near_index_share(const struct config *c, const struct config_mapping *copy)
{
	const struct near_index *x = c->near;
	struct near_index *shared = near_index_new();

	/* What either of them finds out before a change, the other need not. */
	if (!shared || !index_of(c))
		return shared;
	*shared = (struct near_index){ copy, x->n_mappings, x->of };
	x->of->sharers++;
	return shared;
}

static int by_first(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Notes in the middle of each piece the last address of the piece. */
static uint32_t note_most(struct span *item, uint32_t low, uint32_t high) /* NOLINT(misc-no-recursion) */
{
	uint32_t middle = low + (high - low) / 2, left, right, most;

	if (low == high)
		return 0;
	most = item[middle].last;
	left = note_most(item, low, middle);
	right = note_most(item, middle + 1, high);
	most = left > most ? left : most;
	item[middle].most = right > most ? right : most;
	return item[middle].most;
}

static void add_span(struct spans *s, struct prefix p, size_t number)
{
	if (!prefix_is_none(p))
		s->item[s->n++] = (struct span){ .first = p.base, .last = prefix_last(p), .number = (uint32_t)number };
}

/* A list whose mappings have several prefixes of a side has as many spans. */
static size_t most_spans(const struct config *c, enum near_side side)
{
	size_t n = 0;

	for (size_t i = 0; side == NEAR_SPARE && i < c->n_mappings; i++)
		n += c->mappings[i].n_spare;
	return side == NEAR_SPARE ? n : c->n_mappings;
}

static bool make_spans(const struct config *c, struct spans *s, enum near_side side)
{
	struct span *item = reallocarray(s->item, most_spans(c, side) + 1, sizeof(*item));
	bool in_order = true;

	if (!item)
		return false;
	s->item = item;
	s->n = 0;
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (side != NEAR_SPARE)
			add_span(s, side == NEAR_IN ? m->in : m->out, i);
		for (uint32_t k = 0; side == NEAR_SPARE && k < m->n_spare; k++)
			add_span(s, m->spare[k], i);
	}
	for (uint32_t i = 1; i < s->n && in_order; i++)
		in_order = by_first(&item[i - 1], &item[i]) < 0;
	if (!in_order)
		qsort(item, s->n, sizeof(*item), by_first);
	note_most(item, 0, s->n);
	s->made = true;
	return true;
}

static struct near begin(const struct config *c, enum near_side side, uint32_t first, uint32_t last)
{
	struct indexes *x = index_of(c);
	struct near n;

	/* Not the lists of pieces, which take longer to clear than to use. */
	n.config = c;
	n.index = NULL;
	n.side = side;
	n.first = first;
	n.last = last;
	n.at = n.n = 0;
	if (x && (x->side[side].made || make_spans(c, &x->side[side], side))) {
		n.index = x;
		n.n = 1;
		n.low[0] = 0;
		n.high[0] = x->side[side].n;
	}
	return n;
}

struct near near_begin(const struct config *c, enum near_side side, struct prefix p)
{
	if (prefix_is_none(p))
		return (struct near){ .config = c, .at = (uint32_t)c->n_mappings };
	return begin(c, side, p.base, prefix_last(p));
}

struct near near_begin_addr(const struct config *c, enum near_side side, uint32_t addr)
{
	return begin(c, side, addr, addr);
}

struct config_mapping *near_next(struct near *n)
{
	const struct spans *s = n->index ? &n->index->side[n->side] : NULL;

	if (!s)
		return n->at < n->config->n_mappings ? &n->config->mappings[n->at++] : NULL;
	while (n->n) {
		uint32_t low = n->low[n->n - 1], high = n->high[n->n - 1], middle = low + (high - low) / 2;
		const struct span *item = &s->item[middle];

		n->n--;
		if (low == high || item->most < n->first)
			continue;
		n->low[n->n] = low;
		n->high[n->n++] = middle;
		if (item->first > n->last)
			continue;
		n->low[n->n] = middle + 1;
		n->high[n->n++] = high;
		if (item->last >= n->first)
			return &n->config->mappings[item->number];
	}
	return NULL;
}

static uint64_t name_hash(const char *name)
{
	return hash_octets(name, strlen(name));
}

static bool make_names(const struct config *c, struct indexes *x)
{
	hash_index_clear(&x->names);
	for (size_t i = 0; i < c->n_mappings; i++)
		if (*c->mappings[i].name && hash_index_add(&x->names, name_hash(c->mappings[i].name), (uint32_t)i))
			return false;
	x->has_names = true;
	return true;
}

struct near_named near_named_begin(const struct config *c, const char *name)
{
	struct indexes *x = index_of(c);
	struct near_named n = { .config = c, .name = name };

	if (x && (x->has_names || (x->named++ >= NAMES_PAY && make_names(c, x)))) {
		n.index = x;
		n.hash = name_hash(name);
	}
	return n;
}

struct config_mapping *near_named_next(struct near_named *n)
{
	const struct config *c = n->config;
	uint32_t i;

	if (!n->index) {
		while (n->at < c->n_mappings && strcmp(c->mappings[n->at].name, n->name) != 0)
			n->at++;
		return n->at < c->n_mappings ? &c->mappings[n->at++] : NULL;
	}
	while (hash_index_next(&n->index->names, n->hash, &n->at, &i))
		if (!strcmp(c->mappings[i].name, n->name))
			return &c->mappings[i];
	return NULL;
}
