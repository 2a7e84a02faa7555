// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_columns.h"

#include <string.h>

#include "import/import_build.h"

static const char separators[] = { [APART_BLANK] = ' ',	    [APART_BLANKS] = ' ', [APART_TAB] = '\t',
				   [APART_SEMICOLON] = ';', [APART_BAR] = '|',	  [APART_COMMA] = ',' };

static enum import_apart apart_of(const char *line)
{
	static const enum import_apart in_turn[] = { APART_TAB, APART_SEMICOLON, APART_BAR, APART_COMMA };

	for (size_t i = 0; i < ARRAY_SIZE(in_turn); i++)
		if (strchr(line, separators[in_turn[i]]))
			return in_turn[i];
	return strstr(line, "  ") ? APART_BLANKS : APART_BLANK;
}

/* The end of a cell that begins here. */
static char *end_of(enum import_apart apart, char *at)
{
	bool quoted = false;

	for (; *at; at++) {
		quoted ^= *at == '"';
		if (quoted)
			continue;
		if (apart == APART_BLANKS ? at[0] == ' ' && (at[1] == ' ' || !at[1]) : *at == separators[apart])
			return at;
	}
	return at;
}

static char *trim(char *cell)
{
	size_t n;

	cell += strspn(cell, " \t\"'");
	n = strlen(cell);
	while (n && strchr(" \t\"'", cell[n - 1]))
		cell[--n] = '\0';
	return cell;
}

unsigned import_columns_cut(enum import_apart apart, char *line, char *cell[IMPORT_COLUMNS])
{
	bool blank = apart == APART_BLANK || apart == APART_BLANKS;
	unsigned n = 0;

	/* Bars may stand around a line, too. */
	line += strspn(line, apart == APART_BAR ? " \t|" : blank ? " " : "");
	while (n < IMPORT_COLUMNS) {
		char *end = end_of(apart, line);
		bool last = !*end;

		*end = '\0';
		cell[n++] = trim(line);
		if (last)
			break;
		line = end + 1;
		line += blank ? strspn(line, " ") : 0;
		if ((blank || apart == APART_BAR) && !*line)
			break;
	}
	return n;
}

static void name_columns(struct import_columns *c)
{
	char text[sizeof(c->header)], *cell[IMPORT_COLUMNS];
	bool inside = false, outside = false;

	snprintf(text, sizeof(text), "%s", c->header);
	c->n = import_columns_cut(c->apart, text, cell);
	for (unsigned i = 0; i < c->n; i++) {
		c->is[i] = (uint8_t)import_header_column(cell[i]);
		inside |= c->is[i] == COLUMN_PORTS && import_header_names(cell[i], false);
		outside |= c->is[i] == COLUMN_PORTS && import_header_names(cell[i], true);
	}
	c->sessions = inside && outside;
	c->state = c->n > 1 ? COLUMNS_NAMED : COLUMNS_UNFIT;
}

void import_columns_read(struct import_columns *c, const char *header, uint32_t line)
{
	*c = (struct import_columns){ .state = COLUMNS_UNFIT, .line = line };
	if (strlen(header) >= sizeof(c->header))
		return;
	snprintf(c->header, sizeof(c->header), "%s", header);
	c->apart = apart_of(header);
	name_columns(c);
}

static bool is_read(const struct import_columns *c, unsigned i)
{
	return i == c->address[0] || i == c->address[1] || i == c->ports || i == c->first || i == c->last ||
	       i == c->protocol || i == c->network;
}

void import_columns_unread(const struct import_columns *c, char *text, size_t size)
{
	char header[sizeof(c->header)], *cell[IMPORT_COLUMNS];
	unsigned n;

	*text = '\0';
	snprintf(header, sizeof(header), "%s", c->header);
	n = import_columns_cut(c->apart, header, cell);
	for (unsigned i = 0; i < n; i++) {
		size_t used = strlen(text);

		if (*cell[i] && !is_read(c, i))
			snprintf(text + used, size - used, "%s%.40s", used ? ", " : "", cell[i]);
	}
}

/* Whether a cell is an address, with ports behind it or without, or a prefix of 32 bits. */
static bool is_address(const char *cell)
{
	char text[64];
	uint32_t addr;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(cell, ":/"), cell);
	return !addr_parse(text, &addr);
}

/* The only column of a kind that has an address, if `addressed`; *ret_n: their number. */
static unsigned only(const struct import_columns *c, char *const cell[], enum import_column kind, bool addressed,
		     unsigned *ret_n)
{
	unsigned at = IMPORT_COLUMNS;

	*ret_n = 0;
	for (unsigned i = 0; i < c->n; i++) {
		if (c->is[i] != kind || is_address(cell[i]) != addressed)
			continue;
		at = i;
		++*ret_n;
	}
	return *ret_n == 1 ? at : IMPORT_COLUMNS;
}

/* Both addresses: each by its title, or one by its title and the other as the only one that is left. */
static bool find_addresses(struct import_columns *c, char *const cell[])
{
	unsigned n, in, out, address[2], n_addresses = 0;

	in = only(c, cell, COLUMN_INSIDE, true, &n);
	if (!n)
		in = only(c, cell, COLUMN_SUBSCRIBER, true, &n);
	out = only(c, cell, COLUMN_OUTSIDE, true, &n);
	for (unsigned i = 0; i < c->n; i++)
		if (is_address(cell[i]) && n_addresses++ < 2)
			address[n_addresses - 1] = i;
	if (n_addresses == 2) {
		in = in == IMPORT_COLUMNS && out < IMPORT_COLUMNS ? address[0] + address[1] - out : in;
		/* Of a "client" alone it is not known which address is his. */
		out = out == IMPORT_COLUMNS && in < IMPORT_COLUMNS && c->is[in] == COLUMN_INSIDE
			      ? address[0] + address[1] - in
			      : out;
	}
	c->told = in < IMPORT_COLUMNS && out < IMPORT_COLUMNS;
	c->outside_first = c->told && out < in;
	if (c->told) {
		address[0] = in < out ? in : out;
		address[1] = in < out ? out : in;
	}
	memcpy(c->address, address, sizeof(address));
	return c->told || n_addresses == 2;
}

/* Whether a cell has digits on both sides of something else. */
static bool is_range(const char *cell)
{
	size_t n = strcspn(cell, "0123456789"), digits = strspn(cell + n, "0123456789");

	return digits && strpbrk(cell + n + digits, "0123456789") && !is_address(cell);
}

static bool find_ports(struct import_columns *c, char *const cell[])
{
	unsigned n = 0, ranges = 0;

	c->first = only(c, cell, COLUMN_FIRST, false, &n);
	c->last = only(c, cell, COLUMN_LAST, false, &n);
	c->ports = IMPORT_COLUMNS;
	if (c->first < IMPORT_COLUMNS && c->last < IMPORT_COLUMNS)
		return true;
	c->first = c->last = IMPORT_COLUMNS;
	n = 0;
	for (unsigned i = 0; i < c->n; i++) {
		n += c->is[i] == COLUMN_PORTS;
		if (c->is[i] != COLUMN_PORTS || !is_range(cell[i]))
			continue;
		c->ports = i;
		ranges++;
	}
	if (n)
		return ranges == 1;
	/* "192.0.2.1:1024-2047" */
	return (strchr(cell[c->address[0]], ':') != NULL) + (strchr(cell[c->address[1]], ':') != NULL) == 1;
}

static bool find(struct import_columns *c, const char *row)
{
	char text[sizeof(c->header)], *cell[IMPORT_COLUMNS];
	unsigned many;

	if (strlen(row) >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%s", row);
	if (import_columns_cut(c->apart, text, cell) != c->n || !find_addresses(c, cell) || !find_ports(c, cell))
		return false;
	c->protocol = only(c, cell, COLUMN_PROTOCOL, false, &many);
	c->network = only(c, cell, COLUMN_NETWORK, false, &many);
	return true;
}

void import_columns_find(struct import_columns *c, const char *row)
{
	bool found = find(c, row);

	/* Two blanks or more are between titles of several words; others may have one between them, too. */
	if (!found && c->apart == APART_BLANKS) {
		c->apart = APART_BLANK;
		name_columns(c);
		found = find(c, row);
	}
	c->state = found ? COLUMNS_FOUND : COLUMNS_UNFIT;
}
