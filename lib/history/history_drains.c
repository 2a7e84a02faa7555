/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_drains.h"
#include "history/history_gaps.h"

#include <errno.h>
#include <stdlib.h>

#include <detnat/mapping.h>

#include "base/json_text.h"
#include "base/timestamp.h"

#define STILL TIME_OPEN

void history_drains_free(struct history_drains *p)
{
	free(p->interval);
	free(p->open);
	free(p->pauses.at);
	*p = (struct history_drains){ 0 };
}

bool history_drain_same(const struct history_drain *a, const struct history_drain *b)
{
	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_equal(a->of, b->of);
}

bool history_drain_whole(const struct history_drain *d)
{
	return prefix_equal(d->of, d->in);
}

struct drain_interval *history_drain_open(const struct history_drains *p, const struct history_drain *d)
{
	for (size_t i = 0; i < p->n_open; i++)
		if (history_drain_same(&p->interval[p->open[i]].drain, d))
			return &p->interval[p->open[i]];
	return NULL;
}

static int open_again(struct history_drains *p, size_t number)
{
	if (history_grow(&p->open, p->n_open, sizeof(*p->open)))
		return -ENOMEM;
	p->interval[number].to = STILL;
	p->interval[number].end = MOMENT_NONE;
	p->interval[number].end_line = 0;
	p->open[p->n_open++] = number;
	return 0;
}

static int begin_one(struct history_drains *p, const struct history_drain *d, uint32_t begin, uint64_t line)
{
	if (history_grow(&p->interval, p->n, sizeof(*p->interval)))
		return -ENOMEM;
	p->interval[p->n] = (struct drain_interval){ .drain = *d, .begin = begin, .line = line };
	return open_again(p, p->n++);
}

/* Ends the open one at a place in the list; the others keep their order. */
static void end_at(struct history_drains *p, size_t i, struct history_at at)
{
	struct drain_interval *v = &p->interval[p->open[i]];

	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	p->n_open--;
	for (; i < p->n_open; i++)
		p->open[i] = p->open[i + 1];
}

static bool covers(const struct history_drain *a, const struct history_drain *b)
{
	return prefix_equal(a->in, b->in) && prefix_equal(a->out, b->out) && prefix_within(b->of, a->of);
}

int history_drains_begin(struct history_drains *p, const struct history_drain *d, uint32_t begin, struct history_at at)
{
	if (history_drain_open(p, d))
		return 0;
	for (size_t i = p->n_open; i-- > 0;)
		if (covers(d, &p->interval[p->open[i]].drain))
			end_at(p, i, at);
	return begin_one(p, d, begin, at.line);
}

int history_drains_end(struct history_drains *p, const struct history_drain *d, uint32_t begin, struct history_at at)
{
	int r = 0;

	/* If lines are missing, only the end shows that it existed. */
	if (!history_drain_open(p, d))
		r = begin_one(p, d, begin, at.line);
	for (size_t i = p->n_open; !r && i-- > 0;)
		if (history_drain_same(&p->interval[p->open[i]].drain, d))
			end_at(p, i, at);
	return r;
}

void history_drains_end_of(struct history_drains *p, struct prefix in, struct prefix out, struct history_at at)
{
	for (size_t i = p->n_open; i-- > 0;) {
		const struct history_drain *d = &p->interval[p->open[i]].drain;

		if (prefix_equal(d->in, in) && prefix_equal(d->out, out))
			end_at(p, i, at);
	}
}

void history_drains_end_all(struct history_drains *p, struct history_at at)
{
	while (p->n_open)
		end_at(p, p->n_open - 1, at);
}

bool history_drains_undo(struct history_drains *p, struct history_times *t, uint64_t line, struct history_at at,
			 int *ret)
{
	bool found = false;

	*ret = 0;
	at.line = line;
	for (size_t i = p->n_open; i-- > 0 && !*ret;) {
		struct drain_interval *v = &p->interval[p->open[i]];

		if (v->line != line)
			continue;
		at.moment = history_times_undo(t, v->begin, at.time, line);
		*ret = at.moment == MOMENT_NONE ? -ENOMEM : 0;
		end_at(p, i, at);
		v->undone = true;
		found = true;
	}
	for (size_t i = 0; i < p->n && !*ret; i++) {
		const struct drain_interval *v = &p->interval[i];

		if (v->undone || v->end_line != line || v->line == line)
			continue;
		at.moment = history_times_undo(t, v->end, at.time, line);
		if (at.moment == MOMENT_NONE || history_pauses_add(&p->pauses, i, v->end, at.moment))
			*ret = -ENOMEM;
		*ret = *ret ? *ret : open_again(p, i);
		found = true;
	}
	return found;
}

size_t history_drains_list(const struct history_drains *p, struct history_drain *ret)
{
	for (size_t i = 0; i < p->n_open; i++)
		ret[i] = p->interval[p->open[i]].drain;
	return p->n_open;
}

void history_drain_write(FILE *out, const struct history_drain *d)
{
	char in[ADDR_TEXT], pool[ADDR_TEXT], of[ADDR_TEXT], from[TIME_TEXT];

	fprintf(out, "\"in\":\"%s\",\"out\":\"%s\",\"of\":\"%s\",\"from\":\"%s\"", prefix_text(d->in, in),
		prefix_text(d->out, pool), prefix_text(d->of, of), time_format(d->from, from));
}

bool history_drain_read(const cJSON *json, struct history_drain *ret)
{
	const char *in = json_text(json, "in", NULL), *out = json_text(json, "out", NULL),
		   *of = json_text(json, "of", NULL);
	const char *from = json_text(json, "from", NULL);

	return in && out && of && from && !range_parse(in, &ret->in) && !range_parse(out, &ret->out) &&
	       !range_parse(of, &ret->of) && !time_parse(from, &ret->from) && prefix_within(ret->of, ret->in);
}
