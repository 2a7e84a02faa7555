/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of the prefix index: read, written, and their meaning. */
#ifndef DETNAT_PREFIX_INDEX_PRIVATE_H
#define DETNAT_PREFIX_INDEX_PRIVATE_H

#include "tables/prefix_index.h"

static inline uint16_t get(const struct prefix_index *x, uint32_t node, uint32_t i)
{
	return x->own[node].entry[i];
}

static inline bool is_leaf(uint16_t entry)
{
	return entry & INDEX_LEAF;
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

/* The entry that the datapath sees for an entry. */
static inline uint16_t published(const struct prefix_index *x, uint16_t entry)
{
	return is_leaf(entry) && x->nests && x->of[number_of(entry)].hidden ? 0 : entry;
}

static inline void set(struct prefix_index *x, uint32_t node, uint32_t i, uint16_t value)
{
	uint16_t shown = published(x, value);

	x->own[node].entry[i] = value;
	if (__atomic_load_n(&x->nodes[node].entry[i], __ATOMIC_RELAXED) != shown)
		__atomic_store_n(&x->nodes[node].entry[i], shown, __ATOMIC_RELEASE);
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

#endif
