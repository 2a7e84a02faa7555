/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases in memory, and the answer to "which customer had this inside address at that time?". Fed with lines in any
 * order. About 150 octets a lease; a question takes a microsecond.
 *
 * A lease ends when a line says so. Without one, it ends when its server was restarted (`off`), at the time that its
 * last line expected (`to`), after three times the longest interval between its lines (silence), or when another lease
 * of the address begins, whichever is first: these are assumed ends. Where lines were erased, the lease that they told
 * of may have begun at any time, so no lease is assumed to go on.
 */
#ifndef DETNAT_LEASE_INDEX_H
#define DETNAT_LEASE_INDEX_H

#include "leases/lease_line.h"

/* A lease is silent after as many intervals. */
#define LEASE_SILENCE 3

enum lease_result {
	LEASE_CUSTOMER,
	LEASE_NO_LEASE,	 /* recorded: nobody had the address */
	LEASE_TWO,	 /* more than one customer had it in that second */
	LEASE_NO_RECORD, /* nothing was recorded then */
	LEASE_TAKEN_OUT, /* lines of then were erased, the lawful way */
};

/* A customer; texts belong to the index, "": unknown. */
struct lease_holder {
	const char *tenant, *id, *mac, *circuit, *session;
	int64_t from;
	int64_t to;   /* TIME_OPEN: still, as far as is known */
	bool assumed; /* the end is an assumption */
};

#define LEASE_HOLDERS 8U

struct lease_answer {
	enum lease_result result;
	struct lease_holder holder[LEASE_HOLDERS]; /* each customer once, in order of time */
	unsigned n;
	bool more;	/* there are more than these */
	int64_t erased; /* LEASE_TAKEN_OUT: when */
};

struct lease_index;

/* 0 or -ENOMEM. */
int lease_index_new(struct lease_index **ret);
void lease_index_free(struct lease_index *x);

/* Adds a line. 0 or -ENOMEM. Not after lease_index_finish(). */
int lease_index_feed(struct lease_index *x, const struct lease_line *l);

/* A line of that time is there, which was not fed: it concerns another address. */
void lease_index_note(struct lease_index *x, int64_t time);

/* After the last line: sorts and finds ends. 0 or -ENOMEM. */
int lease_index_finish(struct lease_index *x);

/* Who had the address in second t, by leases of a tenant and those that name none; tenant NULL: by those of any. */
void lease_ask(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t t,
	       struct lease_answer *ret);

/* Whether each second from..to has the customer that a has (same id, MAC and tenant), or has none for the same reason.
 */
bool lease_same(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t from,
		int64_t to, const struct lease_answer *a);

/* The reason why there is no customer: "no-lease", "two-leases", "no-record", "erased"; NULL: there is one. */
const char *lease_reason(enum lease_result result);

/* The time of the last line; TIME_NONE: there is none. */
int64_t lease_index_until(const struct lease_index *x);

size_t lease_index_count(const struct lease_index *x);

#endif
