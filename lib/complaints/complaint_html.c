// SPDX-License-Identifier: BSD-2-Clause
/* The text of HTML, in place. What a browser would not show, such as scripts and comments, is no part of it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

static bool is_html(const char *text)
{
	static const char *const signs[] = { "<html", "<br", "<td", "<p>", "<div" };

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (strcasestr(text, signs[i]))
			return true;
	return false;
}

/* Where something ends that is not shown; NULL: it is no such thing. What has no end hides the rest. */
static const char *end_of_hidden(const char *at)
{
	static const struct {
		const char *begin, *end;
	} hidden[] = { { "<!--", "-->" }, { "<script", "</script>" }, { "<style", "</style>" } };

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		const char *end;

		if (strncasecmp(at, hidden[i].begin, strlen(hidden[i].begin)) != 0)
			continue;
		end = strcasestr(at, hidden[i].end);
		return end ? end + strlen(hidden[i].end) : at + strlen(at);
	}
	return NULL;
}

/* What is shown in the place of a tag. */
static char sign_of(const char *tag)
{
	static const char *const lines[] = { "<br", "<p", "</p", "</tr", "</div", "</li", "</h" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strncasecmp(tag, lines[i], strlen(lines[i])) && !isalpha((unsigned char)tag[strlen(lines[i])]))
			return '\n';
	return !strncasecmp(tag, "</td", 4) || !strncasecmp(tag, "</th", 4) ? '\t' : ' ';
}

/* Tags within a line, which separate nothing: an address may have some. */
static bool is_inline(const char *tag)
{
	static const char *const names[] = { "span", "b", "i", "u", "em", "a", "font", "strong", "code", "tt", "small", "wbr", "o:p", "mark" };

	tag += 1 + (tag[1] == '/');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncasecmp(tag, names[i], strlen(names[i])) && !isalnum((unsigned char)tag[strlen(names[i])]))
			return true;
	return false;
}

/* The character of a reference "&amp;", which ends at *ret_end; 0: it is none. */
static char entity(const char *at, const char **ret_end)
{
	static const struct {
		const char *name;
		char is;
	} names[] = { { "nbsp;", ' ' }, { "amp;", '&' },   { "lt;", '<' },    { "gt;", '>' },
		      { "quot;", '"' }, { "apos;", '\'' }, { "colon;", ':' }, { "period;", '.' } };
	bool number = at[1] == '#', is_hex = number && (at[2] == 'x' || at[2] == 'X');
	char *end;
	unsigned long code;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(at + 1, names[i].name, strlen(names[i].name)))
			return *ret_end = at + 1 + strlen(names[i].name), names[i].is;
	if (!number || !isxdigit((unsigned char)at[2 + is_hex]))
		return 0;
	code = strtoul(at + 2 + is_hex, &end, is_hex ? 16 : 10);
	*ret_end = end + (*end == ';');
	return (char)(code >= ' ' && code < 0x7f ? code : ' ');
}

/* A tag at '<'; NULL: it is none. last: the last '>' of the text, or NULL. */
static const char *end_of_tag(const char *at, const char *last)
{
	if (at > last || !(isalpha((unsigned char)at[1]) || (at[1] && strchr("/!?", at[1]))))
		return NULL;
	return strchr(at, '>') + 1;
}

size_t complaint_untag(char *text, size_t size)
{
	const char *at = text, *end, *last = strrchr(text, '>');
	char *out = text;
	bool table = false;

	if (!is_html(text))
		return size;
	while (*at) {
		char is = *at;

		end = at + 1;
		if (is == '<' && (end = end_of_hidden(at))) {
			is = ' ';
		} else if (is == '<' && (end = end_of_tag(at, last))) {
			if (is_inline(at)) {
				at = end;
				continue;
			}
			is = sign_of(at);
			table = !strncasecmp(at, "<table", 6) || (table && strncasecmp(at, "</table", 7) != 0);
		} else if (is == '&') {
			is = entity(at, &end);
		} else if (table && (is == '\n' || is == '\r')) {
			is = ' ';
		}
		/* A sign that is nothing else stands for itself. */
		if (!end || !is) {
			is = *at;
			end = at + 1;
		}
		*out++ = is;
		at = end;
	}
	*out = '\0';
	return (size_t)(out - text);
}
