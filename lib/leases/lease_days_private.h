/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The days of a directory: lease_days.c opens them, lease_mentions.c finds their mentions of an address,
 * lease_question.c what a question needs of them, and lease_question_read.c reads it.
 */
#ifndef DETNAT_LEASE_DAYS_PRIVATE_H
#define DETNAT_LEASE_DAYS_PRIVATE_H

#include "base/array_grow.h"
#include "leases/lease_days.h"
#include "leases/lease_evidence.h"
#include "leases/lease_files.h"
#include "leases/lease_index.h"

struct lease_days {
	int dir;
	struct ledger_names names;
	struct lease_day *day;
	bool searched; /* days are ready that have an index, or little to read */
	bool noting;   /* the lines from which answers follow */
	struct lease_place *used;
	size_t n_used, used_room;
};

/* Reads the file of evidence of an open directory, or an open one, into days. 0, -ENOENT, or -errno. */
int lease_evidence_open(int at, struct lease_days *d);

/* A line about the address, as its row says: there may be very many. */
struct mention {
	int64_t time;
	uint32_t of;
	uint32_t day : 31;
	uint32_t repeated : 1; /* `open` lines of later days say that it is the last one */
	uint64_t at : 39, event : 4, broken : 1, session : 1, vague : 17;
	uint64_t again : 1;  /* it only repeats another */
	uint64_t wanted : 1; /* a session's beginning or end, beyond the window */
};

/* The lines that are read, of one day. */
struct place {
	struct lease_place line;
	const struct lease_remark *remark; /* NULL: about a session */
};

struct question {
	struct lease_days *d;
	const struct lease_addr *addr;
	const char *tenant;
	int64_t from, to;
	struct mention *mention;
	size_t n, room;
	uint32_t *owned; /* all of them by session or customer, then by time */
	uint32_t *timed; /* those that are not `again`, by time */
	size_t n_timed;
	bool *taken;		  /* days whose mentions are there */
	int64_t earliest, latest; /* what it has turned out to need */
	size_t step;		  /* mentions by which it looks further: twice as many each time */
	int64_t lo, hi;		  /* seconds of which lines are needed */
	int64_t begin, end;	  /* of the sessions of which lines are needed */
	bool begun;		  /* a session began before the lines that were read, as they say */
	bool sparse;		  /* a session ended or moved, according to others than its own lines */
	bool dense;		  /* all lines of these sessions are needed, as they are sparse */
	int64_t ready_from;	  /* days from then on are to be ready */
	struct place *place;
	size_t n_places, place_room;
	struct lease_pool sessions; /* that had the address */
	struct statements *x;
	struct error *err;
	size_t at; /* the day that is being read */
	size_t of; /* the day whose rows are taken */
};

/* A mention in one order, and in the other. */
static inline struct mention *owned(const struct question *q, size_t i)
{
	return &q->mention[q->owned[i]];
}

static inline struct mention *timed(const struct question *q, size_t i)
{
	return &q->mention[q->timed[i]];
}

/* Takes the mentions of days that are ready. 0, -ESTALE: q->at has an index that does not fit, or another -errno. */
int lease_mentions_take(struct question *q);

/* From when on days say that a mention is the last one. */
int64_t lease_mention_known(const struct question *q, const struct mention *m);

/* Reads the lines of the window. 0, -ESTALE: q->at has an index that does not fit, -EFBIG: q->at is to be made ready,
 * -EAGAIN: it is to be dense, or another -errno. */
int lease_question_read(struct question *q);

/* Notes a line, if lines are noted. 0 or -ENOMEM. */
int lease_days_note(struct lease_days *d, size_t day, uint64_t at);

/* The time of the last line of a day; TIME_NONE: there is none. 0 or -errno. */
int lease_days_last(const struct lease_days *d, const struct lease_day *day, int64_t *ret);

/* Orders lines by day and place: struct lease_place, or what begins with one. */
int lease_places_order(const void *a, const void *b);

/* Makes days ready that have an index, or little to read. 0, or -errno with err. */
int lease_days_search(struct lease_days *d, struct error *err);

#endif
