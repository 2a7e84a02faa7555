/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/search.h"
#include "history/history_who_private.h"

static struct who_fact *number(const struct who_facts *w, size_t i)
{
	return (struct who_fact *)((char *)w->held + i * (sizeof(struct who_fact) + fact_rows[w->kind].size));
}

/* One that began and ended with one change never existed. */
static void add_part(struct who_facts *w, const struct history_times *times, const struct history_span *v,
		     uint32_t begin, uint32_t end)
{
	struct who_fact *held = number(w, w->n);

	*held = (struct who_fact){
		.begin = begin, .end = end, .reach = end, .whole_begin = v->begin, .whole_end = v->end
	};
	memcpy(held + 1, history_fact_of(v), fact_rows[w->kind].size);
	w->n += history_times_order(times, begin, end) < 0;
}

static void add_parts(struct who_facts *w, const struct history_times *times, const struct history_span *v,
		      const struct history_pause *pause, size_t n_pauses)
{
	uint32_t begin = v->begin;

	for (; n_pauses; n_pauses--, pause++) {
		add_part(w, times, v, begin, pause->begin);
		begin = pause->end;
	}
	add_part(w, times, v, begin, v->end);
}

struct sorting {
	enum fact_kind kind;
	const struct history_times *times;
};

static int compare(const void *pa, const void *pb, void *sorting)
{
	const struct sorting *s = sorting;
	const struct who_fact *a = pa, *b = pb;
	int r = history_facts_order(s->kind, a + 1, b + 1);

	return r ? r : history_times_order(s->times, a->begin, b->begin);
}

int who_facts_new(enum fact_kind kind, const struct history_facts *from, const struct history_times *times,
		  bool unknown, struct who_facts *ret)
{
	struct who_facts w = { .kind = kind };
	struct history_pauses pauses = { 0 };
	struct sorting sorting = { kind, times };

	w.held = calloc(from->n + from->pauses.n + 1, sizeof(struct who_fact) + fact_rows[kind].size);
	if (!w.held || history_pauses_sort(&from->pauses, &pauses)) {
		free(w.held);
		return -ENOMEM;
	}
	for (size_t i = 0; i < from->n; i++) {
		size_t n_pauses;
		const struct history_pause *pause = history_pauses_of(&pauses, i, &n_pauses);
		const struct history_span *v = history_facts_number(kind, from, i);

		if (kind != FACT_GRANT || history_grant_unknown(history_fact_of(v)) == unknown)
			add_parts(&w, times, v, pause, n_pauses);
	}
	free(pauses.at);
	qsort_r(w.held, w.n, sizeof(struct who_fact) + fact_rows[kind].size, compare, &sorting);
	for (size_t i = 1; i < w.n; i++) {
		struct who_fact *v = number(&w, i), *before = number(&w, i - 1);

		if (!history_facts_order(kind, v + 1, before + 1) &&
		    history_times_order_late(times, v->reach, before->reach) < 0)
			v->reach = before->reach;
	}
	*ret = w;
	return 0;
}

const struct who_fact *who_facts_number(const struct who_facts *w, size_t i)
{
	return i < w->n ? number(w, i) : NULL;
}

size_t who_facts_before(const struct who_facts *w, const void *fact)
{
	return count_while(i, w->n, history_facts_order(w->kind, number(w, i) + 1, fact) < 0);
}

size_t who_facts_until(const struct who_facts *w, const void *fact)
{
	return count_while(i, w->n, history_facts_order(w->kind, number(w, i) + 1, fact) <= 0);
}

size_t who_first_grant(const struct search *s)
{
	uint32_t longest = s->w->longest;
	struct history_grant lowest = { .out = s->addr };

	lowest.port_lo = (uint16_t)(s->port >= longest ? s->port - longest + 1 : 0);
	return who_facts_before(&s->w->grants, &lowest);
}

bool who_grant_has(const struct search *s, const struct who_fact *v)
{
	const struct history_grant *g = (const void *)(v + 1);

	return g->port_lo <= s->port && s->port - g->port_lo < g->ports;
}
