// SPDX-License-Identifier: BSD-2-Clause
/* Which statements belong together: sessions whose numbers are used again, that move, or are heard of too late. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "leases/statements_private.h"

/* Two sources, or a source and its copy, may differ by as much about when a session began. */
#define SAME_BEGIN_S 5

static bool same_text(uint32_t a, uint32_t b)
{
	return a == b || !a || !b;
}

/* Whether a statement may be of the session of a stay, by its number and names. */
static bool is_of(const struct stay *y, const struct statement *s)
{
	if (y->tenant != s->tenant || y->session != s->session)
		return false;
	return s->session ? same_text(y->id, s->id) && same_text(y->mac, s->mac) : y->id == s->id && y->mac == s->mac;
}

static const struct statement *last_of(const struct statements *x, const struct stay *y)
{
	return &x->list[y->statement[y->n - 1]];
}

/* When the session began, as any of its statements says; TIME_NONE: none does. */
static int64_t begin_of(const struct statements *x, const struct stay *y)
{
	int64_t begin = TIME_NONE;

	for (size_t i = 0; i < y->n; i++) {
		int64_t from = x->list[y->statement[i]].from;

		if (from != TIME_NONE && (begin == TIME_NONE || from < begin))
			begin = from;
	}
	return begin;
}

/*
 * Whether a statement is of another session than a stay, whose number was used again: by when it began, or as the stay
 * is over. What does not say when it began may be of a session that is not.
 */
static bool is_another(const struct statements *x, const struct stay *y, const struct statement *s)
{
	int64_t begin = begin_of(x, y), from = s->event == LEASE_START ? s->early : s->from;

	if (s->event == LEASE_START && y->over != TIME_OPEN && s->early >= y->over)
		return true;
	if (from != TIME_NONE && begin != TIME_NONE)
		return distance(from, begin) > SAME_BEGIN_S;
	if (from != TIME_NONE)
		return from > last_of(x, y)->early;
	return y->over != TIME_OPEN && s->early > y->over;
}

/* Whether the server gave the address to another one between a stay and a statement. */
static bool given_away(const struct statements *x, const struct stay *y, const struct statement *s)
{
	for (const struct statement *i = last_of(x, y) + 1; i < s; i++)
		if (i->here && i->stay != NO_STAY && &x->stay[i->stay] != y)
			return true;
	return false;
}

/* Whether a DHCP lease is renewed: its term had not ended, and nobody else had it meanwhile. */
static bool renews(const struct statements *x, const struct stay *y, const struct statement *s)
{
	const struct statement *last = last_of(x, y);

	return y->over == TIME_OPEN && (last->until == TIME_NONE || last->until >= s->early) && !given_away(x, y, s);
}

static bool goes_on(const struct statements *x, const struct stay *y, const struct statement *s)
{
	if (!is_of(y, s) || (y->moved && s->early > y->over))
		return false;
	if (!s->session && s->event != LEASE_STOP)
		return renews(x, y, s);
	return !is_another(x, y, s);
}

static int add_to(struct stay *y, uint32_t number)
{
	if (array_grow(&y->statement, y->n, &y->room, sizeof(*y->statement)))
		return -ENOMEM;
	y->statement[y->n++] = number;
	return 0;
}

/* Whether the clock was set between two moments, or may have been where records are missing. */
static bool is_clock_broken(const struct statements *x, int64_t from, int64_t to)
{
	for (uint32_t i = 0; i < x->n_spans; i++) {
		const struct lease_span *s = &x->span[i];

		if ((s->doubt == DOUBT_CLOCK || s->doubt == DOUBT_GAP) && !s->added && !s->reaches_back &&
		    s->from < to && s->to > from)
			return true;
	}
	return false;
}

/* When the session of a statement began, at the earliest: its age is told in whole seconds. TIME_NONE: it is not known.
 */
static int64_t began_after(const struct statements *x, const struct statement *s)
{
	return s->from == TIME_NONE || is_clock_broken(x, s->from, s->early) ? TIME_NONE
									     : s->from - 1 - (s->late - s->early);
}

/* The last moment before a statement at which its session had another address; TIME_NONE: it is not known to have had.
 */
static int64_t elsewhere_until(const struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];

	for (uint32_t i = number; s->session && i-- > 0;)
		if (!x->list[i].here && x->list[i].session == s->session && x->list[i].tenant == s->tenant)
			return x->list[i].early;
	return TIME_NONE;
}

static int begin_stay(struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];
	struct stay *y;

	if (array_grow(&x->stay, x->n_stays, &x->stay_room, sizeof(*x->stay)))
		return -ENOMEM;
	y = &x->stay[x->n_stays++];
	*y = (struct stay){
		.tenant = s->tenant,
		.id = s->id,
		.mac = s->mac,
		.circuit = s->circuit,
		.session = s->session,
		.server = s->server,
		.started = s->event == LEASE_START,
		.begin = s->event == LEASE_START ? s->early : most(began_after(x, s), elsewhere_until(x, number)),
		.end = TIME_OPEN,
		.over = TIME_OPEN,
	};
	return add_to(y, number);
}

/* A later name of a customer that was not known at first. */
static void keep_texts(struct stay *y, const struct statement *s)
{
	y->id = y->id ? y->id : s->id;
	y->mac = y->mac ? y->mac : s->mac;
	y->circuit = s->circuit ? s->circuit : y->circuit;
}

/* The end of a stay that is recorded, or known to have been by then. */
static void end_stay(struct stay *y, int64_t end, bool recorded)
{
	y->end = least(y->end, end);
	if (recorded)
		y->over = y->over == TIME_OPEN ? end : most(y->over, end);
	if (recorded)
		y->end = y->over;
}

/* The latest stay of the session of a statement; NULL: none. */
static struct stay *latest(const struct statements *x, const struct statement *s)
{
	for (size_t i = x->n_stays; i-- > 0;)
		if (is_of(&x->stay[i], s))
			return &x->stay[i];
	return NULL;
}

/* Sessions of a number that is used again have ended by then, whatever they were. One of before may be heard of late.
 */
static void end_former(struct statements *x, const struct statement *s)
{
	int64_t began = began_after(x, s);

	for (size_t i = 0; s->session && i < x->n_stays; i++) {
		struct stay *y = &x->stay[i];

		if (y->session == s->session && y->tenant == s->tenant && y->over == TIME_OPEN && !goes_on(x, y, s) &&
		    (began == TIME_NONE ? s->event != LEASE_STOP : began >= x->list[y->statement[0]].late))
			end_stay(y, s->late, false);
	}
}

static int take_here(struct statements *x, uint32_t number)
{
	struct statement *s = &x->list[number];
	struct stay *y = latest(x, s);
	bool late;
	int r;

	end_former(x, s);
	if (!y || !goes_on(x, y, s)) {
		r = begin_stay(x, number);
		if (r)
			return r;
		y = &x->stay[x->n_stays - 1];
	} else {
		/* What is heard of a session after its end was on the way for long. */
		late = y->over != TIME_OPEN && (s->event != LEASE_STOP || s->early <= y->over);
		r = late ? 0 : add_to(y, number);
		if (late || r)
			return r;
		y->end = y->over;
		keep_texts(y, s);
	}
	s->stay = (uint32_t)(y - x->stay);
	if (s->event == LEASE_STOP)
		end_stay(y, s->late, true);
	return 0;
}

/* Whether the record of a statement about another address is about this one, too: the session has both. */
static bool has_both(const struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number], *first = s, *end = x->list + x->n;

	while (first > x->list && first[-1].late == s->late)
		first--;
	for (; first < end && first->late == s->late; first++)
		if (first->here && first->session == s->session && first->tenant == s->tenant)
			return true;
	return false;
}

/* A session that has another address, of the same family, or has ended, has this one no more. */
static void take_elsewhere(struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];
	struct stay *y = latest(x, s);

	if (!y || y->over != TIME_OPEN || !goes_on(x, y, s) || has_both(x, number))
		return;
	end_stay(y, s->late, true);
	y->moved = !s->ends;
}

/* What began in the same second may have begun after it. */
static void take_off(struct statements *x, const struct statement *s)
{
	for (size_t i = 0; s->server && i < x->n_stays; i++) {
		struct stay *y = &x->stay[i];

		if (y->server == s->server && y->over == TIME_OPEN && x->list[y->statement[0]].late < s->early)
			end_stay(y, s->late, true);
	}
}

/* Readings of a clock that was set back came twice: which was first, they do not say. */
static bool in_one_step(const struct statements *x, const struct statement *a, const struct statement *b)
{
	for (uint32_t i = 0; i < x->n_spans; i++) {
		const struct lease_span *s = &x->span[i];

		if (s->doubt == DOUBT_CLOCK && a->late >= s->from && a->early <= s->to && b->late >= s->from &&
		    b->early <= s->to)
			return true;
	}
	return false;
}

/* Whether a statement was made after another one for certain; not where the clock was set between, or in one second. */
static bool statement_after(const struct statements *x, const struct statement *a, const struct statement *b)
{
	return a->early > b->late && !in_one_step(x, a, b);
}

/* Another statement of the address ends a stay that is heard of no more, and comes before one that was not heard of. */
static void bound(struct statements *x)
{
	for (uint32_t i = 0; i < x->n_stays; i++) {
		struct stay *y = &x->stay[i];
		const struct statement *first = &x->list[y->statement[0]], *last = last_of(x, y);

		for (uint32_t k = 0; k < x->n; k++) {
			const struct statement *s = &x->list[k];

			if (!s->here || s->stay == NO_STAY || s->stay == i)
				continue;
			if (statement_after(x, s, last))
				y->end = least(y->end, s->late);
			if (statement_after(x, first, s) && !y->started &&
			    (y->begin == TIME_NONE || y->begin < s->early))
				y->begin = s->early;
		}
	}
}

int stays_find(struct statements *x)
{
	int r = 0;

	for (uint32_t i = 0; i < x->n && !r; i++) {
		const struct statement *s = &x->list[i];

		if (s->event == LEASE_OFF)
			take_off(x, s);
		else if (s->here)
			r = take_here(x, i);
		else
			take_elsewhere(x, i);
	}
	if (!r)
		bound(x);
	return r;
}
