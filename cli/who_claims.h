/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of `who` from claims, where the history has none. */
#ifndef DETNAT_WHO_CLAIMS_H
#define DETNAT_WHO_CLAIMS_H

#include "history/history_claims.h"
#include "history/history_who.h"
#include "writer.h"

struct who_claimed {
	struct claim_answer answer;
	int64_t to; /* the address is in a mapping of this gateway since then; TIME_OPEN: it never was */
};

/*
 * The claim that has an endpoint in second t, if *result says that the history names nobody, and the address was in no
 * mapping of this gateway before; NULL: none. If the port is in no block of the claim, *result is WHO_NOBODY and `why`
 * says so, unless the history knows that itself. c may be empty.
 */
const struct who_claimed *who_claims_ask(struct history_claims *c, const struct history_index *x, struct endpoint out,
					 int64_t t, enum who_result *result, struct who_claimed *ret,
					 struct error *why);

/* "in_addr":…,"mapping":…,"from":…,"to":…,"claimed":{…}; if the port is in no block, "claimed":{…} alone. */
void who_claimed_json(FILE *out, const struct who_claimed *c);

/* "from the configuration of mx.conf, read at TIME, sha256 …". Returns text. */
#define WHO_CLAIMED_TEXT 320
const char *who_claimed_text(const struct who_claimed *c, char text[static WHO_CLAIMED_TEXT]);

/* The first cells of a row of a list: time, endpoint, inside address, and from and to where it has an answer. */
#define WHO_CELLS(when, endpoint, inside, from, to)                                                               \
	{                                                                                                         \
		{ (when), 20, false }, { (endpoint), 21, false }, { (inside), 15, false }, { (from), 20, false }, \
			{ (to), 20, false },                                                                      \
	}
#define WHO_N_CELLS    5U
#define WHO_UNANSWERED 3U /* of them, where it has none */

/* As text: those of one question, and a row of a list, with `customer` at its end. */
void who_claimed_show(struct writer *w, const struct who_claimed *c);
void who_claimed_row(struct writer *w, const char *when, const char *endpoint, const struct who_claimed *c,
		     const char *customer);

#endif
