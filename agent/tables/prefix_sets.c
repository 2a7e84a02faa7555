/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of addresses that several tenants have. Such an entry leads to a set: a node with the leaf of each tenant.
 * There is one set for the same leaves, to which many entries may lead. A set with fewer than two leaves does not
 * exist.
 *
 * A leaf is added by another set, complete before an entry leads to it; a leaf that goes everywhere is replaced within
 * the set, with a single store. So the datapath finds the old or the new leaf of its tenant, and those of the others.
 */
#include <errno.h>
#include <string.h>

#include "tables/prefix_index.h"

#include "tables/prefix_index_private.h"

int index_find_free(const struct prefix_index *x, uint32_t from)
{
	for (uint32_t node = from; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_FREE)
			return (int)node;
	return -ENOSPC;
}

static uint32_t hash_leaves(const struct index_node *leaves)
{
	uint32_t hash = 2166136261U;

	for (uint32_t i = 0; i < 256; i++)
		hash = (hash ^ leaves->entry[i]) * 16777619U;
	return hash;
}

bool index_same_leaves(const struct index_node *a, const struct index_node *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The number of leaves; *ret_one: the last of them. */
static unsigned count_leaves(const struct index_node *leaves, uint16_t *ret_one)
{
	unsigned n = 0;

	*ret_one = 0;
	for (uint32_t i = 0; i < 256; i++) {
		if (!leaves->entry[i])
			continue;
		*ret_one = leaves->entry[i];
		n++;
	}
	return n;
}

/* A set in use with these leaves, or -ENOENT. */
static int find_set(const struct prefix_index *x, const struct index_node *leaves, uint32_t hash)
{
	for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
		if (x->usage[node] == NODE_SET && x->hash[node] == hash && index_same_leaves(&x->own[node], leaves))
			return (int)node;
	return -ENOENT;
}

/* Notes what a set has; true if it has become visible, or invisible. */
static bool note_set(struct prefix_index *x, uint32_t set)
{
	const bool before = x->shown[set];

	x->hash[set] = hash_leaves(&x->own[set]);
	x->shown[set] = 0;
	for (uint32_t i = 0; i < 256; i++)
		x->shown[set] += published(x, get(x, set, i)) != 0;
	return before != !!x->shown[set];
}

uint16_t index_entry_with(struct prefix_index *x, const struct index_node *leaves)
{
	uint16_t one;
	int found;

	if (count_leaves(leaves, &one) < 2)
		return one;
	found = find_set(x, leaves, hash_leaves(leaves));
	if (found >= 0)
		return shared_entry((uint16_t)found);
	found = index_find_free(x, INDEX_ROOTS);
	if (found < 0)
		return 0;
	x->usage[found] = NODE_SET;
	x->entries[found] = 0;
	x->own[found] = *leaves;
	for (uint32_t i = 0; i < 256; i++)
		x->nodes[found].entry[i] = published(x, leaves->entry[i]);
	note_set(x, (uint32_t)found);
	return shared_entry((uint16_t)found);
}

void index_leaves(const struct prefix_index *x, uint16_t entry, struct index_node *ret)
{
	if (is_shared(entry)) {
		*ret = x->own[set_of(entry)];
		return;
	}
	memset(ret, 0, sizeof(*ret));
	if (entry)
		ret->entry[tenant_of(x, entry)] = entry;
}

uint16_t index_entry_adding(struct prefix_index *x, uint16_t entry, uint16_t leaf)
{
	struct index_node leaves;

	if (!entry || !x->nests || (!is_shared(entry) && tenant_of(x, entry) == tenant_of(x, leaf)))
		return leaf;
	index_leaves(x, entry, &leaves);
	leaves.entry[tenant_of(x, leaf)] = leaf;
	return index_entry_with(x, &leaves);
}

uint16_t index_entry_replacing(struct prefix_index *x, uint16_t entry, uint8_t tenant, uint16_t instead)
{
	struct index_node leaves;
	uint16_t set = set_of(entry), one;
	int found;

	if (!is_shared(entry))
		return instead;
	index_leaves(x, entry, &leaves);
	leaves.entry[tenant] = instead;
	if (count_leaves(&leaves, &one) < 2)
		return one;
	found = find_set(x, &leaves, hash_leaves(&leaves));
	if (found >= 0)
		return shared_entry((uint16_t)found);
	x->own[set].entry[tenant] = instead;
	publish(x, set, tenant, published(x, instead));
	if (note_set(x, set))
		index_publish_shared(x);
	return entry;
}

int index_open_set(struct prefix_index *x, uint16_t entry)
{
	uint16_t set = set_of(entry);
	int cleared = 0;

	if (!x->nests || set < INDEX_ROOTS || (x->usage[set] != NODE_FREE && x->usage[set] != NODE_SET))
		return -1;
	x->entries[set]++;
	if (x->usage[set] == NODE_SET)
		return 0;
	x->usage[set] = NODE_SET;
	x->own[set] = x->nodes[set];
	for (uint32_t i = 0; i < 256; i++) {
		uint16_t leaf = get(x, set, i);

		if (!leaf || (is_leaf(leaf) && (leaf & ~INDEX_LEAF) < MAX_MAPPINGS))
			continue;
		x->own[set].entry[i] = 0;
		publish(x, set, i, 0);
		cleared++;
	}
	note_set(x, set);
	return cleared;
}

void index_publish_shared(struct prefix_index *x)
{
	for (uint32_t node = 0; node < INDEX_NODES; node++) {
		if (x->usage[node] != NODE_LINKED)
			continue;
		for (uint32_t i = 0; i < 256; i++)
			if (is_shared(get(x, node, i)))
				publish(x, node, i, published(x, get(x, node, i)));
	}
}

void prefix_index_show_shared(struct prefix_index *x, bool shown)
{
	x->shows_shared = shown;
	index_publish_shared(x);
}

void prefix_index_set_tenant(struct prefix_index *x, unsigned number, uint8_t tenant)
{
	uint8_t before = x->of[number].tenant;
	bool changed = false;

	x->of[number].tenant = tenant;
	for (uint32_t set = INDEX_ROOTS; set < INDEX_NODES && tenant != before; set++) {
		uint16_t leaf = leaf_of(number);

		if (x->usage[set] != NODE_SET || get(x, set, before) != leaf)
			continue;
		x->own[set].entry[tenant] = leaf;
		publish(x, set, tenant, published(x, leaf));
		x->own[set].entry[before] = 0;
		publish(x, set, before, 0);
		changed |= note_set(x, set);
	}
	if (changed)
		index_publish_shared(x);
}
