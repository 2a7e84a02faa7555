// SPDX-License-Identifier: BSD-2-Clause
/* Tables by their header, wherever it stands: CSV, columns between blanks, tabs or bars, and the logs that name fields.
 */
#include <ctype.h>
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_columns.h"
#include "complaints/complaint_line.h"

/* Rows without an address that end no table. */
#define MOST_EMPTY 32U

/* More rows that have no address, below one that has, are not read: each is refused. */
#define MOST_FILLED 10000U

/* A longer cell stands for no row below. */
#define ABOVE_TEXT 40

/* Lines of a cell that is quoted. */
#define MOST_LINES 64U

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
		t->cells[i] = cell_trimmed(begin, stop);
	}
	return t->n;
}

/* A row has a cell for each name, or its values would be taken for others'. Blanks alone may separate some. */
static void split_row(struct table *t, const char *at, const char *end, char separator)
{
	t->n_cells = cells_split(t->cells, at, end, separator);
	if (separator == TWO_BLANKS && t->n_cells != t->n)
		t->n_cells = cells_split(t->cells, at, end, BLANKS);
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

/* Whether a cell says nothing, or "the same". */
static bool says_same(const struct cell *c)
{
	char folded[WORD_TEXT];

	for (const char *p = c->begin; p < c->end; p++)
		if (digit_octet(*p))
			return false;
	word_fold(c->begin, c->end, folded);
	return c->begin == c->end ||
	       word_in_list("idem same ditto dto dito ebenso gleich* meme igual* stess* jw", folded) ||
	       (c->end - c->begin == 3 && !memcmp(c->begin, "\343\200\203", 3));
}

/* Whether a row has a port, and in the place of addresses nothing. */
static bool lacks_address(const struct table *t)
{
	bool port = false, same = false;

	for (unsigned i = 0; i < t->n_cells && i < t->n; i++) {
		port |= t->port[i] && t->role[i] != WORD_TARGET && t->cells[i].begin < t->cells[i].end &&
			digit_octet(*t->cells[i].begin);
		same |= t->addr[i] && t->above[i].begin && says_same(&t->cells[i]);
	}
	return port && same && t->n_cells >= t->n;
}

static void keep_addresses(struct table *t)
{
	for (unsigned i = 0; i < t->n_cells && i < t->n; i++)
		if (t->addr[i] && t->cells[i].end - t->cells[i].begin < ABOVE_TEXT)
			t->above[i] = t->cells[i];
}

/* The addresses of a row above, for one that has none, which is in doubt by that. */
static void fill_addresses(struct table *t)
{
	for (unsigned i = 0; i < t->n_cells && i < t->n; i++)
		if (t->addr[i] && t->above[i].begin && says_same(&t->cells[i]))
			t->cells[i] = t->above[i];
}

static void take_row(struct reading *x, const struct table *t, uint32_t table)
{
	uint32_t row = scope_add(x, table);
	size_t begin = x->n_items, middle = begin;
	int way = 0;

	x->first_item = x->n_items;
	x->served = false;
	x->scopes[row].closed = t->has_time || t->relative;
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
	const char *stop = line_end(at, end), *p = at, *far = stop;
	bool quoted = false;

	if (t->unclosed || octet_is_of(separator, "|12"))
		return stop;
	for (unsigned lines = 0; lines < MOST_LINES; lines++) {
		for (; p < far; p++)
			quoted ^= *p == '"';
		if (!quoted || far >= end)
			break;
		far = line_end(far + 1, end);
	}
	t->unclosed = quoted;
	return !quoted && far != stop && cells_split(t->cells, at, far, separator) == t->n ? far : stop;
}

/* Reads the rows of a table. Returns where the last ends, or NULL if there is none; *ret: where looking ended. */
static const char *take_rows(struct reading *x, struct table *t, uint32_t scope, const char *end, char separator,
			     const char **ret)
{
	/* The end of the line before. A log without a header has its first row where it begins. */
	const char *next = t->rows ? t->rows + 1 : t->line, *last = NULL;
	uint32_t own = NONE;
	unsigned empty = 0, fills = 0;
	size_t filled = SIZE_MAX; /* the first item of a row whose addresses are of one above */

	memset(t->above, 0, t->n * sizeof(*t->above));
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
			if (t->n_cells + 1 < t->n || t->n_cells > t->n + 1 ||
			    columns_named_anew(t, separator == TWO_BLANKS || separator == BLANKS))
				break;
			if (own == NONE || fills == MOST_FILLED || !lacks_address(t)) {
				if (++empty > MOST_EMPTY)
					break;
				continue;
			}
			fill_addresses(t);
			fills++;
			filled = x->n_items;
		}
		if (own == NONE) {
			own = scope_add(x, scope);
			take_zones(x, t, own);
		}
		keep_addresses(t);
		take_row(x, t, own);
		for (; filled < x->n_items; filled++)
			x->items[filled].above = x->items[filled].kind == ITEM_ADDR;
		filled = SIZE_MAX;
		empty = 0;
		last = stop;
	}
	return last;
}

const char *complaint_table(struct reading *x, uint32_t scope, const char *at, const char *end)
{
	struct table t;
	const char *line = line_end(at, end), *last, *looked = line;
	char separator;

	t.none = false;
	for (unsigned way = 0; way < HEADER_WAYS; way++) {
		if (!columns_read(&t, way, at, line, end, &separator))
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
