// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_midnight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/hash.h"
#include "leases/lease_files.h"
#include "leases/lease_index.h"

/* A server's last restart. */
struct restart {
	struct hash_entry entry;
	char tenant[LEASE_TENANT];
	char server[LEASE_SESSION];
	int64_t time;
};

/* A session with several addresses: when it was heard of last at one, and at any other. */
struct moved {
	struct hash_entry entry;
	uint64_t session;
	uint32_t of;
	int32_t second, other;
};

struct midnight {
	int dir, fd; /* fd: of the day before */
	struct lease_day day;
	int64_t begin; /* of the day that begins */
	int64_t whole; /* no records are missing from then on; TIME_OPEN: they may be up to the end */
	struct hash_table restarts, moved;
	struct lease_row last; /* of the address, or the session, whose rows are given */
	bool has_last;
	lease_take take;
	void *arg;
};

static uint64_t hash_restart(const void *entry)
{
	const struct restart *x = entry;

	return hash_octets(x->server, strlen(x->server));
}

static bool same_restart(const void *pa, const void *pb)
{
	const struct restart *a = pa, *b = pb;

	return !strcmp(a->server, b->server) && !strcmp(a->tenant, b->tenant);
}

static const struct hash_type restart_type = { .size = sizeof(struct restart),
					       .hash = hash_restart,
					       .same = same_restart };

static uint64_t hash_moved(const void *entry)
{
	const struct moved *x = entry;

	return HASH_OF(x->session);
}

static bool same_moved(const void *pa, const void *pb)
{
	const struct moved *a = pa, *b = pb;

	return a->session == b->session;
}

static const struct hash_type moved_type = { .size = sizeof(struct moved), .hash = hash_moved, .same = same_moved };

/* SERVER of SERVER/NUMBER; false: the session names none. */
static bool server_of(const struct lease_line *l, struct restart *ret)
{
	size_t n = strcspn(l->session, "/");

	*ret = (struct restart){ .time = l->time };
	memcpy(ret->tenant, l->tenant, sizeof(ret->tenant));
	snprintf(ret->server, sizeof(ret->server), "%.*s", (int)n, l->session);
	return l->session[n];
}

static int note_restart(struct midnight *m, const struct lease_remark *off)
{
	struct restart like, *x;
	struct lease_line l;
	int r = lease_day_line(&m->day, m->fd, (uint64_t)off->at, &l);

	if (r)
		return r;
	server_of(&l, &like);
	x = hash_find(&restart_type, &m->restarts, &like);
	if (x)
		x->time = most(x->time, l.time);
	return x || hash_add(&restart_type, &m->restarts, &like) ? 0 : -ENOMEM;
}

/* Whether records may be missing up to a line. */
static bool is_broken_by(const struct lease_remark *x)
{
	return x->event == LEASE_LOST || x->event == LEASE_STEP || (x->event == LEASE_BEGIN && x->from != 0);
}

static int note_remarks(struct midnight *m)
{
	int r = 0;

	for (size_t i = 0; i < m->day.n_remarks && !r; i++) {
		const struct lease_remark *x = &m->day.remark[i];

		if (x->silent)
			continue;
		if (x->event == LEASE_OFF)
			r = note_restart(m, x);
		else if (is_broken_by(x))
			m->whole = most(m->whole, x->time);
	}
	for (size_t i = 0; i < m->day.n_doubtful; i++)
		if (m->day.doubtful[i].doubt == DOUBT_DAMAGED)
			m->whole = most(m->whole, m->day.doubtful[i].to);
	return r;
}

/* The rows of a session come one after another. */
static int note_moved(void *arg, const struct lease_row *row)
{
	struct midnight *m = arg;
	struct moved like = { .session = row->key, .of = m->last.of, .second = m->last.second, .other = INT32_MIN };
	bool again = m->has_last && m->last.key == row->key;
	struct moved *x;

	if (!row->by_session)
		return 0;
	x = again ? hash_find(&moved_type, &m->moved, &like) : NULL;
	if (again && !x && m->last.of != row->of) {
		x = hash_add(&moved_type, &m->moved, &like);
		if (!x)
			return -ENOMEM;
	}
	if (x && row->of == x->of) {
		x->second = row->second > x->second ? row->second : x->second;
	} else if (x && row->second >= x->second) {
		x->other = x->second;
		x->second = row->second;
		x->of = row->of;
	} else if (x && row->second > x->other) {
		x->other = row->second;
	}
	if (again && row->of == m->last.of && m->last.second > row->second)
		return 0;
	m->last = *row;
	m->has_last = true;
	return 0;
}

static bool is_restarted(const struct midnight *m, const struct lease_line *l, int64_t seen)
{
	struct restart like;
	const struct restart *x;

	if (!server_of(l, &like))
		return false;
	x = hash_find(&restart_type, &m->restarts, &like);
	return x && x->time >= seen;
}

/* Whether the session was heard of at another address since. */
static bool is_away(const struct midnight *m, const struct lease_line *l, const struct lease_row *row)
{
	struct moved like = { .session = lease_day_session_key(l->session) };
	const struct moved *x = *l->session ? hash_find(&moved_type, &m->moved, &like) : NULL;

	return x && (x->of == (uint32_t)row->key ? x->other : x->second) > row->second;
}

/* Repeats the last statement about an address. */
static int repeat(const struct midnight *m)
{
	int64_t seen = lease_row_time(&m->day, &m->last);
	struct lease_line l;
	int r;

	if (m->last.event == LEASE_STOP || seen < m->begin - (int64_t)LEASE_OPEN_DAYS * DAY_S)
		return 0;
	r = lease_day_line(&m->day, m->fd, m->last.at, &l);
	if (r || is_restarted(m, &l, seen) || (!*l.session && l.to < m->begin) || is_away(m, &l, &m->last))
		return r;
	/* Lengths of an open session are told up to the later of two moments. */
	if (l.event != LEASE_OPEN && l.late != TIME_NONE && l.from != TIME_NONE)
		l.from += seen - l.time;
	l.early = lease_line_early(&l);
	l.late = l.early == seen ? TIME_NONE : seen;
	l.event = LEASE_OPEN;
	l.time = m->begin;
	l.broken |= m->whole > l.early;
	return m->take(m->arg, &l);
}

static int take_row(void *arg, const struct lease_row *row)
{
	struct midnight *m = arg;
	int r = 0;

	if (row->by_session || row->wrong)
		return 0;
	if (m->has_last && m->last.key != row->key)
		r = repeat(m);
	if (!m->has_last || m->last.key != row->key || row->second >= m->last.second)
		m->last = *row;
	m->has_last = true;
	return r;
}

static int give(struct midnight *m)
{
	int r = note_remarks(m);

	r = r ? r : lease_index_each(m->dir, &m->day, note_moved, m);
	m->has_last = false;
	r = r ? r : lease_index_each(m->dir, &m->day, take_row, m);
	return r || !m->has_last ? r : repeat(m);
}

/* The last file before another; NULL: there is none. */
static const char *file_before(const struct ledger_names *names, const char *file)
{
	const char *found = NULL;

	for (size_t i = 0; i < names->n && strcmp(names->name[i], file) < 0; i++)
		found = names->name[i];
	return found;
}

int lease_midnight(const char *dir, const char *file, lease_take take, void *arg)
{
	struct midnight m = { .fd = -1, .whole = TIME_NONE, .take = take, .arg = arg };
	struct ledger_names names = { 0 };
	int r = ledger_files_list(dir, LEDGER_LEASES, &names, NULL);

	m.day.name = r ? NULL : file_before(&names, file);
	if (m.day.name) {
		ledger_file_begin(LEDGER_LEASES, file, &m.begin);
		ledger_file_begin(LEDGER_LEASES, m.day.name, &m.day.begin);
		m.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = m.dir < 0 ? -errno : lease_index_ready(m.dir, &m.day, UINT64_MAX, NULL);
		m.fd = r ? -1 : lease_day_open(m.dir, &m.day);
		/* No file is there of days between, though an agent recorded. */
		if (m.day.extent.live && m.day.begin + DAY_S < m.begin)
			m.whole = TIME_OPEN;
		r = r ? r : m.fd < 0 ? m.fd : give(&m);
		close_fd(&m.fd);
		close_fd(&m.dir);
	}
	lease_day_clear(&m.day);
	hash_free(&m.moved);
	hash_free(&m.restarts);
	free(names.name);
	return r;
}
