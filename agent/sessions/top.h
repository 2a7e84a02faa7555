/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subscribers with the most sessions or refusals. One pass through the records of subscribers, in slices, keeps the
 * highest so far; slots are read only of subscribers that would rank among them.
 */
#ifndef DETNAT_TOP_H
#define DETNAT_TOP_H

#include <stddef.h>

#include "proto/verbs.h"
#include "tables/mappings.h"

struct top_entry {
	uint32_t in_addr;
	uint32_t sessions; /* sessions that count, those that drain among them */
	uint32_t draining;
	uint32_t quota;
	uint64_t quota_exceeded; /* packets refused */
	/* Ports of the block in use, in the protocol that uses most; each overflow session counts as one port. */
	uint32_t ports_used;
	uint32_t ports_per_host;
};

struct top;

/* Finds the n highest, 1..TOP_MAX, leaving out those without sessions or without refusals. 0 or -ENOMEM. */
int top_new(struct mappings *m, enum top_order order, uint32_t n, struct top **ret);

/* Continues for about budget_us microseconds: 1: more to do, 0: done, or -errno. */
int top_step(struct top *t, unsigned budget_us);

/* The result when done, the highest first, valid until top_free(). */
const struct top_entry *top_entries(const struct top *t, size_t *ret_n);

void top_free(struct top *t); /* may be NULL */

#endif
