/* SPDX-License-Identifier: BSD-2-Clause */
/* The sets of the guard's table. */
#ifndef DETNAT_GUARD_SETS_H
#define DETNAT_GUARD_SETS_H

#include "guard_batch.h"
#include "guard_rules.h"

/*
 * Makes a set where it is missing, and empties it. id: a number of its own in the batch; type: nft's number of the type
 * of keys; flags: NFT_SET_*.
 */
void guard_put_set(struct guard_batch *b, const struct guard_rules *rules, const char *name, uint32_t id, uint32_t type,
		   uint32_t flags);

/* Adds disjoint ranges, in order, to a set of intervals; indexes of interfaces to another. */
void guard_put_ranges(struct guard_batch *b, const struct guard_rules *rules, const char *name,
		      const struct address_range *range, size_t n);
void guard_put_indexes(struct guard_batch *b, const struct guard_rules *rules, const char *name, const uint32_t *index,
		       size_t n);

#endif
