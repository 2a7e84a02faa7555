/* SPDX-License-Identifier: BSD-2-Clause */
#include "lease_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "leases/lease_files.h"

/* More than the last line has, or than those at its end that were erased. */
#define LAST_OCTETS (256U << 10)

void lease_writer_init(struct lease_writer *w, const char *dir)
{
	*w = (struct lease_writer){ .batch = { .dir = dir, .opens = true }, .lost_from = TIME_NONE, .last = TIME_NONE };
}

void lease_writer_free(struct lease_writer *w)
{
	lease_batch_free(&w->batch);
}

int lease_writer_add(void *writer, const struct lease_line *l)
{
	struct lease_writer *w = writer;
	int r = lease_batch_add(&w->batch, l);

	if (!r)
		w->lines++;
	return r;
}

static int note_time(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct lease_line l;

	if (!lease_line_read(line, size, &l, NULL))
		*(int64_t *)arg = l.time;
	return 0;
}

int64_t lease_writer_last(const struct lease_writer *w)
{
	_cleanup_close_ int dir = open(w->batch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ledger_names names = { 0 };
	int64_t t = TIME_NONE;

	if (ledger_files_list(w->batch.dir, LEDGER_LEASES, &names, NULL))
		return TIME_NONE;
	for (size_t i = names.n; i-- > 0 && t == TIME_NONE;)
		chain_read_last(dir, names.name[i], LAST_OCTETS, note_time, &t);
	free(names.name);
	return t;
}

int lease_writer_begin(struct lease_writer *w, int64_t now, const char *source, int64_t since)
{
	struct lease_line l;
	/* The clock was set back while nothing was recorded. */
	int r = since > now ? lease_writer_step(w, since, now) : 0;

	lease_line_init(&l, now, LEASE_BEGIN);
	text_keep(l.session, sizeof(l.session), source, strlen(source));
	l.from = since <= now ? since : now;
	return r ? r : lease_writer_add(w, &l);
}

void lease_writer_lose(struct lease_writer *w, int64_t from)
{
	if (w->lost_from == TIME_NONE || from < w->lost_from)
		w->lost_from = from;
}

int lease_writer_step(struct lease_writer *w, int64_t from, int64_t to)
{
	struct lease_line l;

	lease_line_init(&l, to, LEASE_STEP);
	l.from = from;
	l.to = to;
	return lease_writer_add(w, &l);
}

/* The clock may have been set back. */
static void add_lost(struct lease_writer *w, int64_t now)
{
	struct lease_line l;

	lease_line_init(&l, now, LEASE_LOST);
	l.from = w->lost_from < now ? w->lost_from : now;
	l.to = now + 1;
	if (lease_writer_add(w, &l))
		return;
	w->lost_from = TIME_NONE;
	w->lost++;
}

void lease_writer_mark(struct lease_writer *w, int64_t now)
{
	struct lease_line l;

	/* One line for all that is lost while nothing can be written. */
	if (w->lost_from != TIME_NONE && !w->failed)
		add_lost(w, now);
	if (w->lines || (w->last != TIME_NONE && now >= w->last && now - w->last < LEASE_MARK_S))
		return;
	lease_line_init(&l, now, LEASE_MARK);
	lease_writer_add(w, &l);
}

uint64_t lease_writer_due(const struct lease_writer *w)
{
	if (!w->lines)
		return UINT64_MAX;
	if (w->failed)
		return w->tried_us + LEASE_RETRY_US;
	return w->lines >= LEASE_GROUP ? 0 : w->tried_us + LEASE_GROUP_US;
}

int lease_writer_write(struct lease_writer *w, int64_t now, uint64_t now_us)
{
	int r = lease_batch_write(&w->batch, now, &w->error);

	w->tried_us = now_us;
	w->failed = r;
	if (r)
		return r;
	w->batch.lines = 0;
	w->written += w->lines;
	w->lines = 0;
	w->last = now;
	return 0;
}
