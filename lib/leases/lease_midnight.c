// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_midnight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/hash.h"
#include "leases/lease_files.h"
#include "leases/lease_index.h"

struct restart {
	int64_t time;
	char tenant[LEASE_TENANT];
	char server[LEASE_SESSION];
};

struct midnight {
	int dir, fd; /* fd: of the day before */
	struct lease_day day;
	int64_t begin; /* of the day that begins */
	bool missing;  /* no file is there of days between, though an agent recorded */
	struct restart *restart;
	size_t n_restarts, room;
	struct hash_index moved; /* keys of sessions that had more than one address */
	struct lease_row last;	 /* of the address, or the session, whose rows are given */
	bool has_last;
	lease_take take;
	void *arg;
};

static int note_restarts(struct midnight *m)
{
	for (size_t i = 0; i < m->day.n_remarks; i++) {
		const struct lease_remark *off = &m->day.remark[i];
		struct restart *x;
		struct lease_line l;
		int r;

		if (off->silent || off->event != LEASE_OFF)
			continue;
		r = lease_day_line(&m->day, m->fd, (uint64_t)off->at, &l);
		if (r || array_grow(&m->restart, m->n_restarts, &m->room, sizeof(*m->restart)))
			return r ? r : -ENOMEM;
		x = &m->restart[m->n_restarts++];
		x->time = l.time;
		memcpy(x->tenant, l.tenant, sizeof(x->tenant));
		snprintf(x->server, sizeof(x->server), "%.*s", (int)strcspn(l.session, "/"), l.session);
	}
	return 0;
}

static int note_moved(void *arg, const struct lease_row *row)
{
	struct midnight *m = arg;
	bool other = m->has_last && m->last.key == row->key && m->last.of != row->of;

	if (!row->by_session)
		return 0;
	m->last = *row;
	m->has_last = true;
	return other ? hash_set_add(&m->moved, row->key) : 0;
}

static bool is_restarted(const struct midnight *m, const struct lease_line *l, int64_t seen)
{
	size_t n = strcspn(l->session, "/");

	for (size_t i = 0; i < m->n_restarts; i++) {
		const struct restart *x = &m->restart[i];

		if (x->time >= seen && l->session[n] && strlen(x->server) == n && !strncmp(x->server, l->session, n) &&
		    !strcmp(x->tenant, l->tenant))
			return true;
	}
	return false;
}

/* Whether records may be missing since a time. */
static bool is_broken(const struct midnight *m, int64_t seen)
{
	bool broken = m->missing;

	for (size_t i = 0; i < m->day.n_remarks && !broken; i++) {
		const struct lease_remark *x = &m->day.remark[i];

		if (!x->silent &&
		    (x->event == LEASE_LOST || x->event == LEASE_STEP || (x->event == LEASE_BEGIN && x->from != 0)))
			broken = x->time > seen;
	}
	for (size_t i = 0; i < m->day.n_doubtful && !broken; i++)
		broken = m->day.doubtful[i].doubt == DOUBT_DAMAGED && m->day.doubtful[i].to > seen;
	return broken;
}

struct stays_away {
	const struct midnight *m;
	uint32_t own;
	int32_t second;
};

static int look_away(void *arg, const struct lease_row *row)
{
	const struct stays_away *x = arg;

	return row->of != x->own && row->second > x->second;
}

/* Whether the session was heard of at another address since. 0, 1 or -errno. */
static int is_away(const struct midnight *m, const struct lease_line *l, const struct lease_row *row)
{
	uint64_t key = lease_day_session_key(l->session);
	struct stays_away x = { m, (uint32_t)row->key, row->second };

	if (!*l->session || !hash_set_has(&m->moved, key))
		return 0;
	return lease_index_rows(m->dir, &m->day, key, look_away, &x);
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
	if (r || is_restarted(m, &l, seen) || (!*l.session && l.to < m->begin))
		return r;
	r = is_away(m, &l, &m->last);
	if (r)
		return r > 0 ? 0 : r;
	/* Lengths of an open session are told up to the later of two moments. */
	if (l.event != LEASE_OPEN && l.late != TIME_NONE && l.from != TIME_NONE)
		l.from += seen - l.time;
	l.early = lease_line_early(&l);
	l.late = l.early == seen ? TIME_NONE : seen;
	l.event = LEASE_OPEN;
	l.time = m->begin;
	l.broken |= is_broken(m, l.early);
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
	int r = note_restarts(m);

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
	struct midnight m = { .fd = -1, .take = take, .arg = arg };
	struct ledger_names names = { 0 };
	int r = ledger_files_list(dir, LEDGER_LEASES, &names, NULL);

	m.day.name = r ? NULL : file_before(&names, file);
	if (m.day.name) {
		ledger_file_begin(LEDGER_LEASES, file, &m.begin);
		ledger_file_begin(LEDGER_LEASES, m.day.name, &m.day.begin);
		m.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = m.dir < 0 ? -errno : lease_index_ready(m.dir, &m.day, UINT64_MAX, NULL);
		m.fd = r ? -1 : lease_day_open(m.dir, &m.day);
		m.missing = m.day.extent.live && m.day.begin + DAY_S < m.begin;
		r = r ? r : m.fd < 0 ? m.fd : give(&m);
		close_fd(&m.fd);
		close_fd(&m.dir);
	}
	lease_day_clear(&m.day);
	hash_index_free(&m.moved);
	free(m.restart);
	free(names.name);
	return r;
}
