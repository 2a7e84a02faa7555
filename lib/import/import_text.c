// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_text.h"

#include <string.h>
#include <strings.h>

#include "import/import.h"

/* The encoding of a text that is neither UTF-8 nor of single octets; NULL: it is one of these. */
static const char *other_encoding(const unsigned char *t, size_t size)
{
	if (size >= 4 &&
	    ((!t[0] && !t[1] && t[2] == 0xfe && t[3] == 0xff) || (t[0] == 0xff && t[1] == 0xfe && !t[2] && !t[3])))
		return "UTF-32";
	if (size >= 2 && ((t[0] == 0xff && t[1] == 0xfe) || (t[0] == 0xfe && t[1] == 0xff)))
		return "UTF-16";
	if (size >= 4 && ((t[0] && !t[1] && t[2] && !t[3]) || (!t[0] && t[1] && !t[2] && t[3])))
		return "UTF-16";
	return NULL;
}

static uint64_t count_lines(const char *text, size_t size)
{
	uint64_t n = 0;
	const char *at = text, *end = text + size;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		n++;
		at++;
	}
	return n + (size && text[size - 1] != '\n');
}

int import_text_check(const char *text, size_t size, const char *name, struct import_text *ret, uint32_t *ret_lines,
		      struct error *err)
{
	const char *encoding = other_encoding((const unsigned char *)text, size);
	const char *nul;
	uint64_t lines;

	if (size && (text[0] == '\x1f' && size > 1 && text[1] == '\x8b'))
		return error_set(err, -EINVAL, "%.60s: is compressed; zcat FILE | detnatctl import FORMAT - reads it",
				 name);
	if (encoding)
		return error_set(err, -EINVAL, "%.60s: is %s; iconv -f %s -t UTF-8 makes it readable", name, encoding,
				 encoding);
	nul = size ? memchr(text, 0, size) : NULL;
	if (nul)
		return error_set(err, -EINVAL, "%.60s:%llu: is no text: it has an octet of 0", name,
				 (unsigned long long)count_lines(text, (size_t)(nul - text)) +
					 (nul == text || nul[-1] == '\n'));
	lines = count_lines(text, size);
	if (size > IMPORT_MAX_FILE || lines > IMPORT_MAX_LINE)
		return error_set(err, -EINVAL, "%.60s: is too large: at most 2 GiB and %u lines are read", name,
				 IMPORT_MAX_LINE);
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		size -= 3;
	}
	*ret = (struct import_text){ text, size };
	*ret_lines = (uint32_t)lines;
	return 0;
}

int import_lines_begin(struct import_lines *l, const struct import_text *text, bool continues)
{
	memset(l, 0, offsetof(struct import_lines, word));
	l->n_words = 0;
	l->text = *text;
	l->continues = continues;
	l->buffer = malloc(IMPORT_LINE + 1);
	return l->buffer ? 0 : -ENOMEM;
}

void import_lines_end(struct import_lines *l)
{
	free(l->buffer);
	l->buffer = NULL;
}

/* Appends the next line of the text to the buffer. */
static void append_line(struct import_lines *l)
{
	const char *from = l->text.text + l->at;
	size_t left = l->text.size - l->at;
	const char *newline = memchr(from, '\n', left);
	size_t n = newline ? (size_t)(newline - from) : left;

	l->at += n + !!newline;
	l->next++;
	while (n && strchr(" \t\r\f\v", from[n - 1]))
		n--;
	if (n > IMPORT_LINE - l->length) {
		n = IMPORT_LINE - l->length;
		l->too_long = true;
	}
	memcpy(l->buffer + l->length, from, n);
	l->length += n;
	l->buffer[l->length] = '\0';
}

/*
 * " 0   ;;; a remark" and "     chain=srcnat action=…" below it are one entry. The remark ends with its line, and is
 * left out. Returns whether the next line goes on.
 */
static bool goes_on(struct import_lines *l)
{
	const char *here = l->buffer + strspn(l->buffer, " \t"), *next = l->text.text + l->at;
	size_t left = l->text.size - l->at, digits = strspn(here, "0123456789"), blanks = 0, n = 0;
	char *remark;

	while (blanks < left && (next[blanks] == ' ' || next[blanks] == '\t'))
		blanks++;
	while (blanks + n < left && !strchr(" \t\r\n=", next[blanks + n]))
		n++;
	if (!digits || !here[digits] || !strchr(" \t", here[digits]) || (size_t)(here - l->buffer) >= blanks || !n ||
	    blanks + n == left || next[blanks + n] != '=')
		return false;
	remark = strstr(l->buffer, ";;;");
	if (remark) {
		*remark = '\0';
		l->length = (size_t)(remark - l->buffer);
	}
	if (l->length < IMPORT_LINE)
		l->buffer[l->length++] = ' ';
	l->at += blanks;
	return true;
}

bool import_lines_next(struct import_lines *l)
{
	if (l->at >= l->text.size)
		return false;
	l->length = 0;
	l->too_long = false;
	append_line(l);
	l->line = l->next;
	while (l->continues && l->length && l->buffer[l->length - 1] == '\\' && l->at < l->text.size) {
		l->buffer[--l->length] = '\0';
		/* RouterOS breaks values, too, and indents what follows. */
		while (l->at < l->text.size && (l->text.text[l->at] == ' ' || l->text.text[l->at] == '\t'))
			l->at++;
		append_line(l);
	}
	while (l->joins && goes_on(l))
		append_line(l);
	return true;
}

/* Reads a word that may have quotes in it, in place. Returns the end of what was read. */
static char *read_word(char *from, const char *apart)
{
	char *to = from;
	char quote = 0;

	for (; *from; from++) {
		if (quote) {
			if (*from == quote) {
				quote = 0;
				continue;
			}
			if (*from == '\\' && quote == '"' && from[1])
				from++;
		} else if (*from == '"' || *from == '\'') {
			quote = *from;
			continue;
		} else if (*from == ' ' || *from == '\t' || strchr(apart, *from)) {
			break;
		}
		*to++ = *from;
	}
	if (to < from)
		*to = '\0';
	return from;
}

void import_lines_words(struct import_lines *l, const char *apart, char comment)
{
	char *at = l->buffer;

	l->n_words = 0;
	for (;;) {
		char *end;
		bool last;

		while (*at == ' ' || *at == '\t' || (*at && strchr(apart, *at)))
			at++;
		if (!*at || (comment && *at == comment) || l->n_words == IMPORT_WORDS)
			return;
		l->word[l->n_words++] = at;
		end = read_word(at, apart);
		last = !*end;
		*end = '\0';
		if (last)
			return;
		at = end + 1;
	}
}

bool import_begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

bool import_holds(const char *text, const char *word)
{
	return strcasestr(text, word);
}
