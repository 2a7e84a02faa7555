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
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_free(&x->facts[k]);
	free(x->listed);
	history_times_free(&x->times);
	free(x->gaps.at);
	free(x->clocks.at);
	free(x->damages);
	history_index_init(x);
}

int history_index_open(struct history_index *x)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (history_facts_index(k, &x->facts[k]))
			return -ENOMEM;
	return 0;
}

bool history_index_holds_any(const struct history_index *x)
{
	bool any = false;

	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		any |= x->facts[k].n_open > 0;
	return any;
}

void history_index_end_all_at(struct history_index *x, int64_t time, uint32_t moment)
{
	history_times_settle_at(&x->times, moment);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_end_all(k, &x->facts[k], (struct history_at){ x->number, time, moment });
}

int history_index_end_all(struct history_index *x, int64_t time)
{
	uint32_t moment;

	history_times_settle(&x->times, time);
	if (!history_index_holds_any(x))
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

static int __attribute__((format(printf, 2, 0))) note(struct history_index *x, const char *format, va_list ap)
{
	struct history_damage *d;

	if (history_grow(&x->damages, x->n_damages, sizeof(*x->damages)))
		return -ENOMEM;
	d = &x->damages[x->n_damages++];
	d->line = x->lines;
	vsnprintf(d->text, sizeof(d->text), format, ap);
	return 0;
}

int history_index_note(struct history_index *x, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = note(x, format, ap);
	va_end(ap);
	return r;
}

int history_index_damage(struct history_index *x, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = note(x, format, ap);
	va_end(ap);
	if (r || (!x->lost && history_index_begin_gap(x, x->last_time, true)))
		return -ENOMEM;
	x->lost = true;
	history_clocks_lose(&x->clocks);
	x->in_change = false;
	return history_index_end_all(x, x->last_time);
}

uint32_t history_index_past(struct history_index *x, int64_t from, struct history_at at)
{
	return from == at.time ? at.moment : history_times_add_past(&x->times, from, at.time, at.line);
}
