/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables look up the mapping around an exception when they link it: after the deletions that are not replacements,
 * and after the earlier additions. This file follows the same order.
 */
#include "change/change_plan_private.h"

#include <errno.h>
#include <stdlib.h>

/* A mapping in use, at some point of the plan. */
struct used {
	struct prefix in;
	struct prefix out;
	bool sessions; /* it may have sessions */
	uint8_t tenant;
};

/* Whether a mapping of the tables is gone when additions begin. */
static bool is_deleted(const struct change_plan *p, const struct used *u)
{
	for (size_t i = 0; i < p->n_del; i++)
		if (!p->del[i].over && !p->del[i].replaced && p->del[i].tenant == u->tenant &&
		    prefix_equal(p->del[i].in, u->in) && prefix_equal(p->del[i].out, u->out))
			return true;
	return false;
}

static struct used *room_for_used(const struct change_plan *p)
{
	return calloc(p->n_add ? MAX_MAPPINGS + p->n_add : 1, sizeof(struct used));
}

/* Those in use when additions begin; nobody asks where there are none. */
static size_t list_used(const struct change_plan *p, struct used *list)
{
	const struct mappings *m = p->context->mappings;
	size_t n = 0;

	if (!p->n_add)
		return 0;
	for (int number = mappings_next(m, 0); number >= 0; number = mappings_next(m, number + 1)) {
		const struct mapping *record = mappings_get(m, number);
		const struct geometry *g = &record->geo;
		struct used u = { geometry_in(g), geometry_out(g), record->first_bucket != NO_BUCKETS, record->tenant };

		if (!is_deleted(p, &u))
			list[n++] = u;
	}
	return n;
}

static struct history_drain drain_of(struct prefix in, struct prefix out, struct prefix of)
{
	return (struct history_drain){ .in = in, .out = out, .of = of, .from = TIME_NONE };
}

/* The mapping around an addition; NULL: none with sessions. */
static const struct used *around(const struct used *list, size_t n, const struct mapping_spec *of)
{
	const struct used *found = NULL;

	for (size_t i = 0; i < n; i++)
		if (tenants_meet(of->tenant, list[i].tenant) && prefix_inside(of->in, list[i].in) &&
		    (!found || prefix_inside(list[i].in, found->in)))
			found = &list[i];
	return found && found->sessions ? found : NULL;
}

/* Adds a mapping to those in use, in place of the one that it replaces. */
static size_t use(struct used *list, size_t n, const struct plan_addition *add)
{
	size_t at = 0;

	while (at < n && (!prefix_equal(list[at].in, add->spec.in) || !tenants_meet(list[at].tenant, add->spec.tenant)))
		at++;
	list[at] = (struct used){ add->spec.in, add->spec.out, add->revives, add->spec.tenant };
	return at == n ? n + 1 : n;
}

int plan_retired(const struct change_plan *p, struct fact_list *ret_end, struct fact_list *ret_begin)
{
	const struct mappings *m = p->context->mappings;
	_cleanup_free_ struct used *used = room_for_used(p);
	struct history_drain *begin = calloc(p->n_del + p->n_add + 1, sizeof(*begin)),
			     *end = calloc(p->n_end + p->n_add + 1, sizeof(*end));
	size_t n, n_begin = 0, n_end = 0;

	*ret_begin = (struct fact_list){ begin, 0 };
	*ret_end = (struct fact_list){ end, 0 };
	if (!used || !begin || !end)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_end; i++) {
		const struct geometry *g = &mappings_get(m, p->end[i].number)->geo;

		end[n_end++] = drain_of(geometry_in(g), geometry_out(g), p->end[i].in);
	}
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].drain_s && mappings_find(m, p->del[i].in, p->del[i].out) >= 0)
			begin[n_begin++] = drain_of(p->del[i].in, p->del[i].out, p->del[i].in);
	n = list_used(p, used);
	for (size_t i = 0; i < p->n_add; i++) {
		const struct plan_addition *add = &p->add[i];
		const struct used *outer = add->how.drain_s && !add->how.replaces ? around(used, n, &add->spec) : NULL;

		if (outer)
			begin[n_begin++] = drain_of(outer->in, outer->out, add->spec.in);
		if (add->revives)
			end[n_end++] = drain_of(add->spec.in, add->spec.out, add->spec.in);
		n = use(used, n, add);
	}
	ret_begin->n = n_begin;
	ret_end->n = n_end;
	return 0;
}

int plan_forget_needless(struct change_plan *p)
{
	_cleanup_free_ struct used *used = room_for_used(p);
	size_t n;

	if (!used)
		return -ENOMEM;
	n = list_used(p, used);
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];

		if (!add->how.replaces && !around(used, n, &add->spec))
			add->how.drain_s = 0;
		n = use(used, n, add);
	}
	return 0;
}
