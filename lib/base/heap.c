/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 64U

static void *at(const struct heap_type *type, const struct heap *h, size_t i)
{
	return (char *)h->items + i * type->item_size;
}

static void set(const struct heap_type *type, struct heap *h, size_t i, const void *item)
{
	memcpy(at(type, h, i), item, type->item_size);
}

/* Puts an item, which is not in the heap, at i or above. */
static void sift_up(const struct heap_type *type, struct heap *h, size_t i, const void *item)
{
	for (; i && type->compare(item, at(type, h, (i - 1) / 2)) < 0; i = (i - 1) / 2)
		set(type, h, i, at(type, h, (i - 1) / 2));
	set(type, h, i, item);
}

/* Puts an item, which is not in the heap, at i or below. */
static void sift_down(const struct heap_type *type, struct heap *h, size_t i, const void *item)
{
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && type->compare(at(type, h, child + 1), at(type, h, child)) < 0)
			child++;
		if (type->compare(at(type, h, child), item) >= 0)
			break;
		set(type, h, i, at(type, h, child));
	}
	set(type, h, i, item);
}

int heap_push(const struct heap_type *type, struct heap *h, const void *item)
{
	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : ROOM_MIN;
		void *grown;

		if (h->max && room > h->max)
			room = h->max;
		grown = reallocarray(h->items, room, type->item_size);
		if (!grown)
			return -ENOMEM;
		h->items = grown;
		h->room = room;
	}
	sift_up(type, h, h->n++, item);
	return 0;
}

void heap_pop(const struct heap_type *type, struct heap *h)
{
	h->n--;
	if (h->n)
		sift_down(type, h, 0, at(type, h, h->n));
}

void heap_replace_top(const struct heap_type *type, struct heap *h, const void *item)
{
	sift_down(type, h, 0, item);
}

void heap_rebuild(const struct heap_type *type, struct heap *h)
{
	char item[HEAP_ITEM_MAX];

	for (size_t i = h->n / 2; i-- > 0;) {
		memcpy(item, at(type, h, i), type->item_size);
		sift_down(type, h, i, item);
	}
}

void heap_free(struct heap *h)
{
	free(h->items);
	*h = (struct heap){ 0 };
}
