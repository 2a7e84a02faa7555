/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the file of evidence: its lines are put where lines of their days are, each day's in a file in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array_grow.h"
#include "base/ledger_lines.h"
#include "base/whole_file.h"
#include "base/withheld.h"
#include "leases/lease_days_private.h"
#include "leases/lease_evidence.h"

struct unpacking {
	struct lease_days *d;
	size_t room, names_room;
	char hash[HASH_TEXT]; /* of the last line of the last day */
};

static int begin_day(struct unpacking *u, const char *file)
{
	struct lease_days *d = u->d;
	struct lease_day *day;

	if (array_grow(&d->names.name, d->names.n, &u->names_room, sizeof(*d->names.name)) ||
	    array_grow(&d->day, d->names.n, &u->room, sizeof(*d->day)))
		return -ENOMEM;
	memset(d->names.name[d->names.n], 0, LEDGER_NAME);
	strcpy(d->names.name[d->names.n], file);
	day = &d->day[d->names.n];
	*day = (struct lease_day){ .evidence = true, .fd = memfd_create(file, MFD_CLOEXEC) };
	if (day->fd < 0)
		return -errno;
	d->names.n++;
	memcpy(u->hash, HASH_NONE, HASH_TEXT);
	return ledger_file_begin(LEDGER_LEASES, file, &day->begin);
}

static int append(const struct lease_days *d, const char *line, size_t size)
{
	int fd = d->day[d->names.n - 1].fd;
	struct stat st;
	int r = fstat(fd, &st) ? -errno : file_write(fd, line, size, (uint64_t)st.st_size);

	return r ? r : file_write(fd, "\n", 1, (uint64_t)st.st_size + size);
}

/* 1.0.0 does not say what it left out. */
static int append_gap(const struct lease_days *d, const char *hash)
{
	struct withheld w = { .from = TIME_NONE, .to = TIME_NONE };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	memcpy(w.hash, hash, HASH_TEXT);
	withheld_write(out, &w);
	r = fclose(out) ? -ENOMEM : append(d, text, size);
	free(text);
	return r;
}

static int unpack(void *arg, const char *file, const char *previous, const char *line, size_t size)
{
	struct unpacking *u = arg;
	struct lease_days *d = u->d;
	int order = d->names.n ? strcmp(file, d->names.name[d->names.n - 1]) : 1;
	struct withheld w;
	char hash[HASH_TEXT];
	int r = order < 0 ? -EBADMSG : order ? begin_day(u, file) : 0;

	if (!r && strcmp(previous, u->hash) != 0)
		r = append_gap(d, previous);
	r = r ? r : append(d, line, size);
	if (withheld_read(line, size, &w))
		memcpy(u->hash, w.hash, HASH_TEXT);
	else if (chain_check(line, size, previous, hash) != -EINVAL)
		memcpy(u->hash, hash, HASH_TEXT);
	return r;
}

int lease_evidence_open(int at, struct lease_days *d)
{
	struct unpacking u = { .d = d };
	struct stat st;
	char *text = NULL;
	size_t size = 0;
	int fd, r;

	if (fstat(at, &st))
		return -errno;
	fd = S_ISDIR(st.st_mode) ? file_open(at, LEASE_EVIDENCE_FILE) : fcntl(at, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Neither array has room yet. */
	free(take_pointer(d->day));
	free(take_pointer(d->names.name));
	r = file_read(fd, UINT32_MAX, &text, &size);
	close(fd);
	r = r ? r : ledger_lines_read(LEDGER_LEASES, text, size, unpack, &u, NULL);
	free(text);
	for (size_t i = 0; i < d->names.n; i++)
		d->day[i].name = d->names.name[i];
	return r ? r : d->names.n ? 0 : -ENOENT;
}
