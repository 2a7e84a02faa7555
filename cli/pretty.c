// SPDX-License-Identifier: BSD-2-Clause
/* Indents JSON without parsing it: only strings, brackets and commas are told apart. */
#include "pretty.h"

#include <string.h>

#include "base/text.h"

#define INDENT 2

static void new_line(FILE *out, unsigned depth)
{
	fprintf(out, "\n%*s", (int)(depth * INDENT), "");
}

/* Writes a string, from its first quotation mark to its last. Returns its octets. */
static size_t write_string(FILE *out, const char *text, size_t size)
{
	size_t i = 1;

	while (i < size && text[i] != '"')
		i += text[i] == '\\' ? 2 : 1;
	i = i < size ? i + 1 : size;
	text_print_json(out, text, i);
	return i;
}

static size_t skip_blanks(const char *text, size_t i, size_t size)
{
	while (i < size && strchr(" \t\r\n", text[i]))
		i++;
	return i;
}

/* Writes the bracket at i, and its closing one if nothing is between. Returns the octets taken. */
static size_t open_bracket(FILE *out, const char *text, size_t i, size_t size, unsigned *depth)
{
	size_t next = skip_blanks(text, i + 1, size);

	fputc(text[i], out);
	if (next < size && (text[next] == '}' || text[next] == ']')) {
		fputc(text[next], out);
		return next + 1 - i;
	}
	new_line(out, ++*depth);
	return 1;
}

void pretty_json(FILE *out, const char *text, size_t size, unsigned depth)
{
	fprintf(out, "%*s", (int)(depth * INDENT), "");
	for (size_t i = skip_blanks(text, 0, size); i < size; i = skip_blanks(text, i, size)) {
		switch (text[i]) {
		case '"':
			i += write_string(out, text + i, size - i);
			continue;
		case '{':
		case '[':
			i += open_bracket(out, text, i, size, &depth);
			continue;
		case '}':
		case ']':
			depth -= depth > 0;
			new_line(out, depth);
			fputc(text[i], out);
			break;
		case ',':
			fputc(',', out);
			new_line(out, depth);
			break;
		case ':':
			fputs(": ", out);
			break;
		default:
			text_print_json(out, text + i, 1);
		}
		i++;
	}
}
