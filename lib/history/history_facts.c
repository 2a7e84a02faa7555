/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "history/history_gaps.h"

#define STILL TIME_OPEN

/* Room for an interval of any kind. */
union any_interval {
	struct history_span span;
	struct portmap_interval portmap;
	struct drain_interval drain;
	struct grant_interval grant;
};

static struct history_span *at_number(enum fact_kind kind, const struct history_facts *f, size_t number)
{
	return (struct history_span *)((char *)f->interval + number * fact_rows[kind].size);
}

void history_facts_free(struct history_facts *f)
{
	free(f->interval);
	free(f->pauses.at);
	free(f->open);
	hash_index_free(&f->by_place);
	*f = (struct history_facts){ 0 };
}

static int note_open(enum fact_kind kind, struct history_facts *f, uint32_t number)
{
	struct history_span *v = at_number(kind, f, number);

	if (history_grow(&f->open, f->n_open, sizeof(*f->open)) ||
	    hash_index_add(&f->by_place, fact_rows[kind].hash(v), number))
		return -ENOMEM;
	v->to = STILL;
	v->end = MOMENT_NONE;
	v->end_line = 0;
	v->place = (uint32_t)f->n_open;
	f->open[f->n_open++] = number;
	return 0;
}

static void end_one(enum fact_kind kind, struct history_facts *f, struct history_span *v, struct history_at at)
{
	uint32_t number = f->open[v->place];
	size_t i = v->place;

	hash_index_del(&f->by_place, fact_rows[kind].hash(v), number);
	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	f->n_open--;
	if (!fact_rows[kind].ordered && i < f->n_open) {
		f->open[i] = f->open[f->n_open];
		at_number(kind, f, f->open[i])->place = (uint32_t)i;
	}
	for (; fact_rows[kind].ordered && i < f->n_open; i++) {
		f->open[i] = f->open[i + 1];
		at_number(kind, f, f->open[i])->place = (uint32_t)i;
	}
}

int history_facts_index(enum fact_kind kind, struct history_facts *f)
{
	hash_index_clear(&f->by_place);
	for (size_t i = 0; i < f->n_open; i++) {
		struct history_span *v = at_number(kind, f, f->open[i]);

		v->place = (uint32_t)i;
		if (hash_index_add(&f->by_place, fact_rows[kind].hash(v), f->open[i]))
			return -ENOMEM;
	}
	return 0;
}

static struct history_span *open_at(enum fact_kind kind, const struct history_facts *f, const void *interval)
{
	uint64_t hash = f->n_open ? fact_rows[kind].hash(interval) : 0;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&f->by_place, hash, &step, &number);)
		if (fact_rows[kind].meets(at_number(kind, f, number), interval))
			return at_number(kind, f, number);
	return NULL;
}

void *history_facts_at(enum fact_kind kind, const struct history_facts *f, const void *fact)
{
	union any_interval like = { .span = { 0 } };

	fact_rows[kind].part(fact, 0, &like);
	return open_at(kind, f, &like);
}

void *history_facts_find(enum fact_kind kind, const struct history_facts *f, const void *fact)
{
	union any_interval like = { .span = { 0 } };
	struct history_span *v;

	fact_rows[kind].part(fact, 0, &like);
	v = open_at(kind, f, &like);
	return v && fact_rows[kind].same(v, &like) ? v : NULL;
}

bool history_facts_have(enum fact_kind kind, const struct history_facts *f, const void *interval)
{
	const struct history_span *v = open_at(kind, f, interval);

	return v && fact_rows[kind].same(v, interval);
}

const void *history_facts_missing(enum fact_kind kind, const struct history_facts *f, const struct history_facts *in)
{
	for (size_t i = 0; i < f->n_open; i++)
		if (!history_facts_have(kind, in, at_number(kind, f, f->open[i])))
			return at_number(kind, f, f->open[i]);
	return NULL;
}

bool history_facts_agree(enum fact_kind kind, const struct history_facts *a, const struct history_facts *b)
{
	return a->n_open == b->n_open && !history_facts_missing(kind, a, b);
}

static int begin_one(enum fact_kind kind, struct history_facts *f, const void *interval)
{
	if (history_grow(&f->interval, f->n, fact_rows[kind].size))
		return -ENOMEM;
	memcpy(at_number(kind, f, f->n), interval, fact_rows[kind].size);
	return note_open(kind, f, (uint32_t)f->n++);
}

static void end_covered(enum fact_kind kind, struct history_facts *f, const void *interval, struct history_at at)
{
	for (size_t i = f->n_open; fact_rows[kind].covers && i-- > 0;)
		if (fact_rows[kind].covers(interval, at_number(kind, f, f->open[i])))
			end_one(kind, f, at_number(kind, f, f->open[i]), at);
}

static int take_part(enum fact_kind kind, struct history_facts *f, const void *interval, bool ends,
		     struct history_at at)
{
	struct history_span *known = open_at(kind, f, interval);
	int r = 0;

	if (!ends && known && fact_rows[kind].same(known, interval))
		return 0;
	if (known)
		end_one(kind, f, known, at);
	if (!ends)
		end_covered(kind, f, interval, at);
	/* If lines are missing, only the end shows that it existed. */
	if (!known || !ends)
		r = begin_one(kind, f, interval);
	if (!known && ends && !r)
		end_one(kind, f, at_number(kind, f, f->n - 1), at);
	return r;
}

int history_facts_take(enum fact_kind kind, struct history_facts *f, const void *fact, bool ends, uint32_t begin,
		       struct history_at at)
{
	union any_interval v = { .span = { 0 } };
	int r = 0;

	for (uint32_t i = 0; !r && fact_rows[kind].part(fact, i, &v); i++) {
		v.span.begin = begin;
		v.span.line = at.line;
		r = take_part(kind, f, &v, ends, at);
	}
	return r;
}

int history_facts_end_of(enum fact_kind kind, struct history_facts *f, struct prefix in, struct prefix out,
			 struct history_at at)
{
	for (size_t i = f->n_open; i-- > 0;)
		if (fact_rows[kind].within(at_number(kind, f, f->open[i]), in, out))
			end_one(kind, f, at_number(kind, f, f->open[i]), at);
	return 0;
}

void history_facts_end_all(enum fact_kind kind, struct history_facts *f, struct history_at at)
{
	while (f->n_open)
		end_one(kind, f, at_number(kind, f, f->open[f->n_open - 1]), at);
}

/* What a line began never was. */
static bool undo_beginnings(enum fact_kind kind, struct history_facts *f, struct history_times *t, struct history_at at,
			    int *ret)
{
	bool found = false;

	for (size_t i = f->n; i-- > 0 && !*ret;) {
		struct history_span *v = at_number(kind, f, i);

		/* Before it are those of earlier lines, or ended ones from before a damage. */
		if (v->line < at.line)
			break;
		if (v->undone || v->line != at.line || v->to != STILL)
			continue;
		at.moment = history_times_undo(t, v->begin, at.time, at.line);
		*ret = at.moment == MOMENT_NONE ? -ENOMEM : 0;
		end_one(kind, f, v, at);
		v->undone = true;
		found = true;
	}
	return found;
}

bool history_facts_undo(enum fact_kind kind, struct history_facts *f, struct history_times *t, uint64_t line,
			struct history_at at, int *ret)
{
	bool found;

	*ret = 0;
	at.line = line;
	found = undo_beginnings(kind, f, t, at, ret);
	for (size_t k = 0; k < f->n && !*ret; k++) {
		size_t i = fact_rows[kind].ordered ? k : f->n - 1 - k;
		const struct history_span *v = at_number(kind, f, i);

		if (v->undone || v->end_line != line || v->line == line)
			continue;
		at.moment = history_times_undo(t, v->end, at.time, line);
		if (at.moment == MOMENT_NONE || history_pauses_add(&f->pauses, i, v->end, at.moment) ||
		    note_open(kind, f, (uint32_t)i))
			*ret = -ENOMEM;
		found = true;
	}
	return found;
}

int history_facts_list(enum fact_kind kind, const struct history_facts *f, void *ret, size_t *ret_n)
{
	size_t size = fact_rows[kind].fact_size, n = f->n_open;
	char *list = calloc(n + 1, size);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		fact_rows[kind].fact(at_number(kind, f, f->open[i]), list + i * size);
	*ret_n = n && fact_rows[kind].sort ? fact_rows[kind].sort(list, n) : n;
	*(void **)ret = list;
	return 0;
}
