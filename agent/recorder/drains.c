/* SPDX-License-Identifier: BSD-2-Clause */
/* Drains in the history. Their beginning is recorded before it takes effect, as sessions are then opened elsewhere. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/history_private.h"

static bool list_has(const struct history_drain *list, size_t n, const struct history_drain *d)
{
	for (size_t i = 0; i < n; i++)
		if (history_drain_same(&list[i], d))
			return true;
	return false;
}

static bool agree(const struct history_drains *known, const struct history_drain *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!history_facts_find(FACT_DRAIN, &known->facts, &list[i]))
			return false;
	return known->n_open == n;
}

bool history_drains_agree(const struct history *h)
{
	return agree(&h->file.index.drains, h->drains, h->n_drains);
}

int history_rested(const struct history *h, int64_t seconds, struct history_rest **ret, size_t *ret_n)
{
	int64_t now = history_now();

	return history_rests(&h->file.index, now - seconds, h->taken_over ? TIME_NONE : now, ret, ret_n);
}

int history_drains_present(struct history *h, const struct history_drain *list, size_t n)
{
	struct history_drain *copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, list, n * sizeof(*copy));
	free(h->drains);
	h->drains = copy;
	h->n_drains = n;
	return 0;
}

void history_drains_expect(struct history *h)
{
	struct history_drain *list;
	size_t n;

	if (history_facts_list(FACT_DRAIN, &h->file.index.drains.facts, &list, &n))
		return;
	free(h->drains);
	h->drains = list;
	h->n_drains = n;
}

size_t history_drains_copy(const struct history *h, struct history_drain *ret)
{
	const struct history_drains *known = &h->file.index.drains;

	if (history_drains_agree(h)) {
		for (size_t i = 0; i < known->n_open; i++)
			ret[i] = known->interval[known->open[i]].drain;
		return known->n_open;
	}
	if (h->n_drains)
		memcpy(ret, h->drains, h->n_drains * sizeof(*ret));
	return h->n_drains;
}

static struct history_record ending(const struct drain_interval *v)
{
	return (struct history_record){ .event = EVENT_DRAINED, .drain = v->drain };
}

static struct history_record beginning(const struct history_drain *d)
{
	struct history_record r = { .event = EVENT_RETIRE, .drain = *d };

	r.drain.from = TIME_NONE;
	return r;
}

size_t history_drain_records(const struct history *h, const struct history_drain_change *c, struct history_record *ret)
{
	const struct history_drains *known = &h->file.index.drains;
	size_t n = 0;

	for (size_t i = 0; i < c->n_end; i++) {
		const struct drain_interval *v = history_facts_find(FACT_DRAIN, &known->facts, &c->end[i]);

		if (v)
			ret[n++] = ending(v);
	}
	for (size_t i = 0; i < c->n_begin; i++)
		if (!history_facts_find(FACT_DRAIN, &known->facts, &c->begin[i]) &&
		    !list_has(c->begin, i, &c->begin[i]))
			ret[n++] = beginning(&c->begin[i]);
	return n;
}

size_t history_drains_wrong(const struct history *h, const struct history_ends *ends, struct history_record *ret)
{
	const struct history_index *x = &h->file.index;
	size_t n = 0;

	for (size_t i = 0; i < x->drains.n; i++) {
		const struct drain_interval *v = &x->drains.interval[i];
		uint64_t line = 0;

		/* Records before the last change have taken effect, whatever happened later. */
		if (v->undone || (v->line < x->last_change && v->end_line < x->last_change))
			continue;
		if (v->to == TIME_OPEN && v->line > x->settled && v->line >= x->last_change &&
		    !list_has(h->drains, h->n_drains, &v->drain))
			line = v->line;
		else if (v->to != TIME_OPEN && v->end_line > x->settled && v->end_line >= x->last_change &&
			 v->end_line != v->line && !history_ends_has(ends, v->end_line) &&
			 list_has(h->drains, h->n_drains, &v->drain) &&
			 !history_facts_find(FACT_DRAIN, &x->drains.facts, &v->drain))
			line = v->end_line;
		if (line)
			ret[n++] = (struct history_record){ .event = EVENT_UNDO, .first = line, .last = line };
	}
	return n;
}

int history_drains_align(struct history *h, struct error *err)
{
	const struct history_drains *known = &h->file.index.drains;
	_cleanup_free_ struct history_record *records = calloc(known->n_open + h->n_drains + 1, sizeof(*records));
	size_t n = 0;

	if (!records)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < known->n_open; i++) {
		const struct drain_interval *v = &known->interval[known->open[i]];

		if (!list_has(h->drains, h->n_drains, &v->drain))
			records[n++] = ending(v);
	}
	for (size_t i = 0; i < h->n_drains; i++)
		if (!history_facts_find(FACT_DRAIN, &known->facts, &h->drains[i]))
			records[n++] = beginning(&h->drains[i]);
	return n ? history_append(h, records, n, err) : 0;
}
