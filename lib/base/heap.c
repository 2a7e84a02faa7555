/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

/* Initial room; most queries ask for a few. */
#define ROOM_MIN 64U

int top_rank_compare(const void *a, const void *b)
{
	const struct top_rank *x = a, *y = b;

	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second > y->second ? -1 : 1;
	return (x->in_addr > y->in_addr) - (x->in_addr < y->in_addr);
}

static bool lower(const struct top_rank *a, const struct top_rank *b)
{
	return top_rank_compare(a, b) > 0;
}

bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank)
{
	return h->n < h->limit || lower(&h->rank[0], rank);
}

static void swap(struct top_rank *a, struct top_rank *b)
{
	struct top_rank other = *a;

	*a = *b;
	*b = other;
}

/* The lowest is at the root. */
static void sift_down(struct top_heap *h)
{
	for (size_t i = 0;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			return;
		if (child + 1 < h->n && lower(&h->rank[child + 1], &h->rank[child]))
			child++;
		if (!lower(&h->rank[child], &h->rank[i]))
			return;
		swap(&h->rank[child], &h->rank[i]);
		i = child;
	}
}

static void sift_up(struct top_heap *h, size_t i)
{
	while (i && lower(&h->rank[i], &h->rank[(i - 1) / 2])) {
		swap(&h->rank[i], &h->rank[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static int grow(struct top_heap *h)
{
	size_t room = h->room ? h->room * 2 : ROOM_MIN;
	struct top_rank *rank;

	if (room > h->limit)
		room = h->limit;
	rank = reallocarray(h->rank, room, sizeof(*rank));
	if (!rank)
		return -ENOMEM;
	h->rank = rank;
	h->room = room;
	return 0;
}

int top_heap_put(struct top_heap *h, const struct top_rank *rank)
{
	if (h->n == h->limit) {
		h->rank[0] = *rank;
		sift_down(h);
		return 0;
	}
	if (h->n == h->room && grow(h))
		return -ENOMEM;
	h->rank[h->n] = *rank;
	sift_up(h, h->n++);
	return 0;
}

void top_heap_free(struct top_heap *h)
{
	free(h->rank);
	*h = (struct top_heap){ 0 };
}
