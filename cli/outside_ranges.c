// SPDX-License-Identifier: BSD-2-Clause
#include "outside_ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array_grow.h"

static int add(struct outside_ranges *r, size_t *room, uint32_t first, uint32_t last)
{
	if (r->n && r->range[r->n - 1].first == first && r->range[r->n - 1].last == last)
		return 0;
	if (array_grow(&r->range, r->n, room, sizeof(*r->range)))
		return -ENOMEM;
	r->range[r->n++] = (struct outside_range){ first, last };
	return 0;
}

static int add_claim(struct outside_ranges *r, size_t *room, const struct history_claim *c)
{
	int e = 0;

	for (size_t i = 0; i < c->plan.n && !e; i++) {
		const struct geometry *g = &c->plan.part[i].geo;

		if (g->out_plen != PLEN_NONE)
			e = add(r, room, g->out_base, g->out_base + g->last_out);
	}
	for (size_t i = 0; i < c->n_blocks && !e; i++)
		e = add(r, room, c->block[i].out, c->block[i].out);
	return e;
}

static int compare(const void *a, const void *b)
{
	const struct outside_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* In order, and those that overlap or follow each other become one. */
static void join(struct outside_ranges *r)
{
	size_t n = 0;

	if (r->n)
		qsort(r->range, r->n, sizeof(*r->range), compare);
	for (size_t i = 0; i < r->n; i++) {
		struct outside_range *before = n ? &r->range[n - 1] : NULL;

		if (!before || r->range[i].first > (uint64_t)before->last + 1)
			r->range[n++] = r->range[i];
		else if (r->range[i].last > before->last)
			before->last = r->range[i].last;
	}
	r->n = n;
}

int outside_ranges_read(const struct history_index *x, const struct history_claims *claims, struct outside_ranges *ret)
{
	struct outside_ranges r = { 0 };
	size_t room = 0;
	int e = 0;

	for (size_t i = 0; i < x->mappings.n && !e; i++) {
		struct prefix out = x->mappings.interval[i].mapping.out;

		if (!prefix_is_none(out))
			e = add(&r, &room, out.base, prefix_last(out));
	}
	for (size_t i = 0; i < claims->n && !e; i++)
		e = add_claim(&r, &room, &claims->claim[i]);
	if (e) {
		outside_ranges_free(&r);
		return e;
	}
	join(&r);
	r.known = r.n && !x->n_damages && !claims->damaged;
	*ret = r;
	return 0;
}

void outside_ranges_free(struct outside_ranges *r)
{
	free(r->range);
	*r = (struct outside_ranges){ 0 };
}

bool outside_ranges_hold(const struct outside_ranges *r, uint32_t addr)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->range[middle].last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n && r->range[low].first <= addr;
}
