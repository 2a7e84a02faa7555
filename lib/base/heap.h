/* SPDX-License-Identifier: BSD-2-Clause */
/* The N highest of any number of subscribers that are put in, in memory for N alone. */
#ifndef DETNAT_HEAP_H
#define DETNAT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a subscriber ranks: by the first number, then by the second one, then by its address, the lower one higher. */
struct top_rank {
	uint64_t first;
	uint64_t second;
	uint32_t in_addr;
};

/* Zeroed to begin with, but for the limit. */
struct top_heap {
	uint32_t limit; /* 1 or more */
	struct top_rank *rank;
	size_t n;
	size_t room;
};

/* Whether a subscriber of this rank would be taken. */
bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank);

/* Puts one in that top_heap_takes(); the lowest makes room. 0 or -ENOMEM. */
int top_heap_put(struct top_heap *h, const struct top_rank *rank);

/* Below 0 where a ranks higher than b: for qsort(), too. */
int top_rank_compare(const void *a, const void *b);

void top_heap_free(struct top_heap *h);

#endif
