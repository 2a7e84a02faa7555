// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_day.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/hash.h"
#include "base/search.h"
#include "base/whole_file.h"
#include "base/withheld.h"

/* The octets behind the hash of a line: a quote, a brace and a newline. */
#define HASH_BEHIND 3U

void lease_day_clear(struct lease_day *day)
{
	free(day->row);
	free(day->remark);
	free(day->doubtful);
	free(day->block);
	*day = (struct lease_day){ .name = day->name,
				   .begin = day->begin,
				   .distrusted = day->distrusted,
				   .evidence = day->evidence,
				   .fd = day->fd };
}

static uint64_t hash_of(char kind, const void *data, size_t size)
{
	uint64_t words[2 + (LEASE_SESSION + 2 * LEASE_ID) / 8] = { (uint64_t)kind, size };

	memcpy(words + 2, data, size);
	return siphash13(lease_key, words, 2 + (size + 7) / 8);
}

uint64_t lease_day_addr_key(const struct lease_addr *addr)
{
	return hash_of('a', addr, sizeof(*addr));
}

uint64_t lease_day_session_key(const char *session)
{
	return hash_of('s', session, strlen(session));
}

/* Whose line it is: lines of DHCP have no session. */
static uint64_t hash_owner(const struct lease_line *l)
{
	char names[LEASE_ID + LEASE_MAC];
	int n;

	if (*l->session)
		return lease_day_session_key(l->session);
	n = snprintf(names, sizeof(names), "%s\n%s", l->id, l->mac);
	return hash_of('c', names, (size_t)n);
}

/* Lines of which the one before in time is looked for: an agent's very first beginnings. */
#define MAX_REACHING 16U

struct reading {
	struct lease_day *day;
	uint64_t at; /* where the line begins */
	size_t reaching[MAX_REACHING];
	unsigned n_reaching;
};

static int add_row(struct lease_day *day, struct lease_row row)
{
	if (array_grow(&day->row, day->n, &day->room, sizeof(*day->row)))
		return -ENOMEM;
	day->row[day->n++] = row;
	return 0;
}

static uint64_t vague_of(const struct lease_line *l)
{
	int64_t vague = lease_line_late(l) - lease_line_early(l);

	return vague < LEASE_VAGUE_MAX ? (uint64_t)vague : LEASE_VAGUE_MAX;
}

static int add_rows(struct lease_day *day, const struct lease_line *l, uint64_t at, bool wrong)
{
	uint64_t addr = lease_day_addr_key(&l->addr), owner = hash_owner(l);
	struct lease_row row = {
		.key = addr,
		.of = (uint32_t)owner,
		.second = (int32_t)(lease_line_late(l) - day->begin),
		.at = at,
		.event = l->event,
		.broken = l->broken,
		.wrong = wrong,
		.session = *l->session != '\0',
		.vague = vague_of(l),
	};
	int r = add_row(day, row);

	if (r || wrong || !*l->session || !lease_event_of_session(l->event) || l->event == LEASE_OPEN)
		return r;
	row.by_session = true;
	row.key = owner;
	row.of = (uint32_t)addr;
	return add_row(day, row);
}

/* What is said beyond all addresses begins after the last line that was before it, wherever that is in the file. */
static void note_reaching(struct reading *r, size_t i)
{
	const struct lease_remark *b = &r->day->remark[i];

	if (r->n_reaching < MAX_REACHING && b->event == LEASE_BEGIN && !b->silent && b->from == TIME_NONE)
		r->reaching[r->n_reaching++] = i;
}

static int add_remark(struct reading *r, struct lease_remark remark)
{
	struct lease_day *day = r->day;

	if (array_grow(&day->remark, day->n_remarks, &day->remark_room, sizeof(*day->remark)))
		return -ENOMEM;
	day->remark[day->n_remarks] = remark;
	note_reaching(r, day->n_remarks++);
	return 0;
}

static int add_doubtful(struct lease_day *day, int64_t from, int64_t to, enum lease_doubt doubt)
{
	if (array_grow(&day->doubtful, day->n_doubtful, &day->doubtful_room, sizeof(*day->doubtful)))
		return -ENOMEM;
	day->doubtful[day->n_doubtful++] = (struct lease_doubtful){ least(from, to), most(from, to) + 1, doubt };
	return 0;
}

static int end_doubt(struct lease_day *day, int64_t t)
{
	struct lease_extent *e = &day->extent;
	int64_t from = e->time == TIME_NONE ? day->begin : e->time;

	if ((e->damaged && add_doubtful(day, from, t, DOUBT_DAMAGED)) ||
	    (e->erased && add_doubtful(day, from, t, DOUBT_ERASED)))
		return -ENOMEM;
	e->damaged = e->erased = false;
	return 0;
}

int lease_day_finish(struct lease_day *day)
{
	return end_doubt(day, day->begin + DAY_S);
}

static int note_time(struct reading *r, int64_t t)
{
	struct lease_extent *e = &r->day->extent;
	int error = end_doubt(r->day, t);

	for (unsigned i = 0; i < r->n_reaching; i++) {
		struct lease_remark *b = &r->day->remark[r->reaching[i]];

		if (t < b->time && t > b->before)
			b->before = t;
	}
	e->disordered |= e->time != TIME_NONE && t < e->time;
	e->time = t;
	e->first = least(t, e->first);
	e->last = most(t, e->last);
	return error;
}

/* A line that says nothing stays to be found, as evidence shows it. */
static int take_silent(struct reading *r, const char *line, size_t size, uint64_t at)
{
	struct lease_line l;

	if (!lease_line_read(line, size, &l, NULL) && l.addr.plen)
		return add_rows(r->day, &l, at, true);
	return add_remark(r, (struct lease_remark){ .at = (int64_t)at, .silent = true });
}

/* The latest time that is known to be of a line before a time; an earlier one leaves less certain. */
static int64_t line_before(const struct lease_extent *e, int64_t t)
{
	if (e->last < t)
		return e->last;
	return e->time < t ? e->time : e->first < t ? e->first : TIME_NONE;
}

static int take_whole(struct reading *r, const struct lease_line *l, uint64_t at)
{
	struct lease_day *day = r->day;
	int64_t before = line_before(&day->extent, l->time);
	int error = note_time(r, l->time);

	day->extent.live |= l->event == LEASE_MARK || l->event == LEASE_BEGIN;
	if (error || l->event == LEASE_MARK)
		return error;
	if (l->addr.plen || lease_ends_session(l))
		return add_rows(day, l, at, false);
	/* What is said of no address has to do with all, be its session that of a server. */
	return add_remark(r, (struct lease_remark){ .at = (int64_t)at,
						    .time = l->time,
						    .from = l->from,
						    .to = l->to,
						    .before = before,
						    .event = l->event });
}

/* Whether a line follows from the one before, and may be believed. */
static bool follows(struct reading *r, const char *line, size_t size)
{
	struct lease_extent *e = &r->day->extent;
	int hash = chain_check(line, size, e->end.hash, e->end.hash);

	if (chain_erased(line, size)) {
		e->erased = true;
		return false;
	}
	if (hash == -EINVAL && e->unchained == r->at) {
		e->unchained = r->at + size + 1;
		return true;
	}
	e->damaged |= hash != 0;
	e->wrong += hash != 0;
	return !hash;
}

/* What is withheld says how far the record goes; or of somebody without a name, that he had the address. */
static int take_withheld(struct reading *r, const struct withheld *w, uint64_t at, uint64_t end)
{
	struct lease_extent *e = &r->day->extent;
	struct lease_line l;

	if (e->unchained == at && !strcmp(w->hash, HASH_NONE))
		e->unchained = end;
	memcpy(e->end.hash, w->hash, HASH_TEXT);
	e->end.line += w->lines;
	e->damaged |= w->damaged;
	e->wrong += w->damaged;
	if (w->says && !lease_line_read(w->says, w->says_size, &l, NULL))
		return take_whole(r, &l, at);
	if (w->from != TIME_NONE && note_time(r, w->from))
		return -ENOMEM;
	return w->to != TIME_NONE ? note_time(r, w->to) : 0;
}

static int take_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct reading *r = arg;
	struct lease_day *day = r->day;
	struct withheld w;
	struct lease_line l;
	uint64_t at = r->at;
	bool whole;

	if (day->evidence && withheld_read(line, size, &w)) {
		r->at = day->extent.end.size = at + size + 1;
		return take_withheld(r, &w, at, r->at);
	}
	whole = follows(r, line, size);
	r->at = day->extent.end.size = at + size + 1;
	day->extent.end.line++;
	if (whole && !lease_line_read(line, size, &l, NULL))
		return take_whole(r, &l, at);
	day->extent.wrong += whole;
	return take_silent(r, line, size, at);
}

static int by_key(const void *pa, const void *pb)
{
	const struct lease_row *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

int lease_day_failed(const struct lease_day *day, int r, struct error *err)
{
	return error_set(err, r, "%s cannot be read: %s", day->name,
			 r == -ESTALE ? "it changes while it is read" : strerror(-r));
}

int lease_day_read_on(int fd, struct lease_day *day)
{
	struct reading reading = { .day = day, .at = day->extent.end.size };
	size_t torn;
	int r;

	for (size_t i = 0; i < day->n_remarks; i++)
		note_reaching(&reading, i);
	r = chain_read_part(fd, day->name, reading.at, UINT64_MAX, take_line, &reading, &torn);
	if (!r && day->n)
		qsort(day->row, day->n, sizeof(*day->row), by_key);
	return r;
}

int lease_day_read(int fd, struct lease_day *day)
{
	lease_day_clear(day);
	day->extent = (struct lease_extent){
		.end.hash = HASH_NONE, .first = TIME_OPEN, .last = TIME_NONE, .time = TIME_NONE
	};
	day->fresh = true;
	return lease_day_read_on(fd, day);
}

int lease_day_open(int dir, const struct lease_day *day)
{
	int fd = day->evidence ? fcntl(day->fd, F_DUPFD_CLOEXEC, 0) : file_open(dir, day->name);

	return fd < 0 ? -errno : fd;
}

#define SHORT_LINE 1024U

int lease_day_text(int fd, uint64_t at, struct lease_text *ret)
{
	const size_t hash = HASH_TEXT - 1 + HASH_BEHIND;
	/* A line without a hash may be shorter. */
	size_t before = at < hash ? (size_t)at : hash;
	const char *end = NULL;

	ret->line = ret->room + before;
	/* Few lines are as long as one may be. */
	for (size_t size = before + SHORT_LINE; !end && size <= sizeof(ret->room);
	     size += sizeof(ret->room) - SHORT_LINE - before) {
		ssize_t n = pread(fd, ret->room, size, (off_t)(at - before));

		if (n < 0)
			return -errno;
		end = (size_t)n > before ? memchr(ret->line, '\n', (size_t)n - before) : NULL;
	}
	if (!end || (at && ret->line[-1] != '\n'))
		return -ESTALE;
	memcpy(ret->previous, before == hash ? ret->room : HASH_NONE, HASH_TEXT - 1);
	ret->previous[HASH_TEXT - 1] = '\0';
	ret->size = (size_t)(end - ret->line);
	return 0;
}

int lease_day_line(const struct lease_day *day, int fd, uint64_t at, struct lease_line *ret)
{
	struct lease_text text;
	struct withheld w;
	char hash[HASH_TEXT];
	int r = lease_day_text(fd, at, &text);

	if (r)
		return r;
	if (day->evidence && withheld_read(text.line, text.size, &w))
		return !w.says || lease_line_read(w.says, w.says_size, ret, NULL) ? -ESTALE : 0;
	if (at >= day->extent.unchained && chain_check(text.line, text.size, text.previous, hash))
		return -ESTALE;
	return lease_line_read(text.line, text.size, ret, NULL) ? -ESTALE : 0;
}

int lease_day_rows(const struct lease_day *day, uint64_t key, lease_take_row take, void *arg)
{
	int r = 0;

	for (size_t i = count_while(k, day->n, day->row[k].key < key); i < day->n && day->row[i].key == key && !r; i++)
		r = take(arg, &day->row[i]);
	return r;
}
