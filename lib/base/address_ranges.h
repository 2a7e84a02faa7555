/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of addresses as disjoint ranges, for the datapath's settings and for the guard. */
#ifndef DETNAT_ADDRESS_RANGES_H
#define DETNAT_ADDRESS_RANGES_H

#include <detnat/tables.h>

#include "base/address.h"

static inline struct address_range address_range_of(struct prefix p)
{
	return (struct address_range){ p.base, prefix_last(p) };
}

/*
 * Sorts ranges by address and merges those that overlap, adjoin or repeat. Returns the remaining number; equal sets of
 * addresses give equal ranges.
 */
size_t address_ranges_merge(struct address_range *range, size_t n);

#endif
