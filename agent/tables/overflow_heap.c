/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "tables/overflow_heap.h"

size_t overflow_heap_max = 256U << 10;

/* Puts a key in at a position from which it may have to go up. */
static void sift_up(struct overflow_heap *h, size_t i, struct overflow_key key)
{
	for (; i && h->key[(i - 1) / 2].addr > key.addr; i = (i - 1) / 2)
		h->key[i] = h->key[(i - 1) / 2];
	h->key[i] = key;
}

/* The same for one that may have to go down. */
static void sift_down(struct overflow_heap *h, size_t i, struct overflow_key key)
{
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && h->key[child + 1].addr < h->key[child].addr)
			child++;
		if (h->key[child].addr >= key.addr)
			break;
		h->key[i] = h->key[child];
	}
	h->key[i] = key;
}

/* The address in the middle of all, found by dividing them again and again. */
static uint32_t middle_addr(struct overflow_heap *h)
{
	size_t low = 0, high = h->n - 1, middle = h->n / 2;

	while (low < high) {
		uint32_t pivot = h->key[(low + high) / 2].addr;
		size_t i = low, j = high;

		for (;; i++, j--) {
			while (h->key[i].addr < pivot)
				i++;
			while (h->key[j].addr > pivot)
				j--;
			if (i >= j)
				break;

			struct overflow_key key = h->key[i];

			h->key[i] = h->key[j];
			h->key[j] = key;
		}
		if (middle <= j)
			high = j;
		else
			low = j + 1;
	}
	return h->key[middle].addr;
}

/* Leaves out the upper half of the addresses. */
static void cut(struct overflow_heap *h)
{
	size_t kept = 0;

	h->end = middle_addr(h);
	h->cut = true;
	for (size_t i = 0; i < h->n; i++)
		if (h->key[i].addr < h->end)
			h->key[kept++] = h->key[i];
	h->n = kept;
	for (size_t i = kept / 2; i-- > 0;)
		sift_down(h, i, h->key[i]);
}

int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key)
{
	if (h->n == overflow_heap_max)
		cut(h);
	if (h->cut && key->addr >= h->end)
		return 0;
	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 256;
		struct overflow_key *grown = reallocarray(h->key, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		h->key = grown;
		h->room = room;
	}
	sift_up(h, h->n++, *key);
	return 0;
}

void overflow_heap_pop(struct overflow_heap *h)
{
	h->n--;
	sift_down(h, 0, h->key[h->n]);
}

void overflow_heap_free(struct overflow_heap *h)
{
	free(h->key);
	*h = (struct overflow_heap){ 0 };
}
