/* SPDX-License-Identifier: BSD-2-Clause */
/* The statements about an address: statements.c collects them, stays.c finds which belong together,
 * stay_bounds.c when that was, statements_ask.c answers. */
#ifndef DETNAT_STATEMENTS_PRIVATE_H
#define DETNAT_STATEMENTS_PRIVATE_H

#include "leases/lease_spans.h"
#include "leases/statements.h"
#include "leases/stay_lists.h"

/* Texts are offsets in the pool: the same text is in one place. */
struct statement {
	int64_t early, late; /* its moment lies between */
	int64_t event_at;    /* when it was made, if its record has waited; TIME_NONE: it is not said to have */
	int64_t from;	     /* when its session began, as the source says; TIME_NONE: it does not */
	int64_t until;	     /* a DHCP server has promised the address until then; TIME_NONE: it has not */
	uint64_t order;	     /* of its line */
	uint32_t tenant, id, mac, circuit, session, server;
	uint32_t key;		/* of the tenant's number or, without one, of the customer */
	enum lease_event event; /* LEASE_START, LEASE_INTERIM, LEASE_STOP, LEASE_OFF */
	bool here;		/* about the address; false: about another one, or about all of the server's */
	bool both;		/* another of this moment, of the same number, is about the address */
	bool ends;		/* the session, at whatever address */
	bool broken;		/* records may be missing after it */
	bool settled;		/* it was made at event_at */
	bool stranger;		/* somebody without a lease has the address, as whoever got it has declined it */
	uint32_t stay;		/* NO_STAY: it says nothing about the address */
	uint32_t former, next;	/* of the same key; NO_STATEMENT: there is none */
};

#define NO_STAY	     UINT32_MAX
#define NO_STATEMENT UINT32_MAX

/* Statements of one session that had the address without a break. */
struct stay {
	uint32_t *statement; /* numbers, in order of time */
	size_t n, room;
	uint32_t tenant, id, mac, circuit, session, server, key;
	int64_t since;	  /* when its session began, as any of its statements says; TIME_NONE: none does */
	int64_t begin;	  /* the earliest second in which it may have begun; TIME_NONE: unknown */
	int64_t end;	  /* the latest second in which it may have lasted; TIME_OPEN: unknown */
	int64_t over;	  /* an end is recorded: after this second it is over; TIME_OPEN: none is */
	bool started;	  /* its first statement is its beginning */
	bool moved;	  /* it ended as its session had another address */
	bool off;	  /* it ended as its server was restarted */
	bool declined;	  /* it ended as a stranger has the address */
	bool last;	  /* nothing is said of its session after it, but perhaps a beginning */
	bool listed;	  /* among those of its number that may not be over, while stays are found */
	bool at_server;	  /* among those of its server */
	int64_t moved_in; /* until then, its session had another address alone; TIME_NONE: it is not known to */
};

/* Bounds of the times of so many stays: those of other times are passed over together. */
#define STAYS_TOGETHER 64U

struct stays_bounds {
	int64_t begin, end, over_least, over_most;
};

struct statements {
	struct lease_addr addr;
	struct lease_pool pool;
	struct statement *list; /* in order of time once finished */
	size_t n, room;
	struct stay *stay;
	size_t n_stays, stay_room;
	struct stays_bounds *bounds; /* of each STAYS_TOGETHER */
	int64_t vague;		     /* the widest time between which a statement was made */
	struct lease_spans spans;
	struct stay_lists lists;     /* of stays, by names and by what is to be found of them */
	struct stay_lists elsewhere; /* of each number and names, the last statement about other addresses alone */
	uint64_t lines;
	int64_t first, last; /* seconds that the record covers; TIME_OPEN and TIME_NONE: none */
};

static inline const char *statement_text(const struct statements *x, uint32_t offset)
{
	return lease_pool_text(&x->pool, offset);
}

static inline const struct statement *stay_last(const struct statements *x, const struct stay *y)
{
	return &x->list[y->statement[y->n - 1]];
}

/* Whether a statement may be of the session of a stay, by its number and names. */
bool stay_is_of(const struct stay *y, const struct statement *s);

/*
 * When the session of a statement began, at the earliest: its age is told in whole seconds. TIME_NONE: it is not known,
 * as where the clock was set meanwhile, or may have been.
 */
int64_t stay_began_after(const struct statements *x, const struct statement *s);

/*
 * When a session ended at the latest, by a statement about it. By its length, an end may have been as much later as
 * that says that the session began earlier. Both are of whole seconds.
 */
int64_t stay_ended_by(const struct statements *x, const struct stay *y, const struct statement *s);

/*
 * Whether a lease by DHCP has no name but a MAC: servers name a client by it, or by an identifier that has it (RFC 2132
 * section 9.14).
 */
bool holder_is_mac_alone(const struct lease_holder *h);

/* Whether two holders may be one customer, as one source has a name for whom another one knows by his MAC. */
bool holders_may_be_one(const struct lease_holder *a, const struct lease_holder *b);

/* Finds the stays of statements in order of time. 0 or -ENOMEM. */
int stays_find(struct statements *x);

/* Finds from when to when they may have been. 0 or -ENOMEM. */
int stays_bound(struct statements *x);

#endif
