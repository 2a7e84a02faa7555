/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/overflow_heap.h"

size_t overflow_heap_max = 256U << 10;

static int compare_addresses(const void *a, const void *b)
{
	const struct overflow_key *x = a, *y = b;

	return (x->in_addr > y->in_addr) - (x->in_addr < y->in_addr);
}

static const struct heap_type keys = { .item_size = sizeof(struct overflow_key), .compare = compare_addresses };
_Static_assert(sizeof(struct overflow_key) <= HEAP_ITEM_MAX, "fits into a heap");

/* The median of the addresses, by quickselect, which leaves the keys in another order. */
static uint32_t median_addr(struct overflow_key *key, size_t n)
{
	size_t low = 0, high = n - 1, middle = n / 2;

	while (low < high) {
		uint32_t pivot = key[(low + high) / 2].in_addr;
		size_t i = low, j = high;

		for (;; i++, j--) {
			while (key[i].in_addr < pivot)
				i++;
			while (key[j].in_addr > pivot)
				j--;
			if (i >= j)
				break;

			struct overflow_key other = key[i];

			key[i] = key[j];
			key[j] = other;
		}
		if (middle <= j)
			high = j;
		else
			low = j + 1;
	}
	return key[middle].in_addr;
}

/* Drops the upper half of the addresses. */
static void cut(struct overflow_heap *h)
{
	struct overflow_key *key = h->heap.items;
	size_t kept = 0;

	h->end = median_addr(key, h->heap.n);
	h->cut = true;
	for (size_t i = 0; i < h->heap.n; i++)
		if (key[i].in_addr < h->end)
			key[kept++] = key[i];
	h->heap.n = kept;
	heap_rebuild(&keys, &h->heap);
}

int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key)
{
	if (h->heap.n == overflow_heap_max)
		cut(h);
	if (h->cut && key->in_addr >= h->end)
		return 0;
	return heap_push(&keys, &h->heap, key);
}

void overflow_heap_pop(struct overflow_heap *h)
{
	heap_pop(&keys, &h->heap);
}

void overflow_heap_clear(struct overflow_heap *h)
{
	h->heap.n = 0;
	h->cut = false;
}

void overflow_heap_free(struct overflow_heap *h)
{
	heap_free(&h->heap);
	*h = (struct overflow_heap){ 0 };
}
