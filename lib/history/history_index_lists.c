/* SPDX-License-Identifier: BSD-2-Clause */
/* Records that list all that holds: a start, and the first minute of a day. */
#include "history/history_index_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool lists_open_grants(const struct history_index *x)
{
	if (x->n_listed != x->grants.n_open)
		return false;
	for (size_t i = 0; i < x->n_listed; i++)
		if (!history_facts_find(FACT_GRANT, &x->grants.facts, &x->listed[i]))
			return false;
	return true;
}

/* The agent lists mappings in the order of this index, but any order is accepted. */
static bool lists_what_is_open(const struct history_index *x, const struct history_record *r)
{
	if (r->n_mappings != x->n_open)
		return false;
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];

		if (!history_interval_is(m, &x->intervals[x->open[i]]) && !history_index_find_open(x, m))
			return false;
	}
	return lists_open_grants(x);
}

/* Mappings may have been renamed since the last list. */
static void take_names(struct history_index *x, const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];
		struct history_interval *v = &x->intervals[x->open[i]];

		if (!history_interval_is(m, v))
			v = history_index_find_open(x, m);
		if (!v)
			continue;
		memcpy(v->name, m->name, sizeof(v->name));
		/* A mapping of another tenant is another mapping: this one's was not known. */
		if (*m->tenant)
			memcpy(v->tenant, m->tenant, sizeof(v->tenant));
	}
}

static int take_facts(struct history_index *x, enum fact_kind kind, void *list, size_t n, struct history_at at)
{
	char *fact = list;
	int ret = 0;

	for (; n && !ret; n--, fact += fact_rows[kind].fact_size) {
		uint32_t begin = history_index_past(x, *history_fact_from(kind, fact), at);

		ret = begin == MOMENT_NONE ? -ENOMEM
					   : history_facts_take(kind, &x->facts[kind], fact, false, begin, at);
	}
	return ret;
}

/* Begins the listed mappings; none holds before. */
static int take_list(struct history_index *x, const struct history_record *r)
{
	struct history_at at = { r->line, r->time, history_times_add(&x->times, r->time, r->time, r->line) };
	int ret = at.moment == MOMENT_NONE ? -ENOMEM : 0;

	for (size_t i = 0; i < r->n_mappings && !ret; i++) {
		uint32_t begin = history_index_past(x, r->mappings[i].from, at);

		ret = begin == MOMENT_NONE ? -ENOMEM : history_index_begin(x, &r->mappings[i], begin);
	}
	if (!ret)
		ret = take_facts(x, FACT_PORTMAP, r->portmaps, r->n_portmaps, at);
	if (!ret)
		ret = take_facts(x, FACT_DRAIN, r->drains, r->n_drains, at);
	if (!ret)
		ret = take_facts(x, FACT_GRANT, x->listed, x->n_listed, at);
	return ret;
}

static bool lists_anything(const struct history_record *r)
{
	return r->n_mappings || r->n_portmaps || r->n_drains || r->n_listed;
}

/* Earlier intervals ended at an unknown time, between the one that the record names and now. 0 or -ENOMEM. */
static int take_unknown(struct history_index *x, const struct history_record *r)
{
	struct history_times *t = &x->times;
	uint32_t moment = history_times_add_past(t, r->since, r->time, r->line);

	if (moment == MOMENT_NONE)
		return -ENOMEM;
	history_index_end_all_at(x, r->since, moment);
	if (x->lost || (r->since >= r->time && t->moment[moment].epoch == t->n_epochs - 1))
		return 0;
	return history_gaps_begin(&x->gaps, r->since, moment, false) || history_index_end_gap(x, r) ? -ENOMEM : 0;
}

int history_index_take_list(struct history_index *x, const struct history_record *r)
{
	bool unknown = r->event == EVENT_START && r->since != TIME_NONE, first = history_index_empty(x);
	int ret = 0;

	if (r->n_listed != x->n_listed)
		return history_index_damage(x, "lists %" PRIu64 " grants, and the lines before it have %zu",
					    r->n_listed, x->n_listed);
	x->listed_time = r->time;
	if (!unknown && !x->lost && !first) {
		if (lists_what_is_open(x, r)) {
			take_names(x, r);
			history_times_settle(&x->times, r->time);
			return 0;
		}
		ret = history_index_damage(x, "lists other mappings than the lines before it");
	} else if (first && lists_anything(r)) {
		/* It existed before, since an unknown time. */
		ret = history_index_begin_gap(x, TIME_NONE, false) || history_index_end_gap(x, r) ? -ENOMEM : 0;
	}
	if (!ret)
		ret = unknown ? take_unknown(x, r) : history_index_end_all(x, first ? r->time : x->last_time);
	if (!ret && x->lost)
		ret = history_index_end_gap(x, r);
	if (ret)
		return ret;
	x->lost = false;
	return take_list(x, r);
}

int history_index_take_grants(struct history_index *x, const struct history_record *r)
{
	/* Of a list that was not finished, an agent that was killed leaves the first parts. */
	if (r->part == 1)
		history_index_forget_listed(x);
	if (r->part != x->listed_parts + 1)
		return history_index_damage(x, "is part %" PRIu64 " of a list, and part %" PRIu64 " belongs here",
					    r->part, x->listed_parts + 1);
	for (size_t i = 0; i < r->n_grants; i++) {
		if (history_grow(&x->listed, x->n_listed, sizeof(*x->listed)))
			return -ENOMEM;
		x->listed[x->n_listed++] = r->grants[i];
	}
	x->listed_parts++;
	return 0;
}

void history_index_forget_listed(struct history_index *x)
{
	free(take_pointer(x->listed));
	x->n_listed = 0;
	x->listed_parts = 0;
}
