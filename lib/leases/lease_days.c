// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_days.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/chain.h"
#include "leases/lease_files.h"

/* Where a line about an address or a session begins. */
struct place {
	uint64_t hash;
	int64_t at;
};

/* A line does not follow from the one before: what lies between its neighbours is in doubt. */
struct damage {
	int64_t from, to;
};

struct lease_day {
	const char *name;
	int64_t begin; /* its first second */
	bool read;
	bool live;	     /* an agent recorded it: it marks that nothing is missing */
	bool erased;	     /* lines of it are: one of a later day says when */
	int64_t first, last; /* times of its lines; TIME_OPEN and TIME_NONE: none */
	struct place *place; /* in order of hash, and of place */
	size_t n, room;
	int64_t *all; /* lines about no address: off, begin, lost, step */
	size_t n_all, all_room;
	struct damage *damage;
	size_t n_damages, damage_room;
	uint64_t wrong; /* lines that cannot be read */
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
		free(d->day[i].damage);
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

static int note_place(struct lease_day *day, const char *text, size_t size, int64_t at)
{
	if (array_grow(&day->place, day->n, &day->room, sizeof(*day->place)))
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
	int64_t at;	      /* where the line begins */
	char hash[HASH_TEXT]; /* of the line before */
	int64_t time;	      /* of the last whole line; TIME_NONE: none */
	bool damaged;	      /* lines since then are */
	bool unchained;	      /* no line so far has a hash: a file that others wrote */
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
	if (array_grow(&day->all, day->n_all, &day->all_room, sizeof(*day->all)))
		return -ENOMEM;
	day->all[day->n_all++] = at;
	return 0;
}

static int64_t time_of(const char *line, size_t size)
{
	size_t n;
	const char *time = member(line, size, "\"time\":\"", &n);
	char text[TIME_TEXT];
	int64_t t;

	if (!time || n >= sizeof(text))
		return TIME_NONE;
	memcpy(text, time, n);
	text[n] = '\0';
	return time_parse(text, &t) ? TIME_NONE : t;
}

static int end_damage(struct reading *r, int64_t t)
{
	struct lease_day *day = r->day;
	int64_t from = r->time == TIME_NONE ? day->begin : r->time;

	if (array_grow(&day->damage, day->n_damages, &day->damage_room, sizeof(*day->damage)))
		return -ENOMEM;
	day->damage[day->n_damages++] = (struct damage){ from < t ? from : t, (from < t ? t : from) + 1 };
	r->damaged = false;
	return 0;
}

/* Whether a line follows from the one before and may be believed; one that stands for an erased line says nothing. */
static bool is_whole(struct reading *r, const char *line, size_t size, uint64_t number)
{
	int hash;

	if (chain_erased(line, size)) {
		r->day->erased = true;
		chain_check(line, size, r->hash, r->hash);
		return false;
	}
	hash = chain_check(line, size, r->hash, r->hash);
	r->unchained = hash == -EINVAL && (number == 1 || r->unchained);
	if (!hash || r->unchained)
		return true;
	r->day->wrong++;
	r->damaged = true;
	return false;
}

static int note_time(struct reading *r, int64_t t)
{
	struct lease_day *day = r->day;

	if (t == TIME_NONE)
		return 0;
	if (r->damaged && end_damage(r, t))
		return -ENOMEM;
	r->time = t;
	day->first = t < day->first ? t : day->first;
	day->last = t > day->last ? t : day->last;
	return 0;
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
	reading->at += (int64_t)size + 1;
	if (!is_whole(reading, line, size, number))
		return 0;
	if (note_time(reading, time_of(line, size)))
		return -ENOMEM;
	if (!addr &&
	    (!session || memmem(line, size, "\"event\":\"off\"", 13) || memmem(line, size, "\"event\":\"begin\"", 15)))
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
	struct reading reading = { .day = day, .hash = HASH_NONE, .time = TIME_NONE };
	size_t torn;
	int r = day->read ? 0 : chain_read(d->dir, day->name, take_line, &reading, &torn);

	if (r)
		return error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r));
	if (reading.damaged && end_damage(&reading, day->begin + DAY_S))
		return error_set(err, -ENOMEM, "out of memory");
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

/* Gives the line of a day that says that lines of another day were erased; *ret_found: whether there is one. */
static int take_erasure_in(struct question *q, size_t i, int64_t of, bool *ret_found, struct error *err)
{
	const struct lease_day *day = &q->d->day[i];
	int r = read_day(q->d, &q->d->day[i], err), fd;
	struct lease_line l;

	if (r || !day->n_all)
		return r;
	fd = openat(q->d->dir, day->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	for (size_t k = day->n_all; fd >= 0 && k-- > 0 && !*ret_found && !r;) {
		r = read_line(q->d, fd, day->all[k], &l);
		if (r || l.event != LEASE_ERASED || l.from > of || l.to <= of)
			continue;
		*ret_found = true;
		r = statements_feed(q->x, &l);
	}
	r = fd < 0 ? -errno : r;
	close_fd(&fd);
	return r ? error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r)) : 0;
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
