// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_day.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/chain.h"
#include "base/hash.h"
#include "base/text.h"

void lease_day_free(struct lease_day *day)
{
	free(day->place);
	free(day->all);
	free(day->damage);
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

/* Whether the line is of an event, without reading it whole. */
static bool is_of(const char *line, size_t size, enum lease_event event)
{
	const char *word = lease_event_word(event), *text;
	size_t n;

	text = member(line, size, "\"event\":\"", &n);
	return text && n == strlen(word) && !memcmp(text, word, n);
}

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
	/* A server or a source is named as a session. */
	if (!addr && (!session || is_of(line, size, LEASE_OFF) || is_of(line, size, LEASE_BEGIN)))
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

int lease_day_failed(const struct lease_day *day, int r, struct error *err)
{
	return error_set(err, r, "%s cannot be read: %s", day->name, strerror(-r));
}

int lease_day_read(int dir, struct lease_day *day, struct error *err)
{
	struct reading reading = { .day = day, .hash = HASH_NONE, .time = TIME_NONE };
	size_t torn;
	int r;

	if (day->read)
		return 0;
	r = chain_read(dir, day->name, take_line, &reading, &torn);
	if (!r && reading.damaged)
		r = end_damage(&reading, day->begin + DAY_S);
	if (r)
		return lease_day_failed(day, r, err);
	if (day->n)
		qsort(day->place, day->n, sizeof(*day->place), by_hash);
	day->read = true;
	return 0;
}

int lease_day_open(int dir, const struct lease_day *day)
{
	int fd = openat(dir, day->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int lease_day_line(int fd, int64_t at, struct lease_line *ret)
{
	char text[LEASE_LINE_MAX + 1];
	ssize_t n = pread(fd, text, sizeof(text), at);
	const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

	if (n < 0)
		return -errno;
	return end && !lease_line_read(text, (size_t)(end - text), ret, NULL) ? 0 : -EBADMSG;
}

/* The hash of a text as it stands between quotes in a line. 0 or -ENOMEM. */
static int hash_as_written(const char *text, uint64_t *ret)
{
	_cleanup_free_ char *written = NULL;
	size_t size;
	FILE *out = open_memstream(&written, &size);

	if (!out)
		return -ENOMEM;
	text_json_string(out, text);
	if (fclose(out))
		return -ENOMEM;
	*ret = hash_octets(written + 1, size - 2);
	return 0;
}

int lease_day_each(struct lease_day *day, int fd, const char *text, lease_take take, void *arg)
{
	struct place like = { .at = INT64_MIN };
	size_t low = 0, high = day->n;
	struct lease_line l;
	int r = hash_as_written(text, &like.hash);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_hash(&day->place[middle], &like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < day->n && day->place[low].hash == like.hash && !r; low++) {
		r = lease_day_line(fd, day->place[low].at, &l);
		if (r == -EBADMSG) {
			day->wrong++;
			r = 0;
		} else if (!r) {
			r = take(arg, &l);
		}
	}
	return r;
}
