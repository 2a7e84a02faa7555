// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_days.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "leases/lease_days_private.h"

/* More than the last lines have, of which one can be read. */
#define LAST_OCTETS (256U << 10)

/* Octets of days without an index that are read for contradictions alone. */
#define SEARCH_MOST (64U << 20)

int lease_days_open(const char *dir, struct lease_days **ret, struct error *err)
{
	struct lease_days *d = calloc(1, sizeof(*d));
	int r = d ? ledger_files_list(dir, LEDGER_LEASES, &d->names, err) : error_set(err, -ENOMEM, "out of memory");

	if (!r && !d->names.n)
		r = error_set(err, -ENOENT, "no leases at %.200s: there is no leases-YYYY-MM-DD.jsonl", dir);
	if (d) {
		d->dir = r ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		d->day = r ? NULL : calloc(d->names.n, sizeof(*d->day));
	}
	if (!r && (d->dir < 0 || !d->day))
		r = error_set(err, -ENOMEM, "no leases at %.200s: it cannot be opened", dir);
	for (size_t i = 0; !r && i < d->names.n; i++) {
		d->day[i].name = d->names.name[i];
		r = ledger_file_begin(LEDGER_LEASES, d->day[i].name, &d->day[i].begin);
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
		lease_day_clear(&d->day[i]);
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

	(void)name;
	(void)number;
	if (!chain_erased(line, size) && !lease_line_read(line, size, &l, NULL) && l.time > *(int64_t *)arg)
		*(int64_t *)arg = l.time;
	return 0;
}

int lease_days_until(struct lease_days *d, int64_t *ret, struct error *err)
{
	int64_t last = TIME_NONE;
	int r = 0;

	for (size_t i = d->names.n; i-- > 0 && last == TIME_NONE && !r;) {
		const struct lease_day *day = &d->day[i];

		if (day->ready)
			last = day->extent.last;
		else
			r = chain_read_last(d->dir, day->name, LAST_OCTETS, note_time, &last);
		r = r ? lease_day_failed(day, r, err) : 0;
	}
	*ret = last;
	return r;
}

/* ---- The lines for evidence */

struct places {
	uint64_t *at;
	size_t n, room;
};

static int add_place(struct places *p, uint64_t at)
{
	if (array_grow(&p->at, p->n, &p->room, sizeof(*p->at)))
		return -ENOMEM;
	p->at[p->n++] = at;
	return 0;
}

static int take_place(void *arg, const struct lease_row *row)
{
	return add_place(arg, row->at);
}

static int by_place(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

static int give_texts(int fd, const struct lease_day *day, const struct places *p, lease_take_text take, void *arg)
{
	struct lease_text text;
	int r = 0;

	for (size_t i = 0; i < p->n && !r; i++) {
		r = lease_day_text(fd, p->at[i], &text);
		r = r ? r : take(arg, day->name, &text);
	}
	return r;
}

static int day_texts(struct lease_days *d, const struct lease_day *day, const struct lease_addr *addr,
		     lease_take_text take, void *arg)
{
	struct places p = { 0 };
	int r = lease_index_rows(d->dir, day, lease_day_addr_key(addr), take_place, &p), fd;

	for (size_t i = 0; i < day->n_remarks && !r; i++)
		r = add_place(&p, (uint64_t)day->remark[i].at);
	if (!r && p.n) {
		qsort(p.at, p.n, sizeof(*p.at), by_place);
		fd = lease_day_open(d->dir, day);
		r = fd < 0 ? fd : give_texts(fd, day, &p, take, arg);
		close_fd(&fd);
	}
	free(p.at);
	return r;
}

int lease_days_texts(struct lease_days *d, const struct lease_addr *addr, lease_take_text take, void *arg,
		     struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < d->names.n && !r; i++) {
		r = d->day[i].used ? day_texts(d, &d->day[i], addr, take, arg) : 0;
		if (r)
			lease_day_failed(&d->day[i], r, err);
	}
	return r;
}
