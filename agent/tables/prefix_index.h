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
 * must not overlap. Inside prefixes of one tenant may lie within each other (`nests`), but not overlap in part: the
 * longest has the address, and those of a removed one go back to the one around it. Those of different tenants may
 * overlap in any way: where they do, an entry leads to the number of each tenant, see prefix_sets.c. Addresses are in
 * host byte order; a tenant is a number, 0 without tenants and for outside prefixes.
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
	uint8_t tenant;
};

struct prefix_index {
	struct index_node *nodes; /* INDEX_NODES of them, shared with the datapath */
	bool nests;
	struct index_prefix of[2 * MAX_MAPPINGS]; /* if `nests`: by number, then the holds */
	uint8_t usage[INDEX_NODES];		  /* free, linked, a set, or unlinked */
	bool shows_shared;			  /* the datapath finds what several tenants have */
	/* Of sets: how many entries lead to each, how many of its leaves the datapath sees, and a hash of them. */
	uint32_t entries[INDEX_NODES];
	uint16_t shown[INDEX_NODES];
	uint32_t hash[INDEX_NODES];
	struct index_node own[INDEX_NODES]; /* the nodes, with the numbers of hidden prefixes */
};

/*
 * Called for a leaf entry: base/plen (plen 16, 24 or 32) maps to this number, of a tenant where several have the
 * addresses; -1: it is the only one.
 */
typedef void (*prefix_index_visit)(uint32_t base, unsigned plen, int tenant, unsigned number, void *arg);

/*
 * Takes over existing nodes, into an index whose octets are all 0 (of calloc(): most of its nodes are never touched,
 * and cost no memory). Clears entries that no writer could have left (links to missing nodes or to nodes linked
 * already, numbers without a mapping) and links to empty nodes; returns their number. With `nests`, prefix_index_own()
 * and prefix_index_repaint() must follow.
 */
unsigned prefix_index_open(struct prefix_index *x, struct index_node *nodes, bool nests);

/* Sets the prefix of a number, in an index that already contains it. */
void prefix_index_own(struct prefix_index *x, unsigned number, uint8_t tenant, struct prefix p, bool hidden);

/* Gives every address of each tenant to the longest of its prefixes in use. Returns how many entries were changed. */
unsigned prefix_index_repaint(struct prefix_index *x);

/* Visits all leaf entries, as the datapath finds them, in order of address, and there of the tenant's number. */
void prefix_index_walk(const struct prefix_index *x, prefix_index_visit visit, void *arg);

/*
 * Whether the prefix can be inserted: 0, -EEXIST if it overlaps another (with `nests`: is equal to another of the
 * tenant), -ENOSPC if there are too few free nodes: more may be free after prefix_index_settle().
 */
int prefix_index_check(const struct prefix_index *x, uint8_t tenant, struct prefix p);

/* Errors as for prefix_index_check(), with nothing changed. */
int prefix_index_insert(struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number);

/* The same for a prefix in which the datapath must find no mapping. Only with `nests`. */
int prefix_index_insert_hidden(struct prefix_index *x, uint8_t tenant, struct prefix p, unsigned number);

/* Removes the leaf entries of this number within the prefix. */
void prefix_index_remove(struct prefix_index *x, struct prefix p, unsigned number);

/*
 * From now on the datapath finds no mapping of the tenant for the addresses of a prefix, except for longer prefixes
 * within it, until it is inserted, or released. 0, or -ENOSPC. Only with `nests`.
 */
int prefix_index_hold(struct prefix_index *x, uint8_t tenant, struct prefix p);

/* Ends all holds: each address belongs to the longest prefix in use again. */
void prefix_index_release(struct prefix_index *x);

/* Gives the prefix of one number, and all its entries, to another; each entry changes at once. */
void prefix_index_replace(struct prefix_index *x, unsigned number, unsigned by, bool hidden);

/*
 * Makes the prefix of a number another tenant's, with the same entries. The other tenant must not have any of these
 * addresses; if prefixes lie within each other, all of them must follow before anything else is changed.
 */
void prefix_index_set_tenant(struct prefix_index *x, unsigned number, uint8_t tenant);

/*
 * Whether the datapath finds mappings for addresses that several tenants have, as it does after prefix_index_open().
 * Programs without tenants must not find them.
 */
void prefix_index_show_shared(struct prefix_index *x, bool shown);

/* Removes all leaf entries of this number. */
void prefix_index_remove_number(struct prefix_index *x, unsigned number);

/* Call this when a grace period has passed since the last removal. */
void prefix_index_settle(struct prefix_index *x);

/* Whether there are nodes that wait for that. */
bool prefix_index_unsettled(const struct prefix_index *x);

/* Number of the mapping that covers an address, or -ENOENT; -EEXIST if several tenants have one. */
int prefix_index_find(const struct prefix_index *x, uint32_t addr);

/* Number of the tenant's mapping that covers an address, or -ENOENT. Only with `nests`. */
int prefix_index_find_inside(const struct prefix_index *x, uint8_t tenant, uint32_t addr);

/* Number of the tenant's smallest range around this one, excluding itself, or -ENOENT. Only with `nests`. */
int prefix_index_around(const struct prefix_index *x, uint8_t tenant, struct prefix p);

#endif
