/* SPDX-License-Identifier: BSD-2-Clause */
/* What differs between two lists of prefixes of which one is an edit of the other. */
#ifndef DETNAT_PREFIX_STRETCH_H
#define DETNAT_PREFIX_STRETCH_H

#include <stddef.h>

#include "base/address.h"

/* A stretch of a list. */
struct prefix_stretch {
	const struct prefix *prefix;
	size_t n;
};

/* Takes away what two lists have in common at their beginnings and ends. */
static inline void prefix_stretches_leave_differences(struct prefix_stretch *a, struct prefix_stretch *b)
{
	while (a->n && b->n && prefix_equal(a->prefix[0], b->prefix[0])) {
		a->prefix++;
		b->prefix++;
		a->n--;
		b->n--;
	}
	while (a->n && b->n && prefix_equal(a->prefix[a->n - 1], b->prefix[b->n - 1])) {
		a->n--;
		b->n--;
	}
}

#endif
