/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/inside_runs.h"

#include <stdbool.h>
#include <stdlib.h>

static int compare(const void *pa, const void *pb)
{
	const struct inside_range *a = pa, *b = pb;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->last > b->last ? -1 : a->last < b->last;
}

/* The ranges around the present place. */
struct sweep {
	struct inside_range *range;
	unsigned inmost; /* 1 + the place of the smallest one; 0: none */
	uint64_t at;	 /* first place that has no run yet */
	struct inside_run *run;
	size_t n;
};

/* Gives the places below `end` to the innermost range. */
static void run_until(struct sweep *s, uint64_t end)
{
	if (s->at >= end)
		return;
	s->run[s->n++] = (struct inside_run){
		.first = s->at,
		.last = end - 1,
		.number = s->range[s->inmost - 1].number,
	};
	s->at = end;
}

/* Leaves the ranges that end below a place. */
static void leave(struct sweep *s, uint64_t place)
{
	while (s->inmost && s->range[s->inmost - 1].last < place) {
		run_until(s, s->range[s->inmost - 1].last + 1);
		s->inmost = s->range[s->inmost - 1].around;
	}
}

/* Whoever keeps the ranges in order pays for no sort. */
static bool is_sorted(const struct inside_range *range, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare(&range[i - 1], &range[i]) > 0)
			return false;
	return true;
}

size_t inside_runs(struct inside_range *range, size_t n, struct inside_run *ret)
{
	struct sweep s = { .range = range, .run = ret };

	if (!is_sorted(range, n))
		qsort(range, n, sizeof(*range), compare);
	for (size_t i = 0; i < n; i++) {
		leave(&s, range[i].first);
		if (s.inmost)
			run_until(&s, range[i].first);
		s.at = range[i].first;
		range[i].around = (uint16_t)s.inmost;
		s.inmost = (unsigned)i + 1;
	}
	leave(&s, INSIDE_END);
	return s.n;
}

size_t inside_run_at(const struct inside_run *run, size_t n, uint64_t place)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (run[middle].last < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
