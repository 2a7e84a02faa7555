// SPDX-License-Identifier: BSD-2-Clause
/* What the parsers share: lines, cells, texts. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
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

int import_give(void *import, const struct lease_line *l)
{
	struct lease_import *x = import;

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

int import_time_read(const struct lease_import *x, const char *text, struct import_time *ret, struct error *err)
{
	struct zone zone = x->zone;
	struct import_time found;
	int r;

	zone.twice = TWICE_FIRST;
	r = zone_time_read(text, &zone, &found.early, err);
	zone.twice = TWICE_SECOND;
	r = r ? r : zone_time_read(text, &zone, &found.late, err);
	if (!r)
		*ret = found;
	return r;
}

int import_accounting(struct lease_import *x, struct accounting *a, struct import_time received)
{
	unsigned n;
	int r;

	accounting_date(&x->servers, a, received.late);
	if (received.early < received.late)
		a->early = (a->early == TIME_NONE ? a->time : a->early) - (received.late - received.early);
	r = accounting_lines(a, import_give, x, &n);
	if (r || n)
		return r;
	return import_skip(x, a->stale ? "the record had waited for more than a day when it was received"
				       : "the record has no address, or no Acct-Status-Type that is a lease's");
}

void import_text(char *ret, size_t room, const char *text)
{
	text_keep(ret, room, text, strlen(text));
}

void import_octets(char *ret, size_t room, char *octets, size_t size)
{
	size_t n = 0;

	octets[size] = '\0';
	if (strlen(octets) == size && text_printable(octets)) {
		import_text(ret, room, octets);
		return;
	}
	ret[0] = '\0';
	for (size_t i = 0; i < size && n + 4 <= room; i++)
		n += (size_t)snprintf(ret + n, room - n, "%s%02x", i ? ":" : "", (unsigned char)octets[i]);
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

static const char *escaped(const char *at, bool hex, char *ret)
{
	static const char letters[] = "abfnrtv", meant[] = "\a\b\f\n\r\t\v";
	char digits[4] = { 0 };
	size_t n = hex ? 2 : 3;
	const char *letter;

	strncpy(digits, at, n);
	if (strspn(digits, hex ? "0123456789ABCDEF" : "01234567") == n) {
		*ret = (char)strtoul(digits, NULL, hex ? 16 : 8);
		return at + n;
	}
	letter = strchr(letters, *at);
	*ret = *at;
	if (letter)
		*ret = meant[letter - letters];
	return at + 1;
}

size_t import_unquote(char *text, bool hex, char **ret_end)
{
	const char *in = text;
	char *out = text;

	while (*in && *in != '"') {
		if (*in == '\\' && in[1])
			in = escaped(in + 1, hex, out);
		else
			*out = *in++;
		out++;
	}
	*ret_end = *in ? text + (in + 1 - text) : NULL;
	return (size_t)(out - text);
}

/* A cell in the form of RFC 4180: unquotes in place, and *at moves behind it; NULL: no more. */
static char *quoted_cell(struct import_columns *c, char **at, char separator)
{
	char *in = *at, *out, *begin;
	bool quoted;

	while (*in == ' ')
		in++;
	quoted = *in == '"';
	begin = out = in += quoted;
	while (*in && (quoted || *in != separator)) {
		if (quoted && *in == '"' && in[1] != '"')
			break;
		c->wrong |= !quoted && *in == '"';
		in += quoted && *in == '"';
		*out++ = *in++;
	}
	c->open |= quoted && !*in;
	in += quoted && *in;
	while (*in && *in != separator)
		c->wrong |= !isspace((unsigned char)*in++);
	*at = *in ? in + 1 : NULL;
	*out = '\0';
	return begin;
}

static void split(struct import_columns *c, char *line)
{
	char separator[] = { (char)(c->separator ? c->separator : ','), '\0' };

	c->cells = 0;
	c->open = c->wrong = false;
	while (line && c->cells < IMPORT_COLUMNS)
		c->cell[c->cells++] =
			import_trim(c->plain ? strsep(&line, separator) : quoted_cell(c, &line, *separator));
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

/*
 * A row may have names with newlines in them, so one without quotes ends where it has all cells: no name makes a row of
 * its own. What its server says itself is in the first cell.
 */
struct table {
	struct import_columns *columns;
	const char *needs[2];
	import_take_row take;
	unsigned lines; /* of the row */
	size_t size;
	char text[IMPORT_LINE_MAX], cells[IMPORT_LINE_MAX];
};

#define ROW_LINES 256U

static int table_line(struct lease_import *x, void *state, char *line, size_t size)
{
	struct table *t = state;
	struct import_columns *c = t->columns;
	bool rule = line[strspn(line, " -+")] == '\0', begun;

	if (!t->lines && rule)
		return 0;
	if (!c->n) {
		split(c, line);
		for (c->n = 0; c->n < c->cells; c->n++)
			snprintf(c->name[c->n], sizeof(c->name[0]), "%s", c->cell[c->n]);
		return find_column(c, t->needs[0]) >= 0 && find_column(c, t->needs[1]) >= 0 ? 0 : -EBADMSG;
	}
	if (t->size + size + 2 > sizeof(t->text) || t->lines == ROW_LINES) {
		t->size = t->lines = 0;
		return import_skip(x, "the row before this line does not end");
	}
	if (t->lines++)
		t->text[t->size++] = '\n';
	memcpy(t->text + t->size, line, size + 1);
	t->size += size;
	memcpy(t->cells, t->text, t->size + 1);
	split(c, t->cells);
	begun = c->cells > 1 && *c->cell[0];
	if (c->open || (c->plain && c->cells < c->n && begun))
		return 0;
	t->size = t->lines = 0;
	if (c->wrong || c->cells > c->n || (c->plain && c->cells < c->n))
		return import_skip(x, "the row does not have the cells of the header");
	return t->take(x, c);
}

int import_table(struct lease_import *x, FILE *in, struct import_columns *c, const char *need, const char *and,
		 import_take_row take)
{
	_cleanup_free_ struct table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->columns = c;
	t->needs[0] = need;
	t->needs[1] = and;
	t->take = take;
	r = import_lines(x, in, table_line, t);
	return r || !t->lines ? r : import_skip(x, "the last row does not end");
}

const char *import_cell(const struct import_columns *c, const char *names)
{
	int column = find_column(c, names);

	return column < 0 || (unsigned)column >= c->cells ? "" : c->cell[column];
}
