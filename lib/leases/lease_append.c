// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_append.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/ledger.h"
#include "leases/lease_files.h"
#include "leases/lease_midnight.h"

struct day_batch {
	char name[LEDGER_NAME];
	char *text;
	size_t size;
	FILE *out;
	struct hash_index known; /* hashes of what the lines say that are there */
};

/* When an event was at the earliest, which each record of it says alike, however long it was under way. */
static int64_t moment_of(const struct lease_line *l)
{
	return l->early == TIME_NONE ? l->time : l->early;
}

/* What a line says; that it came later makes no other one. */
static uint64_t hash_of(const struct lease_line *l)
{
	int64_t shift = l->event == LEASE_OPEN ? 0 : l->time - moment_of(l);
	uint64_t addr[2], times;

	memcpy(addr, l->addr.octet, sizeof(addr));
	times = HASH_OF((uint64_t)(l->time - shift), (uint64_t)(l->from == TIME_NONE ? l->from : l->from - shift),
			(uint64_t)(l->to == TIME_OPEN ? l->to : l->to - shift), l->packet);
	return HASH_OF(lease_texts_hash(l), hash_octets(l->tenant, strlen(l->tenant)), addr[0], addr[1],
		       (uint64_t)l->addr.plen << 8 | l->event, times);
}

static int note_known(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct day_batch *day = arg;
	struct lease_line l;

	return lease_line_read(line, size, &l, NULL) ? 0 : hash_set_add(&day->known, hash_of(&l));
}

static int read_known(const char *dir, struct day_batch *day)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t torn;
	int r = fd < 0 ? -errno : chain_read(fd, day->name, note_known, day, &torn);

	return r == -ENOENT ? 0 : r;
}

static void free_day(struct day_batch *day)
{
	if (day->out)
		fclose(day->out);
	free(day->text);
	hash_index_free(&day->known);
}

/* Adds a day. The stream keeps the address of its text, so days are not moved: there is room for all at once. */
#define MAX_DAYS 4096U

static int add_day(struct lease_batch *b, const char *name, struct day_batch **ret)
{
	struct day_batch *day;
	int r;

	if (!b->day)
		b->day = calloc(MAX_DAYS, sizeof(*b->day));
	if (!b->day || b->n_days == MAX_DAYS)
		return b->day ? -E2BIG : -ENOMEM;
	day = &b->day[b->n_days];
	memcpy(day->name, name, strlen(name) + 1);
	day->out = open_memstream(&day->text, &day->size);
	r = !day->out ? -ENOMEM : b->fresh ? read_known(b->dir, day) : 0;
	if (r) {
		free_day(day);
		*day = (struct day_batch){ 0 };
		return r;
	}
	b->n_days++;
	*ret = day;
	return 0;
}

/* The last days first: lines come mostly in order. */
static int find_day(struct lease_batch *b, int64_t time, struct day_batch **ret)
{
	char name[LEDGER_NAME];

	ledger_file_name(LEDGER_LEASES, time, name);
	for (size_t i = b->n_days; i-- > 0;) {
		if (strcmp(b->day[i].name, name) != 0)
			continue;
		*ret = &b->day[i];
		return 0;
	}
	return add_day(b, name, ret);
}

int lease_batch_add(void *batch, const struct lease_line *l)
{
	struct lease_batch *b = batch;
	_cleanup_free_ char *text = NULL;
	struct day_batch *day = NULL, *origin = NULL;
	uint64_t hash = hash_of(l);
	size_t size = 0;
	int r = find_day(b, l->time, &day);

	r = r ? r : find_day(b, b->fresh ? moment_of(l) : l->time, &origin);
	if (r)
		return r;
	if (b->fresh && (hash_set_has(&day->known, hash) || hash_set_has(&origin->known, hash))) {
		b->known++;
		return 0;
	}
	text = lease_line_text(l, &size);
	if (!text || (b->fresh && hash_set_add(&day->known, hash)))
		return -ENOMEM;
	b->lines++;
	return fprintf(day->out, "%.*s\n", (int)size - 2, text + 1) < 0 ? -ENOMEM : 0;
}

/* Lines are appended by so many octets. */
#define MOST_AT_ONCE (8U << 20)

/* The lines with which a file begins, on their way. */
struct opening {
	struct day_batch *day;
	const char *dir;
	int64_t now;
	struct error *err;
	char *text;
	size_t size;
	FILE *out;
	bool told; /* err says why it failed */
};

static int append_opening(struct opening *o)
{
	int r = fflush(o->out) ? -ENOMEM : 0;

	if (!r && o->size) {
		r = ledger_append(o->dir, o->day->name, o->text, o->size, o->now, o->err);
		o->told = r != 0;
	}
	rewind(o->out);
	return r;
}

static int take_open(void *arg, const struct lease_line *l)
{
	struct opening *o = arg;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	text = lease_line_text(l, &size);
	if (!text || fprintf(o->out, "%.*s\n", (int)size - 2, text + 1) < 0)
		return -ENOMEM;
	return ftell(o->out) < (long)MOST_AT_ONCE ? 0 : append_opening(o);
}

/* A file that is new may begin with the sessions that are open then. */
static int write_day(struct lease_batch *b, struct day_batch *day, int64_t now, struct error *err)
{
	struct opening o = { .day = day, .dir = b->dir, .now = now, .err = err };
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/%s", b->dir, day->name);
	if (!b->opens || !access(path, F_OK))
		return ledger_append(b->dir, day->name, day->text, day->size, now, err);
	o.out = open_memstream(&o.text, &o.size);
	r = o.out ? lease_midnight(b->dir, day->name, take_open, &o) : -ENOMEM;
	if (!r) {
		fwrite(day->text, 1, day->size, o.out);
		r = append_opening(&o);
	}
	if (o.out)
		fclose(o.out);
	free(o.text);
	if (!r || o.told)
		return r;
	if (r == -ENOENT && access(b->dir, F_OK))
		return error_set(err, r, "there is no directory %.200s: make it with `install -d -m 750 %.200s`",
				 b->dir, b->dir);
	return error_set(err, r, "%.200s: what is before %s cannot be read: %s", b->dir, day->name, strerror(-r));
}

/* The first day that is still to be written, as each goes on from the one before; NULL: there is none. */
static struct day_batch *first_day(const struct lease_batch *b)
{
	struct day_batch *first = NULL;

	for (size_t i = 0; i < b->n_days; i++)
		if (b->day[i].out && (!first || strcmp(b->day[i].name, first->name) < 0))
			first = &b->day[i];
	return first;
}

int lease_batch_write(struct lease_batch *b, int64_t now, struct error *err)
{
	struct day_batch *day;
	int r = 0;

	while (!r && (day = first_day(b))) {
		if (fflush(day->out))
			r = error_set(err, -ENOMEM, "out of memory");
		else if (day->size)
			r = write_day(b, day, now, err);
		if (r)
			break;
		/* What is written is not written again if another day fails. */
		free_day(day);
		*day = (struct day_batch){ 0 };
	}
	if (!r)
		lease_batch_free(b);
	return r;
}

void lease_batch_free(struct lease_batch *b)
{
	for (size_t i = 0; i < b->n_days; i++)
		free_day(&b->day[i]);
	free(b->day);
	b->day = NULL;
	b->n_days = 0;
}
