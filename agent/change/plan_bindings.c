/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/inside_runs.h"
#include "change/change_plan_private.h"
#include "tables/mapping_drains.h"

/* The mappings before or after the plan, and the runs of their addresses. */
struct state {
	struct plan_binding *mapping;
	bool *changed; /* deleted or added by the plan */
	struct inside_range *prefix;
	struct inside_run *run;
	size_t n;
	size_t n_runs;
};

static void state_free(struct state *s)
{
	free(s->mapping);
	free(s->changed);
	free(s->prefix);
	free(s->run);
}

static int state_new(struct state *s, size_t room)
{
	s->mapping = calloc(room + 1, sizeof(*s->mapping));
	s->changed = calloc(room + 1, sizeof(*s->changed));
	s->prefix = calloc(room + 1, sizeof(*s->prefix));
	s->run = calloc(INSIDE_RUNS(room) + 1, sizeof(*s->run));
	return s->mapping && s->changed && s->prefix && s->run ? 0 : -ENOMEM;
}

static void state_add(struct state *s, struct prefix in, struct prefix out, const struct geometry *geo, uint8_t tenant,
		      bool changed)
{
	s->mapping[s->n] =
		(struct plan_binding){ .in = in, .out = out, .blocks = plan_blocks_of(geo), .tenant = tenant };
	s->changed[s->n] = changed;
	s->prefix[s->n] = inside_range_of(tenant, in, (unsigned)s->n);
	s->n++;
}

static bool is_added(const struct change_plan *p, const struct config_mapping *m)
{
	const uint8_t tenant = config_mapping_tenant(p->wanted, m);

	for (size_t i = 0; i < p->n_add; i++)
		if (p->add[i].committed && p->add[i].spec.tenant == tenant && prefix_equal(p->add[i].spec.in, m->in))
			return true;
	return false;
}

/*
 * The mapping of a state that has a place; -1: none, or no translation. *ret_last: the last place with the same
 * result.
 */
static int owner(const struct state *s, uint64_t place, uint64_t *ret_last)
{
	size_t at = inside_run_at(s->run, s->n_runs, place);

	*ret_last = INSIDE_END - 1;
	if (at == s->n_runs)
		return -1;
	if (s->run[at].first > place) {
		*ret_last = s->run[at].first - 1;
		return -1;
	}
	*ret_last = s->run[at].last;
	return prefix_is_none(s->mapping[s->run[at].number].out) ? -1 : s->run[at].number;
}

/* Whether the same mapping has an address before and after the plan. */
static bool stays(const struct state *before, int a, const struct state *after, int b)
{
	const struct plan_binding *x, *y;

	if (a < 0 || b < 0)
		return a == b;
	x = &before->mapping[a];
	y = &after->mapping[b];
	return !before->changed[a] && !after->changed[b] && prefix_equal(x->in, y->in);
}

/* Appends the addresses that one state has and the other has not. */
static size_t differences(const struct state *before, const struct state *after, bool made, struct plan_binding *ret)
{
	uint64_t at = 0;
	size_t n = 0;

	while (at < INSIDE_END) {
		uint64_t last_before, last_after;
		int a = owner(before, at, &last_before), b = owner(after, at, &last_after);
		uint64_t last = last_before < last_after ? last_before : last_after;
		int which = made ? b : a;

		if (which >= 0 && !stays(before, a, after, b)) {
			ret[n] = made ? after->mapping[which] : before->mapping[which];
			ret[n].of = (struct address_range){ inside_addr(at), inside_addr(last) };
			ret[n++].made = made;
		}
		at = last + 1;
	}
	return n;
}

static void list_free(struct plan_binding_list *l)
{
	free(l->at);
}

/* Appends the addresses that have drained and do not belong to the mapping again. */
static int append_drained(const struct change_plan *p, const struct state *after, const struct plan_binding_list *drain,
			  struct plan_binding_list *ret)
{
	__attribute__((cleanup(list_free))) struct plan_binding_list keeps = { 0 };
	int r = 0;

	for (size_t i = 0; i < drain->n && !r; i++)
		r = plan_binding_append(&keeps, &drain->at[i]);
	for (size_t i = 0; i < after->n_runs && !r; i++) {
		struct plan_binding b = after->mapping[after->run[i].number];

		b.of = (struct address_range){ inside_addr(after->run[i].first), inside_addr(after->run[i].last) };
		r = plan_binding_append(&keeps, &b);
	}
	for (size_t i = 0; i < p->drained.n && !r; i++) {
		r = plan_binding_append_rest(ret, &p->drained.at[i], keeps.at, keeps.n);
		/* Once, where one drain lies within another. */
		if (!r)
			r = plan_binding_append(&keeps, &p->drained.at[i]);
	}
	return r;
}

/*
 * Addresses that begin to drain are not taken yet; those that drained until now are taken before they are given back.
 */
static int with_drains(const struct change_plan *p, const struct state *after, const struct plan_binding *list,
		       size_t n_taken, size_t n, struct plan_binding_list *ret)
{
	__attribute__((cleanup(list_free))) struct plan_binding_list drain = { 0 };
	int r = plan_binding_drains(p->context->mappings, &drain);

	for (size_t i = 0; i < n_taken && !r; i++)
		r = plan_binding_append_rest(ret, &list[i], drain.at, drain.n);
	if (!r)
		r = append_drained(p, after, &drain, ret);
	for (size_t i = n_taken; i < n && !r; i++)
		r = plan_binding_append_rest(ret, &list[i], p->drained.at, p->drained.n);
	return r;
}

ssize_t plan_bindings(const struct change_plan *p, struct plan_binding **ret)
{
	__attribute__((cleanup(state_free))) struct state before = { 0 }, after = { 0 };
	struct plan_binding_list all = { 0 };
	/* What has drained may belong to any mapping again. */
	const struct config *c = p->drained.n ? p->wanted : plan_part(p);
	size_t room = c->n_mappings + p->n_del, n_taken, n;
	_cleanup_free_ struct plan_binding *list = NULL;

	if (state_new(&before, room) || state_new(&after, room))
		return -ENOMEM;
	for (size_t i = 0; i < c->n_mappings; i++) {
		bool added = is_added(p, &c->mappings[i]);
		uint8_t tenant = config_mapping_tenant(c, &c->mappings[i]);
		struct geometry geo;

		if (prefix_is_none(c->mappings[i].out) || config_mapping_geometry(&c->mappings[i], &geo))
			geo = (struct geometry){ 0 };
		state_add(&after, c->mappings[i].in, c->mappings[i].out, &geo, tenant, added);
		if (!added)
			state_add(&before, c->mappings[i].in, c->mappings[i].out, &geo, tenant, false);
	}
	for (size_t i = 0; i < p->n_del; i++)
		if (!p->del[i].over)
			state_add(&before, p->del[i].in, p->del[i].out, &p->del[i].geo, p->del[i].tenant, true);
	before.n_runs = inside_runs(before.prefix, before.n, before.run);
	after.n_runs = inside_runs(after.prefix, after.n, after.run);
	/* Each step of either walk ends at the end of a run, or of a gap between two. */
	list = calloc(2 * (2 * (before.n_runs + after.n_runs) + 2), sizeof(*list));
	if (!list)
		return -ENOMEM;
	n_taken = differences(&before, &after, false, list);
	n = n_taken + differences(&before, &after, true, list + n_taken);
	if (with_drains(p, &after, list, n_taken, n, &all)) {
		free(all.at);
		return -ENOMEM;
	}
	*ret = all.at;
	return (ssize_t)all.n;
}

/* Draining address bindings exist as long as the drain. */

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
	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && plan_blocks_same(&a->blocks, &b->blocks);
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
		struct plan_binding b = { .in = geometry_in(g),
					  .out = geometry_out(g),
					  .blocks = plan_blocks_of(g),
					  .of = { in.base, prefix_last(in) },
					  .tenant = mappings_get(m, drain[i].number)->tenant };

		r = plan_binding_append(ret, &b);
	}
	return r;
}
