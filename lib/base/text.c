// SPDX-License-Identifier: BSD-2-Clause
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Octets of a character by its first one; 0: none begins so. */
static unsigned size_of(unsigned char first)
{
	if (first < 0x80)
		return 1;
	return first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
}

unsigned utf8_read(const char *text, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = (const unsigned char *)text;
	unsigned n = size_of(*at);
	uint32_t c = n > 1 ? *at & (0x7fU >> n) : *at;

	if (n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if (at[i] >> 6 != 2)
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

static bool is_control(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

bool text_printable(const char *text)
{
	size_t left = strlen(text);

	while (left) {
		uint32_t c = 0;
		unsigned n = utf8_read(text, left, &c);

		if (!n || is_control(c))
			return false;
		text += n;
		left -= n;
	}
	return true;
}

struct range {
	uint32_t from, to;
};

static bool is_among(uint32_t c, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n && c >= ranges[i].from; i++)
		if (c <= ranges[i].to)
			return true;
	return false;
}

bool text_shows(uint32_t c)
{
	/*
	 * Unicode's Cc, Cf, Cs, Co, Zl, Zp, Zs, Default_Ignorable_Code_Point and noncharacters; and the pattern of
	 * Braille without a dot. Planes 4 to 16 have no other characters.
	 */
	static const struct range hidden[] = {
		{ 0, 0x1f },	      { 0x7f, 0xa0 },	    { 0xad, 0xad },	     { 0x34f, 0x34f },
		{ 0x600, 0x605 },     { 0x61c, 0x61c },	    { 0x6dd, 0x6dd },	     { 0x70f, 0x70f },
		{ 0x890, 0x891 },     { 0x8e2, 0x8e2 },	    { 0x115f, 0x1160 },	     { 0x1680, 0x1680 },
		{ 0x17b4, 0x17b5 },   { 0x180b, 0x180f },   { 0x2000, 0x200f },	     { 0x2028, 0x202f },
		{ 0x205f, 0x206f },   { 0x2800, 0x2800 },   { 0x3000, 0x3000 },	     { 0x3164, 0x3164 },
		{ 0xd800, 0xf8ff },   { 0xfdd0, 0xfdef },   { 0xfe00, 0xfe0f },	     { 0xfeff, 0xfeff },
		{ 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0xfffe, 0xffff },	     { 0x110bd, 0x110bd },
		{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },    { 0x1d173, 0x1d17a },
		{ 0x1fffe, 0x1ffff }, { 0x2fffe, 0x2ffff }, { 0x3fffe, UINT32_MAX },
	};

	return (c >= ' ' && c < 0x7f) || !is_among(c, hidden, ARRAY_SIZE(hidden));
}

/* Marks that stand on the character before them: the blocks of those that are of no script. */
static bool is_mark(uint32_t c)
{
	static const struct range marks[] = {
		{ 0x300, 0x36f },   { 0x483, 0x489 },	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
		{ 0x20d0, 0x20ff }, { 0x3099, 0x309a }, { 0xfe20, 0xfe2f },
	};

	return is_among(c, marks, ARRAY_SIZE(marks));
}

/* How a text is written. */
enum manner {
	KEPT,	  /* controls are escaped */
	ESCAPED,  /* whatever does not show itself is */
	QUOTE,	  /* quotes and backslashes as well */
	DOCUMENT, /* of JSON: escaped as JSON has it; blanks of its lines stay */
	STRING,	  /* of JSON: controls, quotes and backslashes */
};

/* The longest: two halves of a surrogate pair in JSON. */
#define PIECE 16

static void write_escape(uint32_t c, bool octet, enum manner manner, char ret[static PIECE])
{
	bool json = manner == DOCUMENT || manner == STRING;

	if (octet)
		snprintf(ret, PIECE, json ? "\\\\x%02x" : "\\x%02x", (unsigned)c & 0xffU);
	else if (!json)
		snprintf(ret, PIECE, c < 0x80 ? "\\x%02x" : "\\u{%X}", (unsigned)c & 0x1fffffU);
	else if (c < 0x10000)
		snprintf(ret, PIECE, "\\u%04x", (unsigned)c & 0xffffU);
	else
		snprintf(ret, PIECE, "\\u%04x\\u%04x", 0xd800U + ((((unsigned)c - 0x10000U) >> 10) & 0x3ffU),
			 0xdc00U + ((unsigned)c & 0x3ffU));
}

static bool stays(uint32_t c, bool first, enum manner manner)
{
	if (manner == KEPT || manner == STRING)
		return !is_control(c);
	if (manner == DOCUMENT && (c == '\n' || c == '\t'))
		return true;
	return text_shows(c) && !(first && manner == QUOTE && is_mark(c));
}

/* Writes the first character of a text. Returns how many octets of it that were. */
static unsigned write_piece(const char *text, size_t left, bool first, enum manner manner, char ret[static PIECE])
{
	uint32_t c = 0;
	unsigned n = utf8_read(text, left, &c);
	bool slash = (manner == QUOTE || manner == STRING) && (c == '"' || c == '\\');

	if (!n || !stays(c, first, manner)) {
		write_escape(n ? c : (unsigned char)*text, !n, manner, ret);
		return n ? n : 1;
	}
	*ret = '\\';
	memcpy(ret + slash, text, n);
	ret[slash + n] = '\0';
	return n;
}

/* Writes what there is room for. Returns its length, and how much of the text is left. */
static size_t write_text(char *ret, size_t room, const char *text, size_t *size, enum manner manner)
{
	size_t used = 0;
	char piece[PIECE];
	bool first = true;

	for (; *size; first = false) {
		unsigned n = write_piece(text, *size, first, manner, piece);
		size_t length = strlen(piece);

		if (used + length >= room)
			break;
		memcpy(ret + used, piece, length);
		used += length;
		text += n;
		*size -= n;
	}
	ret[used] = '\0';
	return used;
}

size_t text_escape(char *ret, size_t room, const char *text, size_t size)
{
	return write_text(ret, room, text, &size, ESCAPED);
}

size_t text_keep(char *ret, size_t room, const char *text, size_t size)
{
	return write_text(ret, room, text, &size, KEPT);
}

size_t text_quote(char *ret, size_t room, const char *text, size_t size)
{
	static const char cut[] = "\"...";
	size_t used = 1 + write_text(ret + 1, room - strlen(cut) - 1, text, &size, QUOTE);

	*ret = '"';
	strcpy(ret + used, size ? cut : "\"");
	return used + strlen(ret + used);
}

const char *text_quoted(const char *text, char ret[static QUOTED_ROOM])
{
	text_quote(ret, QUOTED_ROOM, text, strlen(text));
	return ret;
}

char *text_escaped(const char *text, size_t size)
{
	char *ret = malloc(TEXT_ROOM(size));

	if (ret)
		text_escape(ret, TEXT_ROOM(size), text, size);
	return ret;
}

char *text_word(const char *text)
{
	size_t size = strlen(text);
	char *ret = text_plain(text) ? strdup(text) : malloc(TEXT_ROOM(size));

	if (ret && !text_plain(text))
		text_quote(ret, TEXT_ROOM(size), text, size);
	return ret;
}

/* ASCII that needs no look, which most texts are made of. */
static size_t plain_run(const char *text, size_t size, enum manner manner)
{
	bool string = manner == STRING;
	size_t n = 0;

	while (n < size && text[n] >= ' ' && text[n] < 0x7f && !(string && (text[n] == '"' || text[n] == '\\')))
		n++;
	return n;
}

static void print(FILE *out, const char *text, size_t size, enum manner manner)
{
	char piece[PIECE];

	while (size) {
		size_t n = plain_run(text, size, manner);

		if (n) {
			fwrite(text, 1, n, out);
		} else {
			n = write_piece(text, size, false, manner, piece);
			fputs(piece, out);
		}
		text += n;
		size -= n;
	}
}

void text_print(FILE *out, const char *text, size_t size)
{
	print(out, text, size, ESCAPED);
}

void text_line(FILE *out, const char *before, const char *text)
{
	fputs(before, out);
	text_print(out, text, strlen(text));
	fputc('\n', out);
}

void text_print_json(FILE *out, const char *text, size_t size)
{
	print(out, text, size, DOCUMENT);
}

void text_json_string(FILE *out, const char *text)
{
	fputc('"', out);
	print(out, text, strlen(text), STRING);
	fputc('"', out);
}

bool text_plain(const char *text)
{
	size_t left = strlen(text);
	bool blank = true, first = true;

	while (left) {
		uint32_t c = 0;
		unsigned n = utf8_read(text, left, &c);

		if (!n || !stays(c, first, QUOTE) || c == '"' || c == '\\' || (blank && c == ' '))
			return false;
		blank = c == ' ';
		first = false;
		text += n;
		left -= n;
	}
	return !blank;
}
