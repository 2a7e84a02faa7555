/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times for which it is not known who had been granted what: the files of these days were removed. They begin with the
 * day, and last until it is over and all grants that began on it have ended.
 */
#include "history/history_who_private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/search.h"

static int compare(const void *pa, const void *pb)
{
	const struct who_unknown *a = pa, *b = pb;

	return (a->from > b->from) - (a->from < b->from);
}

static struct who_unknown unknown_of(const struct grant_interval *v, const struct history_times *t)
{
	int64_t begin = (int64_t)v->grant.day * DAY_S, end = begin + DAY_S - 1, from = v->grant.from, to = end;

	if (!v->undone) {
		from = from < t->moment[v->begin].early ? from : t->moment[v->begin].early;
		to = v->end == MOMENT_NONE ? TIME_OPEN : t->moment[v->end].late;
	}
	return (struct who_unknown){ from < begin ? from : begin, to > end ? to : end };
}

int who_unknown_new(const struct history_grants *from, const struct history_times *t, struct who *w)
{
	size_t n = 0, merged = 0;

	for (size_t i = 0; i < from->n; i++)
		n += history_grant_unknown(&from->interval[i].grant);
	w->unknown = calloc(n + 1, sizeof(*w->unknown));
	if (!w->unknown)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < from->n; i++)
		if (history_grant_unknown(&from->interval[i].grant))
			w->unknown[n++] = unknown_of(&from->interval[i], t);
	qsort(w->unknown, n, sizeof(*w->unknown), compare);
	for (size_t i = 0; i < n; i++) {
		struct who_unknown *last = merged ? &w->unknown[merged - 1] : NULL;

		if (last && w->unknown[i].from <= last->to)
			last->to = last->to > w->unknown[i].to ? last->to : w->unknown[i].to;
		else
			w->unknown[merged++] = w->unknown[i];
	}
	w->n_unknown = merged;
	return 0;
}

const struct who_unknown *who_unknown_at(const struct who *w, int64_t t)
{
	size_t i = count_while(k, w->n_unknown, w->unknown[k].to < t);

	return i < w->n_unknown && w->unknown[i].from <= t ? &w->unknown[i] : NULL;
}

/* Whether a grant lasted for the whole second, which the clock had once. */
static bool fills_second(const struct search *s, const struct who_fact *grant)
{
	const struct history_times *t = s->times;
	const struct history_moment *begin = &t->moment[grant->begin];
	unsigned n = 0;

	for (uint32_t k = 0; k < t->n_epochs; k++)
		n += history_times_had(t, k, s->t);
	return n == 1 && begin->epoch == begin->late_epoch && begin->late < s->t &&
	       (grant->end == MOMENT_NONE || t->moment[grant->end].early > s->t);
}

static bool touches(const struct search *s, const struct who_fact *v)
{
	for (uint32_t k = 0; k < s->times->n_epochs; k++)
		if (history_times_had(s->times, k, s->t) && history_times_touch(s->times, v->begin, v->end, k, s->t))
			return true;
	return false;
}

bool who_unknown_beside(const struct search *s, const struct who_fact *grant)
{
	const struct who_facts *w = &s->w->forgotten;
	const struct history_grant place = { .out = s->addr };
	size_t end = w->n ? who_facts_until(w, &place) : 0;

	if (!w->n || fills_second(s, grant))
		return false;
	for (size_t i = who_facts_before(w, &place); i < end; i++) {
		const struct who_fact *v = who_facts_number(w, i);
		bool together = history_times_order(s->times, v->begin, grant->end) < 0 &&
				history_times_order(s->times, grant->begin, v->end) < 0;

		/* Those that were there at the same time had other ports. */
		if (!together && touches(s, v))
			return true;
	}
	return false;
}
