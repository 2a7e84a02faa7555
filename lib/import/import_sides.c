// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_sides.h"

#include <detnat/tables.h>

#include "base/text.h"
#include "import/import_build.h"

/* By the kind of the addresses: all of one side are private, and none of the other. */
static enum import_first by_kind(const struct import *m, size_t from)
{
	size_t n = m->n_rows - from, first = 0, second = 0;

	for (size_t i = from; i < m->n_rows; i++) {
		first += address_is_private(m->row[i].in);
		second += address_is_private(m->row[i].out);
	}
	if (first == n && !second)
		return IMPORT_INSIDE_FIRST;
	return second == n && !first ? IMPORT_OUTSIDE_FIRST : IMPORT_FIRST_UNKNOWN;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Whether an address of a side has several blocks; -ENOMEM. */
static int shares(const struct import *m, size_t from, bool second)
{
	size_t n = m->n_rows - from;
	_cleanup_free_ uint64_t *all = calloc(n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct import_row *r = &m->row[from + i];

		all[i] = (uint64_t)(second ? r->out : r->in) << 32 | (uint32_t)r->lo << 16 | r->hi;
	}
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n; i++)
		if (all[i] >> 32 == all[i - 1] >> 32 && all[i] != all[i - 1])
			return 1;
	return 0;
}

/* By their number: a subscriber has one block, so an address with several is an outside one. */
static int by_number(struct import *m, size_t from, enum import_first *ret)
{
	int first = shares(m, from, false), second = first < 0 ? first : shares(m, from, true);

	if (first < 0 || second < 0) {
		import_fail(m, "out of memory");
		return -ENOMEM;
	}
	*ret = first == second ? IMPORT_FIRST_UNKNOWN : first ? IMPORT_OUTSIDE_FIRST : IMPORT_INSIDE_FIRST;
	return 0;
}

static void exchange(struct import *m, size_t from)
{
	for (size_t i = from; i < m->n_rows; i++) {
		struct import_row *r = &m->row[i];
		uint32_t in = r->in;

		r->in = r->out;
		r->out = in;
	}
}

#define HOW "--inside-first or --outside-first says which address of a line comes first"

static int refuse(const struct import_sides *s, const struct import *m, const char *why, struct error *err)
{
	char shown[IMPORT_HEADER_SHOWN];

	snprintf(shown, sizeof(shown), "%s", s->header.shown);
	for (char *c = shown; *c; c++)
		*c = (char)(*c == '\t' ? ' ' : *c);
	return import_fault(m, s->header.line, err, "the header %s %s: " HOW, QUOTED(shown), why);
}

/* What the header and the addresses say; 0 or -errno. */
static int decide(struct import_sides *s, struct import *m, enum import_first *ret, struct error *err)
{
	enum import_first kind = by_kind(m, s->first), header = IMPORT_FIRST_UNKNOWN;
	char in[ADDR_TEXT];

	if (s->headed && s->header.both)
		header = s->header.outside_first ? IMPORT_OUTSIDE_FIRST : IMPORT_INSIDE_FIRST;
	if (header && kind && header != kind)
		return refuse(s, m, "has the sides the other way round than private addresses do", err);
	*ret = header ? header : kind;
	if (!*ret && by_number(m, s->first, ret))
		return error_set(err, -ENOMEM, "out of memory");
	if (!*ret && s->headed)
		return refuse(s, m, "is not understood, and the addresses do not tell which are inside", err);
	if (!*ret) {
		*ret = IMPORT_INSIDE_FIRST;
		import_note(m, IMPORT_ASSUMED, m->row[s->first].line,
			    "no header says so: the first address of each line is taken as the inside one; " HOW);
	} else if (!header && *ret == IMPORT_OUTSIDE_FIRST) {
		import_note(m, IMPORT_TAKEN, m->row[s->first].line,
			    "the second address of each line, here %s, is the inside one: the first ones %s",
			    addr_format(m->row[s->first].out, in),
			    kind ? "are not private" : "have several blocks each");
	}
	return 0;
}

static int put_in_order(struct import_sides *s, struct import *m, struct error *err)
{
	enum import_first first = s->told ? s->told : s->own;
	int r = 0;

	if (m->failed || s->first >= m->n_rows)
		return 0;
	if (!first)
		r = decide(s, m, &first, err);
	if (!r && first == IMPORT_OUTSIDE_FIRST)
		exchange(m, s->first);
	s->first = m->n_rows;
	return r;
}

int import_sides_header(struct import_sides *s, struct import *m, const struct import_header *header, struct error *err)
{
	int r = put_in_order(s, m, err);

	/* Titles may stand above and below the header. */
	if (header->both || !s->headed || !s->header.both) {
		s->header = *header;
		s->headed = true;
		s->own = IMPORT_FIRST_UNKNOWN;
	}
	return r;
}

void import_sides_own(struct import_sides *s)
{
	s->own = IMPORT_INSIDE_FIRST;
}

void import_sides_skip(struct import_sides *s, struct import *m)
{
	s->first = m->n_rows + 1;
}

int import_sides_end(struct import_sides *s, struct import *m, struct error *err)
{
	return put_in_order(s, m, err);
}
