/* SPDX-License-Identifier: BSD-2-Clause */
/* A binary heap of items of one size. The item that compares lowest is at the top. */
#ifndef DETNAT_HEAP_H
#define DETNAT_HEAP_H

#include <stddef.h>

#define HEAP_ITEM_MAX 32U

struct heap_type {
	size_t item_size;			      /* octets, at most HEAP_ITEM_MAX */
	int (*compare)(const void *a, const void *b); /* as for qsort() */
};

/* Zero-initialised; released by heap_free(). */
struct heap {
	void *items; /* n of them, in heap order */
	size_t n;
	size_t room;
	size_t max; /* never make room for more; 0: no limit */
};

/* 0 or -ENOMEM. With `max` items in it, a heap takes no more. */
int heap_push(const struct heap_type *type, struct heap *h, const void *item);

/* These need an item in the heap. */
void heap_pop(const struct heap_type *type, struct heap *h);
void heap_replace_top(const struct heap_type *type, struct heap *h, const void *item);

/* Restores heap order after items were changed or removed in place. */
void heap_rebuild(const struct heap_type *type, struct heap *h);

void heap_free(struct heap *h);

#endif
