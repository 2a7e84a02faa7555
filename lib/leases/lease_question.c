// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a question needs of the days. Each day that is ready says where it mentions the address, and when; the lines are
 * read of those that matter: the nearest before and after, and all between two of one session that lie on both sides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/search.h"
#include "leases/accounting_servers.h"
#include "leases/lease_days_private.h"

static int get_ready(struct question *q, size_t i)
{
	return lease_index_ready(q->d->dir, &q->d->day[i], UINT64_MAX, q->err);
}

/* ---- The seconds that matter */

/* The clock read the seconds of a step twice: each of them is asked about. */
static void widen_to_steps(struct question *q)
{
	for (size_t i = 0; i < q->d->names.n; i++)
		for (size_t k = 0; k < q->d->day[i].n_remarks; k++) {
			const struct lease_remark *m = &q->d->day[i].remark[k];
			int64_t from = least(m->from, m->to), to = most(m->from, m->to);

			if (m->silent || m->event != LEASE_STEP || from > q->to || to < q->from)
				continue;
			q->from = least(q->from, from);
			q->to = most(q->to, to);
		}
}

/* Whether two statements of a session, the nearest on both sides, can be of one stay. */
static bool is_one(const struct mention *a, const struct mention *b)
{
	if (b->event == LEASE_START)
		return false;
	return a->event != LEASE_STOP || b->event == LEASE_STOP;
}

static void need(struct question *q, const struct mention *m)
{
	int64_t known = lease_mention_known(q, m);

	if (known < q->lo || m->time < q->lo)
		q->ready_from = least(q->ready_from, known);
	q->lo = least(q->lo, m->time);
	q->hi = most(q->hi, m->time);
}

static void want(struct question *q, struct mention *m)
{
	if (!m)
		return;
	m->wanted = true;
	q->begin = least(q->begin, m->time);
	q->end = most(q->end, m->time);
}

static bool is_needed(const struct question *q, const struct mention *m)
{
	return !m->again && m->time >= q->lo && m->time <= q->hi;
}

/* Where a session of which lines are needed began, as far as is known; what comes after its end is none of it. */
static void want_begin(struct question *q, size_t i, size_t group)
{
	struct mention *first = NULL;

	if (owned(q, i)->event == LEASE_START)
		return;
	while (i-- > group) {
		struct mention *m = owned(q, i);

		if (m->again)
			continue;
		first = m;
		if (q->dense)
			want(q, m);
		if (m->event == LEASE_START || m->event == LEASE_STOP)
			break;
	}
	want(q, first);
}

/* The first mention after a time, in their order by time; their number: there is none. */
static size_t first_after(const struct question *q, int64_t time)
{
	return count_while(i, q->n_timed, timed(q, i)->time <= time);
}

/* The mention that is so many before or after a time, or the last one there. NULL: there is none. */
static struct mention *nearest(const struct question *q, bool before, int64_t time, size_t n)
{
	size_t first = before ? count_while(i, q->n_timed, timed(q, i)->time < time) : first_after(q, time);
	size_t there = before ? first : q->n_timed - first;

	n = n < there ? n : there;
	return !n ? NULL : timed(q, before ? first - n : first + n - 1);
}

/* The first one after it of another session or customer. NULL: there is none. */
static struct mention *next_other(const struct question *q, const struct mention *m)
{
	size_t i = first_after(q, m->time);

	while (i < q->n_timed && timed(q, i)->of == m->of)
		i++;
	return i < q->n_timed ? timed(q, i) : NULL;
}

/* Where it ended, or was heard of last before another one was. */
static void want_end(struct question *q, size_t i, size_t end)
{
	struct mention *last = owned(q, i);

	while (last->event != LEASE_STOP && ++i < end && (owned(q, i)->again || owned(q, i)->event != LEASE_START)) {
		last = owned(q, i)->again ? last : owned(q, i);
		if (q->dense)
			want(q, last);
	}
	want(q, last);
	if (last->event != LEASE_STOP)
		want(q, next_other(q, last));
}

/* How long an answer's sessions lasted is told, too. */
static void find_ends(struct question *q)
{
	q->begin = q->lo;
	q->end = q->hi;
	for (size_t i = 0; i < q->n; i++)
		q->mention[i].wanted = false;
	for (size_t i = 0, end; i < q->n; i = end) {
		size_t first = q->n, last = q->n;

		for (end = i; end < q->n && owned(q, end)->of == owned(q, i)->of; end++) {
			if (!is_needed(q, owned(q, end)))
				continue;
			first = first < q->n ? first : end;
			last = end;
		}
		if (first == q->n || !owned(q, first)->session)
			continue;
		want_begin(q, first, i);
		want_end(q, last, end);
	}
}

/* The earliest moment of a mention; INT64_MIN: its line alone has it. */
static int64_t early_of(const struct mention *m)
{
	return m->vague == LEASE_VAGUE_MAX ? INT64_MIN : m->time - (int64_t)m->vague;
}

/* What comes last may have been said before what bounds the window. */
static void need_vague(struct question *q)
{
	for (size_t i = first_after(q, q->hi); i < q->n_timed; i++)
		if (early_of(timed(q, i)) <= q->hi)
			need(q, timed(q, i));
}

/* The nearest mention before and after, and those of a session that lie on both sides. */
static void find_window(struct question *q)
{
	const struct mention *before = nearest(q, true, q->from, 1), *after = nearest(q, false, q->to, 1);
	const struct mention *last = NULL;

	q->lo = q->ready_from = q->from;
	q->hi = q->to;
	for (size_t i = 0; i < q->n; i++) {
		const struct mention *m = owned(q, i);

		if (m->again)
			continue;
		if (last && last->of == m->of && last->time <= q->to && m->time >= q->from && is_one(last, m)) {
			need(q, last);
			need(q, m);
		}
		/* That may have been said before. */
		if (!last || !m->vague || m->time <= q->to || last->of != m->of)
			last = m;
	}
	if (before)
		need(q, before);
	if (after)
		need(q, after);
	if (q->earliest < q->lo)
		q->lo = q->ready_from = q->earliest;
	q->hi = most(q->hi, q->latest);
	need_vague(q);
	find_ends(q);
}

/* The day that is not ready nearest to the question, from a time to another; the number of days: none. */
static size_t unready(const struct question *q, int64_t from, int64_t to, bool before)
{
	size_t found = q->d->names.n;

	for (size_t i = 0; i < q->d->names.n; i++) {
		const struct lease_day *day = &q->d->day[i];

		if (day->ready || day->begin > to || day->begin + DAY_S <= from)
			continue;
		found = i;
		if (!before)
			break;
	}
	return found;
}

/* Looks further on one side. *ret: whether there was more. 0 or -errno. */
static int look_beyond(struct question *q, bool before, bool *ret)
{
	const struct mention *m = nearest(q, before, before ? q->lo : q->hi, q->step);
	int64_t from = before ? (m ? m->time : INT64_MIN) : q->hi, to = before ? q->lo : m ? m->time : INT64_MAX;
	size_t i = unready(q, from, to, before);

	*ret = true;
	if (i < q->d->names.n)
		return get_ready(q, i);
	q->step *= 2;
	if (before)
		q->earliest = m ? m->time : INT64_MIN;
	else
		q->latest = m ? m->time : INT64_MAX;
	*ret = m || (before ? q->lo > INT64_MIN : q->hi < INT64_MAX);
	return 0;
}

/* ---- The question */

/* Days of the question itself, or the last one before. */
static int ready_near(struct question *q)
{
	size_t n = q->d->names.n, i = 0;
	int r = 0;

	while (i + 1 < n && q->d->day[i + 1].begin <= q->from)
		i++;
	for (; i < n && q->d->day[i].begin <= q->to && !r; i++)
		r = get_ready(q, i);
	return r;
}

/* Looks at the days until what is before and after adds nothing. 0, -ESTALE, or another -errno. */
static int look(struct question *q)
{
	bool before = false, after = false, more = true;
	int r = 0;

	while (!r && more) {
		size_t i;

		r = lease_mentions_take(q);
		if (r)
			break;
		widen_to_steps(q);
		find_window(q);
		i = unready(q, q->ready_from, q->hi < INT64_MAX ? q->hi + ACCOUNTING_STALE_S : q->hi, true);
		if (i < q->d->names.n) {
			r = get_ready(q, i);
			continue;
		}
		r = lease_question_read(q);
		if (r == -EFBIG || r == -EAGAIN) {
			q->dense |= r == -EAGAIN;
			r = r == -EFBIG ? get_ready(q, q->at) : 0;
			continue;
		}
		more = false;
		if (!r)
			statements_closed(q->x, q->lo, q->from, q->to, q->hi, &before, &after);
		if (!r && !before && q->lo > INT64_MIN)
			r = look_beyond(q, true, &more);
		else if (!r && !after && q->hi < INT64_MAX)
			r = look_beyond(q, false, &more);
	}
	return r;
}

static void forget(struct question *q)
{
	free(take_pointer(q->mention));
	free(take_pointer(q->taken));
	free(take_pointer(q->place));
	free(take_pointer(q->owned));
	free(take_pointer(q->timed));
	lease_pool_free(&q->sessions);
	q->n = q->room = q->n_timed = q->n_places = q->place_room = 0;
	q->step = 1;
}

/* An index that turns out not to fit is made anew, once. */
static int ask(struct question *q)
{
	int r = -ESTALE;

	while (r == -ESTALE) {
		statements_free(take_pointer(q->x));
		forget(q);
		q->taken = calloc(q->d->names.n, sizeof(*q->taken));
		q->earliest = INT64_MAX;
		q->latest = INT64_MIN;
		q->dense = false;
		r = q->taken ? ready_near(q) : -ENOMEM;
		r = r ? r : lease_days_search(q->d, q->err);
		r = r ? r : look(q);
		if (r != -ESTALE)
			break;
		if (q->d->day[q->at].distrusted)
			return lease_day_failed(&q->d->day[q->at], r, q->err);
		q->d->day[q->at].distrusted = true;
		lease_day_clear(&q->d->day[q->at]);
	}
	return r;
}

int lease_days_about(struct lease_days *d, const struct lease_addr *addr, const char *tenant, int64_t from, int64_t to,
		     struct statements **ret, struct error *err)
{
	struct question q = { .d = d, .addr = addr, .tenant = tenant, .from = from, .to = to, .err = err };
	int64_t until;
	int r = ask(&q);

	if (r == -ENOMEM)
		error_set(err, r, "out of memory");
	r = r ? r : lease_days_until(d, &until, err);
	forget(&q);
	if (r) {
		statements_free(q.x);
		return r;
	}
	if (until != TIME_NONE)
		statements_note(q.x, until);
	*ret = q.x;
	return 0;
}
