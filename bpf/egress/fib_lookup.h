/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looks up next hops in the agent's copy of the kernel's routes, see <detnat/fib.h>. The copy holds for a second after
 * the agent's last sign of life, and never where routing depends on more than the destination. Where it does not hold,
 * and for addresses whose next hop has no flags, the datapath asks the kernel.
 */
#ifndef DETNAT_FIB_LOOKUP_H
#define DETNAT_FIB_LOOKUP_H

#include <detnat/fib.h>

#include "subscriber/lookup.h"
#include "packet/parse.h"
#include "base/settings.h"
#include "base/subprogram.h"

struct fib fib;
_Static_assert(FIB_STATIONS == MAX_IFINDEX, "every interface has one");

/* The agent creates the inner maps without type information, as those of maps.h. */
struct fib_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FIB_CHUNK);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct fib_node));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_FIB_CHUNKS);
	__type(key, __u32);
	__array(values, struct fib_chunk);
} fib_nodes SEC(".maps");

/* Returns 1 if the copy holds now. */
static __always_inline int fib_holds(const struct globals *g, __u32 now)
{
	return (__s32)(LOAD(g->fib_until) - now) >= 0;
}

/* Entry of a node for the third or the fourth octet of an address. */
static __always_inline __u32 fib_node_entry(__u32 node, __u32 octet)
{
	__u32 chunk = node >> FIB_CHUNK_SHIFT & (MAX_FIB_CHUNKS - 1), within = node & (FIB_CHUNK - 1);
	void *nodes = bpf_map_lookup_elem(&fib_nodes, &chunk);
	const struct fib_node *n = nodes ? bpf_map_lookup_elem(nodes, &within) : 0;

	return n ? LOAD(n->entry[octet & 255]) : FIB_HOP_KERNEL;
}

/* Leaf of an address, whether or not fib_holds(). Addresses are in host byte order. */
static __always_inline __u32 fib_find_leaf(__u32 addr)
{
	__u32 entry = LOAD(fib.first.entry[addr >> 24]);

	if (entry & FIB_NODE) {
		entry = LOAD(fib.second[addr >> 24].entry[addr >> 16 & 255]);
		if (entry & FIB_NODE)
			entry = fib_node_entry(entry, addr >> 8);
		if (entry & FIB_NODE)
			entry = fib_node_entry(entry, addr);
	}
	return entry;
}

/* Number of an address's next hop, likewise. */
static __always_inline __u32 fib_find_number(__u32 addr)
{
	return FIB_HOP(fib_find_leaf(addr));
}

/* Returns 1 if the copy has a leaf for the address as one of the gateway's own, or of its broadcasts, or prefixes. */
static __always_inline int fib_may_be_own(__u32 addr)
{
	return FIB_RANK(fib_find_leaf(addr)) >= FIB_RANK_LOCAL_PREFIX;
}

/* The next hop with a number of fib_find_number(). */
static __always_inline struct fib_hop *fib_hop_at(__u32 number)
{
	struct fib_hop *hop = &fib.hop[number];

	/* Kept in a register: the compiler would work it out anew each time. */
	barrier_var(hop);
	return hop;
}

static __always_inline struct fib_hop *fib_find(__u32 addr)
{
	return fib_hop_at(fib_find_number(addr));
}

/* index_find(), faster for addresses within a hint's prefix. */
static __always_inline __u32 fib_find_mapping(const __u64 *hint, void *index, __u32 addr)
{
	__u64 word = LOAD(*hint);

	return likely(fib_hint_is(word, addr)) ? (__u16)word : index_find(index, addr);
}

/*
 * The same for an inside address of a tenant, where there may be tenants: the hint may be another tenant's mapping with
 * the same addresses.
 */
static __always_inline __u32 fib_find_inside(const struct mapping_table *t, __u32 tenant, __u32 addr)
{
	__u32 leaf = fib_find_mapping(&fib.inside, &in_index, addr);

	if (settings.tenants &&
	    unlikely(leaf & INDEX_SHARED || LOAD(t->mapping[leaf & (MAX_MAPPINGS - 1)].tenant) != (__u8)tenant))
		leaf = index_leaf_of(index_find(&in_index, addr), tenant);
	return leaf;
}

/* Flags of a next hop to which the fast path of this hook sends, outwards and inwards. */
#define FIB_SENDS_OUT (HOOK_XDP ? FIB_FAST_OUT : FIB_TC_OUT)
#define FIB_SENDS_IN  (HOOK_XDP ? FIB_FAST_IN : FIB_TC_IN)

/* Returns 1 if the fast path may send a packet of `length` octets to a next hop. flag: one of these two. */
static __always_inline int fib_takes(const struct fib_hop *hop, __u32 flag, __u32 length)
{
	__u32 word = LOAD(*(const __u32 *)&hop->mtu);

	order_reads(); /* the agent stores the flags last */
	return word & flag << 16 && length <= (word & 0xffff);
}

/* Returns 1 if a frame is for the interface that it was received on. */
static __always_inline int fib_is_for_us(const struct ethhdr *eth, __u32 in_ifindex)
{
	return !((LOAD(fib.station[in_ifindex & (FIB_STATIONS - 1)]) ^ *(const __u64 *)eth) << 16);
}

/* Notes that a next hop is in use, so that the agent probes the neighbour. */
static __always_inline void fib_used(struct fib_hop *hop, __u32 now)
{
	if (LOAD(hop->used) != now)
		*(volatile __u32 *)&hop->used = now;
}

/* Number of an address's next hop by the copy, or -1 if that does not hold. For the slow path, as the next function. */
SUBPROGRAM int fib_number(__u32 addr)
{
	struct globals *g = globals_get();

	if (!g || settings.policy_routing || !fib_holds(g, now_ticks()))
		return -1;
	return (int)fib_find_number(addr);
}

/* Next hop of an address by the copy; NULL if that does not hold, or the next hop lacks one of these flags. */
static __always_inline struct fib_hop *fib_told(__u32 addr, __u8 flags)
{
	int number = fib_number(addr);
	struct fib_hop *hop;

	if (number < 0)
		return 0;
	hop = &fib.hop[FIB_HOP((__u32)number)];
	if ((LOAD(hop->flags) & flags) != flags)
		return 0;
	order_reads();
	return hop;
}

#endif
