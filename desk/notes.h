/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked what, for which case and why. Answers of detnatctl have left their lines in the ledger of queries; what
 * else programs ask, and what they were refused, leaves one here. The journal has a line of each.
 */
#ifndef DETNAT_DESK_NOTES_H
#define DETNAT_DESK_NOTES_H

#include "call.h"

/* Of lines about what nobody who is known has asked. */
#define WHOM_UNKNOWN "a program without a valid token"

struct note {
	const char *kind;	      /* what was asked: "who", "customer" ... */
	const char *question;	      /* NULL: it was not read */
	const char *case_id, *reason; /* NULL: none was given */
	unsigned status;	      /* of HTTP */
	const char *refused;	      /* why there was no answer; NULL: there was one */
};

/* A line in the journal, for call->whom. Its texts may have any octets. */
void note_in_journal(const struct call *call, const struct note *n);

/* A line in the ledger. 0, or -errno with err; then there must be no answer. */
int note_in_ledger(struct call *call, const struct note *n, struct error *err);

/*
 * A refusal: a line in the journal, and in the ledger if so; one an asker, kind, `what` ("" for nothing) and hour
 * (refusals.h).
 */
void note_refused(struct call *call, const struct note *n, const char *what, bool ledger);

/*
 * The same of a path that a person was refused with 401 or 403: any where the history has audit_queries; else those
 * that ask about persons, in the journal, and in a ledger that the options name. place: that of the
 * route, NULL: there is none; what follows it is not told apart.
 */
void note_refused_page(struct call *call, const char *place, const char *path, unsigned status, const char *why);

/* Lines of the numbers of refusals of the hours that are over, and of this one with `all`. */
void notes_count(const struct ask_at *at, bool all);

#endif
