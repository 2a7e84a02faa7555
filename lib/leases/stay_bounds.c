// SPDX-License-Identifier: BSD-2-Clause
/* From when to when a stay may have been: by what is said of its session, and of others at the address. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "leases/statements_private.h"

/*
 * Whether a statement was made after another one for certain; not where the clock was set between, or in one second.
 * Readings of a clock that was set back came twice: which was first, they do not say.
 */
static bool statement_after(const struct statements *x, const struct statement *a, const struct statement *b)
{
	return a->early > b->late &&
	       !lease_spans_around(&x->spans, SPANS_STEP, least(a->late, b->late), most(a->early, b->early));
}

/* The first statement of those that were looked at whose names may be a stay's; NO_STATEMENT: there is none. */
static uint32_t next_of(const struct stay_lists *seen, const struct stay *y)
{
	uint32_t found = NO_STATEMENT;

	for (unsigned kind = 0; kind < STAY_KINDS; kind++) {
		const uint32_t *at =
			stay_list(seen, stay_sought((struct stay_names){ y->key, y->id, y->mac, 0 }, kind));

		if (at && *at < found)
			found = *at;
	}
	return found;
}

/* Which stays are the last of their session: nothing is said of it after them, but perhaps a beginning. */
static int find_last_stays(struct statements *x)
{
	struct stay_lists seen = { 0 };
	int r = 0;

	for (uint32_t i = (uint32_t)x->n; i-- > 0 && !r;) {
		const struct statement *s = &x->list[i];
		struct stay *y = s->stay == NO_STAY ? NULL : &x->stay[s->stay];
		uint32_t next;

		if (!y || !y->session)
			continue;
		next = stay_last(x, y) == s && s->event != LEASE_STOP ? next_of(&seen, y) : NO_STATEMENT;
		if (stay_last(x, y) == s)
			y->last = next == NO_STATEMENT || x->list[next].event == LEASE_START;
		for (unsigned kind = 0; kind < STAY_KINDS && !r; kind++) {
			uint32_t *at =
				stay_list_make(&seen, stay_kept((struct stay_names){ s->key, s->id, s->mac, 0 }, kind));

			r = at ? 0 : -ENOMEM;
			if (at)
				*at = i;
		}
	}
	stay_lists_free(&seen);
	return r;
}

/*
 * What is said last of a session counts against its beginning: by its length the session began earlier, though by
 * seconds. Where one of the two is misdated, the time between is in doubt.
 */
static void begins_by_length(const struct statements *x, struct stay *y)
{
	const struct statement *last = stay_last(x, y);
	int64_t began = most(stay_began_after(x, last), y->moved_in);

	if (y->last && last->from != TIME_NONE && began != TIME_NONE && last->from < y->begin)
		y->begin = least(y->begin, began);
}

/* Whether a statement was made in the time of a session of that number and customer, if its length is right. */
static bool is_within(const struct statements *x, const struct stay *y, const struct statement *s)
{
	const struct statement *first = &x->list[y->statement[0]];

	return y->last && stay_is_of(y, s) && first->from != TIME_NONE && s->late >= first->from;
}

static bool is_about(const struct statement *s, uint32_t other)
{
	return s->here && s->stay != NO_STAY && s->stay != other;
}

/*
 * The first statement after each one that was made after it by their times. Both the statements and these are in order
 * of their latest moments.
 */
static void find_later(const struct statements *x, uint32_t *ret)
{
	uint32_t later = 0;

	for (uint32_t i = 0; i < x->n; i++) {
		later = later > i ? later : i + 1;
		while (later < x->n && x->list[later].early <= x->list[i].late)
			later++;
		ret[i] = later;
	}
}

/* Another statement of the address ends a stay that is heard of no more. */
static void bound_end(struct statements *x, uint32_t number, const uint32_t *later)
{
	struct stay *y = &x->stay[number];
	const struct statement *last = stay_last(x, y), *end = x->list + x->n;

	for (const struct statement *s = &x->list[later[last - x->list]]; s < end && s->late < y->end; s++)
		if (is_about(s, number) && statement_after(x, s, last))
			y->end = least(y->end, stay_is_of(y, s) ? stay_ended_by(x, y, s) : s->late);
}

/* Another statement comes before one whose beginning was not heard of. */
static void bound_begin(struct statements *x, uint32_t number)
{
	struct stay *y = &x->stay[number];
	const struct statement *first = &x->list[y->statement[0]];
	size_t before = count_while(k, x->n, x->list[k].late < first->early);

	for (size_t i = before; !y->started && i-- > 0 && x->list[i].late > y->begin;) {
		const struct statement *s = &x->list[i];

		if (is_about(s, number) && statement_after(x, first, s) && !is_within(x, y, s))
			y->begin = most(y->begin, s->early);
	}
}

static int find_bounds(struct statements *x)
{
	_cleanup_free_ uint32_t *later = calloc(x->n + 1, sizeof(*later));
	size_t n = (x->n_stays + STAYS_TOGETHER - 1) / STAYS_TOGETHER;

	x->bounds = calloc(n + 1, sizeof(*x->bounds));
	if (!x->bounds || !later)
		return -ENOMEM;
	find_later(x, later);
	for (size_t i = 0; i < n; i++)
		x->bounds[i] = (struct stays_bounds){ TIME_OPEN, TIME_NONE, TIME_OPEN, TIME_NONE };
	for (uint32_t i = 0; i < x->n_stays; i++) {
		struct stays_bounds *b = &x->bounds[i / STAYS_TOGETHER];

		bound_end(x, i, later);
		bound_begin(x, i);
		b->begin = least(b->begin, x->stay[i].begin);
		b->end = most(b->end, x->stay[i].end);
		b->over_least = least(b->over_least, x->stay[i].over);
		b->over_most = most(b->over_most, x->stay[i].over);
	}
	return 0;
}

int stays_bound(struct statements *x)
{
	int r = find_last_stays(x);

	for (uint32_t i = 0; i < x->n_stays && !r; i++)
		begins_by_length(x, &x->stay[i]);
	return r ? r : find_bounds(x);
}
