// SPDX-License-Identifier: BSD-2-Clause
/* What statements say of one second. */
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/search.h"
#include "leases/statements_private.h"

/* What a stay is in a second. */
enum held { NOT_HELD, MAY_HOLD, HOLDS };

struct hold {
	enum held held;
	enum lease_doubt doubt;
	/* The statements around the second; NULL: none. */
	const struct statement *before, *after;
	bool ending; /* it may have ended before it */
};

static const struct statement *at(const struct statements *x, const struct stay *y, size_t i)
{
	return &x->list[y->statement[i]];
}

static bool counts(const struct statements *x, uint32_t of, const char *wanted)
{
	const char *tenant = statement_text(x, of);

	return !wanted || !*tenant || !strcmp(tenant, wanted);
}

/* The statements of a stay by second t, and from it on. */
static void find_around(const struct statements *x, const struct stay *y, int64_t t, struct hold *ret)
{
	size_t low = count_while(i, y->n, at(x, y, i)->late <= t);

	ret->before = low ? at(x, y, low - 1) : NULL;
	/* What was said in second t counts as either; what may have been said before or after it, as neither. */
	if (ret->before && ret->before->early == t)
		ret->after = ret->before;
	for (; !ret->after && low < y->n; low++) {
		ret->after = at(x, y, low)->early >= t ? at(x, y, low) : NULL;
		ret->ending |= !ret->after && at(x, y, low)->event == LEASE_STOP;
	}
}

static struct lease_holder names_of(const struct statements *x, const struct stay *y)
{
	return (struct lease_holder){
		.tenant = statement_text(x, y->tenant),
		.id = statement_text(x, y->id),
		.mac = statement_text(x, y->mac),
		.circuit = statement_text(x, y->circuit),
		.session = statement_text(x, y->session),
	};
}

/* Whether another customer is said to have had the address in between. */
static bool is_disputed(const struct statements *x, const struct stay *y, int64_t from, int64_t to)
{
	const struct lease_holder own = names_of(x, y);

	for (size_t i = count_while(k, x->n, x->list[k].late <= from); i < x->n && x->list[i].late - x->vague < to;
	     i++) {
		const struct statement *s = &x->list[i];

		if (s->early >= to || !s->here || s->stay == NO_STAY)
			continue;

		const struct lease_holder other = names_of(x, &x->stay[s->stay]);

		if (!holders_may_be_one(&other, &own))
			return true;
	}
	return false;
}

/* Why a customer is not certain in all seconds between two statements, or from one to second `to`; DOUBT_NONE: is. */
static enum lease_doubt doubt_between(const struct statements *x, const struct stay *y, const struct statement *s,
				      int64_t to)
{
	const struct lease_span *span = lease_spans_between(&x->spans, SPANS_BREAK, s->late, to);

	if (span)
		return span->doubt;
	if (s->broken)
		return DOUBT_GAP;
	return is_disputed(x, y, s->late, to) ? DOUBT_ANOTHER : DOUBT_NONE;
}

/*
 * Whether a second is not in each of the times that a session has by what is said first and last of it. Lengths are of
 * whole seconds.
 */
static bool is_at_edge(const struct statements *x, const struct stay *y, const struct statement *after, int64_t t)
{
	const struct statement *first = at(x, y, 0), *last = at(x, y, y->n - 1);

	if (!y->session || first->from == TIME_NONE || last->from == TIME_NONE ||
	    distance(first->from, last->from) <= 1)
		return false;
	return t < last->from || (after == last && t > last->early - (last->from - first->from));
}

static enum lease_doubt doubt_of(const struct statements *x, const struct stay *y, const struct hold *h, int64_t t)
{
	enum lease_doubt doubt = DOUBT_UNHEARD;

	if (!h->before)
		return DOUBT_BEGIN;
	if (y->declined && h->before == stay_last(x, y))
		return DOUBT_ANOTHER;
	if (h->after && is_at_edge(x, y, h->after, t))
		return h->after->event == LEASE_START ? DOUBT_BEGIN : DOUBT_UNHEARD;
	/* What is said after an end contradicts it. */
	if (h->before->event == LEASE_STOP && h->after != h->before)
		return DOUBT_UNHEARD;
	if (h->after)
		doubt = doubt_between(x, y, h->before, h->after->early);
	if (!doubt || h->ending || h->before->until == TIME_NONE || h->before->event == LEASE_STOP)
		return doubt;
	if (h->before->until < t)
		return h->after ? doubt : DOUBT_TERM;
	return doubt_between(x, y, h->before, t);
}

static struct hold hold_of(const struct statements *x, const struct stay *y, int64_t t)
{
	struct hold h = { NOT_HELD, DOUBT_NONE, NULL, NULL, false };

	if ((y->begin != TIME_NONE && t < y->begin) || t > y->end)
		return h;
	find_around(x, y, t, &h);
	h.doubt = t > x->last ? DOUBT_LATE : doubt_of(x, y, &h, t);
	h.held = h.doubt ? MAY_HOLD : HOLDS;
	return h;
}

/* Whether a stay is out of question as another customer certainly has the address, and nothing is said of it since. */
static bool is_past(const struct statements *x, const struct stay *y, const struct hold *sure, int64_t t)
{
	const struct statement *first = at(x, y, 0), *last = at(x, y, y->n - 1);

	if (!sure->before || !sure->after)
		return false;
	return (last->late <= sure->before->late && t > sure->before->late) ||
	       (first->early >= sure->after->early && t < sure->after->early);
}

static struct lease_holder holder_of(const struct statements *x, const struct stay *y, const struct hold *h)
{
	struct lease_holder holder = names_of(x, y);

	holder.from = y->begin;
	holder.to = y->end;
	holder.ended = y->over != TIME_OPEN;
	holder.certain = h->held == HOLDS;
	holder.doubt = h->doubt;
	return holder;
}

int statements_each(const struct statements *x, int (*take)(void *arg, const struct lease_holder *h), void *arg)
{
	const struct hold none = { .held = NOT_HELD };
	int r = 0;

	for (size_t i = 0; i < x->n_stays && !r; i++) {
		struct lease_holder h = holder_of(x, &x->stay[i], &none);

		r = take(arg, &h);
	}
	return r;
}

/* Of a customer with several stays the certain one counts, else one with a name, else the one that began last. */
static bool counts_more(const struct lease_holder *h, const struct lease_holder *than)
{
	if (h->certain != than->certain)
		return h->certain;
	return holder_is_mac_alone(h) != holder_is_mac_alone(than) ? holder_is_mac_alone(than) : h->from > than->from;
}

/* Several may share a name: what tells them apart is certain of none. */
static const char *agreed(const char *a, const char *b)
{
	return *a && *b && strcmp(a, b) != 0 ? "" : a;
}

static void merge(struct lease_holder *there, const struct lease_holder *h)
{
	struct lease_holder other = *h;

	if (counts_more(h, there)) {
		other = *there;
		*there = *h;
	}
	if (!there->certain)
		return;
	there->mac = agreed(there->mac, other.mac);
	there->circuit = agreed(there->circuit, other.circuit);
}

static bool merge_with(struct lease_answer *a, const struct lease_holder *h,
		       bool (*is)(const struct lease_holder *a, const struct lease_holder *b))
{
	for (unsigned i = 0; i < a->n; i++) {
		if (!is(&a->holder[i], h))
			continue;
		merge(&a->holder[i], h);
		return true;
	}
	return false;
}

static void add_holder(struct lease_answer *a, const struct lease_holder *h)
{
	if (merge_with(a, h, lease_same_customer) || merge_with(a, h, holders_may_be_one))
		return;
	if (a->n < LEASE_HOLDERS)
		a->holder[a->n++] = *h;
	else
		a->more = true;
}

static void order_holders(struct lease_answer *a)
{
	for (unsigned i = 1; i < a->n; i++)
		for (unsigned k = i; k && a->holder[k].from < a->holder[k - 1].from; k--) {
			struct lease_holder h = a->holder[k];

			a->holder[k] = a->holder[k - 1];
			a->holder[k - 1] = h;
		}
}

/* Whether a stay is recorded to have ended before t, and nobody else is known at the address before its end or after.
 */
static bool ends_last(const struct stay *y, int64_t heard, int64_t t)
{
	return y->over < t && y->over >= heard && y->end >= y->over && !y->declined;
}

/* The last statement about the address before t, or NULL. */
static const struct statement *heard_before(const struct statements *x, const char *tenant, int64_t t)
{
	for (size_t i = count_while(k, x->n, x->list[k].late < t); i-- > 0;) {
		const struct statement *s = &x->list[i];

		if (s->here && (s->stay != NO_STAY || s->stranger) && counts(x, s->tenant, tenant))
			return s;
	}
	return NULL;
}

/*
 * The last second before t that a recorded end is of, where nothing was said of the address since the statement that
 * was heard last (NULL: none); TIME_NONE: none.
 */
static int64_t ended_before(const struct statements *x, const char *tenant, int64_t t, const struct statement *last)
{
	int64_t ended = TIME_NONE, heard = last ? last->late : TIME_NONE;

	for (size_t i = 0; i < x->n_stays; i++) {
		const struct stays_bounds *b = &x->bounds[i / STAYS_TOGETHER];
		const struct stay *y = &x->stay[i];

		if (b->over_least >= t || b->over_most < heard)
			i |= STAYS_TOGETHER - 1;
		else if (counts(x, y->tenant, tenant) && ends_last(y, heard, t) && y->over > ended)
			ended = y->over;
	}
	return ended;
}

/* Nobody is named: whether that is known, or why it is not. */
static enum lease_doubt doubt_of_absence(const struct statements *x, const char *tenant, int64_t t, int64_t *ret_erased)
{
	const struct statement *last = heard_before(x, tenant, t);
	int64_t ended = ended_before(x, tenant, t, last);
	const struct lease_span *span =
		lease_spans_between(&x->spans, SPANS_HIDE, ended == TIME_NONE ? t : ended, t + 1);
	const struct lease_span *erased = lease_spans_between(&x->spans, SPANS_ERASED, last ? last->late : t, t + 1);

	if (erased)
		*ret_erased = erased->erased;
	if (t > x->last)
		return DOUBT_LATE;
	if (erased)
		return DOUBT_ERASED;
	if (span)
		return span->doubt;
	if (last && last->stranger)
		return DOUBT_ANOTHER;
	return ended == TIME_NONE ? DOUBT_EARLY : DOUBT_NONE;
}

/*
 * The clock read the seconds of a step twice: whoever may have had the address in one of them may have had it in each.
 * Those of all steps that have a second; false: none has.
 */
static bool steps_at(const struct statements *x, int64_t t, int64_t *ret_from, int64_t *ret_to)
{
	const struct lease_span *first = lease_spans_between(&x->spans, SPANS_STEP, t - 1, t + 1);

	*ret_from = first ? first->from : t;
	*ret_to = first ? lease_spans_around(&x->spans, SPANS_STEP, t, t)->to : t;
	return first;
}

static bool in_step(const struct statements *x, int64_t t)
{
	return lease_spans_around(&x->spans, SPANS_STEP, t, t);
}

void statements_closed(const struct statements *x, int64_t lo, int64_t from, int64_t to, int64_t hi, bool *ret_before,
		       bool *ret_after)
{
	*ret_before = *ret_after = false;
	for (uint32_t i = 0; i < x->n; i++) {
		const struct statement *s = &x->list[i];

		/* Which of two statements came first is not known in a step. */
		if (!s->here || s->stay == NO_STAY || in_step(x, s->early) || in_step(x, s->late))
			continue;
		*ret_before |= s->late < from && s->early >= lo;
		*ret_after |= s->early > to && s->late <= hi;
	}
}

/* The next stay from *at on that may be of one of these seconds. NULL if there is none. */
static const struct stay *next_stay(const struct statements *x, size_t *at, int64_t from, int64_t to)
{
	for (size_t i = *at; i < x->n_stays; i++) {
		const struct stays_bounds *b = &x->bounds[i / STAYS_TOGETHER];
		const struct stay *y = &x->stay[i];

		if (b->begin > to || b->end < from) {
			i |= STAYS_TOGETHER - 1;
		} else if (y->begin <= to && y->end >= from) {
			*at = i + 1;
			return y;
		}
	}
	return NULL;
}

static void collect(const struct statements *x, const char *tenant, int64_t t, struct lease_answer *ret)
{
	int64_t from, to;
	bool step = steps_at(x, t, &from, &to);
	const struct stay *y;
	struct hold sure = { 0 };

	for (size_t i = 0; !step && (y = next_stay(x, &i, from, to));) {
		struct hold h = hold_of(x, y, t);

		if (h.held == HOLDS && counts(x, y->tenant, tenant))
			sure = h;
	}
	for (size_t i = 0; (y = next_stay(x, &i, from, to));) {
		struct hold h = hold_of(x, y, t);
		struct lease_holder holder;

		if (!counts(x, y->tenant, tenant))
			continue;
		if (step)
			h = (struct hold){ .held = MAY_HOLD, .doubt = DOUBT_CLOCK };
		if (h.held == NOT_HELD || (h.held == MAY_HOLD && sure.held == HOLDS && is_past(x, y, &sure, t)))
			continue;
		/* Whoever is not heard of any more may have been followed by the customer whose lines were erased. */
		if (h.held == MAY_HOLD && h.before && !h.after &&
		    lease_spans_between(&x->spans, SPANS_ERASED, h.before->late, t))
			continue;
		holder = holder_of(x, y, &h);
		add_holder(ret, &holder);
	}
}

/* Whether the last statement by a second, or the next one, is that a stranger has the address. */
static bool has_stranger(const struct statements *x, int64_t t)
{
	size_t next = count_while(i, x->n, x->list[i].late <= t), last = next;

	while (last && !x->list[last - 1].here)
		last--;
	while (next < x->n && !x->list[next].here)
		next++;
	return (last && x->list[last - 1].stranger) || (next < x->n && x->list[next].stranger);
}

/* Whether records are missing between the statements around a second. */
static bool hides_others(const struct statements *x, int64_t t)
{
	int64_t before = least(x->first, t), after = TIME_OPEN;

	for (uint32_t i = 0; i < x->n; i++) {
		const struct statement *s = &x->list[i];

		if (s->here && s->late <= t && s->late > before)
			before = s->late;
		if (s->here && s->early >= t && s->early < after)
			after = s->early;
	}
	after = after > t ? after : t + 1;
	return lease_spans_between(&x->spans, SPANS_HIDE, before, after) ||
	       lease_spans_between(&x->spans, SPANS_ERASED, before, after);
}

void statements_ask(const struct statements *x, const char *tenant, int64_t t, struct lease_answer *ret)
{
	*ret = (struct lease_answer){ .erased = TIME_NONE };
	collect(x, tenant, t, ret);
	order_holders(ret);
	for (unsigned i = 0; ret->n > 1 && i < ret->n; i++) {
		ret->holder[i].certain = false;
		ret->holder[i].doubt = ret->holder[i].doubt ? ret->holder[i].doubt : DOUBT_ANOTHER;
	}
	if (!ret->n)
		ret->doubt = doubt_of_absence(x, tenant, t, &ret->erased);
	else
		ret->doubt = ret->n > 1 ? DOUBT_SEVERAL : ret->holder[0].doubt;
	ret->certain = !ret->doubt;
	ret->others = !ret->certain && (hides_others(x, t) || has_stranger(x, t));
}

static bool same_answer(const struct lease_answer *a, const struct lease_answer *b)
{
	return b->certain && a->n == b->n && (!a->n || lease_same_customer(&a->holder[0], &b->holder[0]));
}

/* Moments of a window, sorted. */
struct moments {
	int64_t from, to, *at;
	size_t n, room;
};

/* Adds a moment, and the second after it. 0 or -ENOMEM. */
static int add_moment(struct moments *m, int64_t t)
{
	for (int64_t i = t; t != TIME_NONE && t != TIME_OPEN && i <= t + 1; i++) {
		if (i <= m->from || i > m->to)
			continue;
		if (array_grow(&m->at, m->n, &m->room, sizeof(*m->at)))
			return -ENOMEM;
		m->at[m->n++] = i;
	}
	return 0;
}

/* The seconds in which the answer may become another one. 0 or -ENOMEM. */
static int find_changes(const struct statements *x, struct moments *ret)
{
	int r = add_moment(ret, x->last);

	for (uint32_t i = 0; i < x->n && !r; i++) {
		r = add_moment(ret, x->list[i].early);
		r = r ? r : add_moment(ret, x->list[i].late);
		r = r ? r : add_moment(ret, x->list[i].until);
	}
	for (uint32_t i = 0; i < x->n_stays && !r; i++) {
		r = add_moment(ret, x->stay[i].begin);
		r = r ? r : add_moment(ret, x->stay[i].end);
	}
	for (uint32_t i = 0; i < x->spans.n && !r; i++) {
		r = add_moment(ret, x->spans.span[i].from);
		r = r ? r : add_moment(ret, x->spans.span[i].to);
	}
	return r;
}

static int by_moment(const void *pa, const void *pb)
{
	const int64_t *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

bool statements_same(const struct statements *x, const char *tenant, int64_t from, int64_t to,
		     const struct lease_answer *a)
{
	struct moments changes = { .from = from, .to = to };
	bool same = a->certain && !find_changes(x, &changes);
	struct lease_answer there;

	if (same && from <= to) {
		statements_ask(x, tenant, from, &there);
		same = same_answer(a, &there);
	}
	if (changes.n)
		qsort(changes.at, changes.n, sizeof(*changes.at), by_moment);
	for (size_t i = 0; same && i < changes.n; i++) {
		if (i && changes.at[i] == changes.at[i - 1])
			continue;
		statements_ask(x, tenant, changes.at[i], &there);
		same = same_answer(a, &there);
	}
	free(changes.at);
	return same;
}
