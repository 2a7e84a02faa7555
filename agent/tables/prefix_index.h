/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the prefix index of <detnat/tables.h>: a 16-8-8 multibit trie in memory that the datapath reads at the same
 * time and that outlives the agent.
 *
 * Each change consists of single entries stored atomically: at any moment, also after a crash, a reader sees either the
 * old or the new value of an entry. A new node is complete before it is linked. An unlinked node is reused only after
 * prefix_index_settle(), when no reader can still be in it.
 *
 * A prefix may also be a range that is none; it is cut into prefixes, whose entries have one number. Outside prefixes
 * must not overlap. Inside prefixes may lie within each other (`nests`), but not overlap in part: the longest has the
 * address, and those of a removed one go back to the one around it. Addresses are in host byte order.
 *
 * A change of several overlapping prefixes holds them first: in between, their addresses would be found in a mapping
 * that they have neither before nor after.
 */
#ifndef DETNAT_PREFIX_INDEX_H
#define DETNAT_PREFIX_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/address.h"

/* A prefix in the index. */
struct index_prefix {
	uint32_t first;
	uint32_t last;
	bool used;
	bool hidden; /* the datapath finds no mapping there */
};

struct prefix_index {
	struct index_node *nodes; /* INDEX_NODES of them, shared with the datapath */
	bool nests;
	struct index_prefix of[2 * MAX_MAPPINGS]; /* if `nests`: by number, then the holds */
	uint8_t usage[INDEX_NODES];		  /* free, linked, or unlinked */
	struct index_node own[INDEX_NODES];	  /* the nodes, with the numbers of hidden prefixes */
};

/* Called for a leaf entry: base/plen (plen 16, 24 or 32) maps to this number. */
typedef void (*prefix_index_visit)(uint32_t base, unsigned plen, unsigned number, void *arg);

/*
 * Takes over existing nodes. Clears entries that no writer could have left (links to missing nodes or to nodes linked
 * already, numbers without a mapping) and links to empty nodes; returns their number. With `nests`, prefix_index_own()
 * and prefix_index_repaint() must follow.
 */
unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes, bool nests);

/* Sets the prefix of a number, in an index that already contains it. */
void prefix_index_own(struct prefix_index *x, unsigned number, struct prefix p, bool hidden);

/* Gives every address to the longest of the prefixes in use. Returns how many entries were changed. */
unsigned prefix_index_repaint(struct prefix_index *x);

/* Visits all leaf entries, as the datapath finds them, in order of address. */
void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg);

/*
 * Whether the prefix can be inserted: 0, -EEXIST if it overlaps another (with `nests`: is equal to it), -ENOSPC if
 * there are too few free nodes.
 */
int prefix_index_check(const struct prefix_index *x, struct prefix p);

/* Errors as for prefix_index_check(), with nothing changed. */
int prefix_index_insert(struct prefix_index *x, struct prefix p, unsigned number);

/* The same for a prefix in which the datapath must find no mapping. Only with `nests`. */
int prefix_index_insert_hidden(struct prefix_index *x, struct prefix p, unsigned number);

/* Removes the leaf entries of this number within the prefix. */
void prefix_index_remove(struct prefix_index *x, struct prefix p, unsigned number);

/*
 * From now on the datapath finds no mapping for the addresses of a prefix, except for longer prefixes within it, until
 * it is inserted, or released. 0, or -ENOSPC. Only with `nests`.
 */
int prefix_index_hold(struct prefix_index *x, struct prefix p);

/* Ends all holds: each address belongs to the longest prefix in use again. */
void prefix_index_release(struct prefix_index *x);

/* Gives the prefix of one number, and all its entries, to another; each entry changes at once. */
void prefix_index_replace(struct prefix_index *x, unsigned number, unsigned by, bool hidden);

/* Removes all leaf entries of this number. */
void prefix_index_remove_number(struct prefix_index *x, unsigned number);

/* Call this when a grace period has passed since the last removal. */
void prefix_index_settle(struct prefix_index *x);

/* Number of the mapping that covers an address, or -ENOENT. */
int prefix_index_find(const struct prefix_index *x, uint32_t addr);

/* Number of the smallest range around this one, excluding itself, or -ENOENT. Only with `nests`. */
int prefix_index_around(const struct prefix_index *x, struct prefix p);

#endif
