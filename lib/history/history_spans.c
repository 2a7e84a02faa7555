/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_spans.h"

#include <errno.h>

#include "base/timestamp.h"

#define STILL TIME_OPEN

static struct history_span *at_number(const struct history_spans *s, size_t number)
{
	return (struct history_span *)((char *)s->interval + number * s->size);
}

static uint32_t number_of(const struct history_spans *s, const struct history_span *v)
{
	return (uint32_t)((size_t)((const char *)v - (const char *)s->interval) / s->size);
}

int history_spans_open(const struct history_spans *s, struct history_span *v)
{
	if (hash_index_add(s->open, s->hash(v), number_of(s, v)))
		return -ENOMEM;
	v->to = STILL;
	v->end = MOMENT_NONE;
	v->end_line = 0;
	return 0;
}

void history_spans_end(const struct history_spans *s, struct history_span *v, struct history_at at)
{
	hash_index_del(s->open, s->hash(v), number_of(s, v));
	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
}

void history_spans_end_all(const struct history_spans *s, struct history_at at)
{
	for (size_t i = s->n; s->open->n && i-- > 0;)
		if (at_number(s, i)->to == STILL)
			history_spans_end(s, at_number(s, i), at);
}

int history_spans_index(const struct history_spans *s)
{
	hash_index_clear(s->open);
	for (size_t i = 0; i < s->n; i++)
		if (at_number(s, i)->to == STILL && history_spans_open(s, at_number(s, i)))
			return -ENOMEM;
	return 0;
}

bool history_spans_undo(const struct history_spans *s, struct history_times *t, uint64_t line, struct history_at at,
			int *ret)
{
	bool found = false;

	*ret = 0;
	at.line = line;
	for (size_t i = s->n; i-- > 0 && !*ret;) {
		struct history_span *v = at_number(s, i);
		bool begun = v->line == line && v->to == STILL, ended = v->end_line == line && v->line != line;

		if (v->undone || (!begun && !ended))
			continue;
		at.moment = history_times_undo(t, begun ? v->begin : v->end, at.time, line);
		if (at.moment == MOMENT_NONE)
			*ret = -ENOMEM;
		else if (begun)
			history_spans_end(s, v, at);
		else
			*ret = history_pauses_add(s->pauses, i, v->end, at.moment);
		v->undone = begun;
		if (!*ret && ended)
			*ret = history_spans_open(s, v);
		found = true;
	}
	return found;
}
