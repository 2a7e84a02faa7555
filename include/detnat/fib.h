/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath's copy of the kernel's routes, written by the agent (agent/fib) and read by the programs that route: a
 * multibit trie of prefixes, 8-8-8-8, whose leaves are next hops.
 *
 * struct fib is a global variable of the programs, which saves them a map lookup. With a default route alone, finding a
 * next hop takes one entry and the next hop itself, both in lines that stay in the cache. Nodes for the third and the
 * fourth octet are in the ARRAY_OF_MAPS `fib_nodes`, whose inner maps ("chunks") the agent adds as it needs them.
 * Nothing of it is pinned: a new agent fills new maps.
 *
 * The copy is valid until the tick globals.fib_until, which a running agent postpones several times a second. After
 * that, and for every address whose next hop has no flags, the programs ask the kernel.
 */
#ifndef DETNAT_FIB_H
#define DETNAT_FIB_H

#include <linux/types.h>

/*
 * An entry: FIB_NODE | number of a node of `fib_nodes`, or a leaf: rank << 24 | number of a next hop. The entries of
 * fib.first with FIB_NODE lead to the node of fib.second with the same number as the entry.
 *
 * The rank tells the agent which prefix wrote the entry, and stage 1 whether an address may be the gateway's own. It is
 * the prefix length, 0..32, of a route; see enum fib_rank for the others. An empty table, all zero, leads everywhere to
 * next hop 0.
 */
#define FIB_NODE 0x80000000U

#define FIB_HOPS	65536U
#define FIB_STATIONS	65536U
#define FIB_HOP(entry)	((entry) & (FIB_HOPS - 1))
#define FIB_RANK(entry) ((entry) >> 24 & 0x7f)

/* Ranks beyond those of routes: each hides all lower ones. */
enum fib_rank {
	FIB_RANK_NEIGHBOUR = 33,    /* a neighbour on a connected network */
	FIB_RANK_SPECIAL = 40,	    /* never forwarded by XDP: martians, link-local, `bypass` and pool prefixes */
	FIB_RANK_LOCAL_PREFIX = 44, /* a prefix of the gateway's own addresses, in the table `local`: ask the kernel */
	FIB_RANK_LOCAL = 48,	    /* one of the gateway's own addresses */
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
#define FIB_TC_OUT                                                                                         \
	0x40 /* as FIB_FAST_OUT and FIB_FAST_IN, but tc sends to it, which any interface takes frames from \
	      */
#define FIB_TC_IN 0x80

/*
 * A next hop. Before the agent changes the addresses of a next hop that had FIB_RESOLVED, it clears the flags and waits
 * until no program can still be reading them; it stores the flags last.
 */
struct fib_hop {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;
	/* This and the flags are read as one word. */
	__u16 mtu; /* octets of the longest packet: of the interface or, if lower, of the route */
	__u8 flags;
	__u8 pad;
	__u32 used; /* by the datapath: tick in which a packet was last sent to it */
	__u64 pad2;
};
_Static_assert(sizeof(struct fib_hop) == 32, "two to a cache line");
_Static_assert(__builtin_offsetof(struct fib_hop, mtu) == 16 && __builtin_offsetof(struct fib_hop, flags) == 18,
	       "one word");

/*
 * A hint: a prefix of length 1..32 and its entry in the prefix index (<detnat/tables.h>), which programs try before the
 * index. Prefix base 32 | unused 8 | host bits 8 | leaf 16, in one word that is stored and read at once. FIB_NO_HINT is
 * a valid hint, too: 0.0.0.0 is in no mapping.
 */
#define FIB_NO_HINT 0ULL

static inline __attribute__((always_inline)) __u64 fib_hint(__u32 base, __u32 plen, __u16 leaf)
{
	return (__u64)base << 32 | (__u64)(32 - plen) << 16 | leaf;
}

/* Returns 1 if a hint's prefix contains an address (host byte order). */
static inline __attribute__((always_inline)) int fib_hint_is(__u64 hint, __u32 addr)
{
	return !((addr ^ (__u32)(hint >> 32)) >> (hint >> 16 & 31));
}

struct fib {
	/* Hints of the mapping with most subscribers: inside and outside prefix. */
	__u64 inside;
	__u64 outside;
	__u64 pad[6];
	struct fib_node first;
	struct fib_node second[256];
	struct fib_hop hop[FIB_HOPS];
	/* The first word of each interface's record (struct device): MAC address, roles, flags. By index. */
	__u64 station[FIB_STATIONS];
};

#endif
