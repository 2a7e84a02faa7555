/* SPDX-License-Identifier: BSD-2-Clause */
/* The sets of the guard's table. */
#ifndef DETNAT_SETS_H
#define DETNAT_SETS_H

#include "guard/batch.h"
#include "guard/rules.h"

struct guard_set {
	const char *name;
	uint32_t id;	/* a number of its own in the batch */
	uint32_t type;	/* nft's number of the type of keys */
	uint32_t flags; /* NFT_SET_* */
};

/* Makes an empty set, or takes one away, whether it is there or not. One that rules look in stays (-EBUSY). */
void guard_make_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);
void guard_delete_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);

/* Adds disjoint ranges, in order, to a set of intervals; indexes of interfaces to another. */
void guard_put_ranges(struct guard_batch *b, const struct guard_rules *rules, const char *name,
		      const struct address_range *range, size_t n);
void guard_put_indexes(struct guard_batch *b, const struct guard_rules *rules, const char *name, const uint32_t *index,
		       size_t n);

#endif
