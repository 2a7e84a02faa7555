// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_days.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "leases/lease_files.h"

/* Where a line about an address or a session begins. */
struct place {
	uint64_t hash;
	int64_t at;
};

struct lease_day {
	const char *name;
	int64_t begin; /* its first second */
	bool read;
	bool live;	     /* an agent recorded it: it marks that nothing is missing */
	int64_t first, last; /* times of its lines; TIME_OPEN and TIME_NONE: none */
	struct place *place; /* in order of hash, and of place */
	size_t n, room;
	int64_t *all; /* lines about no address: off, begin, lost, step */
	size_t n_all, all_room;
	uint64_t wrong;
};

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
	for (size_t i = 0; d->day && i < d->names.n; i++) {
		free(d->day[i].place);
		free(d->day[i].all);
	}
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

/* Makes room for one more element. 0 or -ENOMEM. */
static int grow(void *array, size_t n, size_t *room, size_t size)
{
	void **at = array, *larger;

	if (n < *room)
		return 0;
	larger = reallocarray(*at, *room ? *room * 2 : 64, size);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	*room = *room ? *room * 2 : 64;
	return 0;
}

static int note_place(struct lease_day *day, const char *text, size_t size, int64_t at)
{
	if (grow(&day->place, day->n, &day->room, sizeof(*day->place)))
		return -ENOMEM;
	day->place[day->n++] = (struct place){ hash_octets(text, size), at };
	return 0;
}

/* The text of a member as the line has it, without its quotes; NULL: there is none. */
static const char *member(const char *line, size_t size, const char *key, size_t *ret_size)
{
	const char *text = memmem(line, size, key, strlen(key)), *end;

	if (!text)
		return NULL;
	text += strlen(key);
	for (end = text; end < line + size && *end != '"'; end++)
		end += *end == '\\';
	if (end >= line + size)
		return NULL;
	*ret_size = (size_t)(end - text);
	return text;
}

#define KEY_ADDR    "\"in_addr\":\""
#define KEY_SESSION "\"session\":\""

struct reading {
	struct lease_day *day;
	int64_t at; /* where the line begins */
};

/* A line about no address is read whole: there are few. */
static int take_all(struct lease_day *day, const char *line, size_t size, int64_t at)
{
	struct lease_line l;

	if (lease_line_read(line, size, &l, NULL)) {
		day->wrong++;
		return 0;
	}
	day->live |= l.event == LEASE_MARK || l.event == LEASE_BEGIN;
	if (l.event == LEASE_MARK)
		return 0;
	if (grow(&day->all, day->n_all, &day->all_room, sizeof(*day->all)))
		return -ENOMEM;
	day->all[day->n_all++] = at;
	return 0;
}

static void note_time(struct lease_day *day, const char *line, size_t size)
{
	size_t n;
	const char *time = member(line, size, "\"time\":\"", &n);
	char text[TIME_TEXT];
	int64_t t;

	if (!time || n >= sizeof(text))
		return;
	memcpy(text, time, n);
	text[n] = '\0';
	if (time_parse(text, &t))
		return;
	day->first = t < day->first ? t : day->first;
	day->last = t > day->last ? t : day->last;
}

static int take_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct reading *reading = arg;
	struct lease_day *day = reading->day;
	int64_t at = reading->at;
	size_t n_addr = 0, n_session = 0;
	const char *addr = member(line, size, KEY_ADDR, &n_addr);
	const char *session = member(line, size, KEY_SESSION, &n_session);

	(void)name;
	(void)number;
	reading->at += (int64_t)size + 1;
	note_time(day, line, size);
	if (!addr && (!session || memmem(line, size, "\"event\":\"off\"", 13) ||
		      memmem(line, size, "\"event\":\"begin\"", 15)))
		return take_all(day, line, size, at);
	if (addr && note_place(day, addr, n_addr, at))
		return -ENOMEM;
	return session ? note_place(day, session, n_session, at) : 0;
}

static int by_hash(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static int read_day(struct lease_days *d, struct lease_day *day, struct error *err)
{
	struct reading reading = { .day = day };
	size_t torn;
	int r = day->read ? 0 : lease_file_read(d->dir, day->name, take_line, &reading, &torn);

	if (r)
		return error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r));
	if (!day->read && day->n)
		qsort(day->place, day->n, sizeof(*day->place), by_hash);
	day->read = true;
	return 0;
}

int lease_days_until(struct lease_days *d, int64_t *ret, struct error *err)
{
	*ret = TIME_NONE;
	for (size_t i = d->names.n; i-- > 0 && *ret == TIME_NONE;) {
		int r = read_day(d, &d->day[i], err);

		if (r)
			return r;
		*ret = d->day[i].last;
	}
	return 0;
}

/* Reads the line at a place. 0, -EBADMSG if it is none, or -errno. */
static int read_line(const struct lease_days *d, int fd, int64_t at, struct lease_line *ret)
{
	char text[LEASE_LINE_MAX + 1];
	ssize_t n = pread(fd, text, sizeof(text), at);
	const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

	(void)d;
	if (n < 0)
		return -errno;
	return end && !lease_line_read(text, (size_t)(end - text), ret, NULL) ? 0 : -EBADMSG;
}

/* What is collected for a question. */
struct question {
	struct lease_days *d;
	const struct lease_addr *addr;
	const char *tenant;
	struct statements *x;
	char (*session)[LEASE_SESSION]; /* sessions that had the address */
	size_t n_sessions, session_room;
	size_t low, high; /* days low..high - 1 have been taken */
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
	if (grow(&q->session, q->n_sessions, &q->session_room, sizeof(*q->session)))
		return -ENOMEM;
	memcpy(q->session[q->n_sessions++], session, strlen(session) + 1);
	return 0;
}

static int take_here(struct question *q, const struct lease_line *l)
{
	int64_t moment = l->event == LEASE_OPEN ? l->early : l->time;

	if (memcmp(&l->addr, q->addr, sizeof(l->addr)) != 0 || !counts(q, l))
		return 0;
	q->before |= moment <= q->from && l->event != LEASE_OPEN;
	q->after |= moment >= q->to && l->event != LEASE_OPEN;
	return statements_feed(q->x, l) ? -ENOMEM : note_session(q, l->session);
}

/* A session that had the address, at another one of the same family, or at none. */
static int take_elsewhere(struct question *q, const struct lease_line *l)
{
	uint32_t v4;

	if (!memcmp(&l->addr, q->addr, sizeof(l->addr)) || !counts(q, l) || !lease_event_of_session(l->event) ||
	    l->event == LEASE_OPEN || lease_addr_is_ipv4(&l->addr, &v4) != lease_addr_is_ipv4(q->addr, &v4))
		return 0;
	return statements_feed(q->x, l);
}

/* Gives the lines of a day with a text. */
static int each_place(struct question *q, struct lease_day *day, int fd, const char *text,
		      int (*take)(struct question *q, const struct lease_line *l))
{
	const struct place like = { hash_octets(text, strlen(text)), INT64_MIN };
	size_t low = 0, high = day->n;
	struct lease_line l;
	int r = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_hash(&day->place[middle], &like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < day->n && day->place[low].hash == like.hash && !r; low++) {
		r = read_line(q->d, fd, day->place[low].at, &l);
		if (r == -EBADMSG) {
			day->wrong++;
			r = 0;
		} else if (!r) {
			r = take(q, &l);
		}
	}
	return r;
}

static int take_of_all(struct question *q, const struct lease_day *day, int fd)
{
	struct lease_line l;
	int r = 0;

	for (size_t i = 0; i < day->n_all && !r; i++) {
		r = read_line(q->d, fd, day->all[i], &l);
		r = r ? r : counts(q, &l) ? statements_feed(q->x, &l) : 0;
	}
	if (day->last != TIME_NONE) {
		statements_note(q->x, day->first);
		statements_note(q->x, day->last);
	}
	return r;
}

/* An agent writes at least a line a minute: without its file, nothing of a day is known. */
static int note_missing(struct question *q, size_t i)
{
	struct lease_line l;
	const struct lease_day *day = &q->d->day[i];

	if (!i || !day->live || !day[-1].live || day->begin - day[-1].begin <= 86400)
		return 0;
	lease_line_init(&l, day[-1].begin + 86400, LEASE_LOST);
	l.from = l.time;
	l.to = day->begin;
	return statements_feed(q->x, &l);
}

static int take_day(struct question *q, size_t i, struct error *err)
{
	struct lease_day *day = &q->d->day[i];
	char addr[LEASE_ADDR_TEXT];
	int r = read_day(q->d, day, err), fd;

	if (r)
		return r;
	fd = openat(q->d->dir, day->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	r = fd < 0 ? -errno : take_of_all(q, day, fd);
	r = r ? r : each_place(q, day, fd, lease_addr_format(q->addr, addr), take_here);
	close_fd(&fd);
	return r ? error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r)) : 0;
}

/* A text as it stands between quotes in a line. */
static const char *as_written(const char *text, char ret[static 2 * LEASE_SESSION])
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ret[n++] = '\\';
		ret[n++] = *text;
	}
	ret[n] = '\0';
	return ret;
}

static int take_sessions(struct question *q, struct error *err)
{
	char text[2 * LEASE_SESSION];
	int r = 0;

	for (size_t i = q->low; i < q->high && !r; i++) {
		struct lease_day *day = &q->d->day[i];
		int fd = openat(q->d->dir, day->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		r = fd < 0 ? -errno : i > q->low ? note_missing(q, i) : 0;
		for (size_t k = 0; k < q->n_sessions && !r; k++)
			r = each_place(q, day, fd, as_written(q->session[k], text), take_elsewhere);
		close_fd(&fd);
		if (r)
			return error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r));
	}
	return 0;
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
	return r ? r : take_sessions(q, err);
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
