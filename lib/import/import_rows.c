// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_rows.h"

#include <string.h>

#include "base/search.h"
#include "import/import_build.h"

#define DIGITS 65536U

/* One pass of a sort by digits of 16 bits, which keeps the order of equal ones. */
static void pass(const struct import_row *from, struct import_row *to, size_t n, unsigned shift, uint32_t *count)
{
	uint32_t sum = 0;

	memset(count, 0, DIGITS * sizeof(*count));
	for (size_t i = 0; i < n; i++)
		count[from[i].in >> shift & (DIGITS - 1)]++;
	for (uint32_t d = 0; d < DIGITS; d++) {
		uint32_t here = count[d];

		count[d] = sum;
		sum += here;
	}
	for (size_t i = 0; i < n; i++)
		to[count[from[i].in >> shift & (DIGITS - 1)]++] = from[i];
}

static int sort_inside(struct import *m)
{
	_cleanup_free_ struct import_row *other = NULL;
	_cleanup_free_ uint32_t *count = NULL;
	size_t i = 1;

	while (i < m->n_rows && m->row[i - 1].in <= m->row[i].in)
		i++;
	if (i >= m->n_rows)
		return 0;
	other = malloc(m->n_rows * sizeof(*other));
	count = malloc(DIGITS * sizeof(*count));
	if (!other || !count)
		return -ENOMEM;
	pass(m->row, other, m->n_rows, 0, count);
	pass(other, m->row, m->n_rows, 16, count);
	return 0;
}

static bool same_block(const struct import_row *a, const struct import_row *b)
{
	return a->out == b->out && a->lo == b->lo && a->hi == b->hi;
}

static const char *block_format(const struct import_row *r, char text[static IMPORT_RANGE_TEXT])
{
	char addr[ADDR_TEXT];

	snprintf(text, IMPORT_RANGE_TEXT, "%s:%u-%u", addr_format(r->out, addr), r->lo, r->hi);
	return text;
}

static int refuse_two(const struct import *m, const struct import_row *a, const struct import_row *b, struct error *err)
{
	char in[ADDR_TEXT], one[IMPORT_RANGE_TEXT], two[IMPORT_RANGE_TEXT];

	if (a->line > b->line) {
		const struct import_row *c = a;

		a = b;
		b = c;
	}
	return import_fault(m, b->line, err, "%s has %s here, but %s in line %u; which is right?",
			    addr_format(a->in, in), block_format(b, two), block_format(a, one), a->line);
}

/* The protocols that a row has, with ICMP as one that is found beside others. */
static bool protocols_differ(const struct import_row *a, const struct import_row *b)
{
	return !(a->protos & b->protos);
}

/*
 * The rows first..last are those of one inside address. Makes one of them, in its place in m->row, or notes why not.
 * Returns how many are left, 0 or 1, or -EINVAL.
 */
static int merge_one(struct import *m, size_t first, size_t last, struct import_row *ret, struct error *err)
{
	struct import_row row = m->row[first];
	char in[ADDR_TEXT], one[IMPORT_RANGE_TEXT], two[IMPORT_RANGE_TEXT];
	bool two_blocks = false;

	for (size_t i = first + 1; i <= last; i++) {
		const struct import_row *r = &m->row[i];

		if (same_block(&row, r)) {
			if (row.protos & r->protos && r->line != row.line)
				import_note(m, IMPORT_REPEATED, r->line, "%s has the same in line %u: taken once",
					    addr_format(r->in, in), row.line);
			row.protos |= r->protos;
			continue;
		}
		if (!protocols_differ(&row, r))
			return refuse_two(m, &row, r, err);
		if (r->protos == IMPORT_ICMP || row.protos == IMPORT_ICMP) {
			import_note(m, IMPORT_ICMP_BLOCK, r->line, "ICMP of %s has %s there, but %s here",
				    addr_format(r->in, in), block_format(r->protos == IMPORT_ICMP ? r : &row, one),
				    block_format(r->protos == IMPORT_ICMP ? &row : r, two));
			row = r->protos == IMPORT_ICMP ? row : *r;
			continue;
		}
		import_note(m, IMPORT_TWO_BLOCKS, r->line,
			    "%s has %s here, and %s for other protocols in line %u: not kept, a subscriber has one "
			    "block",
			    addr_format(r->in, in), block_format(r, two), block_format(&row, one), row.line);
		two_blocks = true;
	}
	m->n_differ += two_blocks;
	*ret = row;
	return !two_blocks;
}

static int merge_protocols(struct import *m, struct error *err)
{
	size_t to = 0, first = 0;

	while (first < m->n_rows) {
		struct import_row row;
		size_t last = first;
		int r = 1;

		while (last + 1 < m->n_rows && m->row[last + 1].in == m->row[first].in)
			last++;
		if (last == first && to == first) {
			to = ++first;
			continue;
		}
		row = m->row[first];
		if (last > first)
			r = merge_one(m, first, last, &row, err);
		if (r < 0)
			return r;
		if (r)
			m->row[to++] = row;
		first = last + 1;
	}
	m->n_rows = to;
	return 0;
}

/* Subscribers that have a block of TCP alone, or of UDP alone: here it serves both. */
static void note_single_protocols(struct import *m)
{
	uint64_t n[2] = {};
	uint32_t line[2] = {};

	for (size_t i = 0; i < m->n_rows; i++) {
		unsigned has = m->row[i].protos & IMPORT_PORTS;

		if (has != IMPORT_TCP && has != IMPORT_UDP)
			continue;
		n[has == IMPORT_UDP]++;
		if (!line[has == IMPORT_UDP])
			line[has == IMPORT_UDP] = m->row[i].line;
	}
	for (int udp = 0; udp < 2; udp++)
		if (n[udp])
			import_note(m, IMPORT_PROTOCOLS, line[udp],
				    "%llu subscriber%s a block for %s alone there; here it serves TCP and UDP",
				    (unsigned long long)n[udp], n[udp] == 1 ? " has" : "s have", udp ? "UDP" : "TCP");
}

static bool follows(const struct import_row *a, const struct import_row *b)
{
	return b->out > a->out || (b->out == a->out && b->lo >= a->lo);
}

int import_rows_outside(const struct import *m, uint32_t **ret)
{
	_cleanup_free_ uint32_t *order = NULL, *other = NULL, *count = NULL;
	size_t n = m->n_rows, i = 1;

	*ret = NULL;
	while (i < n && follows(&m->row[i - 1], &m->row[i]))
		i++;
	if (i >= n)
		return 0;
	order = malloc(n * sizeof(*order));
	other = malloc(n * sizeof(*other));
	count = malloc(DIGITS * sizeof(*count));
	if (!order || !other || !count)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	/* By port, then the halves of the address. */
	for (unsigned turn = 0; turn < 3; turn++) {
		uint32_t sum = 0;

		memset(count, 0, DIGITS * sizeof(*count));
#define DIGIT(row) (!turn ? (row).lo : (row).out >> (turn == 1 ? 0 : 16) & (DIGITS - 1))
		for (i = 0; i < n; i++)
			count[DIGIT(m->row[order[i]])]++;
		for (uint32_t d = 0; d < DIGITS; d++) {
			uint32_t here = count[d];

			count[d] = sum;
			sum += here;
		}
		for (i = 0; i < n; i++)
			other[count[DIGIT(m->row[order[i]])]++] = order[i];
#undef DIGIT
		uint32_t *swap = order;

		order = other;
		other = swap;
	}
	*ret = take_pointer(order);
	return 0;
}

/* Two subscribers with the same port of an outside address: nothing could say whose a packet is. */
static int refuse_shared(const struct import *m, struct error *err)
{
	_cleanup_free_ uint32_t *order = NULL;

	if (import_rows_outside(m, &order))
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 1; i < m->n_rows; i++) {
		const struct import_row *a = &m->row[order ? order[i - 1] : i - 1], *b = &m->row[order ? order[i] : i];
		char in[ADDR_TEXT], other[ADDR_TEXT], one[IMPORT_RANGE_TEXT], two[IMPORT_RANGE_TEXT];

		if (a->out != b->out || b->lo > a->hi)
			continue;
		if (a->line > b->line) {
			const struct import_row *c = a;

			a = b;
			b = c;
		}
		return import_fault(m, b->line, err, "%s has %s, and %s has %s in line %u: two share ports",
				    addr_format(b->in, in), block_format(b, two), addr_format(a->in, other),
				    block_format(a, one), a->line);
	}
	return 0;
}

int import_rows_order(struct import *m, struct error *err)
{
	int r = 0;

	if (sort_inside(m))
		return error_set(err, -ENOMEM, "out of memory");
	r = merge_protocols(m, err);
	if (r)
		return r;
	if (m->n_rows > IMPORT_MAX_ROWS)
		return import_fault(m, 0, err, "has more than %u subscribers", IMPORT_MAX_ROWS);
	note_single_protocols(m);
	return refuse_shared(m, err);
}

const struct import_row *import_first(const struct import *m, uint32_t in)
{
	return m->row + count_while(i, m->n_rows, m->row[i].in < in);
}

const struct import_row *import_find(const struct import *m, uint32_t in)
{
	const struct import_row *r = import_first(m, in);

	return r < m->row + m->n_rows && r->in == in ? r : NULL;
}
