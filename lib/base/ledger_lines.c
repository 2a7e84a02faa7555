// SPDX-License-Identifier: BSD-2-Clause
#include "base/ledger_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"

#define FILE_BEGIN     "{\"file\":\""
#define PREVIOUS_BEGIN "\",\"previous\":\""
#define LINE_BEGIN     "\",\"line\":"
#define FILE_SIZE      strlen("leases-2026-01-31.jsonl") /* of the other kinds, too */

/* Moves over a text; false: it is not there. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *at) < n || memcmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}

/* The octets from here on. false: there are less. */
static bool take_octets(const char **at, const char *end, char *ret, size_t n)
{
	if ((size_t)(end - *at) < n)
		return false;
	memcpy(ret, *at, n);
	ret[n] = '\0';
	*at += n;
	return true;
}

static int read_entry(enum ledger_kind kind, const char *at, const char *end, ledger_lines_take take, void *arg)
{
	char file[LEDGER_NAME], previous[HASH_TEXT];
	int64_t begin;

	if (!skip(&at, end, FILE_BEGIN) || !take_octets(&at, end, file, FILE_SIZE) || !skip(&at, end, PREVIOUS_BEGIN) ||
	    !take_octets(&at, end, previous, HASH_TEXT - 1) || !skip(&at, end, LINE_BEGIN) || at >= end ||
	    end[-1] != '}' || ledger_file_begin(kind, file, &begin))
		return -EBADMSG;
	/* Lines without hashes have none before them, and 1.0.0 wrote what octets there were. */
	if (strspn(previous, "0123456789abcdef") != HASH_TEXT - 1)
		memcpy(previous, HASH_NONE, HASH_TEXT);
	return take(arg, file, previous, at, (size_t)(end - 1 - at));
}

int ledger_lines_read(enum ledger_kind kind, const char *text, size_t size, ledger_lines_take take, void *arg,
		      uint64_t *ret_line)
{
	const char *end = text + size, *newline;
	uint64_t line = 0;
	int r = 0;

	for (; !r && text < end; text = newline + 1) {
		line++;
		newline = memchr(text, '\n', (size_t)(end - text));
		if (!newline)
			newline = end;
		r = newline == end ? -EBADMSG : read_entry(kind, text, newline, take, arg);
		if (newline == end)
			break;
	}
	if (ret_line)
		*ret_line = line;
	return r;
}

void ledger_line_write(FILE *out, const char *file, const char *previous, const char *line, size_t size)
{
	fprintf(out, FILE_BEGIN "%s" PREVIOUS_BEGIN "%s" LINE_BEGIN "%.*s}\n", file, previous, (int)size, line);
}
