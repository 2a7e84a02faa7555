/* SPDX-License-Identifier: BSD-2-Clause */
/* Address bindings that drain are there as long as that lasts. */
#include <errno.h>
#include <stdlib.h>

#include "change/plan_bindings.h"

static int append(struct plan_binding_list *l, const struct plan_binding *b, uint32_t first, uint32_t last)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		struct plan_binding *larger = reallocarray(l->at, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		l->at = larger;
		l->room = room;
	}
	l->at[l->n] = *b;
	l->at[l->n++].of = (struct address_range){ first, last };
	return 0;
}

static bool same_mapping(const struct plan_binding *a, const struct plan_binding *b)
{
	return a->in.base == b->in.base && a->in.plen == b->in.plen && a->out.base == b->out.base &&
	       a->out.plen == b->out.plen;
}

int plan_binding_append(struct plan_binding_list *l, const struct plan_binding *b)
{
	return append(l, b, b->of.first, b->of.last);
}

int plan_binding_append_rest(struct plan_binding_list *l, const struct plan_binding *b,
			     const struct plan_binding *minus, size_t n)
{
	uint64_t at = b->of.first;
	int r = 0;

	while (at <= b->of.last && !r) {
		uint64_t next = (uint64_t)b->of.last + 1, covered = at;

		for (size_t i = 0; i < n; i++) {
			const struct address_range *of = &minus[i].of;

			if (!same_mapping(b, &minus[i]) || of->last < at)
				continue;
			if (of->first > at)
				next = of->first < next ? of->first : next;
			else if ((uint64_t)of->last + 1 > covered)
				covered = (uint64_t)of->last + 1;
		}
		if (covered == at)
			r = append(l, b, (uint32_t)at, (uint32_t)(next - 1));
		at = covered == at ? next : covered;
	}
	return r;
}

int plan_binding_drains(const struct mappings *m, struct plan_binding_list *ret)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain);
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		const struct geometry *g = &mappings_get(m, drain[i].number)->geo;
		struct prefix in = drain[i].in;
		struct plan_binding b = { .in = { g->in_base, g->in_plen },
					  .out = { g->out_base, g->out_plen },
					  .of = { in.base, in.base | ~prefix_mask(in.plen) } };

		r = plan_binding_append(ret, &b);
	}
	return r;
}
