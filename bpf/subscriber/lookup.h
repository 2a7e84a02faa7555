/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 2: looks up an address's mapping in the prefix index, then the subscriber's record and buckets. */
#ifndef DETNAT_LOOKUP_H
#define DETNAT_LOOKUP_H

#include <detnat/slots.h>

#include "base/family.h"
#include "base/settings.h"
#include "base/subprogram.h"

/* Returns 1 if an entry of the prefix index is final: no mapping, or a mapping's number. */
static __always_inline int index_ends(__u16 entry)
{
	return (__u16)(entry - 1) >= INDEX_LEAF - 1;
}

/* Looks up an address (host byte order) in the prefix index: 0, or INDEX_LEAF | mapping number. */
static __always_inline __u32 index_find(void *index, __u32 addr)
{
	__u32 zero = 0;
	const struct index_table *t = bpf_map_lookup_elem(index, &zero);
	__u16 entry;

	if (!t)
		return 0;
	entry = LOAD(t->node[addr >> 24].entry[addr >> 16 & 255]);
	if (index_ends(entry))
		return entry;
	entry = LOAD(t->node[entry & (INDEX_NODES - 1)].entry[addr >> 8 & 255]);
	if (index_ends(entry))
		return entry;
	return LOAD(t->node[entry & (INDEX_NODES - 1)].entry[addr & 255]);
}

/*
 * index_find() off the fast path: subprograms, as each lookup has three ways out, of which the verifier would follow
 * each through all that comes after it.
 */
SUBPROGRAM __u32 leaf_inside(__u32 addr)
{
	if (addr_is_virtual(addr))
		return six_leaf_of(addr);
	return index_find(&in_index, addr);
}

SUBPROGRAM __u32 leaf_outside(__u32 addr)
{
	return index_find(&out_index, addr);
}

/*
 * The leaf of a tenant's inside address, given the address's entry in the prefix index: another one only where tenants
 * share the address. 0: the tenant has no mapping there.
 */
static __always_inline __u32 index_leaf_of(__u32 entry, __u32 tenant)
{
	const struct index_table *t;
	__u32 zero = 0;

	if (!settings.tenants || !(entry & INDEX_SHARED))
		return entry;
	t = bpf_map_lookup_elem(&in_index, &zero);
	return t ? LOAD(t->node[entry & (INDEX_NODES - 1)].entry[tenant & 255]) : 0;
}

/* leaf_inside() for an inside address of a tenant. */
static __always_inline __u32 index_find_inside(__u32 tenant, __u32 addr)
{
	return index_leaf_of(leaf_inside(addr), tenant);
}

static __always_inline struct mapping_table *mapping_table_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mappings, &zero);
}

static __always_inline struct globals *globals_get(void)
{
	struct mapping_table *t = mapping_table_get();

	if (!t)
		return 0;
	/* Else clang 16 and later may add the offset first and ask afterwards, which Linux 6.1 refuses. */
	barrier_var(t);
	return &t->globals;
}

static __always_inline struct mapping *mapping_of_leaf(struct mapping_table *t, __u32 leaf)
{
	if (!t || !leaf || (settings.tenants && leaf & INDEX_SHARED))
		return 0;
	/* Keeps the arithmetic after the check, as the verifier requires. */
	barrier_var(t);
	return &t->mapping[leaf & (MAX_MAPPINGS - 1)];
}

/*
 * Mapping whose inside prefix contains an address (host byte order) of a tenant; NULL: none. Where only another tenant
 * has the address, that one's: see tenant_differs().
 */
static __always_inline struct mapping *mapping_by_inside(__u32 tenant, __u32 addr)
{
	return mapping_of_leaf(mapping_table_get(), index_find_inside(tenant, addr));
}

/* Returns 1 if packets to a mapping's outside addresses are for PROG_six_in, and not for the calling program. */
static __always_inline int mapping_is_six(const struct mapping *m)
{
	return FORWARDS && !STAGED && !STAGE2 && !FAMILY6 && settings.six && LOAD(m->geo.flags) & MAPPING_IPV6;
}

/* Mapping whose outside prefix contains an address (host byte order); NULL: none. */

static __always_inline struct mapping *mapping_by_outside(__u32 addr)
{
	return mapping_of_leaf(mapping_table_get(), leaf_outside(addr));
}

/*
 * Returns 1 if each inside address has an outside address to itself: protocols without ports can then be translated,
 * too, unless the mapping drains, as they have no sessions.
 */
static __always_inline int mapping_is_one_to_one(const struct mapping *m)
{
	return m->geo.ratio == 1 && !(settings.drains && LOAD(m->geo.flags) & MAPPING_RETIRED);
}

/*
 * Returns 1 for addresses that are never forwarded, whatever the routes (RFC 1812 section 5.3.7): this network,
 * loopback, multicast, class E and broadcast.
 */
static __always_inline int address_is_martian(__u32 addr)
{
	if (addr_is_virtual(addr))
		return !six_has(addr);
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >> 29 == 7;
}

/*
 * Returns 1 for 169.254.0.0/16, which is for traffic on the link, including traffic with the gateway itself, and must
 * not be forwarded (RFC 3927 section 7); the kernel would forward it.
 */
static __always_inline int address_is_link_local(__u32 addr)
{
	return addr >> 16 == (169 << 8 | 254);
}

/* subscriber: number within the mapping. NULL only while the mapping is being deleted. */
static __always_inline struct subscriber *subscriber_get(const struct mapping *m, __u32 subscriber)
{
	__u32 number = m->first_subscriber + subscriber;
	__u32 chunk = number >> SUBSCRIBER_CHUNK_SHIFT, within = number & (SUBSCRIBER_CHUNK - 1);
	void *records = bpf_map_lookup_elem(&subscribers, &chunk);

	return records ? bpf_map_lookup_elem(records, &within) : 0;
}

/* The buckets of a subscriber, all in one chunk. */
struct bucket_range {
	void *chunk;
	__u32 first;
	__u32 shift;
};

static __always_inline int bucket_range_get(const struct mapping *m, __u32 subscriber, struct bucket_range *ret)
{
	__u32 number = m->first_bucket + (subscriber << m->bucket_shift);
	__u32 chunk = number >> BUCKET_CHUNK_SHIFT;

	ret->chunk = bpf_map_lookup_elem(&buckets, &chunk);
	ret->first = number & (BUCKET_CHUNK - 1);
	ret->shift = m->bucket_shift;
	return ret->chunk ? 0 : -1;
}

/* bucket: relative to the subscriber's first. */
static __always_inline struct bucket *bucket_get(const struct bucket_range *r, __u32 bucket)
{
	__u32 number = r->first + bucket;

	return bpf_map_lookup_elem(r->chunk, &number);
}

#endif
