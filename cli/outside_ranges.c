// SPDX-License-Identifier: BSD-2-Clause
#include "outside_ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array_grow.h"
#include "base/search.h"

static int add(struct outside_ranges *r, size_t *room, uint32_t first, uint32_t last)
{
	if (r->n && r->range[r->n - 1].first == first && r->range[r->n - 1].last == last)
		return 0;
	if (array_grow(&r->range, r->n, room, sizeof(*r->range)))
		return -ENOMEM;
	r->range[r->n++] = (struct address_range){ first, last };
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
	r.n = address_ranges_merge(r.range, r.n);
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
	size_t low = count_while(i, r->n, r->range[i].last < addr);

	return low < r->n && r->range[low].first <= addr;
}
