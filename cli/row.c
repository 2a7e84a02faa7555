// SPDX-License-Identifier: BSD-2-Clause
#include "row.h"

#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/base.h"
#include "base/text.h"

#define GAP    2 /* between cells */
#define INDENT 4 /* of the further lines of a row */

/* The last cell goes on in its own column where that is at least so wide. */
#define LAST_LEAST 24

/* Columns of a terminal that a character takes: marks on others take none, those of East Asia two. */
static int character_width(uint32_t c)
{
	static locale_t utf8;
	locale_t before;
	int width;

	if (c < 0x7f)
		return 1;
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	before = uselocale(utf8);
	width = wcwidth((wchar_t)c);
	uselocale(before);
	return width < 0 ? 1 : width;
}

/* The octets of a text, at most all of it, that fit into so many columns; *ret_width is how many they take. */
static size_t fitting(const char *text, int columns, int *ret_width)
{
	size_t n = 0, left = strlen(text);
	int width = 0;

	while (left) {
		uint32_t c = '?';
		unsigned size = utf8_read(text + n, left, &c);
		int more = character_width(c);

		if (width + more > columns)
			break;
		width += more;
		n += size ? size : 1;
		left -= size ? size : 1;
	}
	*ret_width = width;
	return n;
}

int row_text_width(const char *text)
{
	int width;

	fitting(text, INT_MAX, &width);
	return width;
}

/*
 * Prints a text into the `room` columns that are left on this line, and on further lines from column `at` to the end:
 * as many as it takes.
 */
static void print_broken(FILE *out, const char *text, int room, int at, int columns)
{
	for (;; room = columns - at) {
		int width;
		size_t n = fitting(text, room, &width), end = n;

		if (!text[n]) {
			fputs(text, out);
			return;
		}
		while (end && text[end] != ' ')
			end--;
		/* A word that is too long is broken anywhere; one character goes there in any case. */
		end = end ? end : n ? n : 1;
		fwrite(text, 1, end, out);
		for (text += end; *text == ' ';)
			text++;
		if (!*text)
			return;
		fprintf(out, "\n%*s", at, "");
	}
}

void row_print_line(FILE *out, int columns, const char *line, int hang)
{
	_cleanup_free_ char *text = text_escaped(line, strlen(line));

	if (text && columns > 2 * hang)
		print_broken(out, text, columns, hang, columns);
	else
		fputs(text ? text : "", out);
	fputc('\n', out);
}

void row_print(FILE *out, int columns, const struct cell *cells, unsigned n)
{
	int printed = 0, next = 0; /* columns of this line that are, and the one where the next cell begins */

	for (const struct cell *c = cells; c < cells + n; c++) {
		_cleanup_free_ char *escaped = text_escaped(c->text, strlen(c->text));
		const char *text = escaped ? escaped : "";
		bool last = c + 1 == cells + n && !c->right;
		int needs = row_text_width(text), width = needs > c->width ? needs : c->width, at;

		if (columns && next && next + width > columns && !(last && columns - next >= LAST_LEAST)) {
			fputc('\n', out);
			printed = 0;
			next = INDENT;
		}
		at = next + (c->right ? width - needs : 0);
		next += width + GAP;
		if (!needs)
			continue;
		fprintf(out, "%*s", at - printed, "");
		if (columns > at && needs > columns - at)
			print_broken(out, text, columns - at, at, columns);
		else
			fputs(text, out);
		printed = at + needs;
	}
	fputc('\n', out);
}
