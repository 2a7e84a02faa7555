/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_gaps.h"
#include "history/history_times.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"

/* Begins the first reckoning. */
static int begin(struct history_times *t)
{
	if (t->n_epochs)
		return 0;
	if (history_grow(&t->epoch, 0, sizeof(*t->epoch)))
		return -ENOMEM;
	t->epoch[t->n_epochs++] = (struct history_epoch){ TIME_NONE, TIME_OPEN };
	return 0;
}

void history_times_free(struct history_times *t)
{
	free(t->moment);
	free(t->epoch);
	hash_index_free(&t->past);
	*t = (struct history_times){ 0 };
}

int history_times_copy(const struct history_times *from, struct history_times *ret)
{
	struct history_times t = *from;

	t.past = (struct hash_index){ 0 };
	t.past_line = 0;
	t.moment = calloc(t.n + 1U, sizeof(*t.moment));
	t.epoch = calloc(t.n_epochs + 1U, sizeof(*t.epoch));
	if (!t.moment || !t.epoch) {
		history_times_free(&t);
		return -ENOMEM;
	}
	if (t.n)
		memcpy(t.moment, from->moment, t.n * sizeof(*t.moment));
	if (t.n_epochs)
		memcpy(t.epoch, from->epoch, t.n_epochs * sizeof(*t.epoch));
	*ret = t;
	return 0;
}

static uint32_t add(struct history_times *t, uint32_t epoch, int64_t early, int64_t late, uint64_t line)
{
	if (history_grow(&t->moment, t->n, sizeof(*t->moment)))
		return MOMENT_NONE;
	t->moment[t->n] = (struct history_moment){
		.early = early,
		.late = late,
		.epoch = epoch,
		.late_epoch = epoch,
		.final = early == late,
		.run = t->n,
		.undoes = MOMENT_NONE,
		.undone = MOMENT_NONE,
		.line = line,
	};
	return t->n++;
}

uint32_t history_times_add(struct history_times *t, int64_t early, int64_t late, uint64_t line)
{
	return begin(t) ? MOMENT_NONE : add(t, t->n_epochs - 1, early, late, line);
}

static uint64_t hash_of(const struct history_moment *m)
{
	return HASH_OF((uint64_t)m->early, m->epoch);
}

/* Indexes the moments of a line that reports times past: there may be as many as grants in a list. 0 or -ENOMEM. */
static int index_past(struct history_times *t, uint64_t line)
{
	if (t->past_line != line) {
		hash_index_clear(&t->past);
		t->past_line = line;
		t->n_past = t->n;
		while (t->n_past && t->moment[t->n_past - 1].line == line)
			t->n_past--;
	}
	for (; t->n_past < t->n; t->n_past++)
		if (hash_index_add(&t->past, hash_of(&t->moment[t->n_past]), t->n_past))
			return -ENOMEM;
	return 0;
}

/* Everything that a record reports about one time past shares a moment. */
static uint32_t add_past(struct history_times *t, uint32_t epoch, int64_t time, uint64_t line)
{
	const struct history_moment like = { .early = time, .epoch = epoch };
	uint32_t found = MOMENT_NONE, number;

	if (index_past(t, line))
		return MOMENT_NONE;
	for (uint32_t step = 0; hash_index_next(&t->past, hash_of(&like), &step, &number);)
		if (t->moment[number].epoch == epoch && t->moment[number].early == time &&
		    (found == MOMENT_NONE || number > found))
			found = number;
	return found == MOMENT_NONE ? add(t, epoch, time, time, line) : found;
}

uint32_t history_times_add_past(struct history_times *t, int64_t time, int64_t now, uint64_t line)
{
	uint32_t epoch;

	if (begin(t))
		return MOMENT_NONE;
	epoch = t->n_epochs - 1;
	if (time <= now && time >= t->epoch[epoch].start)
		return add_past(t, epoch, time, line);
	while (epoch > 0 && (epoch == t->n_epochs - 1 || time < t->epoch[epoch].start || time > t->epoch[epoch].end))
		epoch--;
	/* A time that no reckoning had. */
	if (time > t->epoch[epoch].end || (epoch == t->n_epochs - 1 && time > now))
		return add_past(t, t->n_epochs - 1, now, line);
	return add_past(t, epoch, time, line);
}

static void close_at(struct history_moment *m, uint32_t epoch, int64_t late)
{
	bool before = epoch < m->epoch || (epoch == m->epoch && late < m->early);

	m->late_epoch = before ? m->epoch : epoch;
	m->late = before ? m->early : late;
	m->final = true;
}

static void close_one(struct history_times *t, struct history_moment *m, int64_t late)
{
	close_at(m, t->n_epochs - 1, late);
}

uint32_t history_times_undo(struct history_times *t, uint32_t undone, int64_t now, uint64_t line)
{
	uint32_t undo = t->moment[undone].undone;

	if (undo != MOMENT_NONE)
		return undo;
	undo = add(t, t->moment[undone].epoch, t->moment[undone].early, now, line);
	if (undo == MOMENT_NONE)
		return MOMENT_NONE;
	close_one(t, &t->moment[undo], now);
	close_one(t, &t->moment[undone], now);
	t->moment[undo].undoes = undone;
	t->moment[undone].undone = undo;
	return undo;
}

void history_times_confirm(struct history_times *t, uint64_t first, uint64_t last, int64_t late)
{
	for (uint32_t i = t->n; i-- > 0 && t->moment[i].line >= first;)
		if (t->moment[i].line <= last && !t->moment[i].final)
			close_one(t, &t->moment[i], late);
	while (t->n_settled < t->n && t->moment[t->n_settled].late != TIME_OPEN)
		t->n_settled++;
}

void history_times_settle(struct history_times *t, int64_t late)
{
	for (uint32_t i = t->n_settled; i < t->n; i++)
		if (t->moment[i].late == TIME_OPEN)
			close_one(t, &t->moment[i], late);
	t->n_settled = t->n;
}

void history_times_settle_at(struct history_times *t, uint32_t moment)
{
	const struct history_moment at = t->moment[moment];

	for (uint32_t i = t->n_settled; i < t->n; i++)
		if (t->moment[i].late == TIME_OPEN)
			close_at(&t->moment[i], at.epoch, at.early);
	t->n_settled = t->n;
}

int history_times_set(struct history_times *t, int64_t before, int64_t after)
{
	struct history_epoch *last;

	if (begin(t) || history_grow(&t->epoch, t->n_epochs, sizeof(*t->epoch)))
		return -ENOMEM;
	last = &t->epoch[t->n_epochs - 1];
	/* The skipped seconds belong to both. */
	last->end = before > after ? before : after;
	if (last->end < last->start)
		last->end = last->start;
	t->epoch[t->n_epochs++] = (struct history_epoch){ after, TIME_OPEN };
	return 0;
}

int history_times_order(const struct history_times *t, uint32_t a, uint32_t b)
{
	const struct history_moment *x, *y;

	if (a == b || a == MOMENT_NONE || b == MOMENT_NONE)
		return (a > b) - (a < b);
	x = &t->moment[a];
	y = &t->moment[b];
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->early != y->early)
		return x->early < y->early ? -1 : 1;
	return a < b ? -1 : 1;
}

int history_times_order_late(const struct history_times *t, uint32_t a, uint32_t b)
{
	const struct history_moment *x = a == MOMENT_NONE ? NULL : &t->moment[a];
	const struct history_moment *y = b == MOMENT_NONE ? NULL : &t->moment[b];

	if (!x || !y || x->late == TIME_OPEN || y->late == TIME_OPEN)
		return (!x || x->late == TIME_OPEN) - (!y || y->late == TIME_OPEN);
	if (x->late_epoch != y->late_epoch)
		return x->late_epoch < y->late_epoch ? -1 : 1;
	return (x->late > y->late) - (x->late < y->late);
}

bool history_times_begun(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s)
{
	const struct history_moment *m = &t->moment[begin];

	return m->epoch < epoch || (m->epoch == epoch && m->early <= s);
}

bool history_times_lasts(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s)
{
	const struct history_moment *m = end == MOMENT_NONE ? NULL : &t->moment[end];

	return !m || m->late == TIME_OPEN || m->late_epoch > epoch || (m->late_epoch == epoch && s <= m->late);
}

bool history_times_touch(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s)
{
	return history_times_begun(t, begin, epoch, s) && history_times_lasts(t, end, epoch, s);
}

bool history_times_hold(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s)
{
	return history_times_begun(t, begin, epoch, s) &&
	       (end == MOMENT_NONE || !history_times_begun(t, end, epoch, s));
}

int64_t history_times_from(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s)
{
	const struct history_moment *m = &t->moment[begin];

	return m->epoch == epoch || m->early <= s ? m->early : t->epoch[epoch].start;
}

int64_t history_times_to(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s)
{
	const struct history_moment *m = end == MOMENT_NONE ? NULL : &t->moment[end];

	if (!m || m->late == TIME_OPEN)
		return TIME_OPEN;
	return m->late_epoch == epoch || m->late >= s ? m->late : t->epoch[epoch].end;
}

int history_pauses_add(struct history_pauses *p, size_t of, uint32_t begin, uint32_t end)
{
	if (history_grow(&p->at, p->n, sizeof(*p->at)))
		return -ENOMEM;
	p->at[p->n++] = (struct history_pause){ of, begin, end };
	return 0;
}

static int compare_pauses(const void *pa, const void *pb)
{
	const struct history_pause *a = pa, *b = pb;

	if (a->of != b->of)
		return a->of < b->of ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

int history_pauses_sort(const struct history_pauses *p, struct history_pauses *ret)
{
	struct history_pause *at = calloc(p->n + 1, sizeof(*at));

	if (!at)
		return -ENOMEM;
	if (p->n) {
		memcpy(at, p->at, p->n * sizeof(*at));
		qsort(at, p->n, sizeof(*at), compare_pauses);
	}
	*ret = (struct history_pauses){ at, p->n };
	return 0;
}

static size_t count_below(const struct history_pauses *p, size_t of)
{
	return count_while(i, p->n, p->at[i].of < of);
}

const struct history_pause *history_pauses_of(const struct history_pauses *sorted, size_t of, size_t *ret_n)
{
	size_t first = count_below(sorted, of);

	*ret_n = count_below(sorted, of + 1) - first;
	return &sorted->at[first];
}
