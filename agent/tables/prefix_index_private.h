/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of the prefix index: read, written, and their meaning. */
#ifndef DETNAT_PREFIX_INDEX_PRIVATE_H
#define DETNAT_PREFIX_INDEX_PRIVATE_H

#include "tables/prefix_index.h"

enum node_usage { NODE_FREE, NODE_LINKED, NODE_SET, NODE_LEAVING };

static inline uint16_t get(const struct prefix_index *x, uint32_t node, uint32_t i)
{
	return x->own[node].entry[i];
}

/* Of a mapping, of a hold, or of several tenants' ones. */
static inline bool is_leaf(uint16_t entry)
{
	return entry & INDEX_LEAF;
}

static inline bool is_link(uint16_t entry)
{
	return entry && !is_leaf(entry);
}

/* Whether several tenants have the addresses of an entry: the node set_of() has the leaf of each. */
static inline bool is_shared(uint16_t entry)
{
	return (entry & (INDEX_LEAF | INDEX_SHARED)) == (INDEX_LEAF | INDEX_SHARED);
}

static inline uint16_t set_of(uint16_t entry)
{
	return entry & (INDEX_SHARED - 1);
}

static inline uint16_t shared_entry(uint16_t set)
{
	return (uint16_t)(INDEX_LEAF | INDEX_SHARED | set);
}

/* Of a mapping, or of a hold: MAX_MAPPINGS and up. */
static inline unsigned number_of(uint16_t entry)
{
	return entry & (2 * MAX_MAPPINGS - 1);
}

static inline uint16_t leaf_of(unsigned number)
{
	return (uint16_t)(INDEX_LEAF | number);
}

static inline uint8_t tenant_of(const struct prefix_index *x, uint16_t leaf)
{
	return x->of[number_of(leaf)].tenant;
}

/* The leaf that an entry, if it is no link, has for a tenant, or 0. */
static inline uint16_t leaf_for(const struct prefix_index *x, uint16_t entry, uint8_t tenant)
{
	if (is_shared(entry))
		return get(x, set_of(entry), tenant);
	return entry && x->nests && tenant_of(x, entry) != tenant ? 0 : entry;
}

/* The entry that the datapath sees for an entry. */
static inline uint16_t published(const struct prefix_index *x, uint16_t entry)
{
	if (is_shared(entry))
		return x->shows_shared && x->shown[set_of(entry)] ? entry : 0;
	return is_leaf(entry) && x->nests && x->of[number_of(entry)].hidden ? 0 : entry;
}

static inline void publish(struct prefix_index *x, uint32_t node, uint32_t i, uint16_t shown)
{
	if (__atomic_load_n(&x->nodes[node].entry[i], __ATOMIC_RELAXED) != shown)
		__atomic_store_n(&x->nodes[node].entry[i], shown, __ATOMIC_RELEASE);
}

/* Notes that so many entries more, or fewer, lead to the set of an entry, if it is shared. */
static inline void count_entries(struct prefix_index *x, uint16_t entry, int n)
{
	if (!is_shared(entry))
		return;
	x->entries[set_of(entry)] += (uint32_t)n;
	if (!x->entries[set_of(entry)])
		x->usage[set_of(entry)] = NODE_LEAVING;
}

static inline void set(struct prefix_index *x, uint32_t node, uint32_t i, uint16_t value)
{
	uint16_t before = get(x, node, i);

	count_entries(x, value, 1);
	x->own[node].entry[i] = value;
	publish(x, node, i, published(x, value));
	count_entries(x, before, -1);
}

/* The common value of all of a node's entries, if it is a leaf or empty; else a link. */
static inline uint16_t uniform(const struct prefix_index *x, uint32_t node)
{
	uint16_t first = get(x, node, 0);

	for (uint32_t i = 0; i < 256; i++)
		if (get(x, node, i) != first || (first && !is_leaf(first)))
			return (uint16_t)node;
	return first;
}

/* The octets of an address as the trie uses them: the first two at the root. */
static inline uint32_t octet(uint32_t addr, unsigned n)
{
	return addr >> (24 - 8 * n) & 255;
}

static inline uint32_t last_addr(uint32_t base, unsigned plen)
{
	return base | ~prefix_mask(plen);
}

/* The first free node from this one on, or -ENOSPC. */
int index_find_free(const struct prefix_index *x, uint32_t from);

/* Replaces the link to a node whose entries are all the same. */
void index_fold(struct prefix_index *x, uint32_t node, uint32_t i);

/* Paints addresses, for which there is room, with the leaf of a number wherever a smaller prefix has not. */
void index_paint_prefix(struct prefix_index *x, struct prefix p, unsigned number);

/* Whether there are enough free nodes for painting a tenant's prefix: 0 or -ENOSPC. */
int index_check_room(const struct prefix_index *x, uint8_t tenant, struct prefix p);

/* The smallest of a tenant's ranges with more than these addresses around them, or with these alone; below `end`. */
int index_find_around(const struct prefix_index *x, uint8_t tenant, struct prefix p, bool equal, unsigned end);

/* Entries of several tenants: prefix_sets.c. */

/*
 * The entry with these leaves, by tenant: one of them alone, or that of a set, which is made if there is none. 0 if
 * there are no leaves, or no node is left.
 */
uint16_t index_entry_with(struct prefix_index *x, const struct index_node *leaves);

/* The leaves of an entry that is no link. */
void index_leaves(const struct prefix_index *x, uint16_t entry, struct index_node *ret);

/* The entry that has the leaf besides the leaves of other tenants than its own. 0 as above. */
uint16_t index_entry_adding(struct prefix_index *x, uint16_t entry, uint16_t leaf);

/*
 * The entry that has another leaf of a tenant, or 0, instead of the present one, which goes everywhere: needs no node,
 * but may change the set itself.
 */
uint16_t index_entry_replacing(struct prefix_index *x, uint16_t entry, uint8_t tenant, uint16_t instead);

/* Whether all leaves are the same. */
bool index_same_leaves(const struct index_node *a, const struct index_node *b);

/* Takes over the set of an entry. Returns the number of its leaves that had to be cleared, or -1: there is no set. */
int index_open_set(struct prefix_index *x, uint16_t entry);

/* Publishes all entries that lead to sets again, after sets have become visible or invisible. */
void index_publish_shared(struct prefix_index *x);

#endif
