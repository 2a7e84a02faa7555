// SPDX-License-Identifier: BSD-2-Clause
/* Reads the lines of the window of a question. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/search.h"
#include "leases/accounting_servers.h"
#include "leases/lease_days_private.h"

static bool counts(const struct question *q, const struct lease_line *l)
{
	return !q->tenant || !*l->tenant || !strcmp(l->tenant, q->tenant);
}

static int add_place(struct question *q, size_t day, uint64_t at, const struct lease_remark *remark)
{
	if (array_grow(&q->place, q->n_places, &q->place_room, sizeof(*q->place)))
		return -ENOMEM;
	q->place[q->n_places++] = (struct place){ { .day = day, .at = at }, remark };
	return 0;
}

static bool in_window(const struct question *q, int64_t from, int64_t to)
{
	return from <= q->hi + (q->hi < INT64_MAX) && to >= q->lo - (q->lo > INT64_MIN);
}

/* The day that begins at a time; the number of days: it has no file. */
static size_t day_of(const struct question *q, int64_t begin)
{
	size_t i = 0;

	while (i < q->d->names.n && q->d->day[i].begin != begin)
		i++;
	return i;
}

/* Whether what a line says of all addresses reaches into the window. */
static bool reaches(const struct question *q, const struct lease_remark *m)
{
	switch (m->event) {
	case LEASE_BEGIN:
		return in_window(q, m->from == TIME_NONE ? m->before : m->from, m->time + 1);
	case LEASE_LOST:
		return in_window(q, m->from, m->to == TIME_OPEN ? m->time : m->to);
	case LEASE_STEP:
		return in_window(q, least(m->from, m->to), most(m->from, m->to));
	case LEASE_ERASED:
		return in_window(q, m->from, m->to) && day_of(q, m->from) == q->d->names.n;
	default:
		return m->event == LEASE_OFF && m->time >= q->begin && m->time <= q->end;
	}
}

/* Reads the lines in order of day and place. */
static int each_line(struct question *q, int (*take)(struct question *q, const struct place *p, struct lease_line *l))
{
	_cleanup_lease_lines_ struct lease_lines lines = { .d = q->d };
	struct lease_line l;
	int r = 0;

	if (q->n_places)
		qsort(q->place, q->n_places, sizeof(*q->place), lease_places_order);
	for (size_t i = 0; i < q->n_places && !r; i++) {
		const struct place *p = &q->place[i];

		q->at = p->line.day;
		r = lease_evidence_line(&lines, &p->line, &l);
		r = r ? r : lease_days_note(q->d, p->line.day, p->line.at);
		r = r ? r : counts(q, &l) ? take(q, p, &l) : 0;
	}
	return r;
}

/*
 * A length tells when its session began: that may be before a beginning that is read, as a server says it twice, or
 * uses the number again.
 */
static void want_begun(struct question *q, const struct lease_line *l)
{
	uint32_t of = (uint32_t)lease_day_session_key(l->session);
	int64_t from = l->from - CLOCK_SLACK_S, to = l->from + CLOCK_SLACK_S;
	size_t i;

	if (!*l->session || l->event == LEASE_START || l->from == TIME_NONE)
		return;
	i = count_while(k, q->n, owned(q, k)->of < of || (owned(q, k)->of == of && owned(q, k)->time < from));
	for (; i < q->n && owned(q, i)->of == of && owned(q, i)->time <= to; i++) {
		struct mention *m = owned(q, i);

		if (m->again || m->wanted || m->event != LEASE_START || (m->time >= q->lo && m->time <= q->hi))
			continue;
		m->wanted = q->begun = true;
		q->begin = least(q->begin, m->time);
		q->end = most(q->end, m->time);
	}
}

static int take_session(struct question *q, const struct place *p, struct lease_line *l)
{
	uint32_t at;

	if (memcmp(&l->addr, q->addr, sizeof(l->addr)) != 0)
		return 0;
	want_begun(q, l);
	return lease_pool_add(&q->sessions, l->session, &at);
}

/* An agent's very first beginning: nothing is known from the last line before it, which others wrote. */
static int64_t recorded_before(const struct question *q, const struct place *p)
{
	int64_t before = p->remark->before;

	for (size_t i = 0; i < p->line.day; i++) {
		const struct lease_day *day = &q->d->day[i];
		int64_t last = day->ready ? day->extent.last : day->begin;

		if (last < p->remark->time)
			before = most(before, last);
	}
	return before;
}

/* A session may have addresses of both families at once, and its end may name none. */
static bool is_of_family(const struct question *q, const struct lease_line *l)
{
	uint32_t v4;

	return lease_ends_session(l) || lease_addr_is_ipv4(&l->addr, &v4) == lease_addr_is_ipv4(q->addr, &v4);
}

static int feed(struct question *q, const struct place *p, struct lease_line *l)
{
	if (p->remark && l->event == LEASE_BEGIN && l->from == TIME_NONE)
		l->from = recorded_before(q, p);
	return p->remark || is_of_family(q, l) ? statements_feed(q->x, l) : 0;
}

struct session_rows {
	struct question *q;
	size_t day;
	uint32_t own; /* hash of the address */
};

static int take_row(void *arg, const struct lease_row *row)
{
	const struct session_rows *s = arg;
	int64_t time = lease_row_time(&s->q->d->day[s->day], row);

	if (row->of == s->own || time < s->q->begin || time > s->q->end)
		return 0;
	s->q->sparse |= time < s->q->lo || time > s->q->hi;
	return add_place(s->q, s->day, row->at, NULL);
}

/* Lines of the sessions that had the address, about others. */
static int add_elsewhere(struct question *q)
{
	uint32_t own = (uint32_t)lease_day_addr_key(q->addr);

	for (size_t i = 0; i < q->d->names.n; i++) {
		struct lease_day *day = &q->d->day[i];
		struct session_rows rows = { q, i, own };

		q->at = i;
		if (!day->ready || day->begin > q->end || day->begin + DAY_S < q->begin)
			continue;
		for (const char *session = lease_pool_next(&q->sessions, NULL); session;
		     session = lease_pool_next(&q->sessions, session)) {
			int r = lease_index_rows(q->d->dir, day, lease_day_session_key(session), take_row, &rows);

			if (r)
				return r;
		}
	}
	return 0;
}

static int add_remarks(struct question *q)
{
	for (size_t i = 0; i < q->d->names.n; i++)
		for (size_t k = 0; k < q->d->day[i].n_remarks; k++) {
			const struct lease_remark *m = &q->d->day[i].remark[k];

			if (m->silent || !reaches(q, m))
				continue;
			q->sparse |= m->event == LEASE_OFF && (m->time < q->lo || m->time > q->hi);
			if (add_place(q, i, (uint64_t)m->at, m))
				return -ENOMEM;
		}
	return 0;
}

static int add_mentions(struct question *q)
{
	for (size_t i = 0; i < q->n; i++) {
		const struct mention *m = &q->mention[i];

		if (!m->again && (m->wanted || (m->time >= q->lo && m->time <= q->hi)) &&
		    add_place(q, m->day, m->at, NULL))
			return -ENOMEM;
	}
	return 0;
}

/* Reads the line that says when lines of a day were erased; later ones say it again. *ret->time is TIME_NONE: none
 * does. */
static int find_erasure(struct question *q, const struct lease_day *of, struct lease_line *ret)
{
	ret->time = TIME_NONE;
	for (size_t i = q->d->names.n; i-- > 0;) {
		const struct lease_day *day = &q->d->day[i];

		q->at = i;
		if (!day->ready && day->begin >= of->begin)
			return -EFBIG;
		for (size_t k = day->n_remarks; k-- > 0;) {
			const struct lease_remark *m = &day->remark[k];
			int fd, r;

			if (m->silent || m->event != LEASE_ERASED || m->from > of->begin || m->to <= of->begin)
				continue;
			fd = lease_day_open(q->d->dir, day);
			r = fd < 0 ? fd : lease_day_line(day, fd, (uint64_t)m->at, ret);
			close_fd(&fd);
			return r ? r : lease_days_note(q->d, i, (uint64_t)m->at);
		}
	}
	return 0;
}

/* From the first line of a day that was erased to the last; false: none was. */
static bool erased_span(const struct lease_day *day, int64_t *ret_from, int64_t *ret_to)
{
	int64_t from = INT64_MAX, to = INT64_MIN;

	for (size_t i = 0; i < day->n_doubtful; i++) {
		const struct lease_doubtful *x = &day->doubtful[i];

		if (x->doubt != DOUBT_ERASED)
			continue;
		from = least(from, x->from);
		to = most(to, x->to);
	}
	*ret_from = day->extent.disordered ? day->begin : from;
	*ret_to = day->extent.disordered ? day->begin + DAY_S : to;
	return from < to;
}

/* Lines of a session are erased on several days: midnights between them belong to what is in doubt. */
static bool erased_around(const struct question *q, size_t i, int64_t *ret_from, int64_t *ret_to)
{
	const struct lease_day *day = &q->d->day[i];
	int64_t from, to;

	if (!erased_span(day, ret_from, ret_to))
		return false;
	if (i && day[-1].begin + DAY_S == day->begin && erased_span(&day[-1], &from, &to))
		*ret_from = day->begin;
	if (i + 1 < q->d->names.n && day[1].begin == day->begin + DAY_S && erased_span(&day[1], &from, &to))
		*ret_to = day[1].begin;
	return true;
}

static int feed_erased(struct question *q, size_t i)
{
	const struct lease_day *day = &q->d->day[i];
	struct lease_line l;
	int64_t from, to;
	int r;

	if (!erased_around(q, i, &from, &to) || !in_window(q, from, to))
		return 0;
	r = find_erasure(q, day, &l);
	if (r)
		return r;
	if (l.time == TIME_NONE)
		return statements_doubt(q->x, day->begin, day->begin + DAY_S, DOUBT_DAMAGED);
	l.from = from;
	l.to = to;
	return statements_feed(q->x, &l);
}

static int feed_damage(struct question *q, const struct lease_day *day)
{
	int r = 0;

	for (size_t i = 0; i < day->n_doubtful && !r; i++) {
		const struct lease_doubtful *x = &day->doubtful[i];

		if (x->doubt == DOUBT_DAMAGED && in_window(q, x->from, x->to))
			r = statements_doubt(q->x, x->from, x->to, DOUBT_DAMAGED);
	}
	return r;
}

/* An agent writes at least a line a minute: without its file, nothing of a day is known. */
static int feed_days(struct question *q)
{
	int r = 0;

	for (size_t i = 0; i < q->d->names.n && !r; i++) {
		const struct lease_day *day = &q->d->day[i];
		int64_t missing = i ? day[-1].begin + DAY_S : day->begin;

		if (!day->ready)
			continue;
		if (day->extent.last != TIME_NONE) {
			statements_note(q->x, day->extent.first);
			statements_note(q->x, day->extent.last);
		}
		if (i && day->extent.live && day[-1].extent.live && missing < day->begin)
			r = statements_doubt(q->x, missing, day->begin, DOUBT_GAP);
		r = r ? r : feed_damage(q, day);
		r = r ? r : feed_erased(q, i);
	}
	return r;
}

int lease_question_read(struct question *q)
{
	int r;

	statements_free(take_pointer(q->x));
	q->n_places = 0;
	lease_pool_free(&q->sessions);
	q->sparse = false;
	r = statements_new(q->addr, &q->x);
	do {
		q->begun = false;
		q->n_places = 0;
		r = r ? r : add_mentions(q);
		r = r ? r : each_line(q, take_session);
	} while (!r && q->begun);
	r = r ? r : add_elsewhere(q);
	r = r ? r : add_remarks(q);
	if (!r && q->sparse && !q->dense)
		r = -EAGAIN;
	r = r ? r : each_line(q, feed);
	r = r ? r : feed_days(q);
	return r ? r : statements_finish(q->x);
}
