/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_who.h"

#include <string.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/search.h"

const uint8_t who_protos[WHO_PROTOS] = { IPPROTO_TCP, IPPROTO_UDP };

static uint64_t key(uint8_t proto, uint32_t addr, uint16_t port)
{
	return (uint64_t)addr << 32 | (uint64_t)port << 8 | proto;
}

static uint64_t key_of(const struct portmap_interval *v)
{
	return key(v->portmap.proto, v->portmap.out.addr, v->portmap.out.first);
}

static int compare(const void *pa, const void *pb, void *times)
{
	const struct who_portmap *a = pa, *b = pb;
	uint64_t key_a = key_of(&a->of), key_b = key_of(&b->of);

	if (key_a != key_b)
		return key_a < key_b ? -1 : 1;
	return history_times_order(times, a->begin, b->begin);
}

/* An interval that began and ended with one change never existed. */
static size_t add_part(struct who_portmap *held, const struct history_times *times, const struct portmap_interval *v,
		       uint32_t begin, uint32_t end)
{
	*held = (struct who_portmap){ *v, begin, end };
	return history_times_order(times, begin, end) < 0;
}

int who_portmaps_new(const struct history_portmaps *from, const struct history_times *times, struct who_portmaps *ret)
{
	struct who_portmap *held = calloc(from->n + from->pauses.n + 1, sizeof(*held));
	struct history_pauses pauses = { 0 };
	size_t n = 0;

	if (!held || history_pauses_sort(&from->pauses, &pauses)) {
		free(held);
		return -ENOMEM;
	}
	for (size_t i = 0; i < from->n; i++) {
		const struct portmap_interval *v = &from->interval[i];
		size_t n_pauses;
		const struct history_pause *pause = history_pauses_of(&pauses, i, &n_pauses);
		uint32_t begin = v->begin;

		for (; n_pauses; n_pauses--, pause++) {
			n += add_part(&held[n], times, v, begin, pause->begin);
			begin = pause->end;
		}
		n += add_part(&held[n], times, v, begin, v->end);
	}
	free(pauses.at);
	if (n)
		qsort_r(held, n, sizeof(*held), compare, (void *)(uintptr_t)times);
	*ret = (struct who_portmaps){ held, n };
	return 0;
}

void who_portmaps_free(struct who_portmaps *w)
{
	free(w->held);
	*w = (struct who_portmaps){ 0 };
}

/* Counts those of lesser keys. */
static size_t count_below(const struct who_portmaps *w, uint64_t least)
{
	return count_while(i, w->n, key_of(&w->held[i].of) < least);
}

const struct who_portmap *who_portmaps_of(const struct who_portmaps *w, uint8_t proto, struct endpoint out,
					  size_t *ret_n)
{
	size_t first = count_below(w, key(proto, out.addr, out.port));

	*ret_n = count_below(w, key(proto, out.addr, out.port) + 1) - first;
	return &w->held[first];
}

/* The holder of a protocol according to the answer. */
static uint32_t told_of(const struct who_answer *a, uint8_t proto)
{
	for (unsigned i = 0; i < a->n_portmaps; i++)
		if (a->portmap[i].portmap.proto == proto)
			return a->portmap[i].portmap.in.addr;
	return a->best.in_addr;
}

bool who_portmaps_tell_all(const struct who_answer *a, const struct who_holder *h)
{
	if (strcmp(h->tenant, a->best.tenant) != 0)
		return false;
	for (size_t i = 0; i < WHO_PROTOS; i++)
		if (h->protos & 1U << i && told_of(a, who_protos[i]) != h->in_addr)
			return false;
	return true;
}
