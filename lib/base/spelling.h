/* SPDX-License-Identifier: BSD-2-Clause */
/* How alike two words are, for "did you mean". */
#ifndef DETNAT_SPELLING_H
#define DETNAT_SPELLING_H

#include <stddef.h>

/* Longer words are like none. */
#define SPELLING_MOST 40

/* The word that may be meant, among those offered. Begins as {}. */
struct spelling {
	const char *meant; /* one of the offered; NULL: none is like what was typed */
	unsigned distance; /* of meant */
};

/* Offers a word for what was typed. Of short words every other one is like them, so less may differ. */
void spelling_offer(struct spelling *s, const char *typed, const char *word);

#endif
