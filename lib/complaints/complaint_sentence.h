/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences of a text. */
#ifndef DETNAT_COMPLAINT_SENTENCE_H
#define DETNAT_COMPLAINT_SENTENCE_H

#include <stdbool.h>

/* A longer sentence is cut off. */
#define SENTENCE 600

bool sentence_ends_at(const char *begin, const char *at, const char *end);

/* Whether a sentence ends at a sign of a text: what follows begins another. */
static inline bool sentence_ends(const char *begin, const char *at, const char *end)
{
	char c = *at;

	/* At most signs none does. */
	return (c == '.' || c == '\n' || c == ';' || c == '!' || c == '?' || c == '\343') &&
	       sentence_ends_at(begin, at, end);
}

#endif
