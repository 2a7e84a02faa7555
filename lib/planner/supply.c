// SPDX-License-Identifier: BSD-2-Clause
#include "planner/supply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"

void supply_free(struct supply *s)
{
	free(s->grant);
	free(s->opened_ms);
	for (unsigned i = 0; i < GROWTH_MAX_BLOCKS; i++)
		free(s->open[i].ms);
	*s = (struct supply){ 0 };
}

/* Makes room for `more` elements behind n. False: out of memory. */
static bool make_room(void *array, size_t n, size_t more, size_t *room, size_t size)
{
	void **at = array, *larger;
	size_t wanted = *room ? *room : 64;

	if (n + more <= *room)
		return true;
	while (wanted < n + more)
		wanted *= 2;
	larger = reallocarray(*at, wanted, size);
	if (!larger)
		return false;
	*at = larger;
	*room = wanted;
	return true;
}

void supply_opened(struct supply *s, uint32_t number, int64_t ms)
{
	struct supply_open *o = &s->open[number];
	size_t room = o->room;

	if (!make_room(&o->ms, o->n, 1, &room, sizeof(*o->ms))) {
		s->failed = true;
		return;
	}
	o->room = (uint32_t)room;
	o->ms[o->n++] = ms;
}

void supply_granted(struct supply *s, uint32_t number, int64_t from_ms, int64_t to_ms)
{
	struct supply_open *o = &s->open[number];

	if (!make_room(&s->grant, s->n, 1, &s->room, sizeof(*s->grant)) ||
	    !make_room(&s->opened_ms, s->n_opened, o->n, &s->room_opened, sizeof(*s->opened_ms))) {
		s->failed = true;
		return;
	}
	s->grant[s->n++] = (struct supply_grant){ .from_ms = from_ms,
						  .to_ms = to_ms,
						  .opened = s->n_opened,
						  .n_opened = o->n,
						  .subscriber = s->subscribers };
	if (o->n)
		memcpy(s->opened_ms + s->n_opened, o->ms, o->n * sizeof(*o->ms));
	s->n_opened += o->n;
	o->n = 0;
}

void supply_next(struct supply *s, bool refused)
{
	for (; s->first < s->n; s->first++)
		s->grant[s->first].refused = refused;
	s->subscribers++;
}

/* By address, then by time. */
static int by_address(const void *pa, const void *pb, void *arg)
{
	const struct supply_grant *a = pa, *b = pb;
	const uint32_t ratio = *(const uint32_t *)arg;

	if (a->subscriber / ratio != b->subscriber / ratio)
		return a->subscriber / ratio < b->subscriber / ratio ? -1 : 1;
	if (a->from_ms != b->from_ms)
		return a->from_ms < b->from_ms ? -1 : 1;
	return (a->subscriber > b->subscriber) - (a->subscriber < b->subscriber);
}

/* The blocks of an address: when each has rested. */
struct address {
	int64_t *until_ms;
	uint32_t n, blocks;
};

/* When a block is there for a grant, which takes it until another time. INT64_MAX: not before the grant would end. */
static int64_t take_block(struct address *a, const struct supply_grant *g, int64_t rest_ms)
{
	uint32_t first = 0;
	int64_t from;

	for (uint32_t i = 0; i < a->n;)
		if (a->until_ms[i] <= g->from_ms)
			a->until_ms[i] = a->until_ms[--a->n];
		else
			i++;
	if (a->n < a->blocks) {
		a->until_ms[a->n++] = g->to_ms + rest_ms;
		return g->from_ms;
	}
	for (uint32_t i = 1; i < a->n; i++)
		if (a->until_ms[i] < a->until_ms[first])
			first = i;
	from = a->n ? a->until_ms[first] : INT64_MAX;
	if (from >= g->to_ms)
		return INT64_MAX;
	a->until_ms[first] = g->to_ms + rest_ms;
	return from;
}

static uint64_t opened_before(const struct supply *s, const struct supply_grant *g, int64_t ms)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < g->n_opened; i++)
		n += s->opened_ms[g->opened + i] < ms;
	return n;
}

static int by_subscriber(const void *pa, const void *pb)
{
	const struct supply_grant *a = pa, *b = pb;

	return (a->subscriber > b->subscriber) - (a->subscriber < b->subscriber);
}

/* Counts subscribers among the grants, which judging has marked: refused now, and n_opened 0 if never granted. */
static void count_subscribers(struct supply *s, struct supply_result *r, const bool *refused_by_supply)
{
	for (size_t i = 0; i < s->n; i++)
		r->subscribers += !i || s->grant[i].subscriber != s->grant[i - 1].subscriber;
	for (uint32_t k = 0; k < s->subscribers; k++)
		r->subscribers_refused += refused_by_supply[k];
}

int supply_judge(struct supply *s, uint32_t ratio, uint32_t blocks, int64_t rest_ms, struct supply_result *ret)
{
	_cleanup_free_ int64_t *until = calloc((size_t)blocks + 1, sizeof(*until));
	_cleanup_free_ bool *refused = calloc((size_t)s->subscribers + 1, sizeof(*refused));
	struct address a = { .until_ms = until, .blocks = blocks };
	struct supply_result r = { .grants = s->n };

	if (!until || !refused || s->failed)
		return -ENOMEM;
	if (s->n)
		qsort_r(s->grant, s->n, sizeof(*s->grant), by_address, &ratio);
	for (size_t i = 0; i < s->n; i++) {
		const struct supply_grant *g = &s->grant[i];
		int64_t from;

		if (i && g->subscriber / ratio != s->grant[i - 1].subscriber / ratio)
			a.n = 0;
		from = take_block(&a, g, rest_ms);
		r.peak = a.n > r.peak ? a.n : r.peak;
		if (from == g->from_ms)
			continue;
		r.denied++;
		r.sessions_refused += opened_before(s, g, from);
		refused[g->subscriber] |= !g->refused && opened_before(s, g, from);
	}
	if (s->n)
		qsort(s->grant, s->n, sizeof(*s->grant), by_subscriber);
	count_subscribers(s, &r, refused);
	*ret = r;
	return 0;
}
