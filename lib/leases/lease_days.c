// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_days.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "leases/lease_day.h"
#include "leases/lease_files.h"

struct lease_days {
	int dir;
	struct lease_names names;
	struct lease_day *day;
};

int lease_days_open(const char *dir, struct lease_days **ret, struct error *err)
{
	struct lease_days *d = calloc(1, sizeof(*d));
	int r = d ? lease_names_read(dir, &d->names, err) : error_set(err, -ENOMEM, "out of memory");

	if (!r && !d->names.n)
		r = error_set(err, -ENOENT, "no leases at %.200s: there is no leases-YYYY-MM-DD.jsonl", dir);
	if (d) {
		d->dir = r ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		d->day = r ? NULL : calloc(d->names.n, sizeof(*d->day));
	}
	if (!r && (d->dir < 0 || !d->day))
		r = error_set(err, -ENOMEM, "no leases at %.200s: it cannot be opened", dir);
	for (size_t i = 0; !r && i < d->names.n; i++) {
		struct lease_day *day = &d->day[i];

		*day = (struct lease_day){ .name = d->names.name[i], .first = TIME_OPEN, .last = TIME_NONE };
		r = lease_file_day(day->name, &day->begin);
	}
	if (r)
		lease_days_free(d);
	else
		*ret = d;
	return r;
}

void lease_days_free(struct lease_days *d)
{
	if (!d)
		return;
	for (size_t i = 0; d->day && i < d->names.n; i++)
		lease_day_free(&d->day[i]);
	if (d->dir >= 0)
		close(d->dir);
	free(d->day);
	free(d->names.name);
	free(d);
}

uint64_t lease_days_wrong(const struct lease_days *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < d->names.n; i++)
		n += d->day[i].wrong;
	return n;
}

int lease_days_until(struct lease_days *d, int64_t *ret, struct error *err)
{
	*ret = TIME_NONE;
	for (size_t i = d->names.n; i-- > 0 && *ret == TIME_NONE;) {
		int r = lease_day_read(d->dir, &d->day[i], err);

		if (r)
			return r;
		*ret = d->day[i].last;
	}
	return 0;
}

/* What is collected for a question. */
struct question {
	struct lease_days *d;
	const struct lease_addr *addr;
	const char *tenant;
	struct statements *x;
	char (*session)[LEASE_SESSION]; /* sessions that had the address */
	size_t n_sessions, session_room;
	size_t low, high;   /* days low..high - 1 have been taken */
	bool before, after; /* something is said of the address by the first second, and from the last one on */
	int64_t from, to;
};

static bool counts(const struct question *q, const struct lease_line *l)
{
	return !q->tenant || !*l->tenant || !strcmp(l->tenant, q->tenant);
}

static int note_session(struct question *q, const char *session)
{
	for (size_t i = 0; i < q->n_sessions; i++)
		if (!strcmp(q->session[i], session))
			return 0;
	if (!*session)
		return 0;
	if (array_grow(&q->session, q->n_sessions, &q->session_room, sizeof(*q->session)))
		return -ENOMEM;
	memcpy(q->session[q->n_sessions++], session, strlen(session) + 1);
	return 0;
}

static int take_here(void *arg, const struct lease_line *l)
{
	struct question *q = arg;
	int64_t moment = l->event == LEASE_OPEN ? l->early : l->time;

	if (memcmp(&l->addr, q->addr, sizeof(l->addr)) != 0 || !counts(q, l))
		return 0;
	q->before |= moment <= q->from && l->event != LEASE_OPEN;
	q->after |= moment >= q->to && l->event != LEASE_OPEN;
	return statements_feed(q->x, l) ? -ENOMEM : note_session(q, l->session);
}

/* A session that had the address, at another one of the same family, or at none. */
static int take_elsewhere(void *arg, const struct lease_line *l)
{
	struct question *q = arg;
	uint32_t v4;

	if (!memcmp(&l->addr, q->addr, sizeof(l->addr)) || !counts(q, l) || !lease_event_of_session(l->event) ||
	    l->event == LEASE_OPEN ||
	    (!lease_ends_session(l) && lease_addr_is_ipv4(&l->addr, &v4) != lease_addr_is_ipv4(q->addr, &v4)))
		return 0;
	return statements_feed(q->x, l);
}

static int take_of_all(struct question *q, const struct lease_day *day, int fd)
{
	struct lease_line l;
	int r = 0;

	for (size_t i = 0; i < day->n_all && !r; i++) {
		r = lease_day_line(fd, day->all[i], &l);
		r = r ? r : counts(q, &l) ? statements_feed(q->x, &l) : 0;
	}
	for (size_t i = 0; i < day->n_damages && !r; i++)
		r = statements_doubt(q->x, day->damage[i].from, day->damage[i].to, DOUBT_DAMAGED);
	if (day->last != TIME_NONE) {
		statements_note(q->x, day->first);
		statements_note(q->x, day->last);
	}
	return r;
}

/* An agent writes at least a line a minute: without its file, nothing of a day is known. */
static int note_missing(struct question *q, size_t i)
{
	const struct lease_day *day = &q->d->day[i];

	if (!i || !day->live || !day[-1].live || day->begin - day[-1].begin <= DAY_S)
		return 0;
	return statements_doubt(q->x, day[-1].begin + DAY_S, day->begin, DOUBT_GAP);
}

static int take_day(struct question *q, size_t i, struct error *err)
{
	struct lease_day *day = &q->d->day[i];
	char addr[LEASE_ADDR_TEXT];
	int r = lease_day_read(q->d->dir, day, err), fd;

	if (r)
		return r;
	fd = lease_day_open(q->d->dir, day);
	r = fd < 0 ? fd : take_of_all(q, day, fd);
	r = r ? r : lease_day_each(day, fd, lease_addr_format(q->addr, addr), take_here, q);
	close_fd(&fd);
	return r ? lease_day_failed(day, r, err) : 0;
}

static int take_sessions(struct question *q, struct error *err)
{
	int r = 0;

	for (size_t i = q->low; i < q->high && !r; i++) {
		struct lease_day *day = &q->d->day[i];
		int fd = lease_day_open(q->d->dir, day);

		r = fd < 0 ? fd : i > q->low ? note_missing(q, i) : 0;
		for (size_t k = 0; k < q->n_sessions && !r; k++)
			r = lease_day_each(day, fd, q->session[k], take_elsewhere, q);
		close_fd(&fd);
		if (r)
			return lease_day_failed(day, r, err);
	}
	return 0;
}

/* Gives the line of a day that says that lines of another day were erased; *ret_found: whether there is one. */
static int take_erasure_in(struct question *q, size_t i, int64_t of, bool *ret_found, struct error *err)
{
	const struct lease_day *day = &q->d->day[i];
	int r = lease_day_read(q->d->dir, &q->d->day[i], err), fd;
	struct lease_line l;

	if (r || !day->n_all)
		return r;
	fd = lease_day_open(q->d->dir, day);
	for (size_t k = day->n_all; fd >= 0 && k-- > 0 && !*ret_found && !r;) {
		r = lease_day_line(fd, day->all[k], &l);
		if (r || l.event != LEASE_ERASED || l.from > of || l.to <= of)
			continue;
		*ret_found = true;
		r = statements_feed(q->x, &l);
	}
	r = fd < 0 ? fd : r;
	close_fd(&fd);
	return r ? lease_day_failed(day, r, err) : 0;
}

/* The lines that say when lines of the days of a question were erased come later. */
static int take_erasures(struct question *q, struct error *err)
{
	int r = 0;

	for (size_t i = q->low; i < q->high && !r; i++) {
		const struct lease_day *day = &q->d->day[i];
		bool found = !day->erased;

		for (size_t k = q->d->names.n; !found && !r && k-- > i;)
			r = take_erasure_in(q, k, day->begin, &found, err);
		if (!found && !r && statements_doubt(q->x, day->begin, day->begin + DAY_S, DOUBT_DAMAGED))
			r = error_set(err, -ENOMEM, "out of memory");
	}
	return r;
}

/* The number of days that begin by a second. */
static size_t days_by(const struct lease_days *d, int64_t t)
{
	size_t n = 0;

	while (n < d->names.n && d->day[n].begin <= t)
		n++;
	return n;
}

/* The days of the question, then those before until something is said of the address, then those after. */
static int take_days(struct question *q, struct error *err)
{
	size_t through = days_by(q->d, q->to);
	int r = 0;

	q->low = q->high = days_by(q->d, q->from);
	q->low -= q->low ? 1 : 0;
	for (size_t i = q->low; i < through && !r; i++) {
		r = take_day(q, i, err);
		q->high = i + 1;
	}
	while (!r && !q->before && q->low)
		r = take_day(q, --q->low, err);
	while (!r && !q->after && q->high < q->d->names.n)
		r = take_day(q, q->high++, err);
	r = r ? r : take_sessions(q, err);
	return r ? r : take_erasures(q, err);
}

int lease_days_about(struct lease_days *d, const struct lease_addr *addr, const char *tenant, int64_t from, int64_t to,
		     struct statements **ret, struct error *err)
{
	struct question q = { .d = d, .addr = addr, .tenant = tenant, .from = from, .to = to };
	int64_t until;
	int r = lease_days_until(d, &until, err);

	if (!r && statements_new(addr, &q.x))
		r = error_set(err, -ENOMEM, "out of memory");
	r = r ? r : take_days(&q, err);
	if (!r && until != TIME_NONE)
		statements_note(q.x, until);
	if (!r && statements_finish(q.x))
		r = error_set(err, -ENOMEM, "out of memory");
	free(q.session);
	if (r)
		statements_free(q.x);
	else
		*ret = q.x;
	return r;
}
