/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subscribers with the most sessions or refusals: one pass through the subscriber records, in slices, that keeps
 * the highest so far. Slots are read of those alone who would stand among them.
 */
#ifndef DETNAT_TOP_H
#define DETNAT_TOP_H

#include <stddef.h>

#include "proto/verbs.h"
#include "tables/mappings.h"

struct top_entry {
	uint32_t in_addr;
	uint32_t sessions; /* that count */
	uint32_t quota;
	uint64_t quota_exceeded; /* packets refused */
	/*
	 * Ports of the block that any session uses, in the protocol that uses most; sessions beyond the slots
	 * (overflow) are taken to have a port each.
	 */
	uint32_t ports_used;
	uint32_t ports_per_host;
};

struct top;

/* The n highest, 1..TOP_MAX; those without sessions, or without refusals, are left out. 0 or -ENOMEM. */
int top_new(struct mappings *m, enum top_order order, uint32_t n, struct top **ret);

/* Goes on for about budget_us microseconds: 1 more to do, 0 done, -errno. */
int top_step(struct top *t, unsigned budget_us);

/* When it is done: the highest first, until top_free(). */
const struct top_entry *top_entries(const struct top *t, size_t *ret_n);

void top_free(struct top *t); /* NULL is allowed */

#endif
