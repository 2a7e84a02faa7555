/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_index_private.h"

#include <errno.h>
#include <string.h>

void history_index_init(struct history_index *x)
{
	*x = (struct history_index){
		.first_time = TIME_OPEN,
		.last_time = TIME_NONE,
		.listed_time = TIME_NONE,
		.hash = HASH_NONE,
	};
}

void history_index_free(struct history_index *x)
{
	free(x->intervals);
	free(x->pauses.at);
	free(x->open);
	hash_index_free(&x->open_by_prefix);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_free(&x->facts[k]);
	free(x->listed);
	history_times_free(&x->times);
	free(x->gaps.at);
	free(x->clocks.at);
	free(x->damages);
	history_index_init(x);
}

static uint64_t hash_of(const struct history_index *x, size_t number)
{
	return history_prefix_hash(x->intervals[number].in, x->intervals[number].out);
}

int history_index_open(struct history_index *x)
{
	hash_index_clear(&x->open_by_prefix);
	for (size_t i = 0; i < x->n_open; i++)
		if (hash_index_add(&x->open_by_prefix, hash_of(x, x->open[i]), (uint32_t)x->open[i]))
			return -ENOMEM;
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (history_facts_index(k, &x->facts[k]))
			return -ENOMEM;
	return 0;
}

int history_index_reopen(struct history_index *x, size_t number)
{
	if (history_grow(&x->open, x->n_open, sizeof(*x->open)) ||
	    hash_index_add(&x->open_by_prefix, hash_of(x, number), (uint32_t)number))
		return -ENOMEM;
	x->intervals[number].to = TIME_OPEN;
	x->intervals[number].end = MOMENT_NONE;
	x->intervals[number].end_line = 0;
	x->open[x->n_open++] = number;
	return 0;
}

int history_index_begin(struct history_index *x, const struct history_mapping *m, uint32_t begin)
{
	if (history_grow(&x->intervals, x->n_intervals, sizeof(*x->intervals)))
		return -ENOMEM;
	x->intervals[x->n_intervals] = (struct history_interval){
		.in = m->in,
		.out = m->out,
		.open = m->open,
		.blocks = m->blocks,
		.begin = begin,
		.from = m->from,
		.line = x->number,
	};
	memcpy(x->intervals[x->n_intervals].name, m->name, sizeof(m->name));
	memcpy(x->intervals[x->n_intervals].tenant, m->tenant, sizeof(m->tenant));
	return history_index_reopen(x, x->n_intervals++);
}

void history_index_end(struct history_index *x, struct history_interval *v, struct history_at at)
{
	size_t number = (size_t)(v - x->intervals);

	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	for (size_t i = 0; i < x->n_open; i++) {
		if (x->open[i] == number) {
			x->open[i] = x->open[--x->n_open];
			hash_index_del(&x->open_by_prefix, hash_of(x, number), (uint32_t)number);
			break;
		}
	}
}

void history_index_end_all_at(struct history_index *x, int64_t time, uint32_t moment)
{
	struct history_at at = { x->number, time, moment };

	history_times_settle_at(&x->times, moment);
	while (x->n_open)
		history_index_end(x, &x->intervals[x->open[x->n_open - 1]], at);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_end_all(k, &x->facts[k], at);
}

int history_index_end_all(struct history_index *x, int64_t time)
{
	uint32_t moment;

	history_times_settle(&x->times, time);
	if (!x->n_open && !x->portmaps.n_open && !x->drains.n_open && !x->grants.n_open)
		return 0;
	moment = history_times_add(&x->times, time, time, x->number);
	if (moment == MOMENT_NONE)
		return -ENOMEM;
	history_index_end_all_at(x, time, moment);
	return 0;
}

int history_index_begin_gap(struct history_index *x, int64_t from, bool damage)
{
	return history_gaps_begin(&x->gaps, from, history_times_add(&x->times, from, from, x->number), damage);
}

int history_index_lose(struct history_index *x, int64_t since)
{
	return !x->lost && history_index_begin_gap(x, since, false) ? -ENOMEM : history_index_end_all(x, since);
}

int history_index_end_gap(struct history_index *x, const struct history_record *r)
{
	return history_gaps_end(&x->gaps, r->time, history_times_add(&x->times, r->time, r->time, r->line));
}

int history_index_damage(struct history_index *x, const char *format, ...)
{
	struct history_damage *d;
	va_list ap;

	if (history_grow(&x->damages, x->n_damages, sizeof(*x->damages)) ||
	    (!x->lost && history_index_begin_gap(x, x->last_time, true)))
		return -ENOMEM;
	d = &x->damages[x->n_damages++];
	d->line = x->lines;
	va_start(ap, format);
	vsnprintf(d->text, sizeof(d->text), format, ap);
	va_end(ap);
	x->lost = true;
	history_clocks_lose(&x->clocks);
	x->in_change = false;
	return history_index_end_all(x, x->last_time);
}

uint32_t history_index_past(struct history_index *x, int64_t from, struct history_at at)
{
	return from == at.time ? at.moment : history_times_add_past(&x->times, from, at.time, at.line);
}
