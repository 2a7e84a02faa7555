/* SPDX-License-Identifier: BSD-2-Clause */
/* A strict RFC 8259 scanner: accepts exactly the grammar, and records the line of each value in document order. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/json_scan.h"
#include "base/text.h"

struct scan {
	const char *at;
	const char *end;
	unsigned line;
	unsigned depth;
	unsigned *lines; /* lines of the values, each before those inside it */
	size_t n_lines;
	size_t room;
	struct json_path path;
	struct json_fault *fault;
};

static int scan_value(struct scan *s, unsigned line);

static int __attribute__((format(printf, 2, 3))) fault(struct scan *s, const char *format, ...)
{
	va_list ap;

	s->fault->line = s->line;
	s->fault->path = s->path;
	va_start(ap, format);
	vsnprintf(s->fault->text, sizeof(s->fault->text), format, ap);
	va_end(ap);
	return -EINVAL;
}

static int unexpected(struct scan *s, const char *wanted)
{
	if (s->at == s->end)
		return fault(s, "the text ends where %s should be", wanted);

	unsigned char c = (unsigned char)*s->at;

	if (c > ' ' && c < 0x7f)
		return fault(s, "'%c' where %s should be", c, wanted);
	return fault(s, "octet 0x%02x where %s should be", c, wanted);
}

static void skip_blanks(struct scan *s)
{
	for (; s->at < s->end; s->at++) {
		if (*s->at == '\n')
			s->line++;
		else if (*s->at != ' ' && *s->at != '\t' && *s->at != '\r')
			return;
	}
}

/* Whether the next character is c; if so, skips it. */
static bool take(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* One character of two octets or more. */
static int scan_utf8(struct scan *s)
{
	uint32_t c;
	unsigned size = utf8_read(s->at, (size_t)(s->end - s->at), &c);

	if (!size)
		return fault(s, "a string that is not UTF-8");
	s->at += size;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The four digits of \uXXXX. */
static int scan_hex(struct scan *s, unsigned *ret)
{
	unsigned code = 0;

	for (int i = 0; i < 4; i++) {
		int digit = s->at < s->end ? hex_digit(*s->at) : -1;

		if (digit < 0)
			return fault(s, "\\u without four hexadecimal digits");
		code = code << 4 | (unsigned)digit;
		s->at++;
	}
	*ret = code;
	return 0;
}

static int scan_escape(struct scan *s)
{
	unsigned code, low;
	int r;

	if (s->at == s->end)
		return fault(s, "a string that does not end");
	if (!take(s, 'u')) {
		if (!*s->at || !strchr("\"\\/bfnrt", *s->at))
			return fault(s, "an escape that JSON does not have");
		s->at++;
		return 0;
	}
	r = scan_hex(s, &code);
	if (r < 0)
		return r;
	if (!code)
		return fault(s, "a NUL in a string");
	if (code < 0xd800 || code > 0xdfff)
		return 0;
	if (code > 0xdbff || !take(s, '\\') || !take(s, 'u') || scan_hex(s, &low) < 0 || low < 0xdc00 || low > 0xdfff)
		return fault(s, "half a surrogate pair in a string");
	return 0;
}

/* Scans from after the opening quote to after the closing one. */
static int scan_string(struct scan *s)
{
	while (s->at < s->end) {
		unsigned char c = (unsigned char)*s->at;
		int r = 0;

		if (take(s, '"'))
			return 0;
		if (take(s, '\\'))
			r = scan_escape(s);
		else if (c < ' ')
			return c == '\n' ? fault(s, "a string that does not end on its line")
					 : fault(s, "control character 0x%02x in a string", c);
		else if (c < 0x80)
			s->at++;
		else
			r = scan_utf8(s);
		if (r < 0)
			return r;
	}
	return fault(s, "a string that does not end");
}

static size_t take_digits(struct scan *s)
{
	const char *start = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return (size_t)(s->at - start);
}

static int scan_number(struct scan *s)
{
	const char *start = s->at;

	take(s, '-');
	if (!take(s, '0') && !take_digits(s))
		return unexpected(s, "a digit");
	if (take(s, '.') && !take_digits(s))
		return unexpected(s, "a digit");
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			take(s, '-');
		if (!take_digits(s))
			return unexpected(s, "a digit");
	}
	return (size_t)(s->at - start) > JSON_MAX_NUMBER
		       ? fault(s, "a number of more than %u characters", JSON_MAX_NUMBER)
		       : 0;
}

static int scan_array(struct scan *s)
{
	skip_blanks(s);
	if (take(s, ']'))
		return 0;
	for (size_t i = 0;; i++) {
		size_t before = json_path_add_index(&s->path, i);
		int r;

		skip_blanks(s);
		r = scan_value(s, s->line);
		if (r < 0)
			return r;
		json_path_cut(&s->path, before);
		skip_blanks(s);
		if (take(s, ']'))
			return 0;
		if (!take(s, ','))
			return unexpected(s, "a comma or ]");
	}
}

static int scan_object(struct scan *s)
{
	skip_blanks(s);
	if (take(s, '}'))
		return 0;
	for (;;) {
		skip_blanks(s);
		if (!take(s, '"'))
			return unexpected(s, "a key in quotes");

		unsigned line = s->line;
		const char *key = s->at;
		int r = scan_string(s);

		if (r < 0)
			return r;

		size_t before = json_path_add_key(&s->path, key, (size_t)(s->at - 1 - key));

		skip_blanks(s);
		if (!take(s, ':'))
			return unexpected(s, "a colon");
		skip_blanks(s);
		r = scan_value(s, line);
		if (r < 0)
			return r;
		json_path_cut(&s->path, before);
		skip_blanks(s);
		if (take(s, '}'))
			return 0;
		if (!take(s, ','))
			return unexpected(s, "a comma or }");
	}
}

static int scan_word(struct scan *s, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size))
		return unexpected(s, "a value");
	s->at += size;
	return 0;
}

static int scan_value(struct scan *s, unsigned line)
{
	int r;

	if (s->n_lines == s->room)
		return fault(s, "more than %u values", JSON_MAX_VALUES);
	s->lines[s->n_lines++] = line;
	if (s->depth == JSON_MAX_DEPTH)
		return fault(s, "nested more than %u deep", JSON_MAX_DEPTH);

	s->depth++;
	if (take(s, '{'))
		r = scan_object(s);
	else if (take(s, '['))
		r = scan_array(s);
	else if (take(s, '"'))
		r = scan_string(s);
	else if (s->at < s->end && (*s->at == '-' || (*s->at >= '0' && *s->at <= '9')))
		r = scan_number(s);
	else if (s->at < s->end && *s->at == 't')
		r = scan_word(s, "true");
	else if (s->at < s->end && *s->at == 'f')
		r = scan_word(s, "false");
	else if (s->at < s->end && *s->at == 'n')
		r = scan_word(s, "null");
	else
		r = unexpected(s, "a value");
	s->depth--;
	return r;
}

static int scan_document(struct scan *s)
{
	int r;

	if (s->end - s->at >= 3 && !memcmp(s->at, "\xef\xbb\xbf", 3)) /* byte order mark */
		s->at += 3;
	skip_blanks(s);
	if (s->at == s->end)
		return fault(s, "there is nothing in it");
	r = scan_value(s, s->line);
	if (r < 0)
		return r;
	skip_blanks(s);
	return s->at == s->end ? 0 : unexpected(s, "the end");
}

/* Stores the lines in the values; both are in document order. */
static const unsigned *note_lines(cJSON *value, const unsigned *line)
{
	for (; value; value = value->next) {
		value->valueint = (int)*line++;
		line = note_lines(value->child, line);
	}
	return line;
}

int json_read(const char *text, size_t size, cJSON **ret, struct json_fault *ret_fault)
{
	/* Each value has an octet, but one that is missing at the end. */
	size_t room = size < JSON_MAX_VALUES ? size + 1 : JSON_MAX_VALUES;
	_cleanup_free_ unsigned *lines = malloc(room * sizeof(*lines));
	struct scan s = { .at = text, .end = text + size, .line = 1, .lines = lines, .room = room, .fault = ret_fault };
	cJSON *json;
	int r;

	if (!lines)
		return -ENOMEM;
	r = scan_document(&s);
	if (r < 0)
		return r;
	json = cJSON_ParseWithLengthOpts(text, size, NULL, 0);
	if (!json)
		return -ENOMEM;
	note_lines(json, lines);
	*ret = json;
	return 0;
}
