/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/history_who_portmaps.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t key_of(uint8_t proto, struct endpoint out)
{
	return (uint64_t)out.addr << 32 | (uint64_t)out.port << 8 | proto;
}

static int compare(const void *pa, const void *pb)
{
	const struct portmap_interval *a = pa, *b = pb;
	uint64_t key_a = key_of(a->proto, a->out), key_b = key_of(b->proto, b->out);

	if (key_a != key_b)
		return key_a < key_b ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

int who_portmaps_new(const struct history_portmaps *from, struct who_portmaps *ret)
{
	struct portmap_interval *held = calloc(from->n + 1, sizeof(*held));
	size_t n = 0;

	if (!held)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++)
		if (!from->interval[i].undone)
			held[n++] = from->interval[i];
	qsort(held, n, sizeof(*held), compare);
	*ret = (struct who_portmaps){ held, n };
	return 0;
}

void who_portmaps_free(struct who_portmaps *w)
{
	free(w->held);
	*w = (struct who_portmaps){ 0 };
}

/* The place behind the last one of the endpoint; there are few for each. */
static size_t behind(const struct who_portmaps *w, uint64_t key)
{
	size_t low = 0, high = w->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key_of(w->held[middle].proto, w->held[middle].out) <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct portmap_interval *who_portmap(const struct who_portmaps *w, uint8_t proto, struct endpoint out, int64_t t)
{
	const uint64_t key = key_of(proto, out);

	for (size_t i = behind(w, key); i-- > 0 && key_of(w->held[i].proto, w->held[i].out) == key;)
		if (w->held[i].from <= t && t < w->held[i].to)
			return &w->held[i];
	return NULL;
}

static bool is_one_of(uint32_t addr, const uint32_t *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addrs[i] == addr)
			return true;
	return false;
}

const struct portmap_interval *who_portmap_ended(const struct who_portmaps *w, uint8_t proto, struct endpoint out,
						 int64_t t, const uint32_t *addrs, size_t n)
{
	const uint64_t key = key_of(proto, out);

	for (size_t i = behind(w, key); i-- > 0 && key_of(w->held[i].proto, w->held[i].out) == key;)
		if (w->held[i].to == t && !is_one_of(w->held[i].in.addr, addrs, n))
			return &w->held[i];
	return NULL;
}
