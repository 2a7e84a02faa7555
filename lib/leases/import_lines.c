// SPDX-License-Identifier: BSD-2-Clause
/* What the parsers share: lines, cells, texts. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "leases/import_private.h"

int import_lines(struct lease_import *x, FILE *in, import_line line, void *state)
{
	char *text = malloc(IMPORT_LINE_MAX);
	bool rest = false;
	int r = text ? 0 : -ENOMEM;

	while (!r && fgets(text, IMPORT_LINE_MAX, in)) {
		size_t size = strlen(text);
		bool whole = (size && text[size - 1] == '\n') || feof(in);

		x->line += !rest;
		if (!whole && !rest)
			import_skip(x, "the line is longer than %u octets", IMPORT_LINE_MAX);
		while (size && strchr("\r\n", text[size - 1]) && text[size - 1])
			text[--size] = '\0';
		if (whole && !rest)
			r = line(x, state, text, size);
		/* A NUL hides the rest of its line, newline included; the next begins a line then. */
		rest = !whole;
	}
	if (!r && ferror(in))
		r = -EIO;
	free(text);
	return r;
}

int import_skip(struct lease_import *x, const char *format, ...)
{
	va_list ap;

	if (!x->skipped++) {
		int n = snprintf(x->first.text, sizeof(x->first.text), "line %" PRIu64 ": ", x->line);

		va_start(ap, format);
		vsnprintf(x->first.text + n, sizeof(x->first.text) - (size_t)n, format, ap);
		va_end(ap);
	}
	return 0;
}

int import_give(struct lease_import *x, const struct lease_line *l)
{
	if (l->time < TIME_MIN || l->time > TIME_MAX)
		return import_skip(x, "a time that cannot be written");
	x->events++;
	if (x->tenant) {
		struct lease_line of = *l;

		snprintf(of.tenant, sizeof(of.tenant), "%s", x->tenant);
		return x->take(x->arg, &of);
	}
	return x->take(x->arg, l);
}

static int give_line(void *arg, const struct lease_line *l)
{
	return import_give(arg, l);
}

int import_accounting(struct lease_import *x, const struct accounting *a, int64_t received)
{
	unsigned n;
	int r = accounting_lines(a, received, give_line, x, &n);

	return r || n ? r : import_skip(x, "the record has no address, or no Acct-Status-Type that is a lease's");
}

void import_text(char *ret, size_t room, const char *text)
{
	text_keep(ret, room, text, strlen(text));
}

char *import_trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return text;
}

/* "01:02:03" */
static int64_t clock_seconds(const char *text)
{
	unsigned h, m, s;
	int used = 0;

	if (sscanf(text, "%5u:%2u:%2u%n", &h, &m, &s, &used) != 3 || text[used] || m > 59 || s > 59)
		return -1;
	return (int64_t)h * 3600 + (int64_t)m * 60 + s;
}

int64_t import_uptime(const char *text)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = { { 'w', 604800 }, { 'd', 86400 }, { '.', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	int64_t sum = 0;

	if (!*text)
		return -1;
	while (*text) {
		char *end;
		unsigned long n = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
		unsigned i = 0;

		if (!isdigit((unsigned char)*text) || n > 100000)
			return -1;
		if (*end == ':') {
			int64_t rest = clock_seconds(text);

			return rest < 0 ? -1 : sum + rest;
		}
		while (i < ARRAY_SIZE(units) && units[i].unit != *end)
			i++;
		/* Milliseconds do not matter. */
		if (end[0] == 'm' && end[1] == 's' && !end[2])
			return sum;
		if (i == ARRAY_SIZE(units))
			return -1;
		sum += (int64_t)n * units[i].seconds;
		text = end + 1;
	}
	return sum;
}

char *import_csv(char **at, char separator)
{
	char *in = *at, *out, *begin;
	bool quoted;

	if (!in)
		return NULL;
	while (*in == ' ')
		in++;
	quoted = *in == '"';
	begin = out = in += quoted;
	while (*in && (quoted || *in != separator)) {
		if (quoted && *in == '"' && in[1] != '"')
			break;
		in += quoted && *in == '"';
		*out++ = *in++;
	}
	while (*in && *in != separator)
		in++;
	*at = *in ? in + 1 : NULL;
	*out = '\0';
	return begin;
}

static char separator_of(const struct import_columns *c)
{
	return (char)(c->separator ? c->separator : ',');
}

void import_header(struct import_columns *c, char *line)
{
	char *cell;

	c->n = 0;
	while (c->n < IMPORT_COLUMNS && (cell = import_csv(&line, separator_of(c))))
		snprintf(c->name[c->n++], sizeof(c->name[0]), "%s", import_trim(cell));
}

void import_row(struct import_columns *c, char *line)
{
	char *cell;

	c->cells = 0;
	while (c->cells < IMPORT_COLUMNS && (cell = import_csv(&line, separator_of(c))))
		c->cell[c->cells++] = import_trim(cell);
}

static int column_of(const struct import_columns *c, const char *name, size_t size)
{
	for (unsigned i = 0; i < c->n; i++)
		if (strlen(c->name[i]) == size && !strncasecmp(c->name[i], name, size))
			return (int)i;
	return -1;
}

static int find_column(const struct import_columns *c, const char *names)
{
	int column = -1;

	while (column < 0 && *names) {
		size_t size = strcspn(names, "|");

		column = column_of(c, names, size);
		names += size + (names[size] == '|');
	}
	return column;
}

const char *import_cell(const struct import_columns *c, const char *names)
{
	int column = find_column(c, names);

	return column < 0 || (unsigned)column >= c->cells ? "" : c->cell[column];
}

bool import_has(const struct import_columns *c, const char *names)
{
	return find_column(c, names) >= 0;
}
