/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts packets of strangers by pool address and by subscriber where they are dropped, see <detnat/strangers.h>. */
#ifndef DETNAT_STRANGER_COUNT_H
#define DETNAT_STRANGER_COUNT_H

#include <detnat/strangers.h>

#include "base/subprogram.h"
#include "subscriber/lookup.h"

/* Each agent puts its own in place of these, if it counts at all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stranger_line);
} strangers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stranger_pool);
} stranger_pools SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stranger_line);
} stranger_hosts SEC(".maps");

/* Counts a packet to a pool address (host byte order). Returns 0. */
SUBPROGRAM int stranger_count(__u32 addr)
{
	__u32 leaf = leaf_outside(addr), number = leaf & (MAX_MAPPINGS - 1), offset, key;
	const struct stranger_pool *pool;
	struct stranger_line *line;

	pool = leaf ? bpf_map_lookup_elem(&stranger_pools, &number) : 0;
	if (!pool)
		return 0;
	offset = addr - LOAD(pool->first);
	if (offset >= LOAD(pool->n))
		return 0;
	key = LOAD(pool->line) + (offset >> STRANGER_LINE_SHIFT) +
	      (bpf_get_smp_processor_id() & LOAD(pool->stripe_mask)) * stranger_stripe_lines(LOAD(pool->n));
	line = bpf_map_lookup_elem(&strangers, &key);
	if (line)
		__sync_fetch_and_add(&line->packets[offset & (STRANGER_LINE - 1)], 1);
	return 0;
}

/* Counts a packet to a port of a mapping's subscriber. Returns 0. */
SUBPROGRAM int stranger_count_host(const struct mapping *m, __u32 subscriber)
{
	__u32 number = m ? m->first_subscriber + subscriber : 0, key = number >> STRANGER_LINE_SHIFT;
	struct stranger_line *line = m ? bpf_map_lookup_elem(&stranger_hosts, &key) : 0;

	if (line)
		__sync_fetch_and_add(&line->packets[number & (STRANGER_LINE - 1)], 1);
	return 0;
}

static __always_inline void stranger_met(const struct mapping *m, __u32 subscriber)
{
	if (settings.attack & STRANGERS_BY_SUBSCRIBER)
		stranger_count_host(m, subscriber);
}

/* Drops a packet of no subscriber from outside to a pool address. */
static __always_inline int drop_stranger(__u32 addr, enum reason reason)
{
	if (settings.attack & STRANGERS_BY_ADDRESS)
		stranger_count(addr);
	return drop(reason);
}

/* The same for one to a port of a mapping's subscriber. */
static __always_inline int drop_stranger_to(const struct mapping *m, __u32 subscriber, __u32 addr, enum reason reason)
{
	stranger_met(m, subscriber);
	return drop_stranger(addr, reason);
}

#endif
