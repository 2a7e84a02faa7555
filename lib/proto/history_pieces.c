/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/history_pieces.h"

#include <errno.h>
#include <string.h>

#include <detnat/mapping.h>

#define NEVER INT64_MIN

const struct held held_retired;

static int compare_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_time(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

int prefix_order(struct prefix a, struct prefix b)
{
	return a.plen != b.plen ? compare_number(a.plen, b.plen) : compare_number(a.base, b.base);
}

static int compare_inner(const void *pa, const void *pb)
{
	const struct held *a = pa, *b = pb;
	int r = prefix_order(a->in, b->in);

	return r ? r : compare_time(a->from, b->from);
}

static int compare_mapping(struct prefix in_a, struct prefix out_a, struct prefix in_b, struct prefix out_b)
{
	int r = prefix_order(in_a, in_b);

	return r ? r : prefix_order(out_a, out_b);
}

static int compare_drain(const void *pa, const void *pb)
{
	const struct drain_interval *a = pa, *b = pb;
	int r = compare_mapping(a->drain.in, a->drain.out, b->drain.in, b->drain.out);

	if (!r)
		r = compare_time(a->drain.from, b->drain.from);
	return r ? r : compare_number(a->line, b->line);
}

int holdings_init(struct holdings *x, const struct history_drains *drains)
{
	if (x->n)
		qsort(x->inner, x->n, sizeof(*x->inner), compare_inner);
	x->drain = calloc(drains->n + 1, sizeof(*x->drain));
	if (!x->drain)
		return -ENOMEM;
	for (size_t i = 0; i < drains->n; i++)
		if (!drains->interval[i].undone)
			x->drain[x->n_drains++] = drains->interval[i];
	if (x->n_drains)
		qsort(x->drain, x->n_drains, sizeof(*x->drain), compare_drain);
	return 0;
}

void holdings_free(struct holdings *x)
{
	free(x->inner);
	free(x->drain);
	*x = (struct holdings){ 0 };
}

/* Index of the first drain from the mapping of an interval, or from a greater one. */
static size_t first_drain(const struct holdings *x, const struct held *h)
{
	size_t low = 0, high = x->n_drains;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct history_drain *d = &x->drain[middle].drain;

		if (compare_mapping(d->in, d->out, h->in, h->out) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next drain of an interval from *at on, of an address or, where that is NULL, of all; NULL: no more. */
static const struct drain_interval *next_drain(const struct holdings *x, const struct held *h, const uint32_t *in_addr,
					       size_t *at)
{
	for (; *at < x->n_drains; (*at)++) {
		const struct drain_interval *v = &x->drain[*at];
		const struct history_drain *d = &v->drain;

		if (compare_mapping(d->in, d->out, h->in, h->out))
			return NULL;
		if (d->from < h->from || d->from > h->to || v->to > h->to ||
		    (in_addr ? !prefix_contains(d->of.base, d->of.plen, *in_addr) : !history_drain_whole(d)))
			continue;
		(*at)++;
		return v;
	}
	return NULL;
}

/* Index of the first of `inner` with this inside prefix, or a greater one. */
static size_t first_inner(const struct holdings *x, struct prefix in)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (prefix_order(x->inner[middle].in, in) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Cuts a piece of an interval, towards time t, by a time in which its mapping did not have the address. */
static void cut(struct piece *p, const struct held *h, int64_t from, int64_t to, const struct held *because, int64_t t)
{
	if (from >= h->to && h->from < h->to)
		return;
	if (to <= t)
		p->from = to > p->from ? to : p->from;
	else if (from > t)
		p->to = from < p->to ? from : p->to;
	else if (!p->exception || because->in.plen > p->exception->in.plen)
		p->exception = because;
}

/* Cuts a piece by an exception, for as long as that was in use itself. */
static void cut_by(const struct holdings *x, struct piece *p, const struct held *h, const struct held *e, int64_t t)
{
	int64_t from = e->from;
	bool parted = false;

	if (x->n_drains) {
		const struct drain_interval *v;
		size_t at = first_drain(x, e);

		while ((v = next_drain(x, e, NULL, &at))) {
			cut(p, h, from, v->drain.from, e, t);
			from = v->to;
			parted = true;
		}
	}
	if (!parted || from < e->to)
		cut(p, h, from, e->to, e, t);
}

/*
 * Cuts a piece by all exceptions of an inside address, intervals of prefixes longer than its own mapping's, and by the
 * times in which the mapping was retired.
 */
static void cut_by_all(const struct holdings *x, struct piece *p, const struct held *h, uint32_t in_addr, int64_t t)
{
	uint64_t longer = x->lengths & ~((2ULL << h->in.plen) - 1);

	for (; longer; longer &= longer - 1) {
		uint8_t length = (uint8_t)__builtin_ctzll(longer);
		struct prefix in = { in_addr & prefix_mask(length), length };

		for (size_t i = first_inner(x, in); i < x->n && !prefix_order(x->inner[i].in, in); i++)
			cut_by(x, p, h, &x->inner[i], t);
	}
	if (x->n_drains) {
		const struct drain_interval *v;
		size_t at = first_drain(x, h);

		while ((v = next_drain(x, h, NULL, &at)))
			cut(p, h, v->drain.from, v->to, &held_retired, t);
	}
}

/* The piece in which sessions could be opened. */
static struct piece opening_piece(const struct holdings *x, const struct held *h, uint32_t in_addr, int64_t t)
{
	struct piece p = { h->from, h->to, NULL }, before;

	cut_by_all(x, &p, h, in_addr, t);
	/* Of two that began within a second, of which one has ended within it, the other came later. */
	if (h->from == t && h->to == t)
		return p;
	if (!p.exception) {
		if (p.from >= p.to)
			p.to = NEVER;
		return p;
	}
	before = (struct piece){ h->from, h->to < t ? h->to : t, NULL };
	cut_by_all(x, &before, h, in_addr, t - 1);
	p.to = before.exception || before.from > t - 1 ? NEVER : before.to < t ? before.to : t;
	p.from = before.from;
	return p;
}

/* Whether the address had sessions in the mapping when a drain of it began. */
static bool drains_something(const struct holdings *x, const struct held *h, uint32_t in_addr,
			     const struct drain_interval *v)
{
	const struct drain_interval *earlier;
	size_t at = first_drain(x, h);
	int64_t from = v->drain.from;

	if (from == h->from || opening_piece(x, h, in_addr, from).to >= from)
		return true;
	while ((earlier = next_drain(x, h, &in_addr, &at)) && earlier < v)
		if (earlier->to >= from && drains_something(x, h, in_addr, earlier))
			return true;
	return false;
}

/* Adds to a piece what drained, or what it was a part of, next to it. */
static bool grow(const struct holdings *x, struct piece *p, const struct held *h, uint32_t in_addr)
{
	const struct drain_interval *v;
	struct piece next;
	size_t at = first_drain(x, h);
	bool grown = false;

	while ((v = next_drain(x, h, &in_addr, &at))) {
		if (v->drain.from > p->to || v->to < p->from || (v->drain.from >= p->from && v->to <= p->to) ||
		    !drains_something(x, h, in_addr, v))
			continue;
		p->from = v->drain.from < p->from ? v->drain.from : p->from;
		p->to = v->to > p->to ? v->to : p->to;
		grown = true;
	}
	next = p->to < h->to ? opening_piece(x, h, in_addr, p->to) : (struct piece){ .to = NEVER };
	if (next.to > p->to && next.from <= p->to) {
		p->to = next.to;
		grown = true;
	}
	next = p->from > h->from ? opening_piece(x, h, in_addr, p->from) : (struct piece){ .to = NEVER };
	if (next.to >= p->from && next.from < p->from) {
		p->from = next.from;
		grown = true;
	}
	return grown;
}

struct piece held_piece(const struct holdings *x, const struct held *h, uint32_t in_addr, int64_t t)
{
	struct piece p = opening_piece(x, h, in_addr, t);
	const struct drain_interval *v, *ended = NULL, *lasts = NULL;
	size_t at = first_drain(x, h);

	while ((v = next_drain(x, h, &in_addr, &at))) {
		if (v->drain.from > t || v->to < t || !drains_something(x, h, in_addr, v))
			continue;
		if (v->to > t)
			lasts = v;
		else
			ended = v;
	}
	if (p.to <= t && lasts)
		p = (struct piece){ lasts->drain.from, lasts->to, NULL };
	else if (p.to < t && ended)
		p = (struct piece){ ended->drain.from, ended->to, p.exception };
	if (x->n_drains && p.to != NEVER)
		while (grow(x, &p, h, in_addr))
			;
	return p;
}
