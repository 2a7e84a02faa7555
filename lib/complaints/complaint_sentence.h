/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences of a text. */
#ifndef DETNAT_COMPLAINT_SENTENCE_H
#define DETNAT_COMPLAINT_SENTENCE_H

#include <stdbool.h>

/* A longer sentence is cut off. */
#define SENTENCE 600

/* Whether a sentence ends at a sign of a text: what follows begins another. */
bool sentence_ends(const char *begin, const char *at, const char *end);

#endif
