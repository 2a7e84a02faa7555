/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "overflow_heap.h"

int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key)
{
	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 256;
		struct overflow_key *grown = reallocarray(h->key, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		h->key = grown;
		h->room = room;
	}

	size_t i = h->n++;

	for (; i && h->key[(i - 1) / 2].addr > key->addr; i = (i - 1) / 2)
		h->key[i] = h->key[(i - 1) / 2];
	h->key[i] = *key;
	return 0;
}

void overflow_heap_pop(struct overflow_heap *h)
{
	struct overflow_key moved = h->key[--h->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->key[child + 1].addr < h->key[child].addr)
			child++;
		if (h->key[child].addr >= moved.addr)
			break;
		h->key[i] = h->key[child];
		i = child;
	}
	h->key[i] = moved;
}

void overflow_heap_free(struct overflow_heap *h)
{
	free(h->key);
	*h = (struct overflow_heap){ 0 };
}
