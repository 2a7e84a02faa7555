/* SPDX-License-Identifier: BSD-2-Clause */
/* The outside addresses that a gateway has, or ever had. */
#ifndef DETNATCTL_OUTSIDE_RANGES_H
#define DETNATCTL_OUTSIDE_RANGES_H

#include "base/address_ranges.h"
#include "history/history_claims.h"
#include "history/history_index.h"

/* Initialised with zeros. Ranges are in order, and apart. */
struct outside_ranges {
	struct address_range *range;
	size_t n;
	bool known; /* false: some may be missing, as records are, or there are none */
};

/* Those of the mappings of a history, and of what is claimed of the time before it. 0 or -ENOMEM; the caller frees
 * them. */
int outside_ranges_read(const struct history_index *x, const struct history_claims *claims, struct outside_ranges *ret);
void outside_ranges_free(struct outside_ranges *r);

bool outside_ranges_hold(const struct outside_ranges *r, uint32_t addr);

#define _cleanup_outside_ __attribute__((cleanup(outside_ranges_free)))

#endif
