// SPDX-License-Identifier: BSD-2-Clause
/* Tables by their header, wherever it stands: CSV, columns between blanks, tabs or bars, and the logs that name fields.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_scan.h"

/* More columns are not read. */
#define COLUMNS	    512U
#define HEADER_TEXT 16384U
/* Rows without an address that end no table. */
#define MOST_EMPTY 32U

/* Lines of a cell that is quoted. */
#define MOST_LINES 64U

/* Names of columns that stand in two lines are no longer together. */
#define JOINED_TEXT 2048U

/* Separators of columns; two blanks, and any blanks. */
#define TWO_BLANKS '2'
#define BLANKS	   '1'

struct cell {
	const char *begin, *end;
};

struct table {
	struct cell names[COLUMNS], cells[COLUMNS];
	unsigned n, n_cells;
	const char *line;	  /* of the names */
	const char *rows;	  /* where the first row begins */
	const char *at[COLUMNS];  /* where a column's name stands in the line */
	char joined[JOINED_TEXT]; /* names that go on in the line below */
	uint8_t role[COLUMNS];	  /* of a column of ports without one: that of the addresses before it */
	bool addr[COLUMNS];	  /* a column of addresses */
	bool server[COLUMNS];	  /* one of the server's: "s-port", beside "c-ip" */
	bool has_time;
	bool unclosed; /* a quote has no end */
};

static struct cell trimmed(const char *at, const char *end)
{
	while (at < end && (!*at || octet_is_of(*at, " \t\r\n\"|#'")))
		at++;
	while (at < end && (!end[-1] || octet_is_of(end[-1], " \t\r\"|'")))
		end--;
	return (struct cell){ at, end };
}

/* The end of a cell. */
static const char *cell_end(const char *at, const char *end, char separator)
{
	int octet = separator == TWO_BLANKS || separator == BLANKS ? ' ' : separator;
	const char *next = memchr(at, octet, (size_t)(end - at));
	bool quoted = false;

	if (!next)
		return end;
	if (separator != TWO_BLANKS && !memchr(at, '"', (size_t)(next - at)))
		return next;
	for (; at < end; at++) {
		quoted ^= *at == '"';
		if (separator == TWO_BLANKS ? *at == ' ' && at + 1 < end && at[1] == ' '
		    : separator == BLANKS   ? *at == ' '
					    : *at == separator && !quoted)
			return at;
	}
	return end;
}

static unsigned split(struct cell *cells, const char *at, const char *end, char separator)
{
	unsigned n = 0;

	if (separator == '|' || separator == TWO_BLANKS || separator == BLANKS)
		while (at < end && (*at == ' ' || (*at == '|' && separator == '|')))
			at++;
	while (at <= end && n < COLUMNS) {
		const char *stop = cell_end(at, end, separator);

		cells[n++] = trimmed(at, stop);
		if (stop >= end)
			break;
		at = stop + 1;
		if (separator == TWO_BLANKS || separator == BLANKS)
			while (at < end && *at == ' ')
				at++;
	}
	if (n && separator == '|' && cells[n - 1].begin == cells[n - 1].end)
		n--;
	return n;
}

static bool has_digits(const struct cell *c)
{
	for (const char *p = c->begin; p < c->end; p++)
		if (isdigit((unsigned char)*p) &&
		    (p == c->begin || (!isalpha((unsigned char)p[-1]) && !strchr("+-:", p[-1]))) && p + 1 < c->end &&
		    isdigit((unsigned char)p[1]))
			return true;
	return false;
}

/* Whether names between blanks end as a sentence does. */
static bool is_sentence(const struct table *t)
{
	const struct cell *last = &t->names[t->n - 1];

	return last->end > last->begin && octet_is_of(last->end[-1], ".!?,");
}

/* "c-" and "s-" are of the client and the server in the extended log format of W3C. */
static bool begins_with(const struct cell *c, const char *text)
{
	return (size_t)(c->end - c->begin) > strlen(text) && !memcmp(c->begin, text, strlen(text));
}

/*
 * Whether the names are those of a table of questions. words: blanks are between, so that they may be a sentence: "Our
 * clock is fine".
 */
static bool names_questions(struct table *t, bool words)
{
	unsigned addrs = 0, ports = 0, times = 0, before = 0;
	bool extended = false;

	if (words && is_sentence(t))
		return false;
	for (unsigned i = 0; i < t->n; i++)
		extended |= begins_with(&t->names[i], "c-");
	for (unsigned i = 0; i < t->n; i++) {
		struct label l = label_read(t->names[i].begin, t->names[i].end);

		t->role[i] = 0;
		t->addr[i] = false;
		t->server[i] = extended && begins_with(&t->names[i], "s-");
		if (has_digits(&t->names[i]) || l.words > 6 || (words && i && l.any == WORD_LINK))
			return false;
		if (l.any & WORD_PORT && !(l.any & WORD_TIME)) {
			ports++;
			t->role[i] = (uint8_t)(l.role ? l.role : before);
		} else if (l.any & WORD_TIME ||
			   (l.any & (WORD_EVENT | WORD_END | WORD_OTHER) && !(l.any & (WORD_ADDR | WORD_SOURCE)))) {
			times += (l.any & WORD_TIME) != 0;
		} else if (l.any & WORD_ADDR || (l.any & (WORD_SOURCE | WORD_TARGET) && l.words <= 3) ||
			   (l.words == 1 && l.any & (WORD_FROM | WORD_TO))) {
			addrs++;
			t->addr[i] = true;
			before = l.role ? l.role : l.any & WORD_TO ? WORD_TARGET : WORD_SOURCE;
			continue;
		}
		if (!(l.any & WORD_PORT))
			before = 0;
	}
	t->has_time = times > 0;
	return addrs && (ports || times) && t->n >= 3;
}

static const char *end_of_line(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline : end;
}

/* Whether a name of a column is one of a few in which words are apart by blanks, or by "_", or by nothing. */
static bool is_named(const struct cell *c, const char *first, const char *second)
{
	char one[WORD_TEXT], two[WORD_TEXT];
	const char *p = word_fold(c->begin, c->end, one);

	while (p < c->end && !word_octet(*p))
		p++;
	return word_fold(p, c->end, two) == c->end && !strcmp(one, first) && !strcmp(two, second);
}

/*
 * Firewalls of Palo Alto say when a line was generated, and when a collector received it, which is no time of the
 * event. Beside each other the first is one, and neither is of a report.
 */
static void name_generated(struct table *t)
{
	static const char time[] = "Time";
	bool received = false;

	for (unsigned i = 0; i < t->n; i++)
		received |= is_named(&t->names[i], "receive", "time");
	for (unsigned i = 0; i < t->n && received; i++)
		if (is_named(&t->names[i], "generate", "time") || is_named(&t->names[i], "generated", "time") ||
		    is_named(&t->names[i], "time", "generated"))
			t->names[i] = (struct cell){ time, time + 4 };
}

/* A header at a line. */
static bool read_header(struct table *t, const char *at, const char *end, char *ret)
{
	static const char separators[] = { '\t', ';', ',', '|', TWO_BLANKS, BLANKS };
	const char *begin = scan_signs(at, end, " \t");
	bool fields = end - begin > 7 && *begin == '#' && !strncasecmp(begin, "#fields", 7);
	char folded[WORD_TEXT];

	if (end - begin < 8)
		return false;
	if (fields)
		begin += 7 + (begin[7] == ':');
	else if (word_fold(begin, end, folded) < end && !strcmp(folded, "format"))
		begin += strcspn(begin, ":\n") + 1;
	if (end - begin < 8 || end - begin > (ptrdiff_t)HEADER_TEXT || begin > end)
		return false;
	/* No name of a column has such digits; more columns than octets there are not. */
	if (has_digits(&(struct cell){ begin, end - begin < (ptrdiff_t)COLUMNS ? end : begin + COLUMNS - 1 }))
		return false;
	for (size_t i = 0; i < sizeof(separators); i++) {
		char octet = separators[i];

		if (octet == TWO_BLANKS || octet == BLANKS)
			octet = ' ';
		if (!memchr(begin, octet, (size_t)(end - begin)))
			continue;
		if (separators[i] == TWO_BLANKS && !memmem(begin, (size_t)(end - begin), "  ", 2))
			continue;
		if (!fields && separators[i] == BLANKS && memchr(begin, ':', (size_t)(end - begin)))
			continue;
		t->n = split(t->names, begin + (fields && separators[i] == '\t' && *begin == '\t'), end, separators[i]);
		if (t->n < 3 + (separators[i] == BLANKS) || !names_questions(t, separators[i] == BLANKS))
			continue;
		*ret = separators[i];
		t->line = at;
		t->rows = end;
		for (unsigned k = 0; k < t->n; k++)
			t->at[k] = t->names[k].begin;
		name_generated(t);
		return true;
	}
	return false;
}

/* Whether a line may have names of columns: letters, and no number. */
static bool has_names(const char *at, const char *end)
{
	const char *p = at;

	while (p < end && !isalpha((unsigned char)*p))
		p++;
	return p < end && !has_digits(&(struct cell){ at, end });
}

/* A header of a line that ends with what separates columns, and goes on in the line below. */
static bool read_wrapped(struct table *t, const char *at, const char *end, const char *all, char *ret)
{
	const char *last = end, *stop = end < all ? end_of_line(end + 1, all) : end;
	const char *below = scan_signs(end + 1 < all ? end + 1 : all, all, " \t");

	while (last > at && octet_is_of(last[-1], " \t"))
		last--;
	if (last == at || !octet_is_of(last[-1], "|,;") || stop == end || below >= stop || *below == last[-1] ||
	    !has_names(below, stop))
		return false;
	return read_header(t, at, stop, ret) && *ret == last[-1];
}

/* Adds what stands below the name of a column to it. False: there is no room. */
static bool join_name(struct table *t, unsigned column, const char *at, const char *end, size_t *used)
{
	struct cell *name = &t->names[column];
	size_t first = (size_t)(name->end - name->begin), second = (size_t)(end - at);
	char *to = t->joined + *used;

	if (first + second + 1 > JOINED_TEXT - *used)
		return false;
	memcpy(to, name->begin, first);
	to[first] = ' ';
	memcpy(to + first + 1, at, second);
	*name = (struct cell){ to, to + first + 1 + second };
	*used += first + second + 1;
	return true;
}

/*
 * A header of columns of one width each of whose names may go on in the line below: "Source" above "port". What is
 * below belongs to the column in which it begins.
 */
static bool read_two_lines(struct table *t, const char *at, const char *end, const char *all, char *ret)
{
	const char *p = end < all ? end + 1 : all, *stop = end_of_line(p, all), *line = p;
	unsigned column = 0, named = 0;
	size_t used = 0;

	if (p >= stop || stop - p > (ptrdiff_t)JOINED_TEXT || !has_names(p, stop) || !read_header(t, at, end, ret) ||
	    (*ret != '|' && *ret != TWO_BLANKS))
		return false;
	while (p < stop) {
		const char *begin = p = scan_signs(p, stop, " \t|"), *last = p;

		while (p < stop && *p != '|' && !(*p == ' ' && p + 1 < stop && p[1] == ' '))
			last = *p++ != ' ' ? p : last;
		if (begin == last)
			continue;
		while (column + 1 < t->n && t->at[column + 1] - at <= begin - line)
			column++;
		named |= label_read(begin, last).any & (WORD_PORT | WORD_ADDR | WORD_TIME);
		if (!join_name(t, column, begin, last, &used))
			return false;
	}
	t->rows = stop;
	return named && names_questions(t, false);
}

/* The fields of a flow log of AWS's VPC in its default format, which stands nowhere in it. */
static bool read_flow_log(struct table *t, const char *at, const char *end, char *ret)
{
	static const char names[] = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets "
				    "bytes start end action log-status";
	static const char digits[] = "0123456789";

	if (end - at < 60 || memcmp(at, "2 ", 2) != 0 || strspn(at + 2, digits) != 12 ||
	    memcmp(at + 14, " eni-", 5) != 0)
		return false;
	if (split(t->cells, at, end, BLANKS) != 14 || strspn(t->cells[10].begin, digits) != 10 ||
	    strspn(t->cells[11].begin, digits) != 10)
		return false;
	t->n = split(t->names, names, names + sizeof(names) - 1, BLANKS);
	for (unsigned i = 0; i < t->n; i++)
		t->at[i] = t->cells[i].begin;
	*ret = BLANKS;
	t->line = at;
	t->rows = NULL;
	return names_questions(t, false);
}

/*
 * A row of which each cell begins below its name, with a blank before it: as programs print columns of one width. Cells
 * between blanks may be more, such as a day and an hour.
 */
static unsigned split_below(struct table *t, const char *at, const char *end)
{
	for (unsigned i = 0; i < t->n; i++) {
		const char *begin = at + (t->at[i] - t->line);
		const char *stop = i + 1 < t->n ? at + (t->at[i + 1] - t->line) : end;

		if (stop > end || begin >= stop || octet_is_of(*begin, " \t") || (i && begin[-1] != ' '))
			return 0;
		t->cells[i] = trimmed(begin, stop);
	}
	return t->n;
}

/* A row has a cell for each name, or its values would be taken for others'. Blanks alone may separate some. */
static void split_row(struct table *t, const char *at, const char *end, char separator)
{
	t->n_cells = split(t->cells, at, end, separator);
	if (separator == TWO_BLANKS && t->n_cells != t->n)
		t->n_cells = split(t->cells, at, end, BLANKS);
	if (separator == TWO_BLANKS && t->n_cells != t->n)
		t->n_cells = split_below(t, at, end);
}

static bool is_row(const struct table *t)
{
	uint32_t any;

	if (t->n_cells + 1 < t->n || t->n_cells > t->n + 1)
		return false;
	for (unsigned i = 0; i < t->n_cells && i < t->n; i++)
		for (const char *p = t->cells[i].begin; t->addr[i] && p < t->cells[i].end; p++)
			if (addr_at(p, t->cells[i].end, &any))
				return true;
	return false;
}

/* Which way the arrow goes that a cell is; 0: it is none. */
static int arrow_cell(const struct cell *c)
{
	size_t size = (size_t)(c->end - c->begin);

	if (size < 2 || size > 3 || strspn(c->begin, "<=->") < size)
		return 0;
	return (c->end[-1] == '>') - (*c->begin == '<');
}

/* An arrow between two columns says who came to whom. */
static void turn(struct reading *x, size_t first, size_t middle, int way)
{
	for (size_t i = first; i < x->n_items && way; i++)
		if (x->items[i].kind == ITEM_ADDR)
			x->items[i].role = (i < middle) == (way > 0) ? WORD_SOURCE : WORD_TARGET;
}

static void take_row(struct reading *x, const struct table *t, uint32_t table)
{
	uint32_t row = scope_add(x, table);
	size_t begin = x->n_items, middle = begin;
	int way = 0;

	x->first_item = x->n_items;
	x->served = false;
	x->scopes[row].closed = t->has_time;
	for (unsigned i = 0; i < t->n_cells && i < t->n; i++) {
		size_t first = x->n_items;

		if (arrow_cell(&t->cells[i])) {
			way = arrow_cell(&t->cells[i]);
			middle = first;
		}
		complaint_value(x, row, t->names[i].begin, t->names[i].end, t->cells[i].begin, t->cells[i].end);
		for (size_t k = first; k < x->n_items; k++)
			if (t->server[i] && (x->items[k].kind == ITEM_PORT || x->items[k].kind == ITEM_ADDR)) {
				x->items[k].role = WORD_TARGET;
			} else if (x->items[k].kind == ITEM_PORT && x->items[k].scope == row && !x->items[k].role) {
				x->items[k].role = t->role[i];
				if (t->role[i] == WORD_TARGET)
					x->items[k].scope = NONE;
			}
	}
	turn(x, begin, middle, way);
}

/* Names of Shadowserver's, whose timestamps are of UTC by the description of its reports. */
static bool is_shadowserver(const struct table *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++) {
		size_t size = (size_t)(t->names[i].end - t->names[i].begin);

		n += (size == 9 && !memcmp(t->names[i].begin, "timestamp", 9)) ||
		     (size >= 5 && !memcmp(t->names[i].end - 5, "naics", 5)) ||
		     (size >= 3 && !memcmp(t->names[i].end - 3, "asn", 3)) ||
		     (size >= 3 && !memcmp(t->names[i].end - 3, "geo", 3));
	}
	return n >= 3;
}

/* Zones that the header names are for all columns. */
static void take_zones(struct reading *x, const struct table *t, uint32_t table)
{
	struct claim zone;

	for (unsigned i = 0; i < t->n; i++)
		for (const char *p = t->names[i].begin; p < t->names[i].end; p++)
			if ((p == t->names[i].begin || !word_octet(p[-1])) &&
			    claim_read(p, t->names[i].end, false, &zone))
				item_zone(x, table, t->at[i], t->at[i] + 1, &zone);
	if (is_shadowserver(t))
		item_zone(x, table, t->at[0], t->at[0] + 1, &(struct claim){ .n = 1 });
}

/*
 * The end of a row: of its line, or of one further down if a quoted cell goes on there. A quote that nothing closes
 * ends with its line.
 */
static const char *row_end(struct table *t, const char *at, const char *end, char separator)
{
	const char *stop = end_of_line(at, end), *p = at, *far = stop;
	bool quoted = false;

	if (t->unclosed || octet_is_of(separator, "|12"))
		return stop;
	for (unsigned lines = 0; lines < MOST_LINES; lines++) {
		for (; p < far; p++)
			quoted ^= *p == '"';
		if (!quoted || far >= end)
			break;
		far = end_of_line(far + 1, end);
	}
	t->unclosed = quoted;
	return !quoted && far != stop && split(t->cells, at, far, separator) == t->n ? far : stop;
}

/* Reads the rows of a table. Returns where the last ends, or NULL if there is none; *ret: where looking ended. */
static const char *take_rows(struct reading *x, struct table *t, uint32_t scope, const char *end, char separator,
			     const char **ret)
{
	/* The end of the line before. A log without a header has its first row where it begins. */
	const char *next = t->rows ? t->rows + 1 : t->line, *last = NULL;
	uint32_t own = NONE;
	unsigned empty = 0;

	t->unclosed = false;
	while (next <= end) {
		const char *stop = row_end(t, next, end, separator), *c = next;

		*ret = stop;
		while (c < stop && !word_octet(*c) && *c != '"')
			c++;
		/* Rules, comments and empty lines. */
		if (c == stop || *next == '#') {
			next = stop + 1;
			continue;
		}
		split_row(t, next, stop, separator);
		next = stop + 1;
		if (!is_row(t)) {
			if (t->n_cells + 1 < t->n || t->n_cells > t->n + 1 || ++empty > MOST_EMPTY)
				break;
			continue;
		}
		if (own == NONE) {
			own = scope_add(x, scope);
			take_zones(x, t, own);
		}
		take_row(x, t, own);
		empty = 0;
		last = stop;
	}
	return last;
}

/* Reads the header at a line in one of the ways in which it may stand there. */
static bool read_any_header(struct table *t, unsigned way, const char *at, const char *line, const char *end, char *ret)
{
	switch (way) {
	case 0:
		return read_flow_log(t, at, line, ret);
	case 1:
		return read_wrapped(t, at, line, end, ret);
	case 2:
		return read_two_lines(t, at, line, end, ret);
	default:
		return read_header(t, at, line, ret);
	}
}

const char *complaint_table(struct reading *x, uint32_t scope, const char *at, const char *end)
{
	struct table t;
	const char *line = end_of_line(at, end), *last, *looked = line;
	char separator;

	for (unsigned way = 0; way < 4; way++) {
		if (!read_any_header(&t, way, at, line, end, &separator))
			continue;
		if (!complaint_may_look(x))
			return NULL;
		last = take_rows(x, &t, scope, end, separator, &looked);
		if (last)
			return last;
		x->in_vain += (size_t)(looked - at);
	}
	return NULL;
}
