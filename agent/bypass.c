/* SPDX-License-Identifier: BSD-2-Clause */
#include "bypass.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct address_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void bypass_ranges(const struct config *c, struct settings *settings)
{
	struct address_range *range = settings->bypass;
	uint32_t n = 0, merged = 0;

	for (size_t i = 0; i < c->n_bypass && n < MAX_BYPASS; i++) {
		const struct prefix *p = &c->bypass[i];

		range[n++] = (struct address_range){ p->base, p->base | ~prefix_mask(p->plen) };
	}
	qsort(range, n, sizeof(*range), compare);
	for (uint32_t i = 0; i < n; i++) {
		/* In 64 bits, as an address after the last one has no number in 32. */
		if (merged && range[i].first <= (uint64_t)range[merged - 1].last + 1) {
			if (range[i].last > range[merged - 1].last)
				range[merged - 1].last = range[i].last;
		} else {
			range[merged++] = range[i];
		}
	}
	settings->n_bypass = merged;
	for (uint32_t i = merged; i < MAX_BYPASS; i++)
		range[i] = (struct address_range){ .first = UINT32_MAX };
}
