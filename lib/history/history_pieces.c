/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists all changes for an address during an interval, sorts them by moment, and walks them once: how many exceptions
 * have the address, how often the mapping is retired, and how many drains may have sessions.
 */
#include "history/history_pieces.h"

#include <errno.h>
#include <stdlib.h>

#include <detnat/mapping.h>

#include "base/array_grow.h"
#include "base/search.h"

/* A beginning or an end at a moment. */
struct piece_change {
	uint32_t moment;
	enum { BY_EXCEPTION, BY_ABSENCE, BY_RETIREMENT, BY_DRAIN } kind;
	int by;	      /* 1: begins; -1: ends */
	bool again;   /* of BY_DRAIN: it continues after a pause */
	size_t drain; /* of BY_DRAIN: its place */
};

int prefix_order(struct prefix a, struct prefix b)
{
	if (a.plen != b.plen)
		return a.plen < b.plen ? -1 : 1;
	if (a.base != b.base)
		return a.base < b.base ? -1 : 1;
	return (a.last > b.last) - (a.last < b.last);
}

size_t first_range_of(const struct held *held, size_t n, bool outside)
{
	while (n && prefix_is_range(outside ? held[n - 1].out : held[n - 1].in))
		n--;
	return n;
}

static int compare_inner(const void *pa, const void *pb, void *times)
{
	const struct held *a = pa, *b = pb;
	int r = prefix_order(a->in, b->in);

	return r ? r : history_times_order(times, a->begin, b->begin);
}

static int compare_mapping(struct prefix in_a, struct prefix out_a, struct prefix in_b, struct prefix out_b)
{
	int r = prefix_order(in_a, in_b);

	return r ? r : prefix_order(out_a, out_b);
}

static int compare_drain(const void *pa, const void *pb, void *times)
{
	const struct held_drain *a = pa, *b = pb;
	int r = compare_mapping(a->v.drain.in, a->v.drain.out, b->v.drain.in, b->v.drain.out);

	return r ? r : history_times_order(times, a->v.begin, b->v.begin);
}

int holdings_init(struct holdings *x, const struct history_index *index)
{
	const struct history_drains *drains = &index->drains;

	if (history_times_copy(&index->times, &x->times) || history_pauses_sort(&index->mappings.pauses, &x->pauses) ||
	    history_pauses_sort(&drains->pauses, &x->drain_pauses))
		return -ENOMEM;
	if (x->n)
		qsort_r(x->inner, x->n, sizeof(*x->inner), compare_inner, &x->times);
	x->first_range = first_range_of(x->inner, x->n, false);
	x->drain = calloc(drains->n + 1, sizeof(*x->drain));
	if (!x->drain)
		return -ENOMEM;
	for (size_t i = 0; i < drains->n; i++)
		x->drain[x->n_drains++] = (struct held_drain){ drains->interval[i], i };
	if (x->n_drains)
		qsort_r(x->drain, x->n_drains, sizeof(*x->drain), compare_drain, &x->times);
	return 0;
}

void holdings_free(struct holdings *x)
{
	history_times_free(&x->times);
	free(x->inner);
	free(x->drain);
	free(x->pauses.at);
	free(x->drain_pauses.at);
	*x = (struct holdings){ 0 };
}

void pieces_free(struct pieces *p)
{
	free(p->piece);
	free(p->change);
	free(p->drained);
	*p = (struct pieces){ 0 };
}

/* Index of the first drain from the mapping of an interval, or from a greater one. */
static size_t first_drain(const struct holdings *x, const struct held *h)
{
	return count_while(i, x->n_drains,
			   compare_mapping(x->drain[i].v.drain.in, x->drain[i].v.drain.out, h->in, h->out) < 0);
}

/* The next drain of an interval from *at on, for an address or, if that is NULL, for all; NULL: no more. */
static const struct held_drain *next_drain(const struct holdings *x, const struct held *h, const uint32_t *in_addr,
					   size_t *at)
{
	for (; *at < x->n_drains; (*at)++) {
		const struct drain_interval *v = &x->drain[*at].v;
		const struct history_drain *d = &v->drain;

		if (compare_mapping(d->in, d->out, h->in, h->out))
			return NULL;
		if (history_times_order(&x->times, v->begin, h->begin) < 0 ||
		    history_times_order(&x->times, v->begin, h->end) > 0 ||
		    history_times_order(&x->times, v->end, h->end) > 0 ||
		    (in_addr ? !prefix_holds(d->of, *in_addr) : !history_drain_whole(d)))
			continue;
		return &x->drain[(*at)++];
	}
	return NULL;
}

/* Index of the first of `inner` with this inside prefix, or a greater one. */
static size_t first_inner(const struct holdings *x, struct prefix in)
{
	return count_while(i, x->n, prefix_order(x->inner[i].in, in) < 0);
}

/* Notes a state that lasts from one moment to another. */
static int add_change(struct pieces *p, uint32_t begin, uint32_t end, struct piece_change c)
{
	if (array_grow(&p->change, p->n_changes + 1, &p->changes_room, sizeof(*p->change)))
		return -ENOMEM;
	c.moment = begin;
	p->change[p->n_changes++] = c;
	if (end == MOMENT_NONE)
		return 0;
	c.moment = end;
	c.by = -c.by;
	p->change[p->n_changes++] = c;
	return 0;
}

/* The same, except during its pauses. */
static int add_with_pauses(struct pieces *p, uint32_t begin, uint32_t end, struct piece_change c,
			   const struct history_pauses *pauses, size_t number)
{
	size_t n;
	const struct history_pause *pause = history_pauses_of(pauses, number, &n);
	int r = add_change(p, begin, end, c);

	c.by = -c.by;
	c.again = true;
	for (; n && !r; n--, pause++)
		r = add_change(p, pause->begin, pause->end, c);
	return r;
}

/* An exception has the address, except while the exception is retired. */
static int add_exception(const struct holdings *x, struct pieces *p, const struct held *e)
{
	const struct piece_change has = { .kind = BY_EXCEPTION, .by = 1 },
				  gives_back = { .kind = BY_EXCEPTION, .by = -1 };
	const struct held_drain *d;
	size_t at = first_drain(x, e);
	int r = add_with_pauses(p, e->begin, e->end, has, &x->pauses, e->number);

	while (!r && (d = next_drain(x, e, NULL, &at)))
		r = add_with_pauses(p, d->v.begin, d->v.end, gives_back, &x->drain_pauses, d->number);
	return r;
}

static bool meet(const struct holdings *x, const struct held *a, const struct held *b)
{
	return history_times_order(&x->times, a->begin, b->end) < 0 &&
	       history_times_order(&x->times, b->begin, a->end) < 0;
}

/* Mappings of two tenants have nothing to do with each other, whatever their addresses. */
static bool may_except(const struct holdings *x, const struct held *e, const struct held *h)
{
	return history_same_tenant(e->tenant, h->tenant) && meet(x, e, h);
}

static int add_exceptions(const struct holdings *x, struct pieces *p, const struct held *h, uint32_t in_addr)
{
	int r = 0;

	for (uint64_t lengths = x->lengths; lengths; lengths &= lengths - 1) {
		uint8_t length = (uint8_t)__builtin_ctzll(lengths);
		struct prefix in = { in_addr & prefix_mask(length), length };

		if (!prefix_inside(in, h->in))
			continue;
		for (size_t i = first_inner(x, in); !r && i < x->n && !prefix_order(x->inner[i].in, in); i++)
			if (may_except(x, &x->inner[i], h))
				r = add_exception(x, p, &x->inner[i]);
	}
	for (size_t i = x->first_range; !r && i < x->n; i++)
		if (prefix_holds(x->inner[i].in, in_addr) && prefix_inside(x->inner[i].in, h->in) &&
		    may_except(x, &x->inner[i], h))
			r = add_exception(x, p, &x->inner[i]);
	return r;
}

/* The drains of the mapping, and the times during which it was deleted, if that is taken back. */
static int add_own(const struct holdings *x, struct pieces *p, const struct held *h, uint32_t in_addr)
{
	const struct piece_change retired = { .kind = BY_RETIREMENT, .by = 1 };
	const struct held_drain *d;
	size_t at = first_drain(x, h), n;
	const struct history_pause *pause = history_pauses_of(&x->pauses, h->number, &n);
	int r = 0;

	for (; n && !r; n--, pause++)
		r = add_change(p, pause->begin, pause->end, (struct piece_change){ .kind = BY_ABSENCE, .by = 1 });
	while (!r && (d = next_drain(x, h, NULL, &at)))
		r = add_with_pauses(p, d->v.begin, d->v.end, retired, &x->drain_pauses, d->number);
	at = first_drain(x, h);
	while (!r && (d = next_drain(x, h, &in_addr, &at))) {
		struct piece_change c = { .kind = BY_DRAIN, .by = 1, .drain = (size_t)(d - x->drain) };

		r = add_with_pauses(p, d->v.begin, d->v.end, c, &x->drain_pauses, d->number);
	}
	return r;
}

static int compare_changes(const void *pa, const void *pb, void *times)
{
	const struct piece_change *a = pa, *b = pb;

	return history_times_order(times, a->moment, b->moment);
}

/* The address at a moment of the walk. */
struct state {
	int exceptions;
	int absent;
	int retired;
	int drained; /* drains that may have sessions */
	bool held;
	uint32_t last; /* the last moment at which it was held, if it is not */
};

/* Whether the address may have had sessions when a drain began: it had the mapping before or during the change. */
static bool may_have(const struct holdings *x, const struct held *h, const struct state *s, uint32_t begin)
{
	const struct history_moment *m = x->times.moment;

	return s->held || m[begin].run == m[h->begin].run || (s->last != MOMENT_NONE && m[s->last].run == m[begin].run);
}

static void make(struct pieces *p, struct state *s, const struct piece_change *c)
{
	if (c->kind == BY_EXCEPTION)
		s->exceptions += c->by;
	else if (c->kind == BY_ABSENCE)
		s->absent += c->by;
	else if (c->kind == BY_RETIREMENT)
		s->retired += c->by;
	else if (p->drained[c->drain])
		s->drained += c->by;
}

static int begin_or_end(const struct holdings *x, struct pieces *p, struct state *s, uint32_t moment)
{
	bool held = !s->absent && ((!s->exceptions && !s->retired) || s->drained);

	if (held == s->held)
		return 0;
	s->held = held;
	if (!held) {
		p->piece[p->n - 1].end = moment;
		s->last = moment;
		return 0;
	}
	/* Intervals ended by a change that was taken back continued. */
	if (p->n && p->piece[p->n - 1].end == x->times.moment[moment].undoes) {
		p->piece[p->n - 1].end = MOMENT_NONE;
		return 0;
	}
	if (array_grow(&p->piece, p->n, &p->room, sizeof(*p->piece)))
		return -ENOMEM;
	p->piece[p->n++] = (struct piece){ moment, MOMENT_NONE };
	return 0;
}

/* Applies the changes of one moment; returns the place of those of the next. */
static size_t make_all_of(const struct holdings *x, const struct held *h, struct pieces *p, struct state *s, size_t i)
{
	uint32_t moment = p->change[i].moment;

	for (size_t k = i; k < p->n_changes && p->change[k].moment == moment; k++)
		if (p->change[k].kind == BY_DRAIN && p->change[k].by > 0 && !p->change[k].again)
			p->drained[p->change[k].drain] = may_have(x, h, s, moment);
	for (; i < p->n_changes && p->change[i].moment == moment; i++)
		make(p, s, &p->change[i]);
	return i;
}

static int walk(const struct holdings *x, const struct held *h, struct pieces *p)
{
	struct state s = { .last = MOMENT_NONE };
	size_t i = 0;
	int r = 0;

	while (i < p->n_changes && history_times_order(&x->times, p->change[i].moment, h->begin) < 0)
		i = make_all_of(x, h, p, &s, i);
	if (i < p->n_changes && p->change[i].moment == h->begin)
		i = make_all_of(x, h, p, &s, i);
	r = begin_or_end(x, p, &s, h->begin);
	while (!r && i < p->n_changes && history_times_order(&x->times, p->change[i].moment, h->end) < 0) {
		uint32_t moment = p->change[i].moment;

		i = make_all_of(x, h, p, &s, i);
		r = begin_or_end(x, p, &s, moment);
	}
	if (!r && s.held)
		p->piece[p->n - 1].end = h->end;
	return r;
}

int held_pieces(const struct holdings *x, const struct held *h, uint32_t in_addr, struct pieces *ret)
{
	int r;

	ret->n = ret->n_changes = 0;
	if (!ret->drained && x->n_drains)
		ret->drained = calloc(x->n_drains, sizeof(*ret->drained));
	if (!ret->drained && x->n_drains)
		return -ENOMEM;
	if (history_times_order(&x->times, h->begin, h->end) >= 0)
		return 0;
	r = add_exceptions(x, ret, h, in_addr);
	if (!r)
		r = add_own(x, ret, h, in_addr);
	if (r)
		return r;
	if (ret->n_changes)
		qsort_r(ret->change, ret->n_changes, sizeof(*ret->change), compare_changes,
			(void *)(uintptr_t)&x->times);
	return walk(x, h, ret);
}

/* Whether an interval is in use in second s: it has begun, has not ended, and is not retired. */
static bool in_use(const struct holdings *x, const struct held *h, uint32_t epoch, int64_t s)
{
	const struct held_drain *d;
	size_t at = first_drain(x, h);

	if (!history_times_hold(&x->times, h->begin, h->end, epoch, s))
		return false;
	while ((d = next_drain(x, h, NULL, &at)))
		if (history_times_hold(&x->times, d->v.begin, d->v.end, epoch, s))
			return false;
	return true;
}

const struct held *held_exception(const struct holdings *x, const struct held *h, uint32_t in_addr, uint32_t epoch,
				  int64_t s)
{
	const struct held *found = NULL;

	for (size_t i = x->first_range; i < x->n; i++)
		if (prefix_holds(x->inner[i].in, in_addr) && prefix_inside(x->inner[i].in, found ? found->in : h->in) &&
		    history_same_tenant(x->inner[i].tenant, h->tenant) && in_use(x, &x->inner[i], epoch, s))
			found = &x->inner[i];
	for (int length = 32; length >= 0; length--) {
		struct prefix in = { in_addr & prefix_mask((unsigned)length), (uint8_t)length };
		size_t i = x->lengths >> length & 1 && prefix_inside(in, found ? found->in : h->in) ? first_inner(x, in)
												    : x->n;

		for (; i < x->n && !prefix_order(x->inner[i].in, in); i++)
			if (history_same_tenant(x->inner[i].tenant, h->tenant) && in_use(x, &x->inner[i], epoch, s))
				return &x->inner[i];
	}
	return found;
}
