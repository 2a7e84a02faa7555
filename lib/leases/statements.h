/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statements about one inside address, and what follows from them: docs/evidence/LEASES.md has the rules.
 *
 * A statement is what one source said of one session, its customer and an address at one moment. Statements of a
 * session that has the address without a break are a stay. A customer is certain between two statements of a stay, or
 * within the term that a DHCP server has promised, where no records are missing, the clock was not set and nobody else
 * says that he has the address. Outside of that a stay is possible, from the earliest moment at which it may have
 * begun to the latest at which it may have ended. Nothing that is said later changes the name of an earlier time.
 */
#ifndef DETNAT_STATEMENTS_H
#define DETNAT_STATEMENTS_H

#include "leases/lease_line.h"
#include "leases/lease_pool.h"

/* X(constant, word): why a customer is not certain, or nobody is known */
#define LEASE_DOUBTS(X)                                                                                      \
	X(DOUBT_NONE, "")		/* certain: a customer, or that nobody had the address */            \
	X(DOUBT_SEVERAL, "several")	/* more than one customer may have had it */                         \
	X(DOUBT_GAP, "gap")		/* records are missing around that time */                           \
	X(DOUBT_CLOCK, "clock")		/* the clock was set around that time */                             \
	X(DOUBT_DAMAGED, "damaged")	/* lines around that time were changed or taken out */               \
	X(DOUBT_ERASED, "erased")	/* lines of that time were erased the lawful way */                  \
	X(DOUBT_ANOTHER, "another")	/* another customer is said to have had it between two statements */ \
	X(DOUBT_UNHEARD, "unheard")	/* nothing was heard of the session after that time */               \
	X(DOUBT_TERM, "term")		/* the promised term is over, and no end is recorded */              \
	X(DOUBT_BEGIN, "begin")		/* when the session got the address is not recorded */               \
	X(DOUBT_EARLY, "before-record") /* nothing is recorded of the address up to that time */             \
	X(DOUBT_LATE, "after-record")	/* that time has not been recorded yet */

enum lease_doubt {
#define X(constant, word) constant,
	LEASE_DOUBTS(X)
#undef X
};

/* A stay as an answer has it; the texts belong to the statements, "": unknown. */
struct lease_holder {
	const char *tenant, *id, *mac, *circuit, *session;
	int64_t from; /* the first second in which it may have had the address; TIME_NONE: unknown */
	int64_t to;   /* the last one; TIME_OPEN: unknown */
	bool ended;   /* `to` is recorded as its end */
	bool certain; /* in the second that was asked */
	enum lease_doubt doubt;
};

#define LEASE_HOLDERS 8U

struct lease_answer {
	struct lease_holder holder[LEASE_HOLDERS]; /* each customer once, in order of time */
	unsigned n;
	bool more;    /* there are more than these */
	bool others;  /* somebody else may have had it, of whom no record is there */
	bool certain; /* holder[0] alone had it, or with n 0 nobody */
	enum lease_doubt doubt;
	int64_t erased; /* DOUBT_ERASED: when; else TIME_NONE */
};

struct statements;

/* 0 or -ENOMEM. */
int statements_new(const struct lease_addr *addr, struct statements **ret);
void statements_free(struct statements *x);

/*
 * Adds a line, in any order: one about the address, one of a session that had it about another address, or one about
 * all (off, begin, lost, step, erased). Lines about others only say how far the record goes. 0 or -ENOMEM.
 */
int statements_feed(struct statements *x, const struct lease_line *l);

/* What lies between two moments is in doubt: DOUBT_GAP, DOUBT_CLOCK or DOUBT_DAMAGED. 0 or -ENOMEM. */
int statements_doubt(struct statements *x, int64_t from, int64_t to, enum lease_doubt doubt);

/* The record covers that second, though no line about the address is of it. */
void statements_note(struct statements *x, int64_t time);

/* After the last line. 0 or -ENOMEM. */
int statements_finish(struct statements *x);

/* Whether statements of seconds lo..hi bound who may have had the address in from..to: others add nobody. */
void statements_closed(const struct statements *x, int64_t lo, int64_t from, int64_t to, int64_t hi, bool *ret_before,
		       bool *ret_after);

/* Who had the address in second t, by statements of a tenant and those that name none; tenant NULL: by those of any. */
void statements_ask(const struct statements *x, const char *tenant, int64_t t, struct lease_answer *ret);

/* Gives each session's time at the address, without `certain` and `doubt`. 0, or what take returned. */
int statements_each(const struct statements *x, int (*take)(void *arg, const struct lease_holder *h), void *arg);

/* Whether each second from..to has the same certain answer as a. */
bool statements_same(const struct statements *x, const char *tenant, int64_t from, int64_t to,
		     const struct lease_answer *a);

/* Whether two holders are one customer. Without an id, the MAC or the session counts. */
bool lease_same_customer(const struct lease_holder *a, const struct lease_holder *b);

const char *lease_doubt_word(enum lease_doubt doubt);

#endif
