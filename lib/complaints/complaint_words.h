/* SPDX-License-Identifier: BSD-2-Clause */
/* What words mean that stand before a value. */
#ifndef DETNAT_COMPLAINT_WORDS_H
#define DETNAT_COMPLAINT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_SOURCE  1U /* of who did it */
#define WORD_TARGET  2U /* of whom it was done to */
#define WORD_PORT    4U
#define WORD_ADDR    8U
#define WORD_TIME    16U
#define WORD_EVENT   32U  /* of what happened */
#define WORD_OTHER   64U  /* of a report about it, or something else */
#define WORD_END     128U /* of its end */
#define WORD_LINK    256U /* means nothing alone */
#define WORD_FROM    512U
#define WORD_TO	     1024U
#define WORD_PROTO   2048U
#define WORD_LATE    8192U   /* of its discovery */
#define WORD_UNLESS  4096U   /* what follows is not meant */
#define WORD_MEASURE 16384U  /* what was done about it */
#define WORD_ANOTHER 32768U  /* another event than the one before */
#define WORD_DEED    65536U  /* what happened, where a sentence is read */
#define WORD_NOT     131072U /* a negation */
#define WORD_BUT     262144U /* what follows it is meant */
#define WORD_NAMED   524288U /* what happened, in the name of a value alone */

/* With room for a NUL; longer words are cut. */
#define WORD_TEXT 32U

/* Whether an octet is of a word: letters and digits of ASCII, and all of UTF-8. */
static inline bool word_octet(char c)
{
	return (unsigned char)((c | 32) - 'a') < 26 || (unsigned char)(c - '0') < 10 || (unsigned char)c >= 0x80;
}

static inline bool digit_octet(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether an octet is one of a few; never a NUL. Of a literal, a comparison each. */
static inline __attribute__((always_inline)) bool octet_is_of(char c, const char *few)
{
	bool is = false;

#pragma GCC unroll 16
	for (size_t i = 0; i < strlen(few); i++)
		is |= c == few[i];
	return is;
}

/* A Latin letter with a mark, by its number in Unicode, without it; a blank if it is none. */
char word_plain(unsigned code);

/* Copies the word at a place in small letters without accents. Returns where it ends; camelCase is several words. */
const char *word_fold(const char *at, const char *end, char ret[static WORD_TEXT]);

/*
 * Copies the next word of a stretch as above, and moves *at to where it ends. Returns where it begins; NULL: there is
 * none, and *at is the end.
 */
const char *word_next(const char **at, const char *end, char ret[static WORD_TEXT]);

/* Where it ends. */
const char *word_skip(const char *at, const char *end);

/* Whether a folded word is in a list, in which blanks are between, and a star stands for the rest of a word. */
bool word_in_list(const char *list, const char *folded);

/* Whether a word of a stretch is in such a list. */
bool words_in_list(const char *list, const char *at, const char *end);

/* A word, folded, or with a star behind it any that begins so. */
struct word {
	char text[28]; /* in the table itself, where looking for one is quick */
	unsigned is;
};

/* Pairs of the letters by which words begin, the second of which may be none. */
#define WORD_PAIRS (26U * 27U)

/* Words in the order of their octets. */
struct word_table {
	const struct word *words;
	size_t n;
	bool ready;
	uint16_t places[WORD_PAIRS]; /* if ready, of the first word that begins by a pair, or where it would be */
};

/* What a folded word is: bits of all that match; 0: unknown. */
unsigned word_find(struct word_table *t, const char *folded);

/* Whether a word of a table, of more than a letter, may begin at a place; false: none does. */
bool word_begins(struct word_table *t, const char *at, const char *end);

/* What a folded word says of a value. */
unsigned word_meaning(const char *folded);

/* What a stretch of text says. */
struct label {
	unsigned any;	      /* of all words */
	unsigned role;	      /* WORD_SOURCE, WORD_TARGET or 0: of the last word that has one */
	unsigned last;	      /* of the last word */
	unsigned last_said;   /* of the last that is no link, and no word for an address */
	unsigned when;	      /* of the last word that says which time is meant */
	unsigned before_port; /* of the word before the last "port" that means something alone */
	unsigned words;	      /* how many */
	bool loose;	      /* other words follow the last "port" */
	bool negated;	      /* a negation is before: "not from port" */
	bool strange;	      /* it has words that are neither "port" nor a role nor what joins them */
};

struct label label_read(const char *at, const char *end);

#endif
