/* SPDX-License-Identifier: BSD-2-Clause */
/* The sets of the guard's table. */
#ifndef DETNAT_SETS_H
#define DETNAT_SETS_H

#include "guard/batch.h"
#include "guard/rules.h"

struct guard_set {
	const char *name;
	uint32_t id;	/* unique within the batch */
	uint32_t type;	/* nft's number for the type of keys */
	uint32_t flags; /* NFT_SET_* */
};

/* Creates an empty set, or deletes one whether or not it exists. Deleting a set that rules use fails (-EBUSY). */
void guard_make_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);
void guard_delete_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set);

/* Adds disjoint, sorted ranges to a set of intervals, or interface indexes to another. */
void guard_put_ranges(struct guard_batch *b, const struct guard_rules *rules, const char *name,
		      const struct address_range *range, size_t n);
void guard_put_indexes(struct guard_batch *b, const struct guard_rules *rules, const char *name, const uint32_t *index,
		       size_t n);

#endif
