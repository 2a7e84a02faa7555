/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath's copy of the kernel's routes, written by the agent (agent/fib) and read by XDP: a multibit trie of
 * prefixes, 8-8-8-8, whose leaves are next hops.
 *
 * The map `fib` is an ARRAY of one struct fib: with a default route alone a look-up reads one entry and one next hop,
 * both in lines that stay in the cache. Nodes for the third and the fourth octet are in the ARRAY_OF_MAPS `fib_nodes`,
 * whose inner maps ("chunks") the agent adds as it needs them. Neither map is pinned: a new agent fills new ones.
 *
 * What is said here holds while the agent lives: until the tick globals.fib_until, which it puts off several times a
 * second. After that, and for every address whose next hop has no flags, the kernel is asked.
 */
#ifndef DETNAT_FIB_H
#define DETNAT_FIB_H

#include <linux/types.h>

/*
 * An entry: FIB_NODE | number of a node of `fib_nodes`, or a leaf: rank << 24 | number of a next hop. The entries of
 * fib.first with FIB_NODE lead to the node of fib.second with the same number as the entry.
 *
 * The rank tells the agent which prefix wrote the entry; the datapath does not read it. It is the prefix length, 0..32,
 * of a route; see enum fib_rank for the others. An empty table, all zero, leads everywhere to next hop 0.
 */
#define FIB_NODE 0x80000000U

#define FIB_HOPS	65536U
#define FIB_HOP(entry)	((entry) & (FIB_HOPS - 1))
#define FIB_RANK(entry) ((entry) >> 24 & 0x7f)

/* Ranks beyond those of routes: each hides all lower ones. */
enum fib_rank {
	FIB_RANK_NEIGHBOUR = 33, /* a neighbour on a connected network */
	FIB_RANK_SPECIAL = 40,	 /* never forwarded by XDP: martians, link-local, `bypass` and pool prefixes */
	FIB_RANK_LOCAL = 48,	 /* one of the gateway's own addresses */
};

struct fib_node {
	__u32 entry[256];
};

/* Nodes of a chunk: 4 MB. */
#define FIB_CHUNK_SHIFT 12U
#define FIB_CHUNK	(1U << FIB_CHUNK_SHIFT)
#define MAX_FIB_CHUNKS	64U
#define MAX_FIB_NODES	(MAX_FIB_CHUNKS << FIB_CHUNK_SHIFT)

/* The next hops with fixed numbers. Number 0 is that of the default route. */
enum { FIB_HOP_DEFAULT, FIB_HOP_KERNEL, FIB_HOP_LOCAL, FIB_HOP_DISCARD, FIB_HOP_FIRST };

/* Flags of a next hop. None: the kernel must be asked. */
#define FIB_ROUTED   0x01 /* a unicast route leads through ifindex */
#define FIB_RESOLVED 0x02 /* with FIB_ROUTED: mac and mtu are valid, too */
#define FIB_FAST_OUT 0x04 /* with both: XDP sends to it, an interface that is an outside one only */
#define FIB_FAST_IN  0x08 /* with both: XDP sends to it, an inside interface */
#define FIB_LOCAL    0x10 /* the gateway's own address */
#define FIB_DISCARD  0x20 /* a blackhole, unreachable or prohibit route: not forwarded, and not local */

/*
 * A next hop. The agent changes the address of one that has had FIB_RESOLVED only after clearing the flags and waiting
 * until no program can still be reading it; the flags are stored last.
 */
struct fib_hop {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;
	__u16 mtu; /* octets of the longest packet: of the interface or, if lower, of the route */
	__u8 flags;
	__u8 pad;
	__u32 used; /* by the datapath: tick in which a packet was last sent to it */
	__u64 pad2;
};
_Static_assert(sizeof(struct fib_hop) == 32, "two to a cache line");

struct fib {
	struct fib_node first;
	struct fib_node second[256];
	struct fib_hop hop[FIB_HOPS];
};

#endif
