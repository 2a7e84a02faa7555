/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked what, for which case and why. Answers of detnatctl have left their lines in the ledger of queries; what
 * else programs ask, and what they were refused, leaves one here. The journal has a line of each.
 */
#ifndef DETNAT_DESK_NOTES_H
#define DETNAT_DESK_NOTES_H

#include "call.h"

struct note {
	const char *kind;	      /* what was asked: "who", "customer" ... */
	const char *question;	      /* NULL: it was not read */
	const char *case_id, *reason; /* NULL: none was given */
	unsigned status;	      /* of HTTP */
	const char *refused;	      /* why there was no answer; NULL: there was one */
};

/* A line in the journal, for call->whom. Its texts may have any octets. */
void note_in_journal(const struct call *call, const struct note *n);

/*
 * A person was refused a look at persons, a path of /api: a line in the journal, and in a ledger that the options name.
 * One a user, path and hour, and few of those that name nobody.
 */
void note_refused_person(struct call *call, const char *path, unsigned status, const char *why);

/* A line in the ledger. 0, or -errno with err; then there must be no answer. */
int note_in_ledger(struct call *call, const struct note *n, struct error *err);

/*
 * The same of a page that a person was refused with 401 or 403, where the history has audit_queries; one line a user,
 * page and hour.
 */
void note_refused_page(struct call *call, const char *path, unsigned status, const char *why);

#endif
