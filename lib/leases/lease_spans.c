// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_spans.h"

#include <errno.h>

#include "base/array_grow.h"
#include "base/search.h"

static int add(struct lease_span **list, size_t *n, size_t *room, struct lease_span span)
{
	if (array_grow(list, *n, room, sizeof(**list)))
		return -ENOMEM;
	(*list)[(*n)++] = span;
	return 0;
}

int lease_spans_add(struct lease_spans *x, struct lease_span span)
{
	return span.reaches_back ? add(&x->back, &x->n_back, &x->back_room, span)
				 : add(&x->span, &x->n, &x->room, span);
}

void lease_spans_note(struct lease_spans *x, int64_t time)
{
	for (size_t i = 0; i < x->n_back; i++)
		if (time < x->back[i].to && time > x->back[i].from)
			x->back[i].from = time;
}

static bool is_of_kind(const struct lease_span *s, enum lease_span_kind kind)
{
	switch (kind) {
	case SPANS_BREAK:
		return s->doubt != DOUBT_ERASED && !s->added;
	case SPANS_ERASED:
		return s->doubt == DOUBT_ERASED;
	case SPANS_STEP:
		return s->doubt == DOUBT_CLOCK;
	case SPANS_UNCLEAR:
		return (s->doubt == DOUBT_CLOCK || s->doubt == DOUBT_GAP) && !s->added && !s->reaches_back;
	default:
		return s->doubt != DOUBT_ERASED;
	}
}

static int by_begin(const void *pa, const void *pb)
{
	const struct lease_span_row *a = pa, *b = pb;

	if (a->span->from != b->span->from)
		return a->span->from < b->span->from ? -1 : 1;
	return (a->span > b->span) - (a->span < b->span);
}

static int order_kind(struct lease_spans *x, enum lease_span_kind kind)
{
	struct lease_span_row *row = calloc(x->n + 1, sizeof(*row));
	size_t n = 0;

	if (!row)
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++)
		if (is_of_kind(&x->span[i], kind))
			row[n++].span = &x->span[i];
	qsort(row, n, sizeof(*row), by_begin);
	for (size_t i = 0; i < n; i++)
		row[i].furthest = i && row[i - 1].furthest->to >= row[i].span->to ? row[i - 1].furthest : row[i].span;
	x->row[kind] = row;
	x->n_rows[kind] = n;
	return 0;
}

int lease_spans_order(struct lease_spans *x)
{
	int r = 0;

	for (size_t i = 0; i < x->n_back && !r; i++)
		r = add(&x->span, &x->n, &x->room, x->back[i]);
	x->n_back = 0;
	for (unsigned kind = 0; kind < SPANS_KINDS && !r; kind++)
		r = order_kind(x, kind);
	return r;
}

void lease_spans_free(struct lease_spans *x)
{
	for (unsigned kind = 0; kind < SPANS_KINDS; kind++)
		free(x->row[kind]);
	free(x->span);
	free(x->back);
}

const struct lease_span *lease_spans_between(const struct lease_spans *x, enum lease_span_kind kind, int64_t from,
					     int64_t to)
{
	const struct lease_span_row *row = x->row[kind];
	size_t n = x->n_rows[kind], i = count_while(k, n, row[k].furthest->to <= from);

	return i < n && row[i].span->from < to ? row[i].span : NULL;
}

const struct lease_span *lease_spans_around(const struct lease_spans *x, enum lease_span_kind kind, int64_t begins_by,
					    int64_t ends_from)
{
	const struct lease_span_row *row = x->row[kind];
	size_t n = count_while(k, x->n_rows[kind], row[k].span->from <= begins_by);

	return n && row[n - 1].furthest->to >= ends_from ? row[n - 1].furthest : NULL;
}
