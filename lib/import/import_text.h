/* SPDX-License-Identifier: BSD-2-Clause */
/* A file in memory: its lines, and the words of a line. */
#ifndef DETNAT_IMPORT_TEXT_H
#define DETNAT_IMPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Without a byte-order mark. */
struct import_text {
	const char *text;
	size_t size;
};

/*
 * Refuses what is no text of lines: other encodings, binary data, lines and files beyond all measure. *ret_lines is the
 * number of lines. 0 or -EINVAL with err.
 */
int import_text_check(const char *text, size_t size, const char *name, struct import_text *ret, uint32_t *ret_lines,
		      struct error *err);

/* The longest line that is read as words; nft's elements may be longer, and are read otherwise. */
#define IMPORT_LINE  65536U
#define IMPORT_WORDS 4096U

/* Lines, one after the other. Zero-initialised but for `text`. */
struct import_lines {
	struct import_text text;
	size_t at;
	uint32_t line;	/* number of the line in `buffer`, from 1; of the first, if it is continued */
	uint32_t next;	/* lines read so far */
	bool continues; /* a \ at the end of a line joins the next one */
	bool joins;	/* so does a deeper line below a number: an entry that RouterOS prints over several */
	bool too_long;	/* the line was cut at IMPORT_LINE */
	size_t length;
	char *buffer; /* the line, without its end */
	char *word[IMPORT_WORDS];
	unsigned n_words;
};

/* 0 or -ENOMEM; released by import_lines_end(). */
int import_lines_begin(struct import_lines *l, const struct import_text *text, bool continues);
void import_lines_end(struct import_lines *l);

/* The next line into `buffer`, with blanks at its end removed; false: no more. */
bool import_lines_next(struct import_lines *l);

/*
 * Cuts the line into its words, in place: separated by blanks, and by the characters of `apart`; quotes ("…", '…') are
 * removed, with \ before a character inside "…". `comment`: a character that begins a comment where a word may begin;
 * 0: none.
 */
void import_lines_words(struct import_lines *l, const char *apart, char comment);

/* Whether a text begins with another, and whether it occurs in a text, of any case. */
bool import_begins(const char *text, const char *with);
bool import_holds(const char *text, const char *word);

#endif
