// SPDX-License-Identifier: BSD-2-Clause
/* import --since: the plan of the other system as claims, so that `who` answers for the time before the switch. */
#include "import_claim.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "import/import_prove.h"
#include "message.h"

struct claiming {
	struct plan plan; /* of the mappings below */
	struct plan_mapping *mapping;
	size_t n;
	struct claim_block *block;
	size_t n_blocks;
};

static void drop_mappings(struct claiming *c)
{
	plan_free(&c->plan);
	for (size_t i = 0; i < c->n; i++)
		plan_mapping_free(&c->mapping[i]);
	c->n = 0;
}

static void free_claiming(struct claiming *c)
{
	drop_mappings(c);
	free(c->mapping);
	free(c->block);
}

/* Takes a mapping if the plan does; the blocks of another one are claimed one by one. 0 or -ENOMEM. */
static int take_mapping(struct claiming *c, struct plan_mapping *m)
{
	struct error ignored;
	int r = plan_add(&c->plan, m, &ignored);

	if (r)
		plan_mapping_free(m);
	else
		c->mapping[c->n++] = *m;
	return r == -ENOMEM ? r : 0;
}

/* -EADDRINUSE: the plan does not take it, and would name subscribers who had nothing. */
static int take_untranslated(struct claiming *c, struct import_range in)
{
	struct plan_mapping m = PLAN_MAPPING;
	size_t before = c->n;
	int r;

	if (plan_addresses_add(&m.in, (struct plan_range){ in.first, in.last, false }))
		return -ENOMEM;
	r = take_mapping(c, &m);
	return r || c->n > before ? r : -EADDRINUSE;
}

static int take_mappings(struct claiming *c, const struct import *m, struct error *err)
{
	int r = 0;

	c->mapping = calloc(m->n_parts + m->untranslated.n + 1, sizeof(*c->mapping));
	if (!c->mapping)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_parts && !r; i++) {
		struct plan_mapping one;

		r = import_mapping(&m->part[i], &one, err);
		r = r ? r : take_mapping(c, &one);
	}
	for (size_t i = 0; i < m->untranslated.n && !r; i++)
		r = take_untranslated(c, m->untranslated.range[i]);
	return r;
}

static int take_block(struct claiming *c, const struct import_row *row, struct error *err)
{
	if (c->n_blocks == CLAIMS_MAX_BLOCKS)
		return error_set(err, -E2BIG,
				 "more than %u subscribers have blocks that follow no rule: they cannot be claimed",
				 CLAIMS_MAX_BLOCKS);
	if (!(c->n_blocks & (c->n_blocks - 1))) {
		size_t room = c->n_blocks ? 2 * c->n_blocks : 1;
		struct claim_block *larger = reallocarray(c->block, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		c->block = larger;
	}
	c->block[c->n_blocks++] = (struct claim_block){ row->in, row->out, row->lo, row->hi };
	return 0;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct claim_block *x = a, *y = b;

	if (x->out != y->out)
		return x->out < y->out ? -1 : 1;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Those whom the mappings do not give what they had. */
static int take_blocks(struct claiming *c, const struct import *m, struct error *err)
{
	for (size_t i = 0; i < m->n_rows; i++) {
		int r = import_row_kept(&c->plan, &m->row[i]);

		if (!r)
			r = take_block(c, &m->row[i], err);
		if (r < 0)
			return r;
	}
	if (c->n_blocks)
		qsort(c->block, c->n_blocks, sizeof(*c->block), compare_blocks);
	return 0;
}

static void tell(const struct import *m, const char *dir, const struct claim_origin *origin, uint64_t lines)
{
	char from[TIME_TEXT];

	if (lines)
		message_line("%" PRIu64 " line%s in %s/" CLAIMS_FILE
			     ": who answers from %s on, for %zu subscribers, as claimed",
			     lines, lines == 1 ? "" : "s", dir, time_format(origin->from, from), m->n_rows);
	else
		message_line("%s/" CLAIMS_FILE " has this claim already", dir);
	if (m->n_differ)
		message_line("%" PRIu64 " subscriber%s with different blocks of TCP and UDP %s not claimed",
			     m->n_differ, m->n_differ == 1 ? "" : "s", m->n_differ == 1 ? "is" : "are");
}

int import_claim(struct import *m, const char *dir, const struct claim_origin *origin, struct error *err)
{
	struct claiming c __attribute__((cleanup(free_claiming))) = { 0 };
	uint64_t lines = 0;
	int r = import_fit_whole(m);

	*err->text = '\0';
	r = r ? r : take_mappings(&c, m, err);
	r = r ? r : take_blocks(&c, m, err);
	/* Mappings that do not agree with the rows in everything claim nothing. */
	if (r == -EADDRINUSE) {
		drop_mappings(&c);
		c.n_blocks = 0;
		r = take_blocks(&c, m, err);
	}
	r = r ? r
	      : history_claims_append(dir, origin, &(struct claim_plan){ c.mapping, c.n, c.block, c.n_blocks }, &lines,
				      err);
	if (r)
		return *err->text ? r : error_set(err, r, "out of memory");
	tell(m, dir, origin, lines);
	return 0;
}
