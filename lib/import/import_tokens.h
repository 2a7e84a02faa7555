/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of nftables' language: unlike lines, they have no length that a set may not exceed. */
#ifndef DETNAT_IMPORT_TOKENS_H
#define DETNAT_IMPORT_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "import/import_text.h"

#define IMPORT_TOKEN 256U

/* A word, or one of { } , ; : = alone; a line's end is ;. Zero-initialised but for at and end. */
struct import_tokens {
	const char *at;
	const char *end;
	uint32_t next_line; /* lines before `at` */
	uint32_t line;	    /* of the token, from 1 */
	bool over;	    /* there is no token */
	bool quoted;
	bool cut; /* it was longer than IMPORT_TOKEN */
	char word[IMPORT_TOKEN];
};

void import_tokens_begin(struct import_tokens *t, const struct import_text *text);

/* The next token, in t->word; false: no more. */
bool import_tokens_next(struct import_tokens *t);

/* Whether the token is this one, without quotes. */
bool import_token_is(const struct import_tokens *t, const char *word);

#endif
