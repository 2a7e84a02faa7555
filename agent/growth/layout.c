// SPDX-License-Identifier: BSD-2-Clause
/* The layouts by which the datapath finds granted blocks, and addresses that have none left. */
#include <string.h>

#include "growth/growth_private.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

/* Sizes of blocks that mappings have granted, other than they want now: by number, 0: none. */
struct former_sizes {
	uint16_t block[MAX_MAPPINGS];
};

static void find_former(const struct growth *g, struct former_sizes *ret)
{
	uint32_t at = 0;

	for (const struct grant *i; (i = grants_walk(g->grants, &at));) {
		bool ended = i->state == GRANT_RESTS || i->state == GRANT_FREE;
		int number = ended ? -1 : mappings_find_outside(g->m, i->out_addr);

		if (number >= 0 && i->ports != g->figures[number].wanted.block)
			ret->block[number] = i->ports;
	}
}

static bool same_layout(struct growth_layout a, struct growth_layout b)
{
	return a.block == b.block && a.max_blocks == b.max_blocks;
}

static void set_layout(struct growth *g, int number, struct growth_layout layout)
{
	mappings_set_growth(g->m, number, layout);
	if (g->laid_out)
		g->laid_out(g->laid_out_arg);
}

static void lay_out(struct growth *g, int number, uint16_t former)
{
	const struct mapping *m = mappings_get(g->m, number);
	struct growth_layout wanted = g->figures[number].wanted;

	/* No session opens on blocks of the former size, and none of the new one can be found beside them. */
	if (former || mappings_is_retired(g->m, number))
		wanted = (struct growth_layout){ former ? former : m->growth.block, 0 };
	if (m && !same_layout(m->growth, wanted))
		set_layout(g, number, wanted);
	g->unsettled |= former && !mappings_is_retired(g->m, number);
}

/* Whether an address that was told to have no block left still has none. */
static bool still_full(void *arg, uint32_t out_addr)
{
	const struct growth *g = arg;
	int number = mappings_find_outside(g->m, out_addr);
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);

	return m && m->growth.block && m->growth.max_blocks && grants_free_block(g->grants, m, out_addr, 0, NULL) < 0;
}

void growth_lay_out(struct growth *g)
{
	static struct former_sizes former;

	memset(&former, 0, sizeof(former));
	g->unsettled = false;
	find_former(g, &former);
	for (int number = 0; number < (int)MAX_MAPPINGS; number++)
		if (mappings_get(g->m, number))
			lay_out(g, number, former.block[number]);
	grants_prune_none_left(g->grants, still_full, g);
}
