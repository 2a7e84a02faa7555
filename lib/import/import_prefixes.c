// SPDX-License-Identifier: BSD-2-Clause
/*
 * The agent's mappings are between one prefix inside and one outside. Parts of other ranges are cut into such ones
 * where that gives every subscriber the same block: at powers of two, or an outside address at a time, from a first
 * port so low that the addresses before the first subscriber have the blocks below his.
 */
#include "import/import_prefixes.h"

#include <string.h>

#include "import/import_build.h"

/* Beyond these, parts are only counted. */
#define NOTES 20U

struct cut {
	struct import *m;
	struct import_part *part; /* the new ones */
	size_t n;
	size_t room;
	unsigned n_notes;
};

static bool is_prefix(uint32_t first, uint64_t size)
{
	return size && !(size & (size - 1)) && !(first & (size - 1));
}

/* Whether the agent takes the ports. */
static bool fits(uint64_t blocks, int64_t first_port, const struct import_part *like)
{
	return blocks && first_port >= 1 &&
	       first_port + (int64_t)like->pitch * ((int64_t)blocks - 1) + like->ports <= 65536;
}

static void emit(struct cut *c, const struct import_part *like, struct import_range in, struct import_range out,
		 uint64_t ratio, uint32_t first_port)
{
	struct import_part *p;

	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;

		p = realloc(c->part, room * sizeof(*p));
		if (!p) {
			import_fail(c->m, "out of memory");
			return;
		}
		c->part = p;
		c->room = room;
	}
	p = &c->part[c->n++];
	*p = *like;
	p->in = (struct import_ranges){};
	p->out = (struct import_ranges){};
	p->ratio = (uint32_t)ratio;
	p->first_port = first_port;
	import_ranges_add(c->m, &p->in, in);
	import_ranges_add(c->m, &p->out, out);
}

/* Whether all subscribers of an inside range are on these outside addresses. */
static bool owns(const struct import *m, struct import_range in, struct import_range out)
{
	const struct import_row *end = m->row + m->n_rows;

	for (const struct import_row *r = import_first(m, in.first); r < end && r->in <= in.last; r++)
		if (!import_range_has(out, r->out))
			return false;
	return true;
}

static void leave_out(struct cut *c, struct import_range in, struct import_range out)
{
	const struct import_row *r = c->m->row, *end = r + c->m->n_rows;
	char from[IMPORT_RANGE_TEXT], to[IMPORT_RANGE_TEXT];
	uint64_t n = 0;
	uint32_t line = 0;

	/* Few parts are left out, or the notes are not printed. */
	for (r = import_first(c->m, in.first); r < end && r->in <= in.last; r++) {
		if (!import_range_has(out, r->out))
			continue;
		line = n++ ? line : r->line;
	}
	c->m->n_unfit += n;
	if (++c->n_notes > NOTES)
		return;
	import_note(
		c->m, IMPORT_SHAPE, line,
		"%llu subscribers, %s at %s: no mapping between a prefix inside and a prefix outside gives them these "
		"blocks: not kept",
		(unsigned long long)n, import_range_format(in, from), import_range_format(out, to));
}

/* The smallest prefix around a range. */
static struct import_range around(struct import_range r)
{
	uint64_t size = 1;

	while ((r.first & ~(size - 1)) + size - 1 < r.last)
		size *= 2;
	return (struct import_range){ (uint32_t)(r.first & ~(size - 1)),
				      (uint32_t)((r.first & ~(size - 1)) + size - 1) };
}

/* The subscribers of one outside address. */
static void one_address(struct cut *c, const struct import_part *p, struct import_range in, uint32_t out)
{
	struct import_range wide = around(in), at = { out, out };
	int64_t first_port = (int64_t)p->first_port - (int64_t)p->pitch * (in.first - wide.first);

	if (fits(import_range_size(wide), first_port, p) && owns(c->m, wide, at))
		emit(c, p, wide, at, import_range_size(wide), (uint32_t)first_port);
	else
		leave_out(c, in, at);
}

/* The largest prefix that begins here, of whole outside addresses; 0: none. */
static uint64_t whole(const struct import_part *p, uint32_t in, uint64_t n, struct import_range out)
{
	uint64_t size = p->ratio, found = 0;

	if (size & (size - 1))
		return 0;
	for (; size <= n && is_prefix(in, size) && is_prefix(out.first, size / p->ratio) &&
	       size / p->ratio <= import_range_size(out);
	     size *= 2)
		found = size;
	return found;
}

static void by_address(struct cut *c, const struct import_part *p)
{
	size_t at = 0;
	struct import_range out = p->out.range[0];

	if (p->in.n == 1 && p->out.n == 1 && is_prefix(p->in.range[0].first, import_range_size(p->in.range[0])) &&
	    is_prefix(out.first, import_range_size(out)) && fits(p->ratio, p->first_port, p)) {
		if (owns(c->m, p->in.range[0], out))
			emit(c, p, p->in.range[0], out, p->ratio, p->first_port);
		else
			leave_out(c, p->in.range[0], out);
		return;
	}
	for (size_t i = 0; i < p->in.n; i++) {
		uint64_t n = import_range_size(p->in.range[i]);
		uint32_t in = p->in.range[i].first;

		while (n && at < p->out.n && !c->m->failed) {
			uint64_t size = fits(p->ratio, p->first_port, p) ? whole(p, in, n, out) : 0;
			uint64_t outs = size ? size / p->ratio : 1;

			if (size) {
				struct import_range from = { in, in + (uint32_t)size - 1 };
				struct import_range to = { out.first, out.first + (uint32_t)outs - 1 };

				/* Others may have addresses between them. */
				if (owns(c->m, from, to))
					emit(c, p, from, to, p->ratio, p->first_port);
				else
					leave_out(c, from, to);
			} else {
				size = n < p->ratio ? n : p->ratio;
				one_address(c, p, (struct import_range){ in, in + (uint32_t)size - 1 }, out.first);
			}
			in += (uint32_t)size;
			n -= size;
			if (outs == import_range_size(out)) {
				if (++at < p->out.n)
					out = p->out.range[at];
			} else {
				out.first += (uint32_t)outs;
			}
		}
	}
}

static void by_block(struct cut *c, const struct import_part *p)
{
	struct import_range in = p->in.range[0], out = p->out.range[0], wide = around(in);
	uint64_t a = import_range_size(out);
	int64_t first_port = (int64_t)p->first_port - (int64_t)p->pitch * (int64_t)((in.first - wide.first) / a);

	if (p->in.n == 1 && p->out.n == 1 && fits(import_range_size(wide) / a, first_port, p) &&
	    owns(c->m, wide, out)) {
		emit(c, p, wide, out, import_range_size(wide) / a, (uint32_t)first_port);
		return;
	}
	for (size_t i = 0; i < p->in.n; i++)
		leave_out(c, p->in.range[i], out);
}

void import_prefixes_untranslated(struct import *m)
{
	struct import_ranges whole = m->untranslated;

	m->untranslated = (struct import_ranges){};
	for (size_t i = 0; i < whole.n && !m->failed; i++) {
		uint64_t at = whole.range[i].first;

		while (at <= whole.range[i].last && !m->failed) {
			uint64_t size = at ? at & -at : 1ULL << 32;

			while (at + size - 1 > whole.range[i].last)
				size /= 2;
			import_ranges_add(m, &m->untranslated,
					  (struct import_range){ (uint32_t)at, (uint32_t)(at + size - 1) });
			at += size;
		}
	}
	import_ranges_free(&whole);
}

void import_prefixes(struct import *m)
{
	struct cut c = { .m = m };

	for (size_t i = 0; i < m->n_parts && !m->failed; i++) {
		if (m->part[i].netmap)
			by_block(&c, &m->part[i]);
		else
			by_address(&c, &m->part[i]);
	}
	if (c.n_notes > NOTES)
		import_note(m, IMPORT_SHAPE, 0, "and the subscribers of %u more ranges", c.n_notes - NOTES);
	import_parts_free(m);
	m->part = c.part;
	m->n_parts = c.n;
}
