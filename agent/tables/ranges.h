/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocates ranges of numbers: first fit, sorted by start. */
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
	uint64_t size; /* numbers run from 0 to size-1 */
};

void ranges_init(struct ranges *r, uint64_t size);
void ranges_free_all(struct ranges *r);

/* Allocates the lowest free range of count numbers that starts at a multiple of align. -ENOSPC, -ENOMEM, -EINVAL. */
int ranges_alloc(struct ranges *r, uint64_t count, uint64_t align, uint64_t *ret_first);

/*
 * Allocates exactly this range. -EEXIST if part of it is taken, -ERANGE outside the space, -EINVAL if empty, -ENOMEM.
 */
int ranges_take(struct ranges *r, uint64_t first, uint64_t count);

/* Frees a range exactly as it was allocated; -ENOENT if there is no such range. */
int ranges_give(struct ranges *r, uint64_t first, uint64_t count);

/* The first allocated range that ends above `from`; false if there is none. */
bool ranges_next(const struct ranges *r, uint64_t from, struct range *ret);

#endif
