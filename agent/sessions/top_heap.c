/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/top_heap.h"

int top_rank_compare(const void *a, const void *b)
{
	const struct top_rank *x = a, *y = b;

	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second > y->second ? -1 : 1;
	return (x->in_addr > y->in_addr) - (x->in_addr < y->in_addr);
}

static int compare_lowest_first(const void *a, const void *b)
{
	return top_rank_compare(b, a);
}

static const struct heap_type ranks = { .item_size = sizeof(struct top_rank), .compare = compare_lowest_first };
_Static_assert(sizeof(struct top_rank) <= HEAP_ITEM_MAX, "fits into a heap");

const struct top_rank *top_heap_ranks(const struct top_heap *h)
{
	return h->heap.items;
}

bool top_heap_takes(const struct top_heap *h, const struct top_rank *rank)
{
	return h->heap.n < h->limit || top_rank_compare(rank, top_heap_ranks(h)) < 0;
}

int top_heap_put(struct top_heap *h, const struct top_rank *rank)
{
	h->heap.max = h->limit;
	if (h->heap.n < h->limit)
		return heap_push(&ranks, &h->heap, rank);
	heap_replace_top(&ranks, &h->heap, rank);
	return 0;
}

void top_heap_free(struct top_heap *h)
{
	heap_free(&h->heap);
}
