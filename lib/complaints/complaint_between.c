// SPDX-License-Identifier: BSD-2-Clause
/*
 * Times between addresses. In a block in which addresses and times alternate, a time that words rank behind another,
 * such as that of an end, may be the only one of its address, and the one before be its neighbour's: of "First address,
 * first time, last address, last time" the last address has not the first time. The question is refused, with both.
 */
#include "complaints/complaint_private.h"

/* Items of one kind that follow each other, without one of the other kind between. */
struct run {
	uint32_t first, last; /* NONE: there is none */
	uint32_t worst;	      /* of times, the one that is ranked last */
};

/* Addresses, with the times before and behind them, and the addresses beyond those. */
struct window {
	struct run before, times_before, here, times_behind, behind;
};

/* The block of an item, or NONE if it is of a row or an object, which is for itself. */
static uint32_t block_of(const struct reading *x, const struct item *i)
{
	uint32_t scope = i->scope;

	while (scope != NONE && !x->scopes[scope].block)
		scope = x->scopes[scope].closed ? NONE : x->scopes[scope].parent;
	return scope;
}

static bool counts(const struct reading *x, const struct item *i)
{
	if (i->kind == ITEM_ADDR)
		return i->role != WORD_TARGET && !addr_nobodys(i->addr);
	return i->kind == ITEM_TIME && i->rank <= RANK_NAMED && !i->stamped && !i->joined && x->stamps[i->stamp].date;
}

static bool is_in(const struct reading *x, const struct run *r, uint32_t item)
{
	return r->first != NONE && x->items[item].at >= x->items[r->first].at &&
	       x->items[item].at <= x->items[r->last].at;
}

/* Whether an address may be what a time beside it is about, and not another; a source's is not that of a system. */
static bool is_rival(const struct reading *x, const struct item *one, const struct item *a)
{
	const struct complaint_reader *reader = x->reader;

	if (one->addr == a->addr)
		return false;
	return a->role != WORD_SOURCE || one->role == WORD_SOURCE || !reader->ours ||
	       reader->ours(reader->arg, one->addr);
}

static bool has_rival(const struct reading *x, const struct run *r, const struct item *a)
{
	return r->first != NONE && (is_rival(x, &x->items[r->first], a) || is_rival(x, &x->items[r->last], a));
}

/* Doubts an address that took a time which is between it and another, and none of those on its other side. */
static void doubt_one(struct reading *x, struct item *a, const struct run *taken, const struct run *other,
		      const struct run *beyond)
{
	const struct item *mine = &x->items[a->time_item],
			  *late = other->worst == NONE ? NULL : &x->items[other->worst];

	if (!late || late->rank <= mine->rank || !is_in(x, taken, a->time_item) || !has_rival(x, beyond, a))
		return;
	/* Its own line has said it. */
	if (mine->scope == a->scope && late->scope != a->scope)
		return;
	if (stamp_agree(&x->stamps[mine->stamp], &x->stamps[late->stamp]))
		return;
	a->fault = FAULT_SEVERAL_TIMES;
	a->other = other->worst;
}

static void doubt_window(struct reading *x, const struct window *w)
{
	for (uint32_t i = w->here.first; w->here.first != NONE && i <= w->here.last; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE)
			continue;
		doubt_one(x, a, &w->times_before, &w->times_behind, &w->before);
		if (!a->fault)
			doubt_one(x, a, &w->times_behind, &w->times_before, &w->behind);
	}
}

static const struct run none = { NONE, NONE, NONE };

/* Goes on by one run of addresses. */
static void slide(struct reading *x, struct window *w)
{
	doubt_window(x, w);
	*w = (struct window){ w->here, w->times_behind, w->behind, none, none };
}

static void extend(const struct reading *x, struct run *r, uint32_t i)
{
	if (r->first == NONE)
		r->first = i;
	r->last = i;
	if (r->worst == NONE || x->items[i].rank > x->items[r->worst].rank)
		r->worst = i;
}

void complaint_between(struct reading *x)
{
	struct window w = { none, none, none, none, none };
	uint32_t block = NONE;

	for (uint32_t i = 0; i < x->n_items; i++) {
		uint32_t of = counts(x, &x->items[i]) ? block_of(x, &x->items[i]) : NONE;

		if (of == NONE)
			continue;
		if (of != block) {
			doubt_window(x, &w);
			w = (struct window){ none, none, none, none, none };
			block = of;
		}
		if (x->items[i].kind == ITEM_TIME && w.behind.first != NONE)
			slide(x, &w);
		if (x->items[i].kind == ITEM_TIME)
			extend(x, w.here.first == NONE ? &w.times_before : &w.times_behind, i);
		else
			extend(x, w.times_behind.first == NONE ? &w.here : &w.behind, i);
	}
	doubt_window(x, &w);
}
