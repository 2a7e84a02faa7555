/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/address_ranges.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	const struct address_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

size_t address_ranges_merge(struct address_range *range, size_t n)
{
	size_t merged = 0, in_order = 1;

	/* Those of thousands of mappings come in order. */
	while (in_order < n && range[in_order - 1].first <= range[in_order].first)
		in_order++;
	if (in_order < n)
		qsort(range, n, sizeof(*range), compare);
	for (size_t i = 0; i < n; i++) {
		/* In 64 bits, as the end of the last range does not fit in 32. */
		if (merged && range[i].first <= (uint64_t)range[merged - 1].last + 1) {
			if (range[i].last > range[merged - 1].last)
				range[merged - 1].last = range[i].last;
		} else {
			range[merged++] = range[i];
		}
	}
	return merged;
}
