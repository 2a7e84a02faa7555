/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/bypass_ranges.h"

#include "base/address_ranges.h"

/* Unused ranges come last, and contain nothing. */
static void fill_up(struct address_range *range, uint32_t n, uint32_t max)
{
	for (uint32_t i = n; i < max; i++)
		range[i] = (struct address_range){ .first = UINT32_MAX };
}

void bypass_ranges(const struct config *c, struct settings *settings)
{
	struct address_range *range = settings->bypass;
	uint32_t n = 0;

	for (size_t i = 0; i < c->n_bypass && n < MAX_BYPASS; i++)
		range[n++] = address_range_of(c->bypass[i]);
	settings->n_bypass = (uint32_t)address_ranges_merge(range, n);
	fill_up(range, settings->n_bypass, MAX_BYPASS);
}
