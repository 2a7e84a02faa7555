/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writer of the prefix index of <detnat/tables.h>, a 16-8-8 multibit trie in memory that the datapath reads at the
 * same time and that outlives the agent.
 *
 * Every change is made of single entries stored atomically, so that at any moment, and after a crash at any moment,
 * a reader finds in each entry the old or the new. A new node is complete before it is linked. A node that is no
 * longer linked is used again only after prefix_index_settle(), when no reader can be in it any more.
 *
 * Prefixes must not overlap. Addresses in host byte order.
 */
#ifndef DETNAT_PREFIX_INDEX_H
#define DETNAT_PREFIX_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/tables.h>

struct prefix_index {
	struct index_node *nodes;   /* INDEX_NODES of them, shared with the datapath */
	uint8_t usage[INDEX_NODES]; /* free, linked, or no longer linked */
};

/* A leaf entry: all addresses of base/plen (plen 16, 24 or 32) lead to the mapping of this number. */
typedef void (*prefix_index_visit)(uint32_t base, unsigned plen, unsigned number, void *arg);

/*
 * Takes over nodes as they are. Entries that no writer could have left (links to no node or to one that is linked
 * already, numbers of no mapping) and links to empty nodes are cleared; returns how many.
 */
unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes);

/* Visits all leaf entries in order of address. */
void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg);

/* Whether the prefix can be inserted: 0, -EEXIST where it overlaps another, -ENOSPC for want of free nodes. */
int prefix_index_check(const struct prefix_index *x, uint32_t base, unsigned plen);

/* Errors as prefix_index_check(); then nothing has changed. */
int prefix_index_insert(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number);

/* Clears the leaf entries of this number within the prefix. */
void prefix_index_remove(struct prefix_index *x, uint32_t base, unsigned plen, unsigned number);

/* Clears the leaf entries of this number wherever they are. */
void prefix_index_remove_number(struct prefix_index *x, unsigned number);

/* To be called when a grace period has passed since the last removal. */
void prefix_index_settle(struct prefix_index *x);

/* Number of the mapping that covers an address, or -ENOENT. */
int prefix_index_find(const struct prefix_index *x, uint32_t addr);

#endif
