/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Draining mappings that hold sessions of an inside address, <detnat/drains.h>. Compiled away while none drains. */
#ifndef DETNAT_DRAIN_LOOKUP_H
#define DETNAT_DRAIN_LOOKUP_H

#include <bpf/bpf_endian.h>

#include "subscriber/lookup.h"
#include "base/settings.h"
#include "base/subprogram.h"

/* NULL: no draining mapping has sessions of the address (host byte order). */
static __always_inline const struct drain_entry *drain_entry_of(__u32 addr)
{
	struct drain_key key = { .plen = 32, .addr = bpf_htonl(addr) };

	return settings.drains ? bpf_map_lookup_elem(&drains, &key) : 0;
}

/* Returns 1 if a draining mapping is of a tenant. */
static __always_inline int drain_is_of(const struct mapping *m, __u32 tenant)
{
	return !settings.tenants || LOAD(m->tenant) == (__u8)tenant;
}

/* The draining mapping of a tenant's address, the one with the longest prefix; NULL: none. */
static __always_inline struct mapping *drain_first(__u32 tenant, __u32 addr)
{
	const struct drain_entry *e = drain_entry_of(addr);
	struct mapping_table *t = mapping_table_get();

	if (!e || !t)
		return 0;
	for (__u32 i = 0; i < (settings.tenants ? DRAIN_DEPTH : 1); i++) {
		struct mapping *m = &t->mapping[e->from[i].mapping & (MAX_MAPPINGS - 1)];

		if (settings.tenants && i >= e->n)
			break;
		if (drain_is_of(m, tenant))
			return m;
	}
	return 0;
}

/* The same of any tenant's. */
static __always_inline struct mapping *drain_any(__u32 addr)
{
	const struct drain_entry *e = drain_entry_of(addr);
	struct mapping_table *t = mapping_table_get();

	if (!e || !t)
		return 0;
	barrier_var(t); /* as in mapping_of_leaf() */
	return &t->mapping[e->from[0].mapping & (MAX_MAPPINGS - 1)];
}

SUBPROGRAM int drain_covers(__u32 addr)
{
	return drain_entry_of(addr) != 0;
}

/* Returns 1 for an inside address, of any tenant: in a mapping, or with sessions in a draining one. */
static __always_inline int address_is_inside(__u32 addr)
{
	return leaf_inside(addr) || (settings.drains && drain_covers(addr));
}

/* The mapping that holds the subscriber's record of a tenant's inside address, as address_is_inside(); NULL: none. */
static __always_inline struct mapping *mapping_of_inside(__u32 tenant, __u32 addr)
{
	struct mapping *m = mapping_by_inside(tenant, addr);

	return m || !settings.drains ? m : drain_first(tenant, addr);
}

#endif
