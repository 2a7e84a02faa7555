/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a prefix index: takes over that of an earlier agent, visits its entries. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/inside_runs.h"
#include "tables/prefix_index.h"

#include "tables/prefix_index_private.h"

/* Depth of entries: 0 at the root, 1 in nodes of the third octet, 2 in nodes of the fourth. */
static unsigned open_node(struct prefix_index *x, uint32_t node, unsigned depth)
{
	unsigned cleared = 0;

	x->own[node] = x->nodes[node];
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = get(x, node, i);

		if (!entry)
			continue;
		if (is_shared(entry)) {
			int r = index_open_set(x, entry);

			cleared += r > 0 ? (unsigned)r : 0;
			if (r >= 0)
				continue;
			/* No entry of the set's. */
			x->own[node].entry[i] = 0;
		} else if (is_leaf(entry)) {
			if ((entry & ~INDEX_LEAF) < MAX_MAPPINGS)
				continue;
		} else if (depth < 2 && entry >= INDEX_ROOTS && entry < INDEX_NODES && x->usage[entry] == NODE_FREE) {
			x->usage[entry] = NODE_LINKED;
			cleared += open_node(x, entry, depth + 1);
			if (uniform(x, entry))
				continue;
			x->usage[entry] = NODE_LEAVING;
		}
		set(x, node, i, 0);
		cleared++;
	}
	return cleared;
}

unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes, bool nests)
{
	unsigned cleared = 0;

	x->nodes = nodes;
	x->nests = nests;
	x->shows_shared = true;
	memset(x->usage, NODE_LINKED, INDEX_ROOTS);
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		cleared += open_node(x, root, 0);
	return cleared;
}

/* What the datapath finds in an entry. */
static void walk_leaf(const struct prefix_index *x, uint16_t entry, uint32_t base, unsigned plen,
		      prefix_index_visit visit, void *arg)
{
	if (!is_shared(entry)) {
		visit(base, plen, -1, number_of(entry), arg);
		return;
	}
	for (uint32_t i = 0; x->usage[set_of(entry)] == NODE_SET && i < 256; i++) {
		uint16_t leaf = __atomic_load_n(&x->nodes[set_of(entry)].entry[i], __ATOMIC_ACQUIRE);

		if (is_leaf(leaf))
			visit(base, plen, (int)i, number_of(leaf), arg);
	}
}

static void walk_node(const struct prefix_index *x, uint32_t node, uint32_t base, unsigned plen,
		      prefix_index_visit visit, void *arg)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t entry = __atomic_load_n(&x->nodes[node].entry[i], __ATOMIC_ACQUIRE);
		uint32_t addr = base | i << (32 - plen);

		if (is_leaf(entry))
			walk_leaf(x, entry, addr, plen, visit, arg);
		else if (entry >= INDEX_ROOTS && entry < INDEX_NODES && plen < 32)
			walk_node(x, entry, addr, plen + 8, visit, arg);
	}
}

void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg)
{
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		walk_node(x, root, root << 24, 16, visit, arg);
}

/* The runs of all prefixes in use. */
struct runs {
	struct inside_run run[INSIDE_RUNS(MAX_MAPPINGS)];
	size_t n;
	unsigned changed;
	struct index_node last; /* the leaves wanted last, */
	uint16_t last_entry;	/* and their entry; 0: none */
};

/* Of tenants that may have an entry's addresses. */
struct tenants {
	uint8_t at[256];
	unsigned n;
};

/* The leaf that a tenant should have for base/plen; *ret_any: the tenant has some of the addresses. */
static uint16_t wanted_leaf(const struct prefix_index *x, const struct runs *r, uint8_t tenant, uint32_t base,
			    unsigned plen, bool *ret_any)
{
	const struct prefix p = { .base = base, .plen = (uint8_t)plen };
	const uint64_t first = inside_place(tenant, base), last = inside_place(tenant, last_addr(base, plen));
	size_t at = inside_run_at(r->run, r->n, first);
	int around;

	*ret_any = at < r->n && r->run[at].first <= last;
	if (!*ret_any)
		return 0;
	if (r->run[at].first <= first && r->run[at].last >= last)
		return leaf_of(r->run[at].number);
	around = index_find_around(x, tenant, p, true, MAX_MAPPINGS);
	return around < 0 ? 0 : leaf_of((unsigned)around);
}

/* The entry with the leaves that are wanted. */
static uint16_t wanted_entry(struct prefix_index *x, struct runs *r, uint16_t present, const struct index_node *leaves)
{
	if (is_shared(present) && index_same_leaves(&x->own[set_of(present)], leaves))
		return present;
	if (!r->last_entry || !index_same_leaves(&r->last, leaves)) {
		r->last = *leaves;
		r->last_entry = index_entry_with(x, leaves);
	}
	return r->last_entry;
}

/*
 * Sets the leaves of a node, of each tenant, to the longest prefix around; plen is the length of an entry's own prefix.
 */
static void repaint_node(struct prefix_index *x, struct runs *r, uint32_t node, uint32_t base, unsigned plen,
			 const struct tenants *of)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t addr = base | i << (32 - plen);
		uint16_t entry = get(x, node, i), wanted;
		struct index_node leaves = { 0 };
		struct tenants within = { .n = 0 };

		for (unsigned k = 0; k < of->n; k++) {
			bool any;

			leaves.entry[of->at[k]] = wanted_leaf(x, r, of->at[k], addr, plen, &any);
			if (any)
				within.at[within.n++] = of->at[k];
		}
		if (is_link(entry)) {
			repaint_node(x, r, entry, addr, plen + 8, &within);
			index_fold(x, node, i);
			continue;
		}
		wanted = wanted_entry(x, r, entry, &leaves);
		r->changed += entry != wanted;
		set(x, node, i, wanted);
	}
}

static int larger_first(const void *a, const void *b)
{
	const struct inside_range *x = a, *y = b;
	uint64_t x_size = x->last - x->first, y_size = y->last - y->first;

	return x_size > y_size ? -1 : x_size < y_size;
}

unsigned prefix_index_repaint(struct prefix_index *x)
{
	static struct inside_range range[MAX_MAPPINGS];
	static struct runs r;
	struct tenants all = { .n = 0 };
	bool has[256] = { false };
	size_t n = 0;

	for (unsigned number = 0; number < MAX_MAPPINGS; number++) {
		const struct index_prefix *p = &x->of[number];

		if (!p->used)
			continue;
		range[n++] = inside_range_of(p->tenant, prefix_of(p->first, p->last), number);
		has[p->tenant] = true;
	}
	for (unsigned tenant = 0; tenant < 256; tenant++)
		if (has[tenant])
			all.at[all.n++] = (uint8_t)tenant;
	r.n = inside_runs(range, n, r.run);
	r.changed = 0;
	r.last_entry = 0;
	for (uint32_t root = 0; root < INDEX_ROOTS; root++)
		repaint_node(x, &r, root, root << 24, 16, &all);
	/* In order of size: missing entries need nodes, and smaller ranges do not give way. */
	if (n)
		qsort(range, n, sizeof(*range), larger_first);
	for (size_t i = 0; i < n; i++) {
		struct prefix p = inside_range_prefix(&range[i]);

		if (!index_check_room(x, inside_tenant(range[i].first), p))
			index_paint_prefix(x, p, range[i].number);
	}
	return r.changed;
}
