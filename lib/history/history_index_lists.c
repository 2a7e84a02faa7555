/* SPDX-License-Identifier: BSD-2-Clause */
/* Records that list all that holds: a start, and the first minute of a day. */
#include "history/history_index_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What a record lists of a kind. */
struct listed {
	void *list;
	size_t n;
};

static struct listed listed_of(const struct history_index *x, const struct history_record *r, enum fact_kind kind)
{
	return fact_rows[kind].apart ? (struct listed){ x->listed, x->n_listed }
				     : (struct listed){ r->facts[kind], r->n_facts[kind] };
}

static void *listed_at(struct listed l, enum fact_kind kind, size_t i)
{
	return (char *)l.list + i * fact_rows[kind].size;
}

/* In any order. */
static bool lists_what_is_open(const struct history_index *x, const struct history_record *r, enum fact_kind kind)
{
	struct listed l = listed_of(x, r, kind);

	if (l.n != x->facts[kind].n_open)
		return false;
	for (size_t i = 0; i < l.n; i++)
		if (!history_facts_find(kind, &x->facts[kind], listed_at(l, kind, i)))
			return false;
	return true;
}

static bool lists_all(const struct history_index *x, const struct history_record *r)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (fact_rows[k].complete && !lists_what_is_open(x, r, k))
			return false;
	return true;
}

/* Mappings may have been renamed since the last list. */
static void take_names(struct history_index *x, const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];
		struct history_interval *v = history_facts_find(FACT_MAPPING, &x->mappings.facts, m);

		if (!v)
			continue;
		memcpy(v->mapping.name, m->name, sizeof(m->name));
		/* A mapping of another tenant is another mapping: this one's was not known. */
		if (*m->tenant)
			memcpy(v->mapping.tenant, m->tenant, sizeof(m->tenant));
	}
}

static int take_facts(struct history_index *x, enum fact_kind kind, struct listed l, struct history_at at)
{
	int ret = 0;

	for (size_t i = 0; i < l.n && !ret; i++) {
		void *fact = listed_at(l, kind, i);
		uint32_t begin = history_index_past(x, *history_fact_from(kind, fact), at);

		ret = begin == MOMENT_NONE ? -ENOMEM
					   : history_facts_take(kind, &x->facts[kind], fact, false, begin, at);
	}
	return ret;
}

/* Begins what is listed; nothing holds before. */
static int take_list(struct history_index *x, const struct history_record *r)
{
	struct history_at at = { r->line, r->time, history_times_add(&x->times, r->time, r->time, r->line) };
	int ret = at.moment == MOMENT_NONE ? -ENOMEM : 0;

	for (enum fact_kind k = 0; k < FACT_KINDS && !ret; k++)
		ret = take_facts(x, k, listed_of(x, r, k), at);
	return ret;
}

static bool lists_anything(const struct history_index *x, const struct history_record *r)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (listed_of(x, r, k).n)
			return true;
	return false;
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

	if (r->n_listed != x->n_listed && !x->withheld)
		return history_index_damage(x, "lists %" PRIu64 " grants, and the lines before it have %zu",
					    r->n_listed, x->n_listed);
	x->listed_time = r->time;
	if (!unknown && !x->lost && !first) {
		if (x->withheld || lists_all(x, r)) {
			take_names(x, r);
			history_times_settle(&x->times, r->time);
			return x->withheld ? take_list(x, r) : 0;
		}
		ret = history_index_damage(x, "lists other mappings than the lines before it");
	} else if (first && lists_anything(x, r)) {
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
	if (r->part != x->listed_parts + 1 && !x->withheld)
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
