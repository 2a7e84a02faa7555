/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of overflow sessions in order of inside address: a heap, so that they never have to be sorted all at once. It
 * holds at most overflow_heap_max keys of 20 octets. Of more keys it keeps those with the lowest addresses; the others
 * must be gathered again once these are used up.
 */
#ifndef DETNAT_OVERFLOW_HEAP_H
#define DETNAT_OVERFLOW_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/heap.h"

/* At least twice as many as one subscriber may have; tests lower it. */
extern size_t overflow_heap_max;

/* Zero-initialised. */
struct overflow_heap {
	struct heap heap;
	bool cut; /* keys of addresses from `end` on were left out */
	uint32_t end;
};

/* Adds a key, unless its address is left out. 0 or -ENOMEM. */
int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key);

/* The key of the lowest address, or NULL. */
static inline const struct overflow_key *overflow_heap_top(const struct overflow_heap *h)
{
	return h->heap.n ? h->heap.items : NULL;
}

/* Removes that key. */
void overflow_heap_pop(struct overflow_heap *h);

/* Removes all keys, to gather others. */
void overflow_heap_clear(struct overflow_heap *h);

void overflow_heap_free(struct overflow_heap *h);

#endif
