/* SPDX-License-Identifier: BSD-2-Clause */
/* The remains of drained mappings. */
#include "history/history_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The mapping of a drain that ended with it; NULL if it was taken into use again. */
static const struct history_interval *ended_with(const struct history_index *x, const struct drain_interval *d)
{
	for (size_t i = x->mappings.n; i-- > 0;) {
		const struct history_interval *v = &x->mappings.interval[i];

		if (v->end_line == d->end_line && !v->undone && fact_rows[FACT_DRAIN].within(&d->drain, &v->mapping))
			return v;
	}
	return NULL;
}

/* The mapping of a drain that goes on; NULL: none is known. */
static const struct history_interval *draining(const struct history_index *x, const struct drain_interval *d)
{
	for (size_t i = 0; i < x->mappings.n_open; i++) {
		const struct history_interval *v = &x->mappings.interval[x->mappings.open[i]];

		if (fact_rows[FACT_DRAIN].within(&d->drain, &v->mapping))
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
			list[n].blocks = of->mapping.blocks;
			memcpy(list[n].tenant, of->mapping.tenant, sizeof(list[n].tenant));
		}
		n++;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}
