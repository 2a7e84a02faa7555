/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of subscribers whose mapping has limits, <detnat/limits.h>: a range among the records of subscribers, made
 * with the mapping or with its first limit, and kept as long as the mapping.
 */
#ifndef DETNAT_MAPPING_LIMITS_H
#define DETNAT_MAPPING_LIMITS_H

#include "tables/mapping_tables.h"

/* Allocates the lines, unless they are there or no limit is wanted; errors as for chunks_alloc(). */
int mapping_limits_alloc(struct mapping_job *t, const struct limit_layout *wanted);

/* As chunks_make_step(), for lines that are wanted. */
int mapping_limits_make_step(struct mapping_job *t, const struct limit_layout *wanted);

/* Takes the range named in the record of an earlier agent: 0, or -errno as chunks_take(). */
int mapping_limits_take(struct mapping_job *t);
void mapping_limits_give(struct mapping_job *t);

bool mapping_limits_complete(const struct mapping_job *t);
void mapping_limits_release_unused(struct mapping_job *t);
void mapping_limits_retire(struct mapping_job *t);
enum chunks_release mapping_limits_release_step(struct mapping_job *t);

/* The layout for a specification, once the lines are there; it also says whether there are limits. */
struct limit_layout mapping_limits_layout(const struct mapping_job *t, const struct limit_layout *wanted,
					  uint8_t *ret_limited);

/*
 * Marks lines that a change is going to use: their sessions have still to be counted. Until a time of monotonic_us();
 * 1: more to do, 0: done, or nothing to do.
 */
int mapping_limits_prepare(struct mapping_job *t, const struct limit_layout *wanted, uint64_t deadline_us);

/*
 * A mapping gets addresses back that another one had. Their lines may not have been counted, as the agent does not look
 * at subscribers whose sessions open elsewhere. number: negative for none.
 */
void mapping_limits_returned(struct mappings *m, int number);

/* Gives a mapping in use its limits; the lines are prepared, or else are here. */
void mapping_limits_update(struct mapping_job *t, const struct limit_layout *wanted);

#endif
