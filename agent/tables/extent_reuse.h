/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's part of <detnat/extents.h>: it makes those that subscribers gave up free ones. */
#ifndef DETNAT_TABLES_EXTENT_REUSE_H
#define DETNAT_TABLES_EXTENT_REUSE_H

#include "datapath/datapath.h"

struct mappings;

/*
 * Empties an extent that no record has, and that no program can be about to read, and lists it as free. With
 * extent_list() the caller sees to the count of used ones.
 */
void extent_list(const struct datapath *d, uint32_t extent);
void extent_free(const struct datapath *d, uint32_t extent);

/*
 * Gives up the extent of a subscriber of a mapping in use, or one that drains, if all its slots are free, under the
 * opener's lock: it is retired.
 */
void extent_give_up(const struct datapath *d, int number, uint32_t subscriber, uint32_t extent);

/* The same for all retired ones, after a grace period if there are any. Returns their number. */
unsigned extents_reclaim(const struct datapath *d);

/*
 * At a start: makes those free that an agent had taken out of a list as it was killed, which no record and no list has.
 * Returns their buckets.
 */
uint64_t extents_recover(const struct mappings *m);

#endif
