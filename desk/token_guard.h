/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks /api/v1, and how often: the tokens of a file, which is read again when it changes. Valid tokens are known
 * before guesses are counted, so that whoever guesses slows nobody down but himself. Thread-safe.
 */
#ifndef DETNAT_DESK_TOKEN_GUARD_H
#define DETNAT_DESK_TOKEN_GUARD_H

#include "token.h"

/* Requests without a valid token that are told why, of one client and of all. */
#define GUESS_RATE     ((struct token_rate){ 60, 60 })
#define GUESS_RATE_ALL ((struct token_rate){ 600, 60 })

/* What is left of a rate: the time at which all of it is there again. Zero-initialised. */
struct spent {
	uint64_t whole_ns;
};

/*
 * Takes n questions from a rate, which comes back evenly. Returns 0, or the seconds after which to try again, as long
 * as the whole time of the rate if there are never so many at once. Pure.
 */
unsigned rate_spend(struct spent *s, struct token_rate rate, unsigned n, uint64_t now_ns);

/* Names the file of tokens, which need not exist yet. 0, or -errno with err if it cannot be used. */
int token_guard_open(const char *path, struct error *err);

/* Who asks, and what speaks against it. */
struct token_pass {
	struct token token; /* without a name: none that is known */
	unsigned retry_s;   /* of 429 and 503 */
	const char *why;    /* a text for the asker, unless 0 was returned */
};

/*
 * Finds the token of the value of the header Authorization, NULL if it came twice. Returns 0, or a status of HTTP: 401
 * for one that is missing, unknown, revoked or expired, 429 where too many were, 403 for another kind, 503 if the file
 * cannot be read. client: whose guesses are counted together; "" if it is not known.
 */
unsigned token_guard_identify(const char *authorization, enum token_kind kind, const char *client,
			      struct token_pass *ret);

/* Takes n questions from the token's rate. 0, or the seconds after which to try again. */
unsigned token_guard_spend(const struct token *t, unsigned n);

#endif
