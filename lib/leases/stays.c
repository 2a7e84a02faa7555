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

/*
 * Whether a statement is of another session than a stay, whose number was used again: by when it began, or as the stay
 * is over. What does not say when it began may be of a session that is not.
 */
static bool is_another(const struct statements *x, const struct stay *y, const struct statement *s)
{
	int64_t begin = y->since, from = s->event == LEASE_START ? s->early : s->from;

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

static int add_to(const struct statements *x, struct stay *y, uint32_t number)
{
	int64_t from = x->list[number].from;

	if (array_grow(&y->statement, y->n, &y->room, sizeof(*y->statement)))
		return -ENOMEM;
	y->statement[y->n++] = number;
	if (from != TIME_NONE && (y->since == TIME_NONE || from < y->since))
		y->since = from;
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

static bool same_session(const struct statement *a, const struct statement *b)
{
	return a->session == b->session && a->tenant == b->tenant;
}

/* Whether the record of a statement about another address is about this one, too: the session has both. */
static bool has_both(const struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];

	while (x->list[number].former != NO_STATEMENT && x->list[x->list[number].former].late == s->late)
		number = x->list[number].former;
	for (; number != NO_STATEMENT && x->list[number].late == s->late; number = x->list[number].next)
		if (x->list[number].here && same_session(&x->list[number], s))
			return true;
	return false;
}

/* The last moment before a statement at which its session had another address alone. TIME_NONE if there is none. */
static int64_t elsewhere_until(const struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];

	for (uint32_t i = s->former; s->session && i != NO_STATEMENT; i = x->list[i].former)
		if (!x->list[i].here && same_session(&x->list[i], s) && !has_both(x, i))
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
		.former = x->latest[statement_key(s)],
		.since = TIME_NONE,
		.end = TIME_OPEN,
		.over = TIME_OPEN,
	};
	x->latest[statement_key(s)] = (uint32_t)(y - x->stay);
	return add_to(x, y, number);
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

static void end_by_restart(struct stay *y, int64_t end)
{
	end_stay(y, end, true);
	y->off = true;
}

/*
 * The stay that a statement goes on with: the latest of its session, or one of before that began when it says. Returns
 * NULL if there is none.
 */
static struct stay *stay_of(const struct statements *x, const struct statement *s)
{
	bool latest = true;

	for (uint32_t i = x->latest[statement_key(s)]; i != NO_STAY; i = x->stay[i].former) {
		struct stay *y = &x->stay[i];

		if (!is_of(y, s))
			continue;
		if ((latest || (s->session && s->from != TIME_NONE && y->since != TIME_NONE)) && goes_on(x, y, s))
			return y;
		latest = false;
	}
	return NULL;
}

/* Sessions of a number that is used again have ended by then, whatever they were. One of before may be heard of late.
 */
static void end_former(struct statements *x, const struct statement *s)
{
	int64_t began = began_after(x, s);

	for (uint32_t i = x->latest[statement_key(s)]; s->session && i != NO_STAY; i = x->stay[i].former) {
		struct stay *y = &x->stay[i];

		if (y->session == s->session && y->tenant == s->tenant && y->over == TIME_OPEN && !goes_on(x, y, s) &&
		    (began == TIME_NONE ? s->event != LEASE_STOP : began >= x->list[y->statement[0]].late))
			end_stay(y, s->late, false);
	}
}

/*
 * When a session ended at the latest, by a statement about it. By its length, an end may have been as much later as
 * that says that the session began earlier. Both are of whole seconds.
 */
static int64_t ended_by(const struct statements *x, const struct stay *y, const struct statement *s)
{
	int64_t began = x->list[y->statement[0]].from;

	return s->event == LEASE_STOP && s->from != TIME_NONE && began > s->from + 1 ? s->late + began - s->from
										     : s->late;
}

/*
 * Whether what is heard of a session after its end was on the way for long. If its length says that the session went on
 * until then, its end is in doubt. A restart of the server says nothing of a session that has gone on.
 */
static bool came_late(struct stay *y, const struct statement *s)
{
	bool contradicts = s->from != TIME_NONE && s->early > y->over;

	if (y->over == TIME_OPEN || (s->event == LEASE_STOP && s->early > y->over))
		return false;
	if (contradicts && y->off)
		y->over = TIME_OPEN;
	else if (contradicts)
		end_stay(y, s->late, true);
	return y->over != TIME_OPEN;
}

static int take_here(struct statements *x, uint32_t number)
{
	struct statement *s = &x->list[number];
	struct stay *y = stay_of(x, s);
	int r;

	end_former(x, s);
	if (!y) {
		r = begin_stay(x, number);
		if (r)
			return r;
		y = &x->stay[x->n_stays - 1];
	} else {
		/* What is heard of a session after its end was on the way for long. */
		if (came_late(y, s))
			return 0;
		r = add_to(x, y, number);
		if (r)
			return r;
		y->off = false;
		y->end = y->over;
		keep_texts(y, s);
	}
	s->stay = (uint32_t)(y - x->stay);
	if (s->event == LEASE_STOP)
		end_stay(y, ended_by(x, y, s), true);
	return 0;
}

/* A session that has another address, of the same family, or has ended, has this one no more. */
static void take_elsewhere(struct statements *x, uint32_t number)
{
	const struct statement *s = &x->list[number];
	struct stay *y = stay_of(x, s);

	if (!y || y->over != TIME_OPEN || has_both(x, number))
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
			end_by_restart(y, s->late);
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

/* Whether nothing is said of the session of a stay after it, but perhaps a beginning. */
static bool is_last(const struct statements *x, const struct stay *y)
{
	const struct statement *last = last_of(x, y);

	if (last->event == LEASE_STOP)
		return true;
	for (uint32_t i = last->next; i != NO_STATEMENT; i = x->list[i].next)
		if (x->list[i].here && x->list[i].stay != NO_STAY && is_of(y, &x->list[i]))
			return x->list[i].event == LEASE_START;
	return true;
}

/*
 * What is said last of a session counts against its beginning: by its length the session began earlier, though by
 * seconds. Where one of the two is misdated, the time between is in doubt.
 */
static void begins_by_length(const struct statements *x, struct stay *y)
{
	const struct statement *last = last_of(x, y);
	int64_t began = most(began_after(x, last), elsewhere_until(x, y->statement[0]));

	y->last = y->session && is_last(x, y);
	if (y->last && began != TIME_NONE && last->from < y->begin)
		y->begin = least(y->begin, began);
}

/* Whether a statement was made in the time of a session of that number and customer, if its length is right. */
static bool is_within(const struct statements *x, const struct stay *y, const struct statement *s)
{
	const struct statement *first = &x->list[y->statement[0]];

	return y->last && is_of(y, s) && first->from != TIME_NONE && s->late >= first->from;
}

static bool is_about(const struct statement *s, uint32_t other)
{
	return s->here && s->stay != NO_STAY && s->stay != other;
}

/* Another statement of the address ends a stay that is heard of no more. They are in order of their latest moments. */
static void bound_end(struct statements *x, uint32_t number)
{
	struct stay *y = &x->stay[number];
	const struct statement *last = last_of(x, y), *end = x->list + x->n;

	for (const struct statement *s = last + 1; s < end && s->late < y->end; s++)
		if (is_about(s, number) && statement_after(x, s, last))
			y->end = least(y->end, is_of(y, s) ? ended_by(x, y, s) : s->late);
}

/* Another statement comes before one whose beginning was not heard of. */
static void bound_begin(struct statements *x, uint32_t number)
{
	struct stay *y = &x->stay[number];
	const struct statement *first = &x->list[y->statement[0]];

	for (uint32_t i = y->statement[0]; !y->started && i-- > 0 && x->list[i].late > y->begin;) {
		const struct statement *s = &x->list[i];

		if (is_about(s, number) && statement_after(x, first, s) && !is_within(x, y, s))
			y->begin = most(y->begin, s->early);
	}
}

static int find_bounds(struct statements *x)
{
	size_t n = (x->n_stays + STAYS_TOGETHER - 1) / STAYS_TOGETHER;

	x->bounds = calloc(n + 1, sizeof(*x->bounds));
	if (!x->bounds)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		x->bounds[i] = (struct stays_bounds){ TIME_OPEN, TIME_NONE, TIME_OPEN, TIME_NONE };
	for (uint32_t i = 0; i < x->n_stays; i++) {
		struct stays_bounds *b = &x->bounds[i / STAYS_TOGETHER];

		bound_end(x, i);
		bound_begin(x, i);
		b->begin = least(b->begin, x->stay[i].begin);
		b->end = most(b->end, x->stay[i].end);
		b->over_least = least(b->over_least, x->stay[i].over);
		b->over_most = most(b->over_most, x->stay[i].over);
	}
	return 0;
}

int stays_unlink(struct statements *x)
{
	size_t size = (x->pool.size + 1) * sizeof(*x->latest);

	x->latest = x->latest ? x->latest : malloc(size);
	if (!x->latest)
		return -ENOMEM;
	memset(x->latest, 0xff, size);
	return 0;
}

int stays_find(struct statements *x)
{
	int r = stays_unlink(x);

	for (uint32_t i = 0; i < x->n && !r; i++) {
		const struct statement *s = &x->list[i];

		if (s->event == LEASE_OFF)
			take_off(x, s);
		else if (s->here)
			r = take_here(x, i);
		else
			take_elsewhere(x, i);
	}
	for (uint32_t i = 0; i < x->n_stays && !r; i++)
		begins_by_length(x, &x->stay[i]);
	return r ? r : find_bounds(x);
}
