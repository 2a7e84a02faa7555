/* SPDX-License-Identifier: BSD-2-Clause */
/* How alike two words are, for "did you mean". */
#ifndef DETNAT_SPELLING_H
#define DETNAT_SPELLING_H

/* Longer words are like none. */
#define SPELLING_MOST 40

/* Letters added, omitted, changed, or swapped with their neighbour: how many make one word of the other. */
unsigned spelling_distance(const char *a, const char *b);

#endif
