/* SPDX-License-Identifier: BSD-2-Clause */
#include "attacks/rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tables/mapping_drains.h"

/* The pool of a mapping in the tables. */
static bool pool_of(const struct mappings *m, int number, struct rate_pool *ret)
{
	const struct mapping *record = mappings_get(m, number);

	if (!record || record->geo.out_plen == PLEN_NONE || record->geo.last_out >= STRANGER_COUNTERS)
		return false;
	*ret = (struct rate_pool){ .number = number, .first = record->geo.out_base, .n = record->geo.last_out + 1 };
	return true;
}

bool rates_fit(const struct rates *r, const struct mappings *m)
{
	size_t at = 0;

	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		struct rate_pool p;

		if (!pool_of(m, number, &p))
			continue;
		if (at == r->n_pools || r->pool[at].number != number || r->pool[at].first != p.first ||
		    r->pool[at].n != p.n)
			return false;
		at++;
	}
	return at == r->n_pools;
}

/* Stripes for so many lines: as many as there is room for, and cores to use them. */
static uint32_t stripes_for(uint64_t lines)
{
	long cores = sysconf(_SC_NPROCESSORS_CONF);
	uint32_t stripes = 1;

	while (stripes < STRANGER_STRIPES && (long)stripes < cores && 2ULL * stripes * lines <= STRANGER_LINES)
		stripes *= 2;
	return stripes;
}

/* The lines of all pools; those of retired mappings come last. */
static uint64_t count_lines(const struct rates *r)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < r->n_pools; i++)
		lines += stranger_stripe_lines(r->pool[i].n);
	return lines;
}

static void count_from_zero(const struct rates *r, const struct mappings *m)
{
	const struct datapath *d = mappings_datapath(m);
	uint32_t stripes = stripes_for(count_lines(r)), line = 0;

	memset(d->stranger, 0, STRANGER_LINES * sizeof(*d->stranger));
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < r->n_pools; i++) {
			const struct rate_pool *p = &r->pool[i];
			struct stranger_pool *to = &d->stranger_pool[p->number];
			uint32_t lines = stripes * stranger_stripe_lines(p->n);

			if (mappings_is_retired(m, p->number) != !!pass || line + lines > STRANGER_LINES)
				continue;
			to->first = p->first;
			to->line = line;
			to->stripe_mask = stripes - 1;
			/* Last: the programs count from here on. */
			__atomic_store_n(&to->n, p->n, __ATOMIC_RELEASE);
			line += lines;
		}
}

void rates_end(struct rates *r, const struct mappings *m)
{
	const struct datapath *d = mappings_datapath(m);

	for (size_t i = 0; d->stranger_pool && i < r->n_pools; i++)
		__atomic_store_n(&d->stranger_pool[r->pool[i].number].n, 0, __ATOMIC_RELEASE);
	free(r->pool);
	free(r->counted);
	free(r->rate);
	*r = (struct rates){ 0 };
}

int rates_begin(struct rates *r, const struct mappings *m)
{
	size_t n = 0;

	rates_end(r, m);
	if (!mappings_datapath(m)->stranger)
		return -EINVAL;
	r->pool = calloc(MAX_MAPPINGS, sizeof(*r->pool));
	for (int number = 0; r->pool && number < (int)MAX_MAPPINGS; number++) {
		struct rate_pool *p = &r->pool[n];

		if (!pool_of(m, number, p))
			continue;
		p->place = r->n;
		r->n += p->n;
		n++;
	}
	r->counted = calloc(r->n + 1, sizeof(*r->counted));
	r->rate = calloc(r->n + 1, sizeof(*r->rate));
	if (!r->pool || !r->counted || !r->rate) {
		rates_end(r, m);
		return -ENOMEM;
	}
	r->n_pools = n;
	count_from_zero(r, m);
	return 0;
}

static uint32_t sum_of(const struct datapath *d, const struct stranger_pool *p, uint32_t offset)
{
	size_t step = stranger_stripe_lines(p->n);
	uint32_t sum = 0;
	const struct stranger_line *line = &d->stranger[p->line + (offset >> STRANGER_LINE_SHIFT)];

	for (uint32_t i = 0; i <= p->stripe_mask; i++)
		sum += __atomic_load_n(&line[i * step].packets[offset & (STRANGER_LINE - 1)], __ATOMIC_RELAXED);
	return sum;
}

void rates_read(struct rates *r, const struct mappings *m, uint64_t elapsed_us)
{
	const struct datapath *d = mappings_datapath(m);

	for (size_t i = 0; i < r->n_pools; i++) {
		const struct rate_pool *of = &r->pool[i];
		const struct stranger_pool *p = &d->stranger_pool[of->number];

		/* There was no room for it. */
		if (!p->n)
			continue;
		for (uint32_t k = 0; k < of->n; k++) {
			uint32_t sum = sum_of(d, p, k), *counted = &r->counted[of->place + k];
			uint64_t rate = (uint64_t)(sum - *counted) * 1000000 / elapsed_us;

			*counted = sum;
			r->rate[of->place + k] = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
		}
	}
}

static int by_number(const void *key, const void *element)
{
	int number = *(const int *)key, other = ((const struct rate_pool *)element)->number;

	return (number > other) - (number < other);
}

int64_t rates_place(const struct rates *r, int number, uint32_t addr)
{
	const struct rate_pool *p =
		r->n_pools ? bsearch(&number, r->pool, r->n_pools, sizeof(*r->pool), by_number) : NULL;

	return p && addr - p->first < p->n ? (int64_t)p->place + (addr - p->first) : -1;
}
