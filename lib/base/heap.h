/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the N highest-ranking subscribers of any number added, in memory for N. */
#ifndef DETNAT_HEAP_H
#define DETNAT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A subscriber's rank: by the first number, then by the second, then by address, where the lower one ranks higher. */
struct top_rank {
	uint64_t first;
	uint64_t second;
	uint32_t in_addr;
};

/* Zero-initialised except for the limit. */
struct top_heap {
	uint32_t limit; /* 1 or more */
	struct top_rank *rank;
	size_t n;
	size_t room;
};

/* Whether a subscriber of this rank would be kept. */
bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank);

/* Adds a subscriber for which top_heap_takes() is true, in place of the lowest if full. 0 or -ENOMEM. */
int top_heap_put(struct top_heap *h, const struct top_rank *rank);

/* Negative if a ranks higher than b; suitable for qsort(). */
int top_rank_compare(const void *a, const void *b);

void top_heap_free(struct top_heap *h);

#endif
