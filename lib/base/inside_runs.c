/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/inside_runs.h"

#include <stdlib.h>

#include <detnat/mapping.h>

/* Prefixes that lie within each other, at most: one of each length. */
#define MAX_DEPTH 33U

static int compare(const void *pa, const void *pb)
{
	const struct inside_prefix *a = pa, *b = pb;

	return a->base != b->base ? (a->base > b->base) - (a->base < b->base) : a->plen - b->plen;
}

static uint32_t last_of(const struct inside_prefix *p)
{
	return (uint32_t)(p->base + (prefix_size(p->plen) - 1));
}

/* The prefixes around the present address, the longest last. */
struct sweep {
	const struct inside_prefix *around[MAX_DEPTH];
	unsigned depth;
	uint64_t at; /* first address that has no run yet */
	struct inside_run *run;
	size_t n;
};

/* Gives the addresses below `end` to the innermost prefix. */
static void run_until(struct sweep *s, uint64_t end)
{
	if (s->at >= end)
		return;
	s->run[s->n++] = (struct inside_run){
		.first = (uint32_t)s->at,
		.last = (uint32_t)(end - 1),
		.number = s->around[s->depth - 1]->number,
	};
	s->at = end;
}

/* Leaves the prefixes that end below an address. */
static void leave(struct sweep *s, uint64_t addr)
{
	while (s->depth && last_of(s->around[s->depth - 1]) < addr) {
		run_until(s, (uint64_t)last_of(s->around[s->depth - 1]) + 1);
		s->depth--;
	}
}

size_t inside_runs(struct inside_prefix *prefix, size_t n, struct inside_run *ret)
{
	struct sweep s = { .run = ret };

	if (n)
		qsort(prefix, n, sizeof(*prefix), compare);
	for (size_t i = 0; i < n; i++) {
		leave(&s, prefix[i].base);
		if (s.depth)
			run_until(&s, prefix[i].base);
		s.at = prefix[i].base;
		s.around[s.depth++] = &prefix[i];
	}
	leave(&s, 1ULL << 32);
	return s.n;
}

size_t inside_run_at(const struct inside_run *run, size_t n, uint32_t addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (run[middle].last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
