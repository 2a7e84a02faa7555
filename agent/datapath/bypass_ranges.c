/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/bypass_ranges.h"

#include "base/address_ranges.h"

void bypass_ranges(const struct config *c, struct settings *settings)
{
	struct address_range *range = settings->bypass;
	uint32_t n = 0;

	for (size_t i = 0; i < c->n_bypass && n < MAX_BYPASS; i++)
		range[n++] = address_range_of(c->bypass[i]);
	settings->n_bypass = (uint32_t)address_ranges_merge(range, n);
	for (uint32_t i = settings->n_bypass; i < MAX_BYPASS; i++)
		range[i] = (struct address_range){ .first = UINT32_MAX };
}
