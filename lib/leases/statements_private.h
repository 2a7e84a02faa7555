/* SPDX-License-Identifier: BSD-2-Clause */
/* The statements about an address: statements.c collects them, stays.c orders them, statements_ask.c answers. */
#ifndef DETNAT_STATEMENTS_PRIVATE_H
#define DETNAT_STATEMENTS_PRIVATE_H

#include "leases/statements.h"

/* Texts are offsets in the pool: the same text is in one place. */
struct statement {
	int64_t early, late; /* its moment lies between */
	int64_t from;	     /* when its session began, as the source says; TIME_NONE: it does not */
	int64_t until;	     /* a DHCP server has promised the address until then; TIME_NONE: it has not */
	uint64_t order;	     /* of its line */
	uint32_t tenant, id, mac, circuit, session, server;
	enum lease_event event; /* LEASE_START, LEASE_INTERIM, LEASE_STOP, LEASE_OFF */
	bool here;		/* about the address; false: about another one, or about all of the server's */
	bool ends;		/* the session, at whatever address */
	bool broken;		/* records may be missing after it */
	uint32_t stay;		/* NO_STAY: it says nothing about the address */
};

#define NO_STAY UINT32_MAX

/* Statements of one session that had the address without a break. */
struct stay {
	uint32_t *statement; /* numbers, in order of time */
	size_t n, room;
	uint32_t tenant, id, mac, circuit, session, server;
	int64_t since; /* when its session began, as any of its statements says; TIME_NONE: none does */
	int64_t begin; /* the earliest second in which it may have begun; TIME_NONE: unknown */
	int64_t end;   /* the latest second in which it may have lasted; TIME_OPEN: unknown */
	int64_t over;  /* an end is recorded: after this second it is over; TIME_OPEN: none is */
	bool started;  /* its first statement is its beginning */
	bool moved;    /* it ended as its session had another address */
	bool off;      /* it ended as its server was restarted */
	bool last;     /* nothing is said of its session after it, but perhaps a beginning */
};

/* Seconds from..to that are not what they seem. */
struct lease_span {
	int64_t from, to;
	enum lease_doubt doubt; /* but none of one customer */
	bool reaches_back;	/* from the last line before `to` on, whichever comes to be that */
	int64_t erased;		/* DOUBT_ERASED: when */
	bool added;		/* a source was not recorded: others may have been there, what was said stands */
};

struct statements {
	struct lease_addr addr;
	struct lease_pool pool;
	struct statement *list; /* in order of time once finished */
	size_t n, room;
	struct stay *stay;
	size_t n_stays, stay_room;
	struct lease_span *span;
	size_t n_spans, span_room;
	uint64_t lines;
	int64_t first, last; /* seconds that the record covers; TIME_OPEN and TIME_NONE: none */
};

static inline const char *statement_text(const struct statements *x, uint32_t offset)
{
	return lease_pool_text(&x->pool, offset);
}

/* Finds the stays of statements in order of time. 0 or -ENOMEM. */
int stays_find(struct statements *x);

#endif
