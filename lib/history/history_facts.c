/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "history/history_gaps.h"

#define STILL TIME_OPEN

void history_facts_free(struct history_facts *f)
{
	free(f->interval);
	free(f->pauses.at);
	free(f->open);
	hash_index_free(&f->by_place);
	*f = (struct history_facts){ 0 };
}

static uint64_t hash_of(enum fact_kind kind, const struct history_facts *f, uint32_t number)
{
	return history_fact_hash(kind, history_fact_of(history_facts_number(kind, f, number)));
}

static int note_open(enum fact_kind kind, struct history_facts *f, uint32_t number)
{
	struct history_span *v = history_facts_number(kind, f, number);

	if (history_grow(&f->open, f->n_open, sizeof(*f->open)) ||
	    hash_index_add(&f->by_place, hash_of(kind, f, number), number))
		return -ENOMEM;
	v->to = STILL;
	v->end = MOMENT_NONE;
	v->end_line = 0;
	v->carried = false;
	v->place = (uint32_t)f->n_open;
	f->open[f->n_open++] = number;
	return 0;
}

static void end_one(enum fact_kind kind, struct history_facts *f, struct history_span *v, struct history_at at)
{
	uint32_t number = f->open[v->place];
	size_t i = v->place;

	hash_index_del(&f->by_place, hash_of(kind, f, number), number);
	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	f->n_open--;
	if (!fact_rows[kind].ordered && i < f->n_open) {
		f->open[i] = f->open[f->n_open];
		history_facts_number(kind, f, f->open[i])->place = (uint32_t)i;
	}
	for (; fact_rows[kind].ordered && i < f->n_open; i++) {
		f->open[i] = f->open[i + 1];
		history_facts_number(kind, f, f->open[i])->place = (uint32_t)i;
	}
}

int history_facts_index(enum fact_kind kind, struct history_facts *f)
{
	hash_index_clear(&f->by_place);
	for (size_t i = 0; i < f->n_open; i++) {
		history_facts_number(kind, f, f->open[i])->place = (uint32_t)i;
		if (hash_index_add(&f->by_place, hash_of(kind, f, f->open[i]), f->open[i]))
			return -ENOMEM;
	}
	return 0;
}

/* Of several that meet it, the one that is exactly the same, or the oldest. */
static struct history_span *open_at(enum fact_kind kind, const struct history_facts *f, const void *fact)
{
	uint64_t hash = f->n_open ? history_fact_hash(kind, fact) : 0;
	struct history_span *found = NULL;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&f->by_place, hash, &step, &number);) {
		struct history_span *v = history_facts_number(kind, f, number);

		if (!history_facts_meet(kind, history_fact_of(v), fact))
			continue;
		if (history_facts_exact(kind, history_fact_of(v), fact))
			return v;
		found = !found || v < found ? v : found;
	}
	return found;
}

/* A fact has one part at least. */
static const void *part_of(enum fact_kind kind, const void *fact, uint32_t i, union any_fact *room)
{
	if (!fact_rows[kind].part)
		return i ? NULL : fact;
	return fact_rows[kind].part(fact, i, room) ? room : NULL;
}

void *history_facts_at(enum fact_kind kind, const struct history_facts *f, const void *fact)
{
	union any_fact room;

	return open_at(kind, f, part_of(kind, fact, 0, &room));
}

static struct history_span *open_same(enum fact_kind kind, const struct history_facts *f, const void *single)
{
	struct history_span *v = open_at(kind, f, single);

	return v && history_facts_same(kind, history_fact_of(v), single) ? v : NULL;
}

void *history_facts_find(enum fact_kind kind, const struct history_facts *f, const void *fact)
{
	union any_fact room;

	return open_same(kind, f, part_of(kind, fact, 0, &room));
}

const void *history_facts_missing(enum fact_kind kind, const struct history_facts *f, const struct history_facts *in)
{
	for (size_t i = 0; i < f->n_open; i++) {
		const void *fact = history_fact_of(history_facts_number(kind, f, f->open[i]));

		if (!open_same(kind, in, fact))
			return fact;
	}
	return NULL;
}

bool history_facts_agree(enum fact_kind kind, const struct history_facts *a, const struct history_facts *b)
{
	return a->n_open == b->n_open && !history_facts_missing(kind, a, b);
}

static int begin_one(enum fact_kind kind, struct history_facts *f, const void *single, uint32_t begin, uint64_t line)
{
	size_t size = sizeof(struct history_span) + fact_rows[kind].size;
	struct history_span *v;

	if (history_grow(&f->interval, f->n, size))
		return -ENOMEM;
	v = history_facts_number(kind, f, f->n);
	memset(v, 0, sizeof(*v));
	v->begin = begin;
	v->line = line;
	memcpy(history_fact_of(v), single, fact_rows[kind].size);
	return note_open(kind, f, (uint32_t)f->n++);
}

static void end_covered(enum fact_kind kind, struct history_facts *f, const void *single, struct history_at at)
{
	for (size_t i = f->n_open; fact_rows[kind].covers && i-- > 0;) {
		struct history_span *v = history_facts_number(kind, f, f->open[i]);

		if (fact_rows[kind].covers(single, history_fact_of(v)))
			end_one(kind, f, v, at);
	}
}

static int take_part(enum fact_kind kind, struct history_facts *f, const void *single, bool ends, uint32_t begin,
		     struct history_at at)
{
	struct history_span *known = open_at(kind, f, single);
	int r = 0;

	if (!ends && known && history_facts_same(kind, history_fact_of(known), single))
		return 0;
	if (known)
		end_one(kind, f, known, at);
	if (!ends)
		end_covered(kind, f, single, at);
	/* If lines are missing, only the end shows that it existed. */
	if (!known || !ends)
		r = begin_one(kind, f, single, begin, at.line);
	if (!known && ends && !r)
		end_one(kind, f, history_facts_number(kind, f, f->n - 1), at);
	return r;
}

int history_facts_take(enum fact_kind kind, struct history_facts *f, const void *fact, bool ends, uint32_t begin,
		       struct history_at at)
{
	union any_fact room;
	const void *single;
	int r = 0;

	for (uint32_t i = 0; !r && (single = part_of(kind, fact, i, &room)); i++)
		r = take_part(kind, f, single, ends, begin, at);
	return r;
}

void history_facts_end_of(enum fact_kind kind, struct history_facts *f, const struct history_mapping *m,
			  struct history_at at)
{
	for (size_t i = f->n_open; fact_rows[kind].within && i-- > 0;) {
		struct history_span *v = history_facts_number(kind, f, f->open[i]);

		if (!fact_rows[kind].within(history_fact_of(v), m))
			continue;
		end_one(kind, f, v, at);
		v->carried = true;
	}
}

void history_facts_end_all(enum fact_kind kind, struct history_facts *f, struct history_at at)
{
	while (f->n_open)
		end_one(kind, f, history_facts_number(kind, f, f->open[f->n_open - 1]), at);
}

/* What a line began never was. */
static bool undo_beginnings(enum fact_kind kind, struct history_facts *f, struct history_times *t, struct history_at at,
			    int *ret)
{
	bool found = false;

	for (size_t i = f->n; i-- > 0 && !*ret;) {
		struct history_span *v = history_facts_number(kind, f, i);

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
		const struct history_span *v = history_facts_number(kind, f, i);

		if (v->undone || v->end_line != line || (v->line == line && !fact_rows[kind].strict))
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
	size_t size = fact_rows[kind].size, n = f->n_open;
	char *list = calloc(n + 1, size);

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		memcpy(list + i * size, history_fact_of(history_facts_number(kind, f, f->open[i])), size);
	*ret_n = history_facts_sort(kind, list, n);
	*(void **)ret = list;
	return 0;
}
