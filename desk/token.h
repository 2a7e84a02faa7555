/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tokens of other programs. A file has a line of JSON for each; of its secret it has the SHA-256 only. Pure.
 */
#ifndef DETNAT_DESK_TOKEN_H
#define DETNAT_DESK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "proto/label.h"

#define TOKENS_MAX 1000U
/* Octets of a name at most; it is a label otherwise. */
#define TOKEN_NAME_MAX	    48U
#define TOKEN_NAME_EXPECTED "a name of 1 to 48 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, \"-\""
#define TOKEN_HASH	    32U
#define TOKEN_RANDOM	    32U /* octets of a secret */
/* Room for a secret, "detnat_" and 43 letters of base64url. */
#define TOKEN_SECRET 64U
/* Room for "1000000/min". */
#define TOKEN_RATE 24U
/* Room for the names of all kinds. */
#define TOKEN_KINDS 64U

#define TOKEN_NEVER INT64_MAX

enum token_kind { TOKEN_WHO, TOKEN_QUESTIONS, TOKEN_EVIDENCE, TOKEN_CUSTOMER, N_TOKEN_KINDS };

/* Questions that may be asked in a time. */
struct token_rate {
	unsigned n, seconds;
};

struct token {
	char name[LABEL_TEXT];
	uint8_t hash[TOKEN_HASH];
	unsigned kinds;		 /* a bit for each */
	char tenant[LABEL_TEXT]; /* whose subscribers may be asked about; "": anybody's */
	struct token_rate rate;
	int64_t created, expires, revoked; /* TOKEN_NEVER */
};

struct tokens {
	struct token *list;
	size_t n;
};

enum token_state { TOKEN_VALID, TOKEN_REVOKED, TOKEN_EXPIRED };

bool token_name_valid(const char *name);

/* "who,customer": names of kinds. 0 or -EINVAL. */
int token_kinds_parse(const char *text, unsigned *ret);
const char *token_kinds_text(unsigned kinds, char text[static TOKEN_KINDS]);

/* "100/h": 1 to 1000000 per s, min, h or d. 0 or -EINVAL. */
int token_rate_parse(const char *text, struct token_rate *ret);
const char *token_rate_text(struct token_rate rate, char text[static TOKEN_RATE]);

/* The secret of random octets, as its owner sends it. */
void token_secret(const uint8_t random[static TOKEN_RANDOM], char ret[static TOKEN_SECRET]);
void token_hash(const char *secret, uint8_t ret[static TOKEN_HASH]);

/* Reads the lines of a file; the name is for messages. 0, or -EBADMSG or -ENOMEM with err. Free with tokens_free(). */
int tokens_parse(const char *name, const char *text, size_t size, struct tokens *ret, struct error *err);
/* The lines, in memory that the caller frees; NULL if none is left. */
char *tokens_text(const struct tokens *t, size_t *ret_size);
/* 0 or -ENOMEM. */
int tokens_add(struct tokens *t, const struct token *token);
void tokens_free(struct tokens *t);

/* Returns NULL if there is none. */
struct token *tokens_named(const struct tokens *t, const char *name);
/* The token of a secret, found in a time that does not depend on what was guessed. Returns NULL if there is none. */
const struct token *tokens_find(const struct tokens *t, const char *secret);

enum token_state token_state(const struct token *t, int64_t now);

#define _cleanup_tokens_ __attribute__((cleanup(tokens_free)))

#endif
