/* SPDX-License-Identifier: BSD-2-Clause */
/* The open intervals of the index, and the remains of drained ones. */
#include "history/history_index.h"

#include <errno.h>
#include <stdlib.h>

struct history_interval *history_index_find_open(const struct history_index *x, const struct history_mapping *m)
{
	for (size_t i = 0; i < x->n_open; i++) {
		struct history_interval *v = &x->intervals[x->open[i]];

		if (history_interval_is(m, v))
			return v;
	}
	return NULL;
}

/* Whether the mapping of a drain ended with it; one that was taken into use again did not. */
static bool ended_with_mapping(const struct history_index *x, const struct drain_interval *d)
{
	for (size_t i = x->n_intervals; i-- > 0;) {
		const struct history_interval *v = &x->intervals[i];

		if (v->end_line == d->end_line && !v->undone && v->in.base == d->drain.in.base &&
		    v->in.plen == d->drain.in.plen && v->out.base == d->drain.out.base &&
		    v->out.plen == d->drain.out.plen)
			return true;
	}
	return false;
}

int history_rests(const struct history_index *x, int64_t after, int64_t still, struct history_rest **ret, size_t *ret_n)
{
	struct history_rest *list = calloc(x->drains.n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < x->drains.n; i++) {
		const struct drain_interval *d = &x->drains.interval[i];
		int64_t ended = d->to == TIME_OPEN ? still : d->to;

		if (d->undone || !history_drain_whole(&d->drain) || ended <= after ||
		    (d->to != TIME_OPEN && !ended_with_mapping(x, d)))
			continue;
		list[n++] = (struct history_rest){ d->drain.in, d->drain.out, ended };
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
