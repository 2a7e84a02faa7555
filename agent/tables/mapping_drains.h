/* SPDX-License-Identifier: BSD-2-Clause */
/* Draining sessions of mappings that are deleted or replaced, or have a new exception in them. */
#ifndef DETNAT_MAPPING_DRAINS_H
#define DETNAT_MAPPING_DRAINS_H

#include "tables/mappings.h"

/*
 * Drains: sessions of inside addresses continue in a mapping that has been deleted or replaced (*retired*), or that has
 * lost the addresses to an exception. Everything is pinned, see <detnat/drains.h>: the next agent continues it.
 */
struct mapping_drain {
	struct prefix in;
	int number;	   /* of the mapping */
	bool whole;	   /* the mapping is retired; else it is in use, without these addresses */
	uint64_t until_s;  /* CLOCK_BOOTTIME */
	uint64_t sessions; /* at the last sweep; UINT64_MAX: none yet */
};

/* The drains, in order of their beginning. */
size_t mappings_drains(const struct mappings *m, const struct mapping_drain **ret);

/* The drain of an inside address from a mapping, or NULL. */
const struct mapping_drain *mappings_drain_of(const struct mappings *m, int number, uint32_t in_addr);

/* The drain of an inside prefix from outside addresses, as mappings_drain_out() has them, or NULL. */
const struct mapping_drain *mappings_find_drain(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether an inside address may have sessions in a mapping: it belongs to the mapping, or drains from it. */
bool mappings_serves(const struct mappings *m, int number, uint32_t in_addr);

/* The outside addresses of a drain: for a part of a mapping, those of its blocks. */
struct prefix mappings_drain_out(const struct mappings *m, int number, struct prefix in);

/* Remaining seconds of a drain. */
uint32_t mapping_drain_left(const struct mapping_drain *d);

/* Whether a drain is over: its time, or its last session has ended. */
bool mapping_drain_over(const struct mapping_drain *d);

/* Number of a mapping that drains, or -ENOENT. */
int mappings_find_retired(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether a mapping is retired. mappings_get() knows it, mappings_next() and mappings_find() do not. */
bool mappings_is_retired(const struct mappings *m, int number);
int mappings_next_retired(const struct mappings *m, int from);
size_t mappings_retired(const struct mappings *m); /* how many there are */

/*
 * Whether these addresses can drain: 0; -ENOSPC if there are too many drains, -EMLINK if the same addresses drain from
 * too many mappings already.
 */
int mappings_drain_check(const struct mappings *m, struct prefix in);

/*
 * Whether all of these can begin to drain one after the other, once others have ended; only `in` and `number` of a
 * drain count. As mappings_drains_check(), with the first that cannot in *ret_failed.
 */
int mappings_drains_check(const struct mappings *m, const struct mapping_drain *ended, size_t n_ended,
			  const struct mapping_drain *begun, size_t n_begun, size_t *ret_failed);

/* Ends the rest of a drain from a mapping in use: the sessions end. */
void mappings_end_drain(struct mappings *m, struct prefix in, int number);

/* Notes the number of sessions that a sweep has left in a drain. */
void mappings_drain_swept(struct mappings *m, const struct mapping_drain *d, uint64_t sessions);

/* Makes a drain end this many seconds from now; 0: at once. */
void mappings_time_drain(struct mappings *m, struct prefix in, int number, uint32_t seconds);

#endif
