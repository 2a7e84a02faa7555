/* SPDX-License-Identifier: BSD-2-Clause */
/* Summaries of all mappings for the datapath, with which most packets need not ask the prefix index. */
#include "tables/mapping_tables.h"

static uint32_t pool_end(const struct geometry *g)
{
	return (uint32_t)(g->out_base + prefix_size(g->out_plen) - 1);
}

/* At any moment the datapath sees a range that contains every outside prefix in the index. */
void mappings_widen_pool(struct mappings *m, const struct geometry *g)
{
	struct globals *global = m->d->global;

	if (pool_end(g) > global->pool_last)
		__atomic_store_n(&global->pool_last, pool_end(g), __ATOMIC_RELEASE);
	if (g->out_base < global->pool_first)
		__atomic_store_n(&global->pool_first, g->out_base, __ATOMIC_RELEASE);
}

/* Without a mapping it is a range that contains hardly an address. */
void mappings_measure_pool(struct mappings *m)
{
	uint32_t first = ~0U, last = 0;

	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		const struct mapping_job *t = m->table[number];
		const struct geometry *g = t ? &t->record.geo : NULL;

		if (!g || (t->stage != TABLE_LIVE && t->stage != TABLE_RETIRED) || g->out_plen == PLEN_NONE)
			continue;
		first = g->out_base < first ? g->out_base : first;
		last = pool_end(g) > last ? pool_end(g) : last;
	}
	__atomic_store_n(&m->d->global->pool_first, first, __ATOMIC_RELEASE);
	__atomic_store_n(&m->d->global->pool_last, last, __ATOMIC_RELEASE);
}

/* The largest prefix within first..last. */
static struct prefix largest_within(uint32_t first, uint32_t last)
{
	for (uint8_t plen = 0; plen < 32; plen++) {
		uint64_t size = prefix_size(plen), base = (first + size - 1) & ~(size - 1);

		if (base + size - 1 <= last)
			return (struct prefix){ (uint32_t)base, plen };
	}
	return (struct prefix){ first, 32 };
}

/* The largest prefix of a mapping in which no other mapping lies. */
static uint64_t hint_inside(const struct mappings *m, int number, uint16_t leaf)
{
	struct prefix found = { 0 };
	bool any = false;

	for (size_t i = 0; i < m->n_runs; i++) {
		struct prefix p;

		if (m->run[i].number != number)
			continue;
		p = largest_within(m->run[i].first, m->run[i].last);
		if (!any || p.plen < found.plen)
			found = p;
		any = true;
	}
	return any ? fib_hint(found.base, found.plen, leaf) : FIB_NO_HINT;
}

void mappings_choose_hints(struct mappings *m)
{
	const struct mapping_job *largest = NULL;
	uint64_t inside = FIB_NO_HINT, outside = FIB_NO_HINT;

	for (unsigned k = 0; k < m->n_live; k++) {
		const struct mapping_job *t = m->table[m->order[k].number];

		if (mapping_has_slots(&t->record) && (!largest || t->n_subscribers > largest->n_subscribers))
			largest = t;
	}
	if (largest) {
		const struct geometry *g = &largest->record.geo;
		uint16_t leaf = (uint16_t)(INDEX_LEAF | (unsigned)largest->number);

		inside = m->unsettled ? FIB_NO_HINT : hint_inside(m, largest->number, leaf);
		outside = fib_hint(g->out_base, g->out_plen, leaf);
	}
	if (!m->d->fib)
		return;
	__atomic_store_n(&m->d->fib->inside, inside, __ATOMIC_RELEASE);
	__atomic_store_n(&m->d->fib->outside, outside, __ATOMIC_RELEASE);
}

void mappings_unsettle(struct mappings *m)
{
	m->unsettled = true;
	mappings_choose_hints(m);
}

void mappings_settled(struct mappings *m)
{
	m->unsettled = false;
	mappings_choose_hints(m);
}
