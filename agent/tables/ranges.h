/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocator of ranges of numbers: first fit, sorted by start. Knows nothing of what the numbers stand for. */
#ifndef DETNAT_RANGES_H
#define DETNAT_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t first;
	uint64_t count;
};

struct ranges {
	struct range *used; /* sorted, none empty, none overlapping */
	size_t n;
	size_t room;
	uint64_t size; /* numbers are 0..size-1 */
};

void ranges_init(struct ranges *r, uint64_t size);
void ranges_free_all(struct ranges *r);

/* Takes the lowest free range of count numbers that starts at a multiple of align. -ENOSPC, -ENOMEM, -EINVAL. */
int ranges_alloc(struct ranges *r, uint64_t count, uint64_t align, uint64_t *ret_first);

/* Takes this very range. -EEXIST where it is not free, -ERANGE outside the space, -EINVAL where empty, -ENOMEM. */
int ranges_take(struct ranges *r, uint64_t first, uint64_t count);

/* Gives back a range exactly as it was taken; -ENOENT where there is no such one. */
int ranges_give(struct ranges *r, uint64_t first, uint64_t count);

/* The first taken range that ends above `from`; false: none. */
bool ranges_next(const struct ranges *r, uint64_t from, struct range *ret);

#endif
