// SPDX-License-Identifier: BSD-2-Clause
/* The text of HTML. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_octets.h"
#include "complaints/complaint_words.h"

static bool begins(const char *at, const char *end, const char *word)
{
	while (*word && at < end && tolower((unsigned char)*at) == *word) {
		at++;
		word++;
	}
	return !*word;
}

/* Where a text is found that begins with a sign; NULL: nowhere. */
static const char *find(const char *at, const char *end, const char *text)
{
	while (at < end && (at = memchr(at, *text, (size_t)(end - at))) && !begins(at, end, text))
		at++;
	return at && at < end ? at : NULL;
}

bool octets_tagged(const struct span *s)
{
	static const char *const signs[] = { "<html", "<br", "<td", "<p>", "<div" };

	for (const char *at = s->text; at < s->end && (at = memchr(at, '<', (size_t)(s->end - at))); at++)
		for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
			if (begins(at, s->end, signs[i]))
				return true;
	return false;
}

/* Where something ends that is not shown; NULL: it is no such thing. What has no end hides the rest. */
static const char *end_of_hidden(const char *at, const char *end)
{
	static const struct {
		const char *begin, *end;
	} hidden[] = {
		{ "<!--", "-->" }, { "<script", "</script>" }, { "<style", "</style>" }, { "<title", "</title>" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		const char *stop;

		if (!begins(at, end, hidden[i].begin))
			continue;
		stop = find(at, end, hidden[i].end);
		return stop ? stop + strlen(hidden[i].end) : end;
	}
	return NULL;
}

static bool is_tag(const char *at, const char *end, const char *name)
{
	size_t n = strlen(name);

	return begins(at, end, name) && (at + n == end || !isalnum((unsigned char)at[n]));
}

/* With room for a NUL. */
#define TAG_NAME 12U

/* The name of a tag, with '/' before it if it ends an element, in small letters, cut. */
static void tag_name(const char *tag, const char *end, char ret[static TAG_NAME])
{
	size_t n = 0;

	for (const char *at = tag + 1; at < end && n < TAG_NAME - 1; at++) {
		if (!isalnum((unsigned char)*at) && (n || *at != '/') && (n != 1 || *ret != 'o' || *at != ':'))
			break;
		ret[n++] = (char)tolower((unsigned char)*at);
	}
	ret[n] = '\0';
}

/* Whether a tag has a style of a value: "display: none". */
static bool has_style(const char *tag, const char *end, const char *name, const char *value)
{
	for (const char *at = tag; at < end; at++) {
		const char *p = at + strlen(name);

		if (!begins(at, end, name))
			continue;
		while (p < end && octet_is_of(*p, " \t\n:"))
			p++;
		if (p > at + strlen(name) && p < end && begins(p, end, value) &&
		    (p + strlen(value) >= end || !octet_is_of(p[strlen(value)], ".0123456789")))
			return true;
	}
	return false;
}

/* Whether what is in an element is not shown, or is struck out. */
static bool hides(const char *tag, const char *end, const char *name)
{
	static const char empty[] = "img br hr input meta link area base col embed source track wbr";
	static const char struck[] = "s del strike";
	static const struct {
		const char *name, *value;
	} styles[] = { { "display", "none" },
		       { "visibility", "hidden" },
		       { "mso-hide", "all" },
		       { "font-size", "0" },
		       { "font-size", "0px" },
		       { "font-size", "0pt" },
		       { "text-decoration", "line-through" },
		       { "text-decoration-line", "line-through" } };

	if (*name == '/' || word_in_list(empty, name) || (end - tag > 1 && end[-2] == '/'))
		return false;
	if (word_in_list(struck, name))
		return true;
	if (!memchr(tag, '=', (size_t)(end - tag)))
		return find(tag, end, " hidden>") != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(styles) && memchr(tag, ':', (size_t)(end - tag)); i++)
		if (has_style(tag, end, styles[i].name, styles[i].value))
			return true;
	return find(tag, end, " hidden>") || find(tag, end, " hidden ") || find(tag, end, " hidden=");
}

/* An element that is not shown, up to its end. */
struct veil {
	char name[TAG_NAME]; /* "": what is read is shown */
	unsigned depth;	     /* of elements of that name in it */
};

/* Takes a tag. Returns whether what follows is shown. */
static bool lift(struct veil *v, const char *tag, const char *end)
{
	/* An element that ends where another of its name begins. */
	static const char open[] = "p li td th tr dt dd option";
	char name[TAG_NAME];

	tag_name(tag, end, name);
	if (*v->name && !strcmp(name + (*name == '/'), v->name)) {
		if (*name == '/' || word_in_list(open, name))
			v->depth--;
		else
			v->depth += end[-2] != '/';
		if (!v->depth)
			*v->name = '\0';
	}
	if (!*v->name && hides(tag, end, name)) {
		memcpy(v->name, name, sizeof(name));
		v->depth = 1;
	}
	return !*v->name;
}

/* What is shown in the place of a tag; NUL: nothing. */
static char sign_of(const char *tag, const char *end)
{
	static const char lines[] = "br p /p /tr tr div /div /li li /h1 /h2 /h3 /h4 /h5 /h6 hr /pre /table /ul /dd /dt";
	/* An address may have some within. */
	static const char nothing[] = "span b i u em a font strong code tt small wbr o:p mark";
	char name[TAG_NAME];

	tag_name(tag, end, name);
	if (word_in_list(lines, name))
		return '\n';
	if (word_in_list(nothing, name + (*name == '/')))
		return 0;
	return !strcmp(name, "/td") || !strcmp(name, "/th") ? '\t' : ' ';
}

/* Cells that a row has from rows above. More columns and rows are not told apart, and no longer text is. */
#define SPANNED_COLUMNS 32U
#define SPANNED_ROWS	1000U
#define SPANNED_TEXT	64U

struct spanned {
	unsigned column;
	struct {
		uint16_t rows; /* so many more */
		uint8_t size;
		char text[SPANNED_TEXT];
	} cells[SPANNED_COLUMNS];
	unsigned open; /* column of the cell that is read, which is for several rows; SPANNED_COLUMNS: of none */
	size_t begin;  /* of its text */
};

/* The rows that a cell is for. */
static unsigned rows_of(const char *tag, const char *end)
{
	const char *p = find(tag, end, "rowspan");
	unsigned n = 0;

	for (p = p ? p + 7 : end; p < end && octet_is_of(*p, " =\"'");)
		p++;
	for (; p < end && *p >= '0' && *p <= '9' && n < SPANNED_ROWS; p++)
		n = n * 10 + (unsigned)(*p - '0');
	return n;
}

/* Keeps the text of the cell that is read. */
static void keep_cell(struct spanned *s, const struct octets *out)
{
	size_t size = out->size - s->begin;

	if (s->open < SPANNED_COLUMNS && !out->failed) {
		s->cells[s->open].size = (uint8_t)(size < SPANNED_TEXT ? size : 0);
		memcpy(s->cells[s->open].text, out->text + s->begin, s->cells[s->open].size);
	}
	s->open = SPANNED_COLUMNS;
}

/* Takes a tag of a table: before a cell stand those of rows above that are for this one, too. */
static void span_rows(struct spanned *s, const char *tag, const char *end, const struct span *from, struct octets *out)
{
	bool cell = is_tag(tag, end, "<td") || is_tag(tag, end, "<th");
	unsigned rows;

	if (cell || is_tag(tag, end, "</td") || is_tag(tag, end, "</th") || is_tag(tag, end, "<tr"))
		keep_cell(s, out);
	if (is_tag(tag, end, "<table"))
		*s = (struct spanned){ .open = SPANNED_COLUMNS };
	if (is_tag(tag, end, "<tr"))
		s->column = 0;
	if (!cell)
		return;
	for (; s->column < SPANNED_COLUMNS && s->cells[s->column].rows; s->cells[s->column++].rows--) {
		for (unsigned i = 0; i < s->cells[s->column].size; i++)
			octet_put(out, s->cells[s->column].text[i], span_from(from, tag));
		octet_put(out, '\t', span_from(from, tag));
	}
	rows = s->column < SPANNED_COLUMNS ? rows_of(tag, end) : 0;
	if (rows > 1) {
		s->cells[s->column].rows = (uint16_t)(rows - 1);
		s->open = s->column;
		s->begin = out->size;
	}
	s->column++;
}

/* "&auml;" is read as the letter without its mark, as words are. */
static char letter(const char *at, const char *end, const char **ret_end)
{
	static const char *const marks[] = { "uml;", "acute;", "grave;", "circ;", "tilde;", "cedil;", "ring;" };

	for (size_t i = 0; i < ARRAY_SIZE(marks) && end - at > 2 && isalpha((unsigned char)at[1]); i++)
		if (begins(at + 2, end, marks[i]))
			return *ret_end = at + 2 + strlen(marks[i]), at[1];
	return 0;
}

/* For a character that is not seen. */
#define UNSEEN '\177'

/* The character of a reference "&amp;", which ends at *ret_end; 0: it is none. */
static char entity(const char *at, const char *end, const char **ret_end)
{
	static const struct {
		const char *name;
		char is;
	} names[] = { { "nbsp;", ' ' },	   { "amp;", '&' },    { "lt;", '<' },
		      { "gt;", '>' },	   { "quot;", '"' },   { "apos;", '\'' },
		      { "colon;", ':' },   { "period;", '.' }, { "sol;", '/' },
		      { "minus;", '-' },   { "hyphen;", '-' }, { "lbrack;", '[' },
		      { "rbrack;", ']' },  { "num;", '#' },    { "shy;", UNSEEN },
		      { "zwnj;", UNSEEN }, { "zwj;", UNSEEN }, { "zerowidthspace;", UNSEEN } };
	bool is_hex;
	unsigned long code = 0;
	unsigned digits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (begins(at + 1, end, names[i].name))
			return *ret_end = at + 1 + strlen(names[i].name), names[i].is;
	if (end - at < 3 || at[1] != '#')
		return letter(at, end, ret_end);
	is_hex = at[2] == 'x' || at[2] == 'X';
	for (at += 2 + is_hex;
	     at < end && digits < 7 && (is_hex ? isxdigit((unsigned char)*at) : isdigit((unsigned char)*at));
	     at++, digits++)
		code = code * (is_hex ? 16 : 10) +
		       (unsigned)(isdigit((unsigned char)*at) ? *at - '0' : (*at | 32) - 'a' + 10);
	if (!digits)
		return 0;
	*ret_end = at + (at < end && *at == ';');
	if (code == 0x2192)
		return '>';
	if (code >= ' ' && code < 0x7f)
		return (char)code;
	if (octets_invisible((uint32_t)code))
		return UNSEEN;
	return word_plain((unsigned)code);
}

/* A tag at '<'; NULL: it is none. last: the last '>' of the text, or NULL. */
static const char *end_of_tag(const char *at, const char *end, const char *last)
{
	if (!last || at > last || end - at < 2 || !(isalpha((unsigned char)at[1]) || strchr("/!?", at[1])) || !at[1])
		return NULL;
	return (const char *)memchr(at, '>', (size_t)(end - at)) + 1;
}

void octets_untag(const struct span *s, struct octets *out)
{
	const char *at = s->text, *end = s->end, *last = s->text < end ? memrchr(at, '>', (size_t)(end - at)) : NULL,
		   *next;
	struct spanned spanned = { .open = SPANNED_COLUMNS };
	struct veil veil = { 0 };
	bool table = false;

	while (at < end) {
		char is = *at;

		/* What is not shown has tags alone. */
		if (*veil.name && is != '<' && !(at = memchr(at, '<', (size_t)(end - at))))
			return;
		is = *at;
		next = at + 1;
		if (is == '<' && (next = end_of_hidden(at, end))) {
			is = ' ';
		} else if (is == '<' && (next = end_of_tag(at, end, last))) {
			is = sign_of(at, end);
			if (!lift(&veil, at, next))
				is = ' ';
			if (!*veil.name)
				span_rows(&spanned, at, next, s, out);
			table = is_tag(at, end, "<table") || (table && !is_tag(at, end, "</table"));
			if (!is) {
				at = next;
				continue;
			}
		} else if (is == '&') {
			is = entity(at, end, &next);
			if (is == UNSEEN) {
				at = next;
				continue;
			}
		} else if (table && (is == '\n' || is == '\r')) {
			is = ' ';
		}
		/* A sign that is nothing else stands for itself. */
		if (!next || !is) {
			is = *at;
			if (*veil.name)
				is = ' ';
			next = at + 1;
		}
		octet_put(out, is, span_from(s, at));
		at = next;
	}
}
