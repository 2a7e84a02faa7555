// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_days.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "leases/lease_days_private.h"

/* More than the last lines have, of which one can be read. */
#define LAST_OCTETS (256U << 10)

/* Octets of days without an index that are read for contradictions alone. */
#define SEARCH_MOST (64U << 20)

/* The files of the days. */
static int list_days(const char *dir, struct lease_days *d, struct error *err)
{
	int r = ledger_files_list(dir, LEDGER_LEASES, &d->names, err);

	d->day = r ? NULL : calloc(d->names.n + 1, sizeof(*d->day));
	if (!r && !d->day)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < d->names.n; i++) {
		d->day[i].name = d->names.name[i];
		r = ledger_file_begin(LEDGER_LEASES, d->day[i].name, &d->day[i].begin);
	}
	return r;
}

static int open_days(const char *dir, struct lease_days *d, struct error *err)
{
	struct stat st;
	int r = 0;

	d->dir = open(dir, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (d->dir < 0 || fstat(d->dir, &st))
		return error_set(err, -errno, "no leases at %.200s: it cannot be opened", dir);
	if (S_ISDIR(st.st_mode))
		r = list_days(dir, d, err);
	if (r || d->names.n)
		return r;
	r = lease_evidence_open(d->dir, d);
	if (r == -ENOENT)
		return error_set(err, r, "no leases at %.200s: there is no leases-YYYY-MM-DD.jsonl", dir);
	return r ? error_set(err, r, "the leases in the evidence at %.200s cannot be read: %s", dir, strerror(-r)) : 0;
}

int lease_days_open(const char *dir, struct lease_days **ret, struct error *err)
{
	struct lease_days *d = calloc(1, sizeof(*d));
	int r = d ? open_days(dir, d, err) : error_set(err, -ENOMEM, "out of memory");

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
		lease_day_clear(&d->day[i]);
		if (d->day[i].evidence)
			close(d->day[i].fd);
	}
	if (d->dir >= 0)
		close(d->dir);
	free(d->used);
	free(d->day);
	free(d->names.name);
	free(d);
}

uint64_t lease_days_wrong(const struct lease_days *d)
{
	uint64_t n = 0;

	for (size_t i = 0; i < d->names.n; i++)
		n += d->day[i].extent.wrong;
	return n;
}

size_t lease_days_unsearched(const struct lease_days *d)
{
	size_t n = 0;

	for (size_t i = 0; d->searched && i < d->names.n; i++)
		n += !d->day[i].ready;
	return n;
}

int lease_days_index(struct lease_days *d, size_t *ret, struct error *err)
{
	int r = 0;

	*ret = 0;
	for (size_t i = 0; i < d->names.n && !r; i++) {
		r = lease_index_ready(d->dir, &d->day[i], UINT64_MAX, err);
		*ret += !r && d->day[i].indexed;
		/* Days are many, and not asked about. */
		lease_day_clear(&d->day[i]);
	}
	return r;
}

int lease_days_search(struct lease_days *d, struct error *err)
{
	uint64_t left = SEARCH_MOST;

	for (size_t i = d->names.n; i-- > 0 && !d->searched;) {
		struct lease_day *day = &d->day[i];
		bool ready = day->ready;
		int r = lease_index_ready(d->dir, day, left, err);

		if (r && r != -EFBIG)
			return r;
		if (!r && !ready && day->fresh)
			left -= day->extent.end.size < left ? day->extent.end.size : left;
	}
	d->searched = true;
	return 0;
}

static int note_time(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct lease_line l;

	if (!chain_erased(line, size) && !lease_line_read(line, size, &l, NULL) && l.time > *(int64_t *)arg)
		*(int64_t *)arg = l.time;
	return 0;
}

int lease_days_last(const struct lease_days *d, const struct lease_day *day, int64_t *ret)
{
	*ret = day->ready ? day->extent.last : TIME_NONE;
	return day->ready ? 0 : chain_read_last(d->dir, day->name, LAST_OCTETS, note_time, ret);
}

int lease_days_until(struct lease_days *d, int64_t *ret, struct error *err)
{
	int r = 0;

	*ret = TIME_NONE;
	for (size_t i = d->names.n; i-- > 0 && *ret == TIME_NONE && !r;) {
		r = lease_days_last(d, &d->day[i], ret);
		r = r ? lease_day_failed(&d->day[i], r, err) : 0;
	}
	return r;
}

int lease_days_note(struct lease_days *d, size_t day, uint64_t at)
{
	if (!d->noting)
		return 0;
	if (array_grow(&d->used, d->n_used, &d->used_room, sizeof(*d->used)))
		return -ENOMEM;
	d->used[d->n_used++] = (struct lease_place){ .day = day, .at = at };
	return 0;
}
