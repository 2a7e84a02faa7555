/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants are sorted by outside address, size, first port and time. A question looks at each size in use for the first
 * ports that a block with its port may have, and in each block backwards from the last grant that had begun.
 */
#include "base/base.h"
#include "base/search.h"
#include "history/history_who.h"

#include <errno.h>
#include <stdlib.h>

/* Blocks have this many ports at most. */
#define SIZES 65536U

static uint64_t key_of(uint32_t out, uint32_t ports, uint32_t port_lo)
{
	return (uint64_t)out << 32 | (uint64_t)ports << 16 | port_lo;
}

static uint64_t block_of(const struct who_grant *g)
{
	return key_of(g->grant.out, g->grant.ports, g->grant.port_lo);
}

static int compare(const void *pa, const void *pb, void *times)
{
	const struct who_grant *a = pa, *b = pb;
	uint64_t key_a = block_of(a), key_b = block_of(b);

	if (key_a != key_b)
		return key_a < key_b ? -1 : 1;
	return history_times_order(times, a->begin, b->begin);
}

/* A grant that began and ended with one group never existed. */
static size_t add_part(struct who_grant *held, const struct history_times *times, const struct grant_interval *v,
		       uint32_t begin, uint32_t end)
{
	*held = (struct who_grant){ .grant = v->grant, .begin = begin, .end = end, .reach = end };
	return history_times_order(times, begin, end) < 0;
}

static size_t add_parts(struct who_grant *held, const struct history_times *times, const struct grant_interval *v,
			const struct history_pause *pause, size_t n_pauses)
{
	uint32_t begin = v->begin;
	size_t n = 0;

	for (; n_pauses; n_pauses--, pause++) {
		n += add_part(&held[n], times, v, begin, pause->begin);
		begin = pause->end;
	}
	return n + add_part(&held[n], times, v, begin, v->end);
}

/* The sizes in use. 0 or -ENOMEM. */
static int list_sizes(struct who_grants *w)
{
	_cleanup_free_ bool *used = calloc(SIZES, sizeof(*used));

	w->size = calloc(SIZES, sizeof(*w->size));
	if (!used || !w->size)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++) {
		uint16_t ports = w->held[i].grant.ports;

		if (!used[ports])
			w->size[w->n_sizes++] = ports;
		used[ports] = true;
	}
	return 0;
}

int who_grants_new(const struct history_grants *from, const struct history_times *times, struct who_grants *ret)
{
	struct who_grants w = { .held = calloc(from->n + from->pauses.n + 1, sizeof(*w.held)) };
	struct history_pauses pauses = { 0 };

	if (!from->n) {
		free(w.held);
		*ret = (struct who_grants){ 0 };
		return 0;
	}
	if (!w.held || history_pauses_sort(&from->pauses, &pauses)) {
		who_grants_free(&w);
		return -ENOMEM;
	}
	for (size_t i = 0; i < from->n; i++) {
		size_t n_pauses;

		if (history_grant_unknown(&from->interval[i].grant))
			continue;
		const struct history_pause *pause = history_pauses_of(&pauses, i, &n_pauses);

		w.n += add_parts(&w.held[w.n], times, &from->interval[i], pause, n_pauses);
	}
	free(pauses.at);
	if (w.n)
		qsort_r(w.held, w.n, sizeof(*w.held), compare, (void *)(uintptr_t)times);
	for (size_t i = 1; i < w.n; i++)
		if (block_of(&w.held[i]) == block_of(&w.held[i - 1]) &&
		    history_times_order_late(times, w.held[i].reach, w.held[i - 1].reach) < 0)
			w.held[i].reach = w.held[i - 1].reach;
	if (list_sizes(&w)) {
		who_grants_free(&w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

void who_grants_free(struct who_grants *w)
{
	free(w->held);
	free(w->size);
	*w = (struct who_grants){ 0 };
}

/* Counts those of lesser keys. */
static size_t count_below(const struct who_grants *w, uint64_t key)
{
	return count_while(i, w->n, block_of(&w->held[i]) < key);
}

/* The end of the grants of a block that had begun by a second; the block's are from low to high. */
static size_t begun_until(const struct who_grants *w, size_t low, size_t high, const struct history_times *times,
			  uint32_t epoch, int64_t t)
{
	return low + count_while(i, high - low, history_times_begun(times, w->held[low + i].begin, epoch, t));
}

/* The first port of the lowest block of this size that may have the port. */
static uint32_t lowest_of(uint32_t port, uint32_t size)
{
	return port >= size ? port - size + 1 : 0;
}

void who_grants_each(const struct who_grants *w, struct endpoint out, const struct history_times *times, uint32_t epoch,
		     int64_t t, void (*take)(void *arg, const struct who_grant *g), void *arg)
{
	for (size_t k = 0; k < w->n_sizes; k++) {
		uint32_t size = w->size[k];
		size_t from = count_below(w, key_of(out.addr, size, lowest_of(out.port, size)));
		size_t end = count_below(w, key_of(out.addr, size, out.port) + 1), next;

		for (; from < end; from = next) {
			next = count_below(w, block_of(&w->held[from]) + 1);
			for (size_t i = begun_until(w, from, next, times, epoch, t); i-- > from;) {
				if (!history_times_lasts(times, w->held[i].reach, epoch, t))
					break;
				if (history_times_lasts(times, w->held[i].end, epoch, t))
					take(arg, &w->held[i]);
			}
		}
	}
}

bool who_grants_had(const struct who_grants *w, struct endpoint out)
{
	for (size_t k = 0; k < w->n_sizes; k++)
		if (count_below(w, key_of(out.addr, w->size[k], lowest_of(out.port, w->size[k]))) <
		    count_below(w, key_of(out.addr, w->size[k], out.port) + 1))
			return true;
	return false;
}
