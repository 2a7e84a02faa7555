/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the prefix index of <detnat/tables.h>: a 16-8-8 multibit trie in memory that the datapath reads at the same
 * time and that outlives the agent.
 *
 * Each change consists of single entries stored atomically: at any moment, also after a crash, a reader sees either the
 * old or the new value of an entry. A new node is complete before it is linked. An unlinked node is reused only after
 * prefix_index_settle(), when no reader can still be in it.
 *
 * Prefixes must not overlap. Addresses are in host byte order.
 */
#ifndef DETNAT_PREFIX_INDEX_H
#define DETNAT_PREFIX_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/tables.h>

struct prefix_index {
	struct index_node *nodes;   /* INDEX_NODES of them, shared with the datapath */
	uint8_t usage[INDEX_NODES]; /* free, linked, or unlinked */
};

/* Called for a leaf entry: base/plen (plen 16, 24 or 32) maps to this number. */
typedef void (*prefix_index_visit)(uint32_t base, unsigned plen, unsigned number, void *arg);

/*
 * Takes over existing nodes. Clears entries that no writer could have left (links to missing nodes or to nodes linked
 * already, numbers of no mapping) and links to empty nodes; returns how many.
 */
unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes);

/* Visits all leaf entries in order of address. */
void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg);

/* Whether the prefix can be inserted: 0, -EEXIST if it overlaps another, -ENOSPC if there are too few free nodes. */
int prefix_index_check(const struct prefix_index *x, uint32_t base, unsigned plen);

/* Errors as for prefix_index_check(), with nothing changed. */
int prefix_index_insert(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number);

/* Clears the leaf entries of this number within the prefix. */
void prefix_index_remove(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number);

/* Clears all leaf entries of this number. */
void prefix_index_remove_number(struct prefix_index *x, unsigned number);

/* Call this when a grace period has passed since the last removal. */
void prefix_index_settle(struct prefix_index *x);

/* Number of the mapping that covers an address, or -ENOENT. */
int prefix_index_find(const struct prefix_index *x, uint32_t addr);

#endif
