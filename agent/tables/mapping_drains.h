/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of mappings that are deleted, replaced or have an exception in them, while they drain. */
#ifndef DETNAT_MAPPING_DRAINS_H
#define DETNAT_MAPPING_DRAINS_H

#include "tables/mappings.h"

/*
 * Drains: sessions of inside addresses go on in a mapping that has been deleted or replaced (*retired*), or that has
 * lost the addresses to an exception. All of it is pinned, see <detnat/drains.h>: the next agent goes on with it.
 */
struct mapping_drain {
	struct prefix in;
	int number;	   /* of the mapping */
	bool whole;	   /* the mapping is retired; else it is in use, without these addresses */
	uint64_t until_s;  /* CLOCK_BOOTTIME */
	uint64_t sessions; /* when they were last swept; UINT64_MAX: not yet */
};

/* The drains, in order of their beginning. */
size_t mappings_drains(const struct mappings *m, const struct mapping_drain **ret);

/* The drain of an inside address from a mapping, or NULL. */
const struct mapping_drain *mappings_drain_of(const struct mappings *m, int number, uint32_t in_addr);

/* The drain of an inside prefix from outside addresses, as mappings_drain_out() has them, or NULL. */
const struct mapping_drain *mappings_find_drain(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether an inside address may have sessions in a mapping: it is the mapping's, or drains from it. */
bool mappings_serves(const struct mappings *m, int number, uint32_t in_addr);

/* The outside addresses of a drain: of a part of a mapping, those that its blocks are of. */
struct prefix mappings_drain_out(const struct mappings *m, int number, struct prefix in);

/* Seconds that a drain has left. */
uint32_t mapping_drain_left(const struct mapping_drain *d);

/* Whether a drain is over: its time, or its last session has ended. */
bool mapping_drain_over(const struct mapping_drain *d);

/* Number of a mapping that drains, or -ENOENT. */
int mappings_find_retired(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether a mapping is retired. mappings_get() knows it, mappings_next() and mappings_find() do not. */
bool mappings_is_retired(const struct mappings *m, int number);
int mappings_next_retired(const struct mappings *m, int from);

/*
 * Whether these addresses can drain: 0; -ENOSPC if there are too many drains, -EMLINK if too many mappings drain of the
 * same addresses already.
 */
int mappings_drain_check(const struct mappings *m, struct prefix in);

/*
 * Whether all of these can begin to drain one after the other, once others have ended; of a drain `in` and `number`
 * count. As mappings_drain_check(), with the first that cannot in *ret_failed.
 */
int mappings_drains_check(const struct mappings *m, const struct mapping_drain *ended, size_t n_ended,
			  const struct mapping_drain *begun, size_t n_begun, size_t *ret_failed);

/* Ends what is left of a drain from a mapping that is in use: the sessions end. */
void mappings_end_drain(struct mappings *m, struct prefix in, int number);

/* Notes how many sessions a sweep has left of a drain. */
void mappings_drain_swept(struct mappings *m, const struct mapping_drain *d, uint64_t sessions);

/* Has a drain end after so many seconds from now on; 0: it is over. */
void mappings_time_drain(struct mappings *m, struct prefix in, int number, uint32_t seconds);

#endif
