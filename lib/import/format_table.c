// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables that systems print: a line for each inside address, with its outside address and ports, in any of the forms
 * "IN OUT LO HI", "IN OUT LO-HI", "IN OUT:LO-HI", "IN,OUT,LO,HI". Of the dialects, A10's port-mapping file names the
 * outside address once for all below it. import_sides.h says which address is inside, and import_columns.h which of the
 * columns are read, where a header names them.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_columns.h"
#include "import/import_formats.h"
#include "import/import_sides.h"

struct table {
	struct import *m;
	struct import_sides sides; /* of the rows since the last header */
	bool has_group;		   /* "NAT Address: A" precedes the lines of A */
	uint32_t group;
	uint32_t rows;
	struct import_columns columns; /* of the last header */
	bool beside;		       /* it was noted that numbers beside ranges are not read */
	char network[32];	       /* the first that a row has; "": none */
};

/* A line before the rows, or a header in between, which holds no row. *ret: whether it is one. */
static int take_header(struct table *t, const char *line, uint32_t number, bool *ret, struct error *err)
{
	bool title =
		import_holds(line, "ippool name=") || import_begins(line, "Fixed NAT") || import_begins(line, "cgnv6 ");
	struct import_header header;

	*ret = true;
	if (!line[strspn(line, " \t-=+|_")] || title)
		return 0;
	header = import_header_read(line, number);
	*ret = !t->rows || header.both || header.columns;
	if (!*ret)
		return 0;
	if (header.both || header.columns || t->columns.state == COLUMNS_NONE || t->columns.state == COLUMNS_UNFIT)
		import_columns_read(&t->columns, line, number);
	return import_sides_header(&t->sides, t->m, &header, err);
}

/* How many rows a line says that there are; 0: it does not. */
static uint32_t rows_said(const char *line)
{
	static const char *const words[] = { "found", "entries", "rows", "lines", "records", "mappings" };
	const char *digits = line + strcspn(line, "0123456789");
	char number[16];
	uint32_t n;

	snprintf(number, sizeof(number), "%.*s", (int)strspn(digits, "0123456789"), digits);
	if (import_number(number, UINT32_MAX, &n) || strpbrk(digits + strlen(number), "0123456789"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (import_holds(line, words[i]))
			return n;
	return 0;
}

/* What stands below rows, or between those of two boards of a router, and is none: sums, prompts. */
static bool is_frame(struct table *t, const char *line, uint32_t number)
{
	static const char *const sums[] = { "total", "gesamt", "summe", "somme" };
	const char *last = line + strlen(line) - 1;
	uint32_t said = rows_said(line);

	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		if (!import_holds(line, sums[i]))
			continue;
		if (said && said != t->rows && !import_begins(line, "Slot"))
			import_note(t->m, IMPORT_UNKNOWN, number, "says that there are %u, and %u rows are above it",
				    said, t->rows);
		return true;
	}
	if ((import_begins(line, "Slot ") || import_begins(line, "CPU ")) && *last == ':')
		return true;
	return import_holds(line, "-- More --") || (*line == '<' && strchr(line, '>')) ||
	       (strchr("#>]", *last) && !strchr(line, ' '));
}

#define MAX_PORTS 8U

/* What a row has, in the order of the line. */
struct cells {
	uint32_t addr[3];
	unsigned n_addr;
	uint32_t port[MAX_PORTS];
	unsigned n_port;
	unsigned ranges; /* "LO-HI" as one word: the last one is lo..hi */
	uint32_t lo, hi;
	uint32_t protos;
	bool odd;
};

static void take_ports(struct cells *c, char *text)
{
	uint32_t lo, hi;
	char *dots = strstr(text, "..");

	/* "1024..2047" */
	if (dots && dots > text && dots[2]) {
		*dots = '-';
		memmove(dots + 1, dots + 2, strlen(dots + 2) + 1);
	}
	if (import_ports_parse(text, &lo, &hi)) {
		c->odd = true;
		return;
	}
	if (c->n_port < MAX_PORTS)
		c->port[c->n_port++] = lo;
	if (!strpbrk(text, "-~"))
		return;
	c->ranges++;
	if (c->n_port < MAX_PORTS)
		c->port[c->n_port++] = hi;
	c->lo = lo;
	c->hi = hi;
}

/* What may stand before, between and behind ports: "von 1024 bis 2047". */
static bool is_between(const char *word)
{
	static const char *const words[] = { "to",  "-",     "~",    "a",	"ate",	"hasta", "al",	     "au",
					     "bis", "until", "thru", "through", "from", "de",	 "del",	     "du",
					     "von", "da",    "dal",  "desde",	"all",	"any",	 "internal", "nat" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static char *without_brackets(char *word)
{
	word += *word == '(' || *word == '[';
	word[strcspn(word, ")]")] = '\0';
	return word;
}

static void take_cell(struct cells *c, char *word)
{
	char *equals = strchr(word, '='), *colon;
	uint32_t addr, proto;

	if (equals)
		word = equals + 1;
	if (!*word)
		return;
	colon = strchr(word, ':');
	/* "1024:2047" */
	if (colon && colon > word && strspn(word, "0123456789") == (size_t)(colon - word)) {
		*colon = '-';
		colon = NULL;
	}
	if (colon)
		*colon = '\0';
	if (strlen(word) > 3 && !strcmp(word + strlen(word) - 3, "/32"))
		word[strlen(word) - 3] = '\0';
	if (!addr_parse(word, &addr)) {
		if (c->n_addr < 3)
			c->addr[c->n_addr++] = addr;
		if (colon)
			take_ports(c, colon + 1);
		return;
	}
	for (char *l = word; *l; l++)
		*l = (char)(*l >= 'A' && *l <= 'Z' ? *l + 32 : *l);
	word = without_brackets(word);
	if (!word_number(proto_words, word, &proto)) {
		c->protos |= !strcmp(word, "tcp") ? IMPORT_TCP : !strcmp(word, "udp") ? IMPORT_UDP : IMPORT_ICMP;
		return;
	}
	if (!strcmp(word, "both") || !strcmp(word, "tcp/udp") || !strcmp(word, "udp/tcp") || !strcmp(word, "tcp+udp")) {
		c->protos |= IMPORT_PORTS;
		return;
	}
	if (!is_between(word))
		take_ports(c, word);
}

static int refuse_row(const struct table *t, const struct import_lines *l, const char *line, struct error *err)
{
	return import_fault(t->m, l->line, err,
			    "needs an inside address, an outside address, and the first and last of its ports, not "
			    "%s",
			    QUOTED(line));
}

/* A cell of several words: "1024 to 2047". */
static void take_words(struct cells *c, char *cell)
{
	for (char *rest, *word = strtok_r(cell, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest))
		take_cell(c, word);
}

static void note_columns(struct table *t)
{
	struct import_columns *c = &t->columns;
	char unread[160];

	if (c->told && t->sides.header.line == c->line) {
		t->sides.header.both = true;
		t->sides.header.outside_first = c->outside_first;
	} else if (t->sides.header.line == c->line) {
		t->sides.header.both = false;
	}
	import_columns_unread(c, unread, sizeof(unread));
	if (*unread)
		import_note(t->m, IMPORT_TAKEN, c->line, "columns that are not read: %s", QUOTED(unread));
}

/* Subscribers of several networks may have one address. */
static void take_network(struct table *t, const char *name, uint32_t line)
{
	if (!*t->network)
		snprintf(t->network, sizeof(t->network), "%.30s", *name ? name : "-");
	else if (strcmp(t->network, *name ? name : "-") != 0 && *t->network != '\n') {
		import_note(t->m, IMPORT_VRF, line,
			    "the rows are of several networks, %s and %s: not kept apart, inside addresses are those "
			    "of one",
			    QUOTED(t->network), QUOTED(name));
		snprintf(t->network, sizeof(t->network), "\n");
	}
}

/* Reads the columns that the header names; false: the line is not cut as the header is. */
static bool read_columns(struct table *t, char *line, uint32_t number, struct cells *ret)
{
	struct import_columns *c = &t->columns;
	char *cell[IMPORT_COLUMNS];
	unsigned n;

	if (c->state != COLUMNS_NAMED && c->state != COLUMNS_FOUND)
		return false;
	if (c->state == COLUMNS_NAMED) {
		import_columns_find(c, line);
		if (c->state != COLUMNS_FOUND)
			return false;
		note_columns(t);
	}
	n = import_columns_cut(c->apart, line, cell);
	/* Blanks may be missing, or too many, where a separator is not. */
	if (c->apart <= APART_BLANKS && n != c->n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (i == c->address[0] || i == c->address[1] || i == c->ports || i == c->first || i == c->last ||
		    i == c->protocol)
			take_words(ret, cell[i]);
		else if (i == c->network)
			take_network(t, cell[i], number);
	}
	return true;
}

/* One range among other numbers, which count something, is the block. */
static void leave_numbers(struct table *t, struct cells *c, uint32_t line)
{
	if (c->ranges != 1 || c->n_port <= 2)
		return;
	c->port[0] = c->lo;
	c->port[1] = c->hi;
	c->n_port = 2;
	if (!t->beside)
		import_note(t->m, IMPORT_ASSUMED, line, "numbers beside %u-%u are not read, in this line and others",
			    c->lo, c->hi);
	t->beside = true;
}

static int read_row(struct table *t, struct import_lines *l, const char *line, struct error *err)
{
	unsigned need = t->has_group ? 1 : 2;
	_cleanup_free_ char *copy = NULL;
	struct cells c = {};
	uint32_t in, out;

	if (t->columns.state == COLUMNS_NAMED || t->columns.state == COLUMNS_FOUND) {
		copy = strdup(l->buffer);
		if (!copy)
			return error_set(err, -ENOMEM, "out of memory");
	}
	if (t->columns.sessions)
		return import_fault(t->m, t->columns.line, err,
				    "the header names a port of each side: these are sessions, not blocks of ports");
	if (t->has_group || !copy || !read_columns(t, copy, l->line, &c)) {
		import_lines_words(l, ",;|", 0);
		for (unsigned i = 0; i < l->n_words; i++)
			take_cell(&c, l->word[i]);
		leave_numbers(t, &c, l->line);
	}
	if (c.odd || c.n_addr != need || c.n_port != 2 || c.port[1] < c.port[0] || c.port[1] > 65535)
		return refuse_row(t, l, line, err);
	/* Which of the two is inside is known at the end. */
	in = c.addr[0];
	out = t->has_group ? t->group : c.addr[1];
	if (t->has_group)
		import_sides_skip(&t->sides, t->m);
	import_add(t->m, in, out, c.port[0], c.port[1], c.protos ? c.protos : IMPORT_ALL, l->line);
	t->rows++;
	return 0;
}

/* "NAT Address: 192.0.2.1" */
static bool take_group(struct table *t, const char *line)
{
	static const char title[] = "NAT Address:";

	if (strncasecmp(line, title, sizeof(title) - 1) != 0)
		return false;
	line += sizeof(title) - 1;
	line += strspn(line, " \t");
	t->has_group = !addr_parse(line, &t->group);
	return t->has_group;
}

static bool has_address(const char *line)
{
	for (; *line; line++) {
		unsigned a, b, c, d;

		if (*line >= '0' && *line <= '9' && sscanf(line, "%3u.%3u.%3u.%3u", &a, &b, &c, &d) == 4)
			return true;
	}
	return false;
}

int import_read_table(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct table t = { .m = m, .sides = { .told = options->first_side } };
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		const char *line = l->buffer + strspn(l->buffer, " \t");
		char shown[88];
		bool header = false;

		if (!strncmp(line, "# INSIDE ", 9))
			import_sides_own(&t.sides);
		if (!*line || *line == '#' || *line == '!' || take_group(&t, line))
			continue;
		import_plain(l->buffer);
		line = l->buffer + strspn(l->buffer, " \t");
		snprintf(shown, sizeof(shown), "%s", line);
		if (has_address(line)) {
			r = read_row(&t, l, shown, err);
			continue;
		}
		if (t.rows && is_frame(&t, line, l->line))
			continue;
		r = take_header(&t, line, l->line, &header, err);
		if (!r && !header)
			r = refuse_row(&t, l, shown, err);
	}
	r = r ? r : import_sides_end(&t.sides, m, err);
	import_lines_end(l);
	return r;
}
