/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drains: mappings that have been deleted or replaced, or have lost addresses to an exception, while sessions of these
 * addresses go on in their tables. From outside such a session is found as ever, by `out_index`. From inside, what has
 * no session in the mapping of its address now is looked up in those that drain: the LPM_TRIE `drains` leads to them.
 * Only the agent changes it.
 */
#ifndef DETNAT_DRAINS_H
#define DETNAT_DRAINS_H

#include <linux/types.h>

#define MAX_DRAINS 1024U
/* Mappings in which an address may have sessions beside its own. */
#define DRAIN_DEPTH 4U

struct drain_key {
	__u32 plen;
	__be32 addr;
};
_Static_assert(sizeof(struct drain_key) == 8, "as an LPM_TRIE wants it");

/* The addresses of a prefix, which contains the one of the entry's key or is it, drain from a mapping. */
struct drain_from {
	__u64 until_s; /* CLOCK_BOOTTIME, in seconds; the programs do not read it */
	__u16 mapping; /* number */
	__u8 plen;     /* of the prefix */
	__u8 whole;    /* the mapping is gone; else an exception has the addresses */
	__u8 pad[4];
};
_Static_assert(sizeof(struct drain_from) == 16, "no hidden padding");

/* All of one key, the longest prefix first; of equal ones, the latest. */
struct drain_entry {
	__u32 n;
	__u32 pad;
	struct drain_from from[DRAIN_DEPTH];
};
_Static_assert(sizeof(struct drain_entry) == 8 + 16 * DRAIN_DEPTH, "no hidden padding");

#endif
