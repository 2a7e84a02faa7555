/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of leases on their way to the disk, written in groups: each brings the files and the ledger to the disk once. A
 * group that cannot be written stays, and is tried again.
 */
#ifndef DETNAT_LEASE_WRITER_H
#define DETNAT_LEASE_WRITER_H

#include "leases/lease_append.h"

/* A group is written once it has so many lines, or so long after the one before. */
#define LEASE_GROUP    64U
#define LEASE_GROUP_US 100000ULL
#define LEASE_RETRY_US 1000000ULL
#define LEASE_MARK_S   60

/* Zero-initialised but for batch.dir, lost_from and last. */
struct lease_writer {
	struct lease_batch batch;
	uint64_t lines;	    /* of the group */
	uint64_t tried_us;  /* when the last group was */
	uint64_t written;   /* lines, since the start */
	uint64_t lost;	    /* how often a time was recorded in which events were lost */
	int64_t last;	    /* time of the last line of any group; TIME_NONE: none */
	int64_t lost_from;  /* events have been lost since, which no line says yet; TIME_NONE: none */
	bool failed;	    /* the last try */
	struct error error; /* why it failed */
};

void lease_writer_init(struct lease_writer *w, const char *dir);
void lease_writer_free(struct lease_writer *w);

/* Adds a line to the group. 0 or -errno. Can be a lease_take; w: a struct lease_writer. */
int lease_writer_add(void *w, const struct lease_line *l);

/* The time of the last line of the directory's files; TIME_NONE: there is none. */
int64_t lease_writer_last(const struct lease_writer *w);

/* Adds the line that the recording of a source begins, of which nothing is known since a time. 0 or -errno. */
int lease_writer_begin(struct lease_writer *w, int64_t now, const char *source, int64_t since);

/* Events since a time were lost: who had an address from then until now is not known. */
void lease_writer_lose(struct lease_writer *w, int64_t from);

/* Adds the line that the clock was set from one reading to another. 0 or -errno. */
int lease_writer_step(struct lease_writer *w, int64_t from, int64_t to);

/* Once a second: adds the line that recording continues if there was no other for LEASE_MARK_S. */
void lease_writer_mark(struct lease_writer *w, int64_t now);

/* When the group is to be written, on the clock of now_us; UINT64_MAX: it is empty. */
uint64_t lease_writer_due(const struct lease_writer *w);

/* Writes the group. 0 or -errno, with w->error. */
int lease_writer_write(struct lease_writer *w, int64_t now, uint64_t now_us);

#endif
