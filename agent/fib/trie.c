/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/trie.h"

#include <stdlib.h>
#include <string.h>

/* The level of the last octet. */
#define LAST_LEVEL 3U

/* Entries of [base, base + 2^(32 - plen)) whose rank is in [lowest, rank] become `leaf`. */
struct paint {
	uint32_t base;
	unsigned plen;
	unsigned lowest, rank;
	uint32_t leaf;
};

static uint32_t leaf_of(unsigned rank, uint32_t hop)
{
	return rank << 24 | hop;
}

static uint32_t load(const uint32_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

/* The contents of a node must be visible before the entry that leads to it. */
static void store(uint32_t *entry, uint32_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

void fib_trie_init(struct fib_trie *t, struct fib *fib, uint32_t max_chunks, const struct fib_trie_calls *calls)
{
	*t = (struct fib_trie){ .fib = fib, .calls = *calls, .max_chunks = max_chunks };
}

void fib_trie_done(struct fib_trie *t)
{
	free(t->free);
	free(t->left);
	*t = (struct fib_trie){ 0 };
}

static struct fib_node *node_at(const struct fib_trie *t, uint32_t number)
{
	return &t->chunk[number >> FIB_CHUNK_SHIFT][number & (FIB_CHUNK - 1)];
}

/* The node behind an entry with FIB_NODE, at place `index` of a node of that level. */
static struct fib_node *child(const struct fib_trie *t, unsigned level, unsigned index, uint32_t entry)
{
	return level ? node_at(t, entry & ~FIB_NODE) : &t->fib->second[index];
}

static bool add_chunk(struct fib_trie *t)
{
	size_t nodes = (size_t)(t->n_chunks + 1) * FIB_CHUNK;
	uint32_t *list;

	if (t->n_chunks == t->max_chunks)
		return false;
	list = reallocarray(t->free, nodes, sizeof(*list));
	if (!list)
		return false;
	t->free = list;
	list = reallocarray(t->left, nodes, sizeof(*list));
	if (!list)
		return false;
	t->left = list;
	t->chunk[t->n_chunks] = t->calls.add_chunk(t->n_chunks, t->calls.arg);
	if (!t->chunk[t->n_chunks])
		return false;
	for (uint32_t i = FIB_CHUNK; i--;)
		t->free[t->n_free++] = t->n_chunks * FIB_CHUNK + i;
	t->n_chunks++;
	return true;
}

/* Replaces a leaf by a node with that leaf in all its entries. False if there is no free node. */
static bool expand(struct fib_trie *t, unsigned level, unsigned index, uint32_t *entry)
{
	uint32_t leaf = load(entry), number = index;

	if (level) {
		if (!t->n_free && !add_chunk(t))
			return false;
		number = t->free[--t->n_free];
	}

	struct fib_node *node = child(t, level, index, FIB_NODE | number);

	for (size_t i = 0; i < 256; i++)
		__atomic_store_n(&node->entry[i], leaf, __ATOMIC_RELAXED);
	store(entry, FIB_NODE | number);
	return true;
}

/* Neighbours differ by definition, and are found by their own address. */
static bool is_uniform(const struct fib_node *node)
{
	uint32_t first = load(&node->entry[0]);

	if (first & FIB_NODE || FIB_RANK(first) == FIB_RANK_NEIGHBOUR || load(&node->entry[255]) != first)
		return false;
	for (size_t i = 1; i < 255; i++)
		if (load(&node->entry[i]) != first)
			return false;
	return true;
}

/* Removes a node whose entries are all the same. */
static void collapse(struct fib_trie *t, unsigned level, unsigned index, uint32_t *entry)
{
	uint32_t number = load(entry) & ~FIB_NODE;
	const struct fib_node *node = child(t, level, index, load(entry));

	if (!is_uniform(node))
		return;
	store(entry, load(&node->entry[0]));
	/* A node of the second octet always has the same addresses, so a late reader finds valid entries. */
	if (level)
		t->left[t->n_left++] = number;
}

/* Whether this change replaces the leaf. */
static bool concerns(const struct paint *p, uint32_t leaf)
{
	return FIB_RANK(leaf) >= p->lowest && FIB_RANK(leaf) <= p->rank && leaf != p->leaf;
}

/* Changes of routes report neighbours; those of neighbours and the gateway's addresses do not. */
static void met(struct fib_trie *t, const struct paint *p, uint32_t leaf, uint32_t addr)
{
	if (FIB_RANK(leaf) == FIB_RANK_NEIGHBOUR && p->rank < FIB_RANK_NEIGHBOUR && t->calls.met_neighbour)
		t->calls.met_neighbour(addr, t->calls.arg);
}

static void paint(struct fib_trie *t, struct fib_node *node, unsigned level, uint32_t at, const struct paint *p);

static void paint_below(struct fib_trie *t, unsigned level, unsigned index, uint32_t at, uint32_t *entry,
			const struct paint *p)
{
	paint(t, child(t, level, index, load(entry)), level + 1, at, p);
	collapse(t, level, index, entry);
}

/* The whole range of an entry. */
static void paint_entry(struct fib_trie *t, struct fib_node *node, unsigned level, unsigned index, uint32_t at,
			const struct paint *p)
{
	uint32_t *entry = &node->entry[index], value = load(entry);

	if (value & FIB_NODE) {
		paint_below(t, level, index, at, entry, p);
		return;
	}
	met(t, p, value, at);
	if (concerns(p, value))
		store(entry, p->leaf);
}

/* A part of the range of an entry. */
static void paint_part(struct fib_trie *t, struct fib_node *node, unsigned level, unsigned index, uint32_t at,
		       const struct paint *p)
{
	uint32_t *entry = &node->entry[index], value = load(entry);

	if (!(value & FIB_NODE)) {
		if (!concerns(p, value))
			return;
		if (!expand(t, level, index, entry)) {
			store(entry, leaf_of(FIB_RANK_FULL, FIB_HOP_KERNEL));
			t->full++;
			return;
		}
	}
	paint_below(t, level, index, at, entry, p);
}

/* at: first address of the node. */
static void paint(struct fib_trie *t, struct fib_node *node, unsigned level, uint32_t at, const struct paint *p)
{
	unsigned shift = 24 - 8 * level, first = p->base >> shift & 255, last = first;

	if (p->plen > 8 * (level + 1)) {
		paint_part(t, node, level, first, at | first << shift, p);
		return;
	}
	if (p->plen <= 8 * level) {
		first = 0;
		last = 255;
	} else {
		last = first + (1U << (8 * (level + 1) - p->plen)) - 1;
	}
	for (unsigned i = first; i <= last; i++)
		paint_entry(t, node, level, i, at | i << shift, p);
}

void fib_trie_set(struct fib_trie *t, uint32_t base, unsigned plen, unsigned rank, uint32_t hop)
{
	const struct paint p = { .base = base, .plen = plen, .rank = rank, .leaf = leaf_of(rank, hop) };

	paint(t, &t->fib->first, 0, 0, &p);
}

void fib_trie_clear(struct fib_trie *t, uint32_t base, unsigned plen, unsigned rank, unsigned cover_rank,
		    uint32_t cover_hop)
{
	const struct paint p = {
		.base = base, .plen = plen, .lowest = rank, .rank = rank, .leaf = leaf_of(cover_rank, cover_hop)
	};

	paint(t, &t->fib->first, 0, 0, &p);
}

uint32_t fib_trie_entry(const struct fib_trie *t, uint32_t addr)
{
	const struct fib_node *node = &t->fib->first;
	uint32_t entry = 0;

	for (unsigned level = 0; level <= LAST_LEVEL; level++) {
		unsigned index = addr >> (24 - 8 * level) & 255;

		entry = load(&node->entry[index]);
		if (!(entry & FIB_NODE))
			break;
		node = child(t, level, index, entry);
	}
	return entry;
}

void fib_trie_settle_begin(struct fib_trie *t)
{
	t->n_settling = t->n_left;
}

void fib_trie_settle_end(struct fib_trie *t)
{
	if (!t->n_settling)
		return;
	memcpy(&t->free[t->n_free], t->left, t->n_settling * sizeof(*t->free));
	t->n_free += t->n_settling;
	t->n_left -= t->n_settling;
	memmove(t->left, &t->left[t->n_settling], t->n_left * sizeof(*t->left));
	t->n_settling = 0;
}

void fib_trie_empty(struct fib_trie *t)
{
	memset(&t->fib->first, 0, sizeof(t->fib->first));
	t->n_free = t->n_left = t->n_settling = t->full = 0;
	for (uint32_t i = t->n_chunks * FIB_CHUNK; i--;)
		t->free[t->n_free++] = i;
}

size_t fib_trie_nodes(const struct fib_trie *t)
{
	return (size_t)t->n_chunks * FIB_CHUNK - t->n_free - t->n_left;
}

size_t fib_trie_room(const struct fib_trie *t)
{
	return (size_t)t->max_chunks * FIB_CHUNK - fib_trie_nodes(t);
}
