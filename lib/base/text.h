/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of strangers: names, comments, lines of files, whatever came from outside. The one place that decides which
 * characters show themselves, and how all others are written: \xNN is an octet (ASCII's controls, and what is no
 * UTF-8), \u{N} a character by its code point. Whatever prints goes through here.
 */
#ifndef DETNAT_TEXT_H
#define DETNAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Reads the first character of a text of `left` octets, at least one. Returns its octets, or 0 if it is no UTF-8
 * (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
unsigned utf8_read(const char *text, size_t left, uint32_t *ret);

/* Returns whether a text is UTF-8 without control characters, C1 and line separators included: what a value may be. */
bool text_printable(const char *text);

/*
 * Whether a character shows itself and nothing else. Controls, Unicode's format characters (they turn the direction of
 * what follows, or hide), blanks other than the space, private use, noncharacters and whole unassigned planes do not.
 */
bool text_shows(uint32_t c);

/* Whether a text is shown as it is, and cannot be taken for more than one word of a table or for a quoted one. */
bool text_plain(const char *text);

/* Makes a value of a text: what text_printable() refuses is escaped, all else stays. As text_escape(). */
size_t text_keep(char *ret, size_t room, const char *text, size_t size);

/* Room for a text of so many octets, escaped and in quotes. */
#define TEXT_ROOM(octets) (4 * (octets) + 6)

/* Writes a text with all that does not show itself escaped, as many whole characters as there is room for. */
size_t text_escape(char *ret, size_t room, const char *text, size_t size);

/*
 * The same between quotes, with quotes and backslashes escaped by a backslash: where it begins and ends is certain.
 * "..." after the closing quote says that the room ended it. Needs room for 6 octets.
 */
size_t text_quote(char *ret, size_t room, const char *text, size_t size);

/* What a message quotes of a text: QUOTED(text) lives as long as the block that it stands in. */
#define QUOTED_ROOM  96
#define QUOTED(text) text_quoted(text, (char[QUOTED_ROOM]){ 0 })
const char *text_quoted(const char *text, char ret[static QUOTED_ROOM]);

/* As text_escape(), into memory that the caller frees; NULL: none is left. */
char *text_escaped(const char *text, size_t size);

/* A text that is plain as it is, any other between quotes; in memory that the caller frees. NULL: none is left. */
char *text_word(const char *text);

/* As text_escape(), into a stream. */
void text_print(FILE *out, const char *text, size_t size);

/* Prints a line: what stands before, as it is, and a text as text_print() does. */
void text_line(FILE *out, const char *before, const char *text);

/* Prints a string of JSON, in quotes. */
void text_json_string(FILE *out, const char *text);

/*
 * Prints a JSON document with the same escapes as JSON has them, \uXXXX: its values stay what they are, and a terminal
 * is not driven by them. What is no UTF-8, and so no JSON, becomes the text \xNN.
 */
void text_print_json(FILE *out, const char *text, size_t size);

#endif
