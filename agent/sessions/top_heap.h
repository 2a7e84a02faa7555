/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the highest-ranking subscribers of any number, with memory only for as many as are wanted. */
#ifndef DETNAT_TOP_HEAP_H
#define DETNAT_TOP_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

/* Ranked by `first`, then `second`, then address; the lower address ranks higher. */
struct top_rank {
	uint64_t first;
	uint64_t second;
	uint32_t in_addr;
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

#endif
