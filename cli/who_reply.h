/* SPDX-License-Identifier: BSD-2-Clause */
/* What history, claims and leases say about one question. */
#ifndef DETNATCTL_WHO_REPLY_H
#define DETNATCTL_WHO_REPLY_H

#include "customer.h"
#include "history/history_claims.h"
#include "history/history_read.h"
#include "looks.h"
#include "who_claims.h"

/* The history that was read, the claims beside it, and the leases. */
struct who_source {
	struct who *who;
	const struct history_index *index;
	struct history_claims *claims;
	const char *dir;
	int64_t until; /* known until then; TIME_NONE: empty */
	struct customers customers;
	struct looks *looks; /* each question leaves a line there; NULL: none does */
};

struct who_reply {
	enum who_result result;
	struct who_answer answer;
	const struct who_claimed *claimed; /* NULL: no claim has the address then */
	struct who_claimed claim;
	struct customer customer; /* with `customers` open */
	struct clock_state clock; /* that of the recording machine in that second */
	struct error why;	  /* why there is no subscriber */
};

/* Reads the claims, which `claims` keeps, and prepares questions to a history. Returns an exit status, with err set. */
int who_source_open(const struct history_files *f, const char *dir, struct history_claims *claims,
		    struct who_source *ret, struct error *err);
/* Closes the leases, too. */
void who_source_close(struct who_source *s);

/* Asks history and claims. */
void who_reply_ask(const struct who_source *s, struct endpoint out, int64_t t, struct who_reply *ret);

/* Adds the customer to a reply, if leases are open. */
void who_reply_customer(struct who_source *s, struct endpoint out, int64_t t, struct who_reply *r);

static inline bool who_reply_claimed(const struct who_reply *r)
{
	return r->claimed && r->claimed->answer.held;
}

/* Until when the answer about second t is known, if that is earlier; TIME_NONE: it is not. */
int64_t who_reply_known_until(const struct who_reply *r, const struct who_source *s, int64_t t);

/* Whether it names a subscriber. */
static inline bool who_reply_named(const struct who_reply *r)
{
	return r->result == WHO_FOUND || who_reply_claimed(r);
}

#endif
