/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that show the leases of the present, as dnsmasq's: what changed from one reading to the next becomes lines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lease_follower.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads the whole file. The text is the caller's; NULL: it is not to be had, or changed meanwhile. */
static char *read_whole(struct lease_follower *f, size_t *ret_size, struct stat *ret)
{
	_cleanup_close_ int fd = follower_open(f, f->rules.path, ret);
	_cleanup_free_ char *text = NULL;
	struct stat after;
	size_t size = 0;
	ssize_t n = 1;

	if (fd < 0)
		return NULL;
	if (ret->st_size > PRESENT_MAX) {
		error_set(&f->trouble, 0, "%.255s has more than %u MiB", f->rules.path, PRESENT_MAX >> 20);
		return NULL;
	}
	text = malloc((size_t)ret->st_size + 1);
	while (text && size < (size_t)ret->st_size && n > 0) {
		n = read(fd, text + size, (size_t)ret->st_size - size);
		size += n > 0 ? (size_t)n : 0;
	}
	/* A file that is being written is read again at the next look. */
	if (!text || n < 0 || fstat(fd, &after) || !same_file(ret, &after) || (size && text[size - 1] != '\n'))
		return NULL;
	*ret_size = size;
	return take_pointer(text);
}

static int64_t earliest(int64_t since, int64_t at)
{
	return since && since < at ? since : TIME_NONE;
}

static int end_lease(struct follower_lines *r, struct known_lease *x, int64_t since, int64_t at)
{
	struct lease_line l;
	int ret;

	if (x->ended || !known_lease_line(x, &l))
		return 0;
	l.event = LEASE_STOP;
	l.time = l.to = at;
	l.early = earliest(since, at);
	l.from = TIME_NONE;
	ret = follower_give(r, &l);
	x->ended = !ret;
	return ret;
}

/* When an entry was there last, as far as is known. */
static int64_t shown(const struct follower_lines *r, const struct known_lease *x)
{
	return x->gone != TIME_NONE ? x->gone_since : r->since;
}

/* Whether an entry is about another customer, or another session of the same, which may be known by its age alone. */
static bool is_other(const struct follower_lines *r, const struct known_lease *x, const struct lease_line *l)
{
	struct lease_line before;

	if (l->from != TIME_NONE && !r->first && l->from > shown(r, x))
		return true;
	return !known_lease_line(x, &before) || strcmp(before.id, l->id) != 0 || strcmp(before.mac, l->mac) != 0 ||
	       strcmp(before.session, l->session) != 0;
}

static int take(void *arg, const struct lease_line *line)
{
	struct follower_lines *r = arg;
	struct known_lease *x = known_lease_get(&r->follower->known, &line->addr);
	uint64_t content = known_lease_hash(line, false);
	struct lease_line l = *line;
	int ret = 0;

	if (!x)
		return -ENOMEM;
	x->reading = r->follower->reading;
	if (x->body && !x->ended && is_other(r, x, &l)) {
		ret = end_lease(r, x, shown(r, x), x->gone != TIME_NONE ? x->gone : r->at);
	} else if (x->body && !x->ended && x->content == content) {
		x->gone = TIME_NONE;
		return 0;
	}
	/* A lease that was not there a moment ago begins. */
	if (!r->first && (!x->body || x->ended) && l.from == TIME_NONE) {
		l.event = LEASE_START;
		l.from = r->at;
		l.early = earliest(r->since, r->at);
	}
	ret = ret ? ret : follower_give(r, &l);
	return ret ? ret : known_lease_set(x, &l, content);
}

/* What this reading lacks is gone if the one before lacked it, too. */
static int end_gone(struct follower_lines *r)
{
	struct lease_follower *f = r->follower;
	int ret = 0;

	f->gone = false;
	for (size_t i = 0; i < f->known.n && !ret; i++) {
		struct known_lease *x = &f->known.lease[i];

		if (x->reading == f->reading || x->ended)
			continue;
		if (x->gone != TIME_NONE)
			ret = end_lease(r, x, x->gone_since, x->gone);
		else
			x->gone = r->at, x->gone_since = r->since;
		f->gone |= !x->ended;
	}
	return ret;
}

/* The time of a change: the file's, unless clocks differ. */
static int64_t time_of(const struct stat *st, int64_t now)
{
	return st->st_mtim.tv_sec < now ? st->st_mtim.tv_sec : now;
}

static int read_text(struct follower_lines *r, char *text, size_t size, int64_t now, struct identity_figures *figures)
{
	struct lease_import x = { .take = take, .live = !r->first };
	int ret = follower_import(r, &x, text, size, now, figures);

	if (ret && r->first)
		known_leases_free(&r->follower->known);
	/* A row that cannot be read may be of anybody: nobody is gone for that. */
	return ret || r->first || x.skipped ? ret : end_gone(r);
}

bool follow_present(struct lease_follower *f, struct lease_writer *w, int64_t now, struct identity_figures *figures)
{
	/* Whoever prints sessions into a file says nothing of the time between two of these. */
	struct follower_lines r = { .follower = f,
				    .writer = w,
				    .since = f->format == FORMAT_ACCEL_PPP ? f->printed : f->looked };
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size = 0;

	if (!stat(f->rules.path, &st) && same_file(&st, &f->seen)) {
		r.at = now;
		f->trouble.text[0] = '\0';
		f->looked = now;
		if (f->gone)
			end_gone(&r);
		return false;
	}
	text = read_whole(f, &size, &st);
	if (!text)
		return false;
	r.at = time_of(&st, now);
	f->reading++;
	figures->reads++;
	r.first = f->reading == 1;
	if (!read_text(&r, text, size, now, figures))
		f->seen = st, f->looked = now, f->printed = r.at;
	else if (r.first)
		f->reading = 0;
	return false;
}
