/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's part of <detnat/extents.h>: it makes those that subscribers gave up free ones. */
#ifndef DETNAT_TABLES_EXTENT_REUSE_H
#define DETNAT_TABLES_EXTENT_REUSE_H

#include <detnat/extents.h>

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

/* Those that were retired, taken out of their lists: by size, the first bucket of the first one, plus one. */
struct retired {
	uint64_t first[EXTENT_SIZES];
};

/* Takes all, and waits for a grace period if there are any: no program reads or lists them any more. False: none. */
bool retired_take(const struct datapath *d, struct retired *ret);

/* Each of those taken; it may be freed. Returns their number. */
unsigned retired_visit(const struct datapath *d, const struct retired *r,
		       void (*visit)(const struct datapath *d, uint32_t extent, void *arg), void *arg);

/* extent_free() for each. Returns their number. */
unsigned retired_free(const struct datapath *d, const struct retired *r);

/* All of that: takes and frees them. */
unsigned extents_reclaim(const struct datapath *d);

/*
 * Takes an extent from a subscriber with all that is in it, which is not retired: another subscriber has it, or it does
 * not exist. The subscriber's counts are wrong then. False: it has another one by now, or programs hold its lock.
 */
bool extent_leave(const struct datapath *d, int number, uint32_t subscriber, uint32_t extent);

/*
 * At a start: makes those free that an agent had taken out of a list as it was killed, which no record and no list has.
 * Returns their buckets.
 */
uint64_t extents_recover(const struct mappings *m);

#endif
