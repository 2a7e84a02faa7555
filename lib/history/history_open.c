/* SPDX-License-Identifier: BSD-2-Clause */
/* The open intervals of the index, and the remains of drained ones. */
#include "history/history_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct history_interval *history_index_find_open(const struct history_index *x, const struct history_mapping *m)
{
	uint64_t hash = history_prefix_hash(m->in, m->out);
	struct history_interval *found = NULL;
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&x->open_by_prefix, hash, &step, &number);) {
		struct history_interval *v = &x->intervals[number];

		if (!history_interval_is(m, v))
			continue;
		/* A record without a tenant's name may be of any: the one that says the same comes first, or the
		 * oldest. */
		if (!strcmp(m->tenant, v->tenant))
			return v;
		found = !found || v < found ? v : found;
	}
	return found;
}

/* The mapping of a drain that ended with it; NULL if it was taken into use again. */
static const struct history_interval *ended_with(const struct history_index *x, const struct drain_interval *d)
{
	for (size_t i = x->n_intervals; i-- > 0;) {
		const struct history_interval *v = &x->intervals[i];

		if (v->end_line == d->end_line && !v->undone && prefix_equal(v->in, d->drain.in) &&
		    prefix_equal(v->out, d->drain.out))
			return v;
	}
	return NULL;
}

/* The mapping of a drain that goes on; NULL: none is known. */
static const struct history_interval *draining(const struct history_index *x, const struct drain_interval *d)
{
	for (size_t i = 0; i < x->n_open; i++) {
		const struct history_interval *v = &x->intervals[x->open[i]];

		if (prefix_equal(v->in, d->drain.in) && prefix_equal(v->out, d->drain.out))
			return v;
	}
	return NULL;
}

int history_rests(const struct history_index *x, int64_t after, int64_t still, struct history_rest **ret, size_t *ret_n)
{
	struct history_rest *list = calloc(x->drains.n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < x->drains.n; i++) {
		const struct drain_interval *d = &x->drains.interval[i];
		const struct history_interval *of = d->to == TIME_OPEN ? NULL : ended_with(x, d);
		int64_t ended = d->to == TIME_OPEN ? still : d->to;

		if (d->undone || !history_drain_whole(&d->drain) || ended <= after || (d->to != TIME_OPEN && !of))
			continue;
		of = of ? of : draining(x, d);
		list[n] = (struct history_rest){ .in = d->drain.in, .out = d->drain.out, .ended = ended };
		if (of) {
			list[n].blocks = of->blocks;
			memcpy(list[n].tenant, of->tenant, sizeof(list[n].tenant));
		}
		n++;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
