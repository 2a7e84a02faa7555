/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drains: a mapping drains after it is deleted or replaced, or loses addresses to an exception, until the sessions of
 * those addresses have ended. Packets from outside find such a session as before, through `out_index`. A packet from
 * inside without a session in its address's present mapping is looked up in the draining ones, which the LPM_TRIE
 * `drains` lists by inside address. Only the agent changes that map.
 */
#ifndef DETNAT_DRAINS_H
#define DETNAT_DRAINS_H

#include <linux/types.h>

#define MAX_DRAINS 1024U
/* The most draining mappings in which one address may have sessions. */
#define DRAIN_DEPTH 4U

/*
 * A range that is no prefix has a key for each of the prefixes that it is cut into. Their entries have these in place
 * of the length: the first key begins where the range does.
 */
#define DRAIN_RANGE 64U /* of the first */
#define DRAIN_REST  65U /* of the others */

struct drain_key {
	__u32 plen;
	__be32 addr;
};
_Static_assert(sizeof(struct drain_key) == 8, "as an LPM_TRIE wants it");

/* Addresses drain from a mapping. They equal or contain the prefix of the entry's key. */
struct drain_from {
	__u64 until_s; /* CLOCK_BOOTTIME in seconds; the programs do not read it */
	__u16 mapping; /* its number */
	__u8 plen;     /* of the prefix, or DRAIN_RANGE or DRAIN_REST */
	__u8 whole;    /* 1: the whole mapping drains; 0: an exception took these addresses */
	__u8 pad[4];   /* of a range that is no prefix: its last address, host byte order; else 0 */
};
_Static_assert(sizeof(struct drain_from) == 16, "no hidden padding");

/* All drains of one key: longer prefixes first, and the latest first among equal ones. */
struct drain_entry {
	__u32 n;
	__u32 pad;
	struct drain_from from[DRAIN_DEPTH];
};
_Static_assert(sizeof(struct drain_entry) == 8 + 16 * DRAIN_DEPTH, "no hidden padding");

#endif
