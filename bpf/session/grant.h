/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Granted blocks, <detnat/growth.h>. Their sessions are in the subscriber's extent: a packet from inside finds its
 * session as any other, and one from outside by way of the grant. Compiled away while no mapping grows.
 */
#ifndef DETNAT_GRANT_H
#define DETNAT_GRANT_H

#include "session/bind_lines.h"

/*
 * Number of the subscriber of m to whom the port of an outside address is granted; -1: to none. Not one that an agent
 * has left behind in the middle of a change, as the outside address would not be his.
 */
SUBPROGRAM int grant_owner(const struct mapping *m, __u32 out_addr, __u32 out_port)
{
	struct grant_key key = { .addr = out_addr, .direction = GRANT_OF_OUTSIDE };
	const struct grant_value *v;
	__u32 block, in_addr;

	if (!m)
		return -1;
	block = LOAD(m->growth.block);
	if (!block)
		return -1;
	key.at = (__u16)growth_block_start(&m->geo, block, out_port);
	if (!key.at)
		return -1;
	v = bpf_map_lookup_elem(&grants, &key);
	if (!v || v->ports != block)
		return -1;
	in_addr = LOAD(v->addr);
	if (!in_addr || !mapping_has_inside(&m->geo, in_addr) ||
	    mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in_addr)) != out_addr)
		return -1;
	return (int)mapping_subscriber(&m->geo, in_addr);
}

#define GRANT_HINTS (FORWARDS && !STAGE2)

#if GRANT_HINTS

/*
 * Whose a granted block was when a packet last asked, so that the fast path need not search the hash: direct-mapped,
 * the inside address 32 | tag 32. A bijection of the block's outside address and first port, 48 bits, gives tag and
 * place; the tag has the agent's epoch, which changes when a block is taken away.
 */
#define GRANT_HINTS_SHIFT 16U

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1U << GRANT_HINTS_SHIFT);
	__type(key, __u32);
	__type(value, __u64);
} grant_hints SEC(".maps");

/* grant_owner() of a packet on the fast path. */
SUBPROGRAM int grant_owner_hinted(const struct mapping *m, __u32 out_addr, __u32 out_port)
{
	const struct mapping_table *t = mapping_table_get();
	__u32 block, start, tag, in_addr, at;
	__u64 mixed, *place, hint;
	int owner;

	if (!m || !t)
		return -1;
	block = LOAD(m->growth.block);
	start = block ? growth_block_start(&m->geo, block, out_port) : 0;
	mixed = (((__u64)out_addr << 16 | start) * 0x9e3779b97f4bULL) & ((1ULL << 48) - 1);
	/* Read before the hash: the agent raises it after a change. */
	tag = (__u32)mixed ^ LOAD(t->limits.grants_epoch);
	at = (__u32)(mixed >> (48 - GRANT_HINTS_SHIFT));
	place = start ? bpf_map_lookup_elem(&grant_hints, &at) : NULL;
	if (!place)
		return -1;
	hint = LOAD(*place);
	in_addr = (__u32)(hint >> 32);
	if (in_addr && (__u32)hint == tag && mapping_has_inside(&m->geo, in_addr) &&
	    mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in_addr)) == out_addr)
		return (int)mapping_subscriber(&m->geo, in_addr);
	owner = grant_owner(m, out_addr, out_port);
	if (owner >= 0)
		STORE(*place, (__u64)(m->geo.in_base + (__u32)owner) << 32 | tag);
	return owner;
}

#else

#define grant_owner_hinted grant_owner

#endif

/* mapping_reverse() with what is granted. */
static __always_inline __s64 port_owner(const struct mapping *m, __u32 out_addr, __u32 out_port)
{
	__s64 subscriber = mapping_reverse(&m->geo, out_addr, out_port);

	return settings.growth && subscriber < 0 ? grant_owner(m, out_addr, out_port) : subscriber;
}

/* First port of a subscriber's grant, for an opening; 0: none with that number. */
SUBPROGRAM int grant_port_lo(const struct mapping *m, __u32 in_addr, __u32 number)
{
	struct grant_key key = { .addr = in_addr, .at = (__u16)number, .direction = GRANT_OF_INSIDE };
	const struct grant_value *v;

	if (!m)
		return 0;
	key.tenant = LOAD(m->tenant);
	v = bpf_map_lookup_elem(&grants, &key);
	if (!v || v->ports != LOAD(m->growth.block) ||
	    v->addr != mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in_addr)))
		return 0;
	return v->port_lo;
}

/* A walk through a subscriber's grants, up to the first number that is free, or past it. Returns the last one plus one.
 */
SUBPROGRAM __u32 grants_walk(const struct mapping *m, __u32 in_addr, __u32 past)
{
	__u32 end = 0;

	if (!m)
		return 0;
	for (__u32 k = 0; k < GROWTH_MAX_BLOCKS; k++) {
		if (k >= LOAD(m->growth.max_blocks))
			break;
		if (grant_port_lo(m, in_addr, k))
			end = k + 1;
		else if (!past)
			break;
	}
	return end;
}

/* Grants of a subscriber: the first number that is free, at most max_blocks. */
static __always_inline __u32 grants_of(const struct mapping *m, __u32 in_addr)
{
	return grants_walk(m, in_addr, 0);
}

/* The highest number of a subscriber's grants, plus one; 0: it has none. */
static __always_inline __u32 grants_end(const struct mapping *m, __u32 in_addr)
{
	return grants_walk(m, in_addr, 1);
}

/* In subscriber.growth_asked: the grants that the subscriber had when the agent was last asked for one more. */
#define GROWTH_ASKED_GRANTS 0x1fU

/*
 * Number of the grant, below n, that a search for a port begins with: the one that was made last, as those before it
 * were full then. A walk through all of those would cost a lookup a port, and what searches may cost is limited.
 */
static __always_inline __u32 grant_search_first(const struct subscriber *s, __u32 n)
{
	__u32 last = LOAD(s->growth_asked) & GROWTH_ASKED_GRANTS;

	return last < n ? last : 0;
}

/* Returns 1 if no block of a subscriber's outside address is left. */
static __always_inline int grants_none_left(const struct mapping *m, __u32 in_addr)
{
	struct grant_key key = { .direction = GRANT_NONE_LEFT };

	key.addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in_addr));
	return !!bpf_map_lookup_elem(&grants, &key);
}

/* Returns 1 if a mapping's blocks grow. */
static __always_inline int mapping_grows(const struct mapping *m)
{
	return settings.growth && LOAD(m->growth.block);
}

/* Returns 1 while an agent grants blocks. */
static __always_inline int growth_is_served(__u32 now)
{
	const struct mapping_table *t = mapping_table_get();

	return t && (__s32)(LOAD(t->limits.growth_until) - now) >= 0;
}

#endif
