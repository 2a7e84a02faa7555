/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of leases, which is read once: where each address and each session is in it. For lease_days.c. */
#ifndef DETNAT_LEASE_DAY_H
#define DETNAT_LEASE_DAY_H

#include "leases/accounting.h"

/* Where a line about an address or a session begins. */
struct place {
	uint64_t hash;
	int64_t at;
};

/* A line does not follow from the one before: what lies between its neighbours is in doubt. */
struct damage {
	int64_t from, to;
};

/* Zero-initialised but for name, begin, first and last. */
struct lease_day {
	const char *name;
	int64_t begin; /* its first second */
	bool read;
	bool live;	     /* an agent recorded it: it marks that nothing is missing */
	bool erased;	     /* lines of it are: one of a later day says when */
	int64_t first, last; /* times of its lines; TIME_OPEN and TIME_NONE: none */
	struct place *place; /* in order of hash, and of place */
	size_t n, room;
	int64_t *all; /* lines about no address: off, begin, lost, step */
	size_t n_all, all_room;
	struct damage *damage;
	size_t n_damages, damage_room;
	uint64_t wrong; /* lines that cannot be read */
};

void lease_day_free(struct lease_day *day);

/* Reads the file in a directory, unless it has been. 0, or -errno with err. */
int lease_day_read(int dir, struct lease_day *day, struct error *err);

/* Opens it for the calls below: a descriptor, or -errno. */
int lease_day_open(int dir, const struct lease_day *day);

/* Reads the line that begins at a place. 0, -EBADMSG if it is none, or -errno. */
int lease_day_line(int fd, int64_t at, struct lease_line *ret);

/* Gives the lines with an address or a session. 0, -errno, or what take returned. */
int lease_day_each(struct lease_day *day, int fd, const char *text, lease_take take, void *arg);

/* Says that the file cannot be read, and returns r. */
int lease_day_failed(const struct lease_day *day, int r, struct error *err);

#endif
