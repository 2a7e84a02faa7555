/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subscribers with the most sessions or refusals, or those of a list. One pass through the records of subscribers,
 * in slices, keeps the highest so far; slots are read only of subscribers that would rank among them.
 */
#ifndef DETNAT_TOP_H
#define DETNAT_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "proto/verbs.h"
#include "tables/grant_table.h"

struct top_entry {
	uint32_t in_addr;
	uint32_t sessions; /* sessions that count, including draining ones */
	uint32_t draining;
	uint32_t quota;
	uint64_t quota_exceeded; /* packets refused */
	/* Ports in use, in the protocol that uses most; each session on a granted port counts as one. */
	uint32_t ports_used;
	uint32_t ports_per_host;
	uint32_t ports;	 /* of the block and of those granted */
	uint32_t figure; /* that they are ordered by, of top_new_of() */
	uint8_t tenant;	 /* 0: there are none */
};

struct top_figure {
	uint32_t in_addr;
	uint32_t figure;
	uint8_t tenant;
};

struct top;

/*
 * Finds the n highest, 1..TOP_MAX, omitting those without sessions or without refusals. grants may be NULL: there are
 * none. 0 or -ENOMEM.
 */
int top_new(struct mappings *m, const struct grants *grants, enum top_order order, uint32_t n, struct top **ret);

/*
 * Instead, the subscribers of a list, the highest first, with their figures; those of which nothing is left are
 * omitted. The list is copied. 0 or -ENOMEM.
 */
int top_new_of(struct mappings *m, const struct grants *grants, const struct top_figure *list, size_t n,
	       struct top **ret);

/* Continues for about budget_us microseconds: 1: more to do, 0: done, or -errno. */
int top_step(struct top *t, unsigned budget_us);

/* The result when done, the highest first, valid until top_free(). */
const struct top_entry *top_entries(const struct top *t, size_t *ret_n);

void top_free(struct top *t); /* may be NULL */

/* Keeps the highest-ranking of any number of subscribers, with memory only for the requested number. */

/* Ranked by `first`, then `second`, then tenant and address; the lower one ranks higher. */
struct top_rank {
	uint64_t first;
	uint64_t second;
	uint32_t in_addr;
	uint8_t tenant;
};

/* Zero-initialised except for the limit. */
struct top_heap {
	uint32_t limit;	  /* 1 or more */
	struct heap heap; /* the lowest rank at the top */
};

/* Whether a subscriber of this rank is among the highest so far. */
bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank);

/* Adds a subscriber for which top_heap_takes() is true; the lowest is dropped at the limit. 0 or -ENOMEM. */
int top_heap_put(struct top_heap *h, const struct top_rank *rank);

/* The subscribers in the heap, in no order. */
const struct top_rank *top_heap_ranks(const struct top_heap *h);

/* For qsort(): negative if a ranks higher than b. */
int top_rank_compare(const void *a, const void *b);

void top_heap_free(struct top_heap *h);

/*
 * The subscribers of a heap with the first figure of their ranks, the highest first, in a list that the caller frees.
 * Empties the heap. 0, or -ENOMEM: the heap is as it was.
 */
int top_heap_figures(struct top_heap *h, struct top_figure **ret, size_t *ret_n);

#endif
