/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that stand for numbers in requests, in answers and in what detnatctl shows. Each list stands here alone. */
#ifndef DETNAT_WORDS_H
#define DETNAT_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Lists end with an entry that has no text. */
struct word {
	const char *text;
	uint32_t number;
};

extern const struct word role_words[];	/* inside, outside: DEVICE_INSIDE, DEVICE_OUTSIDE */
extern const struct word side_words[];	/* in, out: DEVICE_INSIDE, DEVICE_OUTSIDE */
extern const struct word proto_words[]; /* tcp, udp, icmp: the IP protocol */
extern const struct word order_words[]; /* sessions, quota: enum top_order */

/* The number of a word in *ret: 0, or -EINVAL where it is not in the list. */
int word_number(const struct word *words, const char *text, uint32_t *ret);

/* The word of a number, or NULL. */
const char *word_text(const struct word *words, uint32_t number);

/* "inside", "outside" or "both", of bits of DEVICE_INSIDE and DEVICE_OUTSIDE. */
const char *roles_text(uint32_t roles);

/* Writes all words of a list, with `between` after each but the last two, and `last` after the last but one. */
void words_join(const struct word *words, const char *between, const char *last, char *text, size_t size);

#endif
