// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the parts of which rows are: first the blocks of each outside address by themselves, then addresses that go on
 * where the one before ends.
 */
#include <string.h>

#include "import/import_build.h"
#include "import/import_forward.h"
#include "import/import_group.h"
#include "import/import_prefixes.h"
#include "import/import_rows.h"
#include "plan/plan.h"

/* Beyond these, rows are only counted. */
#define NOTES 20U

struct fit {
	struct import *m;
	struct import_outside outside;
	struct import_group *group;
	size_t n;
};

/* Memory for the groups, and which rows each has. */
static int make_groups(struct fit *f)
{
	size_t rows = f->m->n_rows, n = 0;

	for (size_t i = 0; i < rows; i++)
		n += !i || import_outside_row(&f->outside, i)->out != import_outside_row(&f->outside, i - 1)->out;
	f->group = calloc(n ? n : 1, sizeof(*f->group));
	if (!f->group)
		return -ENOMEM;
	for (size_t i = 0; i < rows; i++) {
		uint32_t out = import_outside_row(&f->outside, i)->out;

		if (!f->n || f->group[f->n - 1].out != out)
			f->group[f->n++] = (struct import_group){ .first = i, .out = out };
		f->group[f->n - 1].n++;
	}
	return 0;
}

/* The regular group with the most blocks is the model of those that have fewer, and so is the group before. */
static void find_shapes(struct fit *f)
{
	const struct import_group *model = NULL, *before = NULL;

	for (size_t i = 0; i < f->n; i++) {
		struct import_group *g = &f->group[i];

		import_group_find(&f->outside, g);
		if (g->shape <= SHAPE_BY_BLOCK && (!model || g->n > model->n))
			model = g;
	}
	for (size_t i = 0; i < f->n; i++) {
		struct import_group *g = &f->group[i];

		if ((model && g != model && import_group_like(&f->outside, g, model)) ||
		    (before && import_group_like(&f->outside, g, before)))
			continue;
		before = g->shape <= SHAPE_BY_BLOCK ? g : before;
		if (!g->pitch)
			g->pitch = g->ports;
	}
}

static void count_irregular(struct fit *f, const struct import_group *g)
{
	struct import *m = f->m;

	for (uint32_t k = 0; k < g->n; k++) {
		const struct import_row *r = import_outside_row(&f->outside, g->first + k);
		uint32_t size = (uint32_t)r->hi - r->lo + 1;

		if (!m->n_irregular || size < m->irregular_lo)
			m->irregular_lo = size;
		if (size > m->irregular_hi)
			m->irregular_hi = size;
		m->n_irregular++;
	}
}

/* What the irregular groups would be if they were shrunk; with `shrink` they are. */
static void shrink_groups(struct fit *f, bool shrink)
{
	struct import *m = f->m;
	struct import_group model = {};
	bool same = true;

	for (size_t i = 0; i < f->n; i++) {
		struct import_group g = f->group[i];

		if (g.shape != SHAPE_IRREGULAR)
			continue;
		count_irregular(f, &g);
		if (!import_group_shrink(&f->outside, &g, model.blocks ? &model : NULL)) {
			same = false;
			continue;
		}
		same &= !model.blocks || g.ports == model.ports;
		if (!model.blocks)
			model = g;
		if (shrink)
			f->group[i] = g;
	}
	m->shrunk_to = same ? model.ports : 0;
}

static void leave_out(struct fit *f)
{
	struct import *m = f->m;
	unsigned notes = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct import_group *g = &f->group[i];
		uint32_t line = import_outside_row(&f->outside, g->first)->line;
		char out[ADDR_TEXT];

		if (g->shape <= SHAPE_BY_BLOCK)
			continue;
		m->n_unfit += g->n;
		if (++notes > NOTES)
			continue;
		addr_format(g->out, out);
		if (g->shape == SHAPE_IRREGULAR)
			import_note(m, IMPORT_IRREGULAR, line,
				    "%u subscribers of %s have blocks of unequal size or distance: not kept%s", g->n,
				    out, m->shrunk_to ? "; --shrink fits regular blocks within them" : "");
		else
			import_note(m, IMPORT_SHAPE, line,
				    "%u subscribers of %s have its blocks in an order that is neither by address nor "
				    "by block: not kept",
				    g->n, out);
	}
	if (notes > NOTES)
		import_note(m, IMPORT_SHAPE, 0, "and the subscribers of %u more outside addresses", notes - NOTES);
}

#define COMPARE(a, b) ((a) < (b) ? -1 : (a) > (b))

/* Groups of one plan side by side, in the order of their inside addresses. */
static int compare_groups(const void *a, const void *b)
{
	const struct import_group *x = a, *y = b;
	int r = COMPARE(x->shape, y->shape);

	r = r ? r : COMPARE(x->first_port, y->first_port);
	r = r ? r : COMPARE(x->pitch, y->pitch);
	r = r ? r : COMPARE(x->ports, y->ports);
	r = r || x->shape != SHAPE_BY_BLOCK ? r : COMPARE(x->step, y->step);
	r = r ? r : COMPARE(x->in, y->in);
	return r ? r : COMPARE(x->out, y->out);
}

static bool same_plan(const struct import_group *a, const struct import_group *b)
{
	return a->shape == b->shape && a->first_port == b->first_port && a->pitch == b->pitch && a->ports == b->ports &&
	       (a->shape != SHAPE_BY_BLOCK || a->step == b->step);
}

static struct import_part *new_part(struct import *m, const struct import_group *g, uint32_t ratio, bool netmap)
{
	bool full = !(m->n_parts & (m->n_parts - 1));
	struct import_part *part = full ? realloc(m->part, (m->n_parts ? 2 * m->n_parts : 1) * sizeof(*part)) : m->part;

	if (!part) {
		import_fail(m, "out of memory");
		return NULL;
	}
	m->part = part;
	part += m->n_parts++;
	*part = (struct import_part){
		.ratio = ratio, .first_port = g->first_port, .ports = g->ports, .pitch = g->pitch, .netmap = netmap
	};
	return part;
}

static void add_address(struct import *m, struct import_ranges *list, uint32_t addr)
{
	if (list->n && list->range[list->n - 1].last + 1ULL == addr)
		list->range[list->n - 1].last++;
	else
		import_ranges_add(m, list, (struct import_range){ addr, addr });
}

/* Groups first..last are those of one plan by address. */
static void chain_by_address(struct import *m, const struct import_group *g, size_t n)
{
	struct import_part *part = NULL;
	uint32_t ratio = 0;
	bool full = false; /* the address before has all its blocks */

	for (size_t i = 0; i < n; i++)
		ratio = g[i].blocks > ratio ? g[i].blocks : ratio;
	for (size_t i = 0; i < n && !m->failed; i++) {
		struct import_range in = { g[i].in, g[i].in + g[i].blocks - 1 };
		bool goes_on = part && g[i - 1].in + (uint64_t)ratio == g[i].in;

		/* Another may have subscribers between those of the address before. */
		if (part && !goes_on && (!full || in.first <= part->in.range[part->in.n - 1].last))
			part = NULL;
		/* As many addresses as a record has, and as many ranges as can still be read. */
		if (part &&
		    (import_ranges_size(&part->in) + ratio > MAPPING_MAX_SUBSCRIBERS || part->in.n + part->out.n >= 64))
			part = NULL;
		if (!part)
			part = new_part(m, &g[i], ratio, false);
		if (!part)
			return;
		if (goes_on && part->in.n)
			part->in.range[part->in.n - 1].last = in.last;
		else
			import_ranges_add(m, &part->in, in);
		add_address(m, &part->out, g[i].out);
		full = g[i].blocks == ratio;
	}
}

static bool is_prefix(uint32_t first, uint64_t size)
{
	return !(size & (size - 1)) && !(first & (size - 1));
}

static void note_by_block(struct fit *f, const struct import_group *g, size_t n)
{
	char out[IMPORT_RANGE_TEXT];
	uint64_t rows = 0;

	for (size_t i = 0; i < n; i++)
		rows += g[i].n;
	f->m->n_unfit += rows;
	import_note(f->m, IMPORT_SHAPE, import_outside_row(&f->outside, g->first)->line,
		    "%llu subscribers of %s: blocks go by inside prefixes that do not follow each other, or by outside "
		    "addresses that are no prefix: not kept",
		    (unsigned long long)rows,
		    import_range_format((struct import_range){ g[0].out, g[n - 1].out }, out));
}

/* Groups first..last are those of one plan by block. */
static void chain_by_block(struct fit *f, struct import_group *g, size_t n)
{
	struct import *m = f->m;

	for (size_t i = 0; i < n && !m->failed;) {
		struct import_part *part;
		size_t a = 1;

		while (i + a < n && a < g[i].step && g[i + a].in == g[i].in + a && g[i + a].out == g[i].out + a &&
		       g[i + a].blocks == g[i].blocks)
			a++;
		if (a != g[i].step || !is_prefix(g[i].out, a) || !is_prefix(g[i].in, a)) {
			note_by_block(f, &g[i], a);
			i += a;
			continue;
		}
		part = new_part(m, &g[i], g[i].blocks, true);
		if (!part)
			return;
		import_ranges_add(m, &part->out, (struct import_range){ g[i].out, g[i].out + (uint32_t)a - 1 });
		if (is_prefix(g[i].in, (uint64_t)a * g[i].blocks))
			import_ranges_add(m, &part->in,
					  (struct import_range){ g[i].in, g[i].in + (uint32_t)a * g[i].blocks - 1 });
		else
			for (uint32_t k = 0; k < g[i].blocks; k++)
				import_ranges_add(m, &part->in,
						  (struct import_range){ g[i].in + k * (uint32_t)a,
									 g[i].in + (k + 1) * (uint32_t)a - 1 });
		i += a;
	}
}

static int compare_parts(const void *a, const void *b)
{
	const struct import_part *x = a, *y = b;

	return COMPARE(x->in.range[0].first, y->in.range[0].first);
}

/* Inside addresses between others that have no block: they are not translated there, and are exceptions here. */
static void find_holes(struct import *m)
{
	for (size_t i = 0; i < m->n_parts; i++) {
		for (size_t j = 0; j < m->part[i].in.n; j++) {
			struct import_range in = m->part[i].in.range[j];
			const struct import_row *end = m->row + m->n_rows, *r;
			uint64_t at = in.first;

			for (r = import_first(m, in.first); r < end && r->in <= in.last; r++) {
				if (r->in > at)
					import_ranges_add(m, &m->untranslated,
							  (struct import_range){ (uint32_t)at, r->in - 1 });
				at = r->in + 1ULL;
			}
			if (at <= in.last)
				import_ranges_add(m, &m->untranslated, (struct import_range){ (uint32_t)at, in.last });
		}
	}
}

/* Finds the parts in ranges and lists. 0 or -ENOMEM. */
static int find_parts(struct import *m, bool shrink)
{
	_cleanup_free_ uint32_t *order = NULL;
	_cleanup_free_ struct import_group *groups = NULL;
	struct fit f = { .m = m };
	int r = import_rows_outside(m, &order);

	if (r)
		return r;
	f.outside = (struct import_outside){ m, order };
	r = make_groups(&f);
	if (r)
		return r;
	groups = f.group;
	find_shapes(&f);
	shrink_groups(&f, shrink);
	leave_out(&f);
	qsort(f.group, f.n, sizeof(*f.group), compare_groups);
	for (size_t i = 0, n; i < f.n; i += n) {
		for (n = 1; i + n < f.n && same_plan(&f.group[i], &f.group[i + n]);)
			n++;
		if (f.group[i].shape == SHAPE_BY_ADDRESS)
			chain_by_address(m, &f.group[i], n);
		else if (f.group[i].shape == SHAPE_BY_BLOCK)
			chain_by_block(&f, &f.group[i], n);
	}
	if (shrink && m->n_irregular && m->shrunk_to)
		import_note(m, IMPORT_SHRUNK, 0, "blocks of %u to %u ports become blocks of %u within them",
			    m->irregular_lo, m->irregular_hi, m->shrunk_to);
	if (!m->failed && m->n_parts)
		qsort(m->part, m->n_parts, sizeof(*m->part), compare_parts);
	return m->failed ? -ENOMEM : 0;
}

int import_fit_whole(struct import *m)
{
	int r = find_parts(m, false);

	if (!r)
		find_holes(m);
	return m->failed ? -ENOMEM : r;
}

static bool has(const struct import_ranges *list, uint32_t addr)
{
	for (size_t i = 0; i < list->n; i++)
		if (import_range_has(list->range[i], addr))
			return true;
	return false;
}

/* Whether all subscribers of a part's inside ranges are its own, so that no other part overlaps it inside. */
static bool owns_inside(const struct import *m, const struct import_part *p)
{
	for (size_t i = 0; i < p->in.n; i++) {
		struct import_range in = p->in.range[i];
		const struct import_row *end = m->row + m->n_rows;

		for (const struct import_row *r = import_first(m, in.first); r < end && r->in <= in.last; r++)
			if (!has(&p->out, r->out))
				return false;
	}
	return true;
}

struct owned {
	struct import_range out;
	size_t part;
};

static int compare_owned(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	return COMPARE(x->out.first, y->out.first);
}

/* Marks the parts that share outside addresses with another. 0 or -ENOMEM. */
static int mark_shared(const struct import *m, bool *apart)
{
	_cleanup_free_ struct owned *all = NULL;
	size_t n = 0, last = 0;

	for (size_t i = 0; i < m->n_parts; i++)
		n += m->part[i].out.n;
	all = calloc(n ? n : 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < m->n_parts; i++)
		for (size_t j = 0; j < m->part[i].out.n; j++)
			all[n++] = (struct owned){ m->part[i].out.range[j], i };
	qsort(all, n, sizeof(*all), compare_owned);
	for (size_t i = 1; i < n; i++) {
		if (all[i].out.first <= all[last].out.last)
			apart[all[i].part] = apart[all[last].part] = true;
		if (all[i].out.last > all[last].out.last)
			last = i;
	}
	return 0;
}

/* Parts that a configuration cannot have as they are, as they overlap others, are cut into prefixes; they go last. */
static void cut_overlapping(struct import *m, const bool *apart)
{
	struct import_part *whole = calloc(m->n_parts, sizeof(*whole)), *larger;
	size_t n = 0, kept = 0;

	if (!whole) {
		import_fail(m, "out of memory");
		return;
	}
	for (size_t i = 0; i < m->n_parts; i++) {
		if (apart[i])
			m->part[kept++] = m->part[i];
		else
			whole[n++] = m->part[i];
	}
	m->n_parts = kept;
	if (kept)
		import_prefixes(m);
	larger = realloc(m->part, (m->n_parts + n) * sizeof(*larger));
	if (larger) {
		m->part = larger;
		memcpy(m->part + m->n_parts, whole, n * sizeof(*whole));
		m->n_parts += n;
	} else {
		import_fail(m, "out of memory");
	}
	free(whole);
}

/* Cuts the parts into what a configuration can say. */
static void cut(struct import *m)
{
	_cleanup_free_ bool *apart = calloc(m->n_parts ? m->n_parts : 1, sizeof(*apart));

	if (!apart || mark_shared(m, apart)) {
		import_fail(m, "out of memory");
		return;
	}
	for (size_t i = 0; i < m->n_parts; i++)
		apart[i] |= !owns_inside(m, &m->part[i]);
	if (m->n_parts)
		cut_overlapping(m, apart);
	if (!m->failed && m->n_parts)
		qsort(m->part, m->n_parts, sizeof(*m->part), compare_parts);
	if (!m->failed)
		find_holes(m);
	if (!m->failed)
		import_prefixes_untranslated(m);
}

int import_fit(struct import *m, bool shrink)
{
	int r = find_parts(m, shrink);

	if (r)
		return r;
	cut(m);
	return m->failed ? -ENOMEM : import_forwards_settle(m);
}
