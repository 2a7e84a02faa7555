// SPDX-License-Identifier: BSD-2-Clause
/* The ends of leases, and their order: by address, tenant and time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leases/lease_index_private.h"

/* What the order depends on, so that sorting moves little. */
struct place {
	uint64_t addr[2]; /* in host byte order */
	uint64_t group;	  /* length and tenant */
	int64_t from;
	uint32_t number;
};

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static uint64_t half(const struct lease_addr *a, unsigned first)
{
	uint64_t word;

	memcpy(&word, a->octet + first, sizeof(word));
	return __builtin_bswap64(word);
}

static uint64_t group_of(const struct lease *l)
{
	return (uint64_t)l->addr.plen << 32 | l->tenant;
}

int lease_order(const struct lease *a, const struct lease *b)
{
	int r = memcmp(a->addr.octet, b->addr.octet, sizeof(a->addr.octet));

	return r ? r : compare(group_of(a), group_of(b));
}

static int order_places(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int r = compare(a->addr[1], b->addr[1]);

	r = a->addr[0] == b->addr[0] ? r : compare(a->addr[0], b->addr[0]);
	r = r ? r : compare(a->group, b->group);
	if (!r)
		r = (a->from > b->from) - (a->from < b->from);
	return r ? r : compare(a->number, b->number);
}

static int sort(struct lease_index *x)
{
	struct place *place = x->n ? calloc(x->n, sizeof(*place)) : NULL;
	struct lease *sorted = x->n ? calloc(x->n, sizeof(*sorted)) : NULL;

	if (x->n && (!place || !sorted)) {
		free(place);
		free(sorted);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < x->n; i++) {
		const struct lease *l = &x->lease[i];

		place[i] = (struct place){ { half(&l->addr, 0), half(&l->addr, 8) }, group_of(l), l->from, i };
	}
	if (x->n)
		qsort(place, x->n, sizeof(*place), order_places);
	for (size_t i = 0; i < x->n; i++)
		sorted[i] = x->lease[place[i].number];
	free(place);
	free(x->lease);
	x->lease = sorted;
	x->room = x->n;
	return 0;
}

static int order_offs(const void *pa, const void *pb)
{
	const struct lease_off *a = pa, *b = pb;
	int r = compare(a->server, b->server);

	if (!r)
		r = (a->time > b->time) - (a->time < b->time);
	return r ? r : compare(a->line, b->line);
}

/* The first restart of the lease's server after its last line; TIME_OPEN: none. */
static int64_t off_after(const struct lease_index *x, const struct lease *l)
{
	const struct lease_off like = { l->server, l->seen, l->line };
	size_t low = 0, high = x->n_off;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order_offs(&x->off[middle], &like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return l->server && low < x->n_off && x->off[low].server == l->server ? x->off[low].time : TIME_OPEN;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Where silence may be that of another customer, whose lines were erased. */
static int64_t erased_after(const struct lease_index *x, const struct lease *l)
{
	int64_t end = TIME_OPEN;

	for (size_t i = 0; i < x->n_erasures; i++)
		if (l->seen < x->erasure[i].to)
			end = earlier(end, l->seen < x->erasure[i].from ? x->erasure[i].from - 1 : l->seen);
	return end;
}

/* The end of a lease by itself, without those of others. */
static void end_alone(const struct lease_index *x, struct lease *l)
{
	int64_t silent = l->gap ? l->seen + LEASE_SILENCE * l->gap : TIME_OPEN;

	if (!l->stopped) {
		l->to = earlier(off_after(x, l), l->to == TIME_OPEN ? earlier(silent, erased_after(x, l)) : l->to);
		l->assumed = l->to != TIME_OPEN;
	}
	/* The clock was set back between beginning and end: it may have been either's seconds. */
	if (l->to < l->from) {
		int64_t from = l->from;

		l->from = l->to;
		l->to = from;
	}
}

/* Ends leases without a recorded end where the next one of the address begins, but not before their last line. */
static void end_by_next(struct lease *l, const struct lease *next)
{
	int64_t end = next->from > l->seen ? next->from : l->seen;

	if (l->stopped || end >= l->to)
		return;
	l->to = end;
	l->assumed = true;
}

int lease_ends_find(struct lease_index *x)
{
	if (x->n_off)
		qsort(x->off, x->n_off, sizeof(*x->off), order_offs);
	for (size_t i = 0; i < x->n; i++)
		end_alone(x, &x->lease[i]);
	if (sort(x))
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++) {
		struct lease *l = &x->lease[i];

		if (i + 1 < x->n && !lease_order(l, l + 1))
			end_by_next(l, l + 1);
		l->reach = i && !lease_order(l, l - 1) && l[-1].reach > l->to ? l[-1].reach : l->to;
	}
	return 0;
}
