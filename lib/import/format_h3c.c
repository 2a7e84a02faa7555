// SPDX-License-Identifier: BSD-2-Clause
/*
 * H3C and HPE Comware: static NAT444. Inside and outside addresses ascend, R = ports / size of a block, by address from
 * the first port of the range.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_forward.h"

#define DEFAULT_BLOCK 256U
#define DEFAULT_FIRST 1U
#define DEFAULT_LAST  65535U

struct group {
	char name[32];
	uint32_t line;
	struct import_ranges in;
	struct import_ranges out;
	uint32_t first;
	uint32_t last;
	uint32_t block;
	bool used; /* an interface has it */
};

struct groups {
	struct group *group;
	size_t n;
};

static struct group *group_of(struct import *m, struct groups *all, const char *name, uint32_t line)
{
	struct group *g;

	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->group[i].name, name))
			return &all->group[i];
	g = realloc(all->group, (all->n + 1) * sizeof(*g));
	if (!g) {
		import_fail(m, "out of memory");
		return NULL;
	}
	all->group = g;
	g += all->n++;
	*g = (struct group){ .line = line, .first = DEFAULT_FIRST, .last = DEFAULT_LAST, .block = DEFAULT_BLOCK };
	snprintf(g->name, sizeof(g->name), "%.31s", name);
	return g;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct import_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Addresses ascend, whatever the order of the lines; ranges must not overlap. */
static int ascend(const struct import *m, const struct group *g, struct import_ranges *list, struct error *err)
{
	if (!list->n)
		return import_fault(m, g->line, err, "port block group %s lacks inside or outside addresses",
				    QUOTED(g->name));
	qsort(list->range, list->n, sizeof(*list->range), compare_ranges);
	for (size_t i = 1; i < list->n; i++)
		if (list->range[i].first <= list->range[i - 1].last)
			return import_fault(m, g->line, err, "port block group %s has an address twice",
					    QUOTED(g->name));
	return 0;
}

static int expand(struct import *m, struct group *g, struct error *err)
{
	uint32_t ratio = g->block ? (g->last - g->first + 1) / g->block : 0;
	uint64_t inside, outside;
	int r = ascend(m, g, &g->in, err);

	r = r ? r : ascend(m, g, &g->out, err);
	if (r)
		return r;
	inside = import_ranges_size(&g->in);
	outside = import_ranges_size(&g->out);
	if (!ratio)
		return import_fault(m, g->line, err, "blocks of %u ports do not fit in %u-%u", g->block, g->first,
				    g->last);
	if (inside > IMPORT_MAX_ROWS || inside > outside * ratio)
		return import_fault(
			m, g->line, err,
			"%llu inside addresses, but %llu outside addresses of %u blocks have room for %" PRIu64,
			(unsigned long long)inside, (unsigned long long)outside, ratio, (uint64_t)(outside * ratio));
	import_note(m, IMPORT_TAKEN, g->line, "%llu inside addresses, %u an outside address, %u ports each from %u",
		    (unsigned long long)inside, ratio, g->block, g->first);
	import_by_address(m, &(struct import_formula){ .in = &g->in,
						       .out = &g->out,
						       .ratio = ratio,
						       .first_port = g->first,
						       .ports = g->block,
						       .pitch = g->block,
						       .protos = IMPORT_ALL,
						       .line = g->line });
	return 0;
}

/* "A B", one or two addresses, from the word at. */
static int take_range(const struct import *m, const struct import_lines *l, unsigned at, struct import_range *ret,
		      struct error *err)
{
	struct import_range r;

	if (at >= l->n_words || addr_parse(l->word[at], &r.first))
		return import_fault(m, l->line, err, "an address is expected, not %s",
				    at < l->n_words ? QUOTED(l->word[at]) : "the end of the line");
	if (at + 1 >= l->n_words || addr_parse(l->word[at + 1], &r.last))
		r.last = r.first;
	if (r.last < r.first)
		return import_fault(m, l->line, err, "the range ends before it begins");
	*ret = r;
	return 0;
}

static int take_ports(const struct import *m, const struct import_lines *l, unsigned at, struct group *g,
		      struct error *err)
{
	if (at + 1 >= l->n_words || import_number(l->word[at], 65535, &g->first) ||
	    import_number(l->word[at + 1], 65535, &g->last) || g->last < g->first || !g->first)
		return import_fault(m, l->line, err, "port-range needs a first and a last port");
	return 0;
}

static int take_block(const struct import *m, const struct import_lines *l, unsigned at, struct group *g,
		      struct error *err)
{
	if (at >= l->n_words || import_number(l->word[at], 65535, &g->block) || !g->block)
		return import_fault(m, l->line, err, "block-size needs a number of ports");
	return 0;
}

/* "nat444 static local A B [vpn-instance V] global C D port-range F L block-size N" */
static int take_static(struct import *m, const struct import_lines *l, struct error *err)
{
	struct group g = { .line = l->line, .first = DEFAULT_FIRST, .last = DEFAULT_LAST, .block = DEFAULT_BLOCK };
	struct import_range range;
	int r = 0;

	snprintf(g.name, sizeof(g.name), "of line %u", l->line);
	for (unsigned i = 2; i < l->n_words && !r; i++) {
		bool local = !strcmp(l->word[i], "local"), global = !strcmp(l->word[i], "global");

		if (local || global) {
			r = take_range(m, l, i + 1, &range, err);
			if (!r)
				import_ranges_add(m, local ? &g.in : &g.out, range);
		} else if (!strcmp(l->word[i], "vpn-instance")) {
			import_note(m, IMPORT_VRF, l->line,
				    "vpn-instance: not kept, inside addresses are those of one network");
		} else if (!strcmp(l->word[i], "port-range")) {
			r = take_ports(m, l, i + 1, &g, err);
		} else if (!strcmp(l->word[i], "block-size")) {
			r = take_block(m, l, i + 1, &g, err);
		}
	}
	r = r ? r : expand(m, &g, err);
	import_ranges_free(&g.in);
	import_ranges_free(&g.out);
	return r;
}

static int take_group(struct import *m, struct group *g, const struct import_lines *l, struct error *err)
{
	struct import_range range;
	bool local = !strcmp(l->word[0], "local-ip-address");
	int r;

	if (local || !strcmp(l->word[0], "global-ip-pool")) {
		r = take_range(m, l, 1, &range, err);
		if (!r)
			import_ranges_add(m, local ? &g->in : &g->out, range);
		if (local && l->n_words > 3 && !strcmp(l->word[3], "vpn-instance"))
			import_note(m, IMPORT_VRF, l->line,
				    "vpn-instance: not kept, inside addresses are those of one network");
		return r;
	}
	if (!strcmp(l->word[0], "port-range"))
		return take_ports(m, l, 1, g, err);
	if (!strcmp(l->word[0], "block-size"))
		return take_block(m, l, 1, g, err);
	return 0;
}

static int take_line(struct import *m, struct groups *all, char interface[64], char group[32],
		     const struct import_lines *l, struct error *err)
{
	struct group *g;

	if (l->n_words > 2 && (!strcmp(l->word[0], "nat444") || !strcmp(l->word[0], "nat")) &&
	    !strcmp(l->word[1], "static") && !strcmp(l->word[2], "local"))
		return take_static(m, l, err);
	if (l->n_words >= 3 && !strcmp(l->word[0], "nat") && !strcmp(l->word[1], "port-block-group")) {
		snprintf(group, 32, "%.31s", l->word[2]);
		group_of(m, all, group, l->line);
		return 0;
	}
	if (l->n_words >= 2 && !strcmp(l->word[0], "interface")) {
		snprintf(interface, 64, "%.63s", l->word[1]);
		*group = '\0';
		return 0;
	}
	if (l->n_words >= 4 && !strcmp(l->word[0], "nat") && !strcmp(l->word[1], "outbound") &&
	    !strcmp(l->word[2], "port-block-group")) {
		g = group_of(m, all, l->word[3], l->line);
		if (g)
			g->used = true;
		import_names_add(m, &m->outside, interface);
		return 0;
	}
	if (l->n_words >= 3 && !strcmp(l->word[0], "tcp") && !strcmp(l->word[1], "mss"))
		import_mss_take(m, l->word[2], l->line);
	if (l->word[0][0] == '#' || !*group)
		return 0;
	g = group_of(m, all, group, l->line);
	return g ? take_group(m, g, l, err) : 0;
}

int import_read_h3c(struct import *m, const struct import_text *text, const struct import_options *options,
		    struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	char interface[64] = "", group[32] = "";
	struct groups all = {};
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		import_lines_words(l, "", 0);
		if (l->n_words)
			r = take_line(m, &all, interface, group, l, err);
	}
	for (size_t i = 0; i < all.n; i++) {
		struct group *g = &all.group[i];

		if (!r && !g->used)
			import_note(m, IMPORT_ASSUMED, g->line,
				    "no interface has port block group %s in this file: taken as if one had", g->name);
		r = r ? r : expand(m, g, err);
		import_ranges_free(&g->in);
		import_ranges_free(&g->out);
	}
	free(all.group);
	import_lines_end(l);
	return r;
}
