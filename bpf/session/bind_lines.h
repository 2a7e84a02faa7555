/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The lines of a subscriber's bindings, <detnat/binding.h>: one for each protocol and group of ports. This file finds,
 * scans and writes them; bind_port.h chooses the port.
 */
#ifndef DETNAT_BIND_LINES_H
#define DETNAT_BIND_LINES_H

#include <detnat/binding.h>

#include "base/subprogram.h"
#include "subscriber/lookup.h"

/* The layout of a mapping's tables, read as a whole. */
static __always_inline struct binding_layout binding_layout_of(const struct mapping *m)
{
	union {
		__u64 word;
		struct binding_layout layout;
	} u = { .word = LOAD(*(const __u64 *)&m->bindings) };

	return u.layout;
}

/* Returns 1 if a mapping binds ports of this protocol. */
static __always_inline int binding_maps(const struct mapping *m, __u8 proto)
{
	return settings.bindings && LOAD(m->bindings.mapping) & binding_protocol(proto);
}

/*
 * Returns 1 if an opening in a mapping with this first choice is not for the fast path: a draining mapping may already
 * have the session, or the port is port 0. A single setting is 0 if no mapping drains or has port 0.
 */
static __always_inline int opening_is_slow(const struct mapping *m, __u32 out_port)
{
	return settings.openings_slow &&
	       ((settings.drains && LOAD(m->geo.flags) & MAPPING_SUCCEEDS) || (settings.port_zero && !out_port));
}

/* A line of a subscriber's table; NULL only while tables are being deleted. */
static __always_inline struct binding_line *binding_line_at(const struct mapping *m, struct binding_layout l,
							    __u32 subscriber, __u32 line)
{
	__u32 at = subscriber * binding_lines(l.protocols, m->geo.ports_per_host, m->bucket_shift) + line;
	__u32 number = l.first + (at >> 1), chunk = number >> BUCKET_CHUNK_SHIFT;
	void *records = bpf_map_lookup_elem(&buckets, &chunk);
	struct binding_line *lines;

	number &= BUCKET_CHUNK - 1;
	lines = records ? bpf_map_lookup_elem(records, &number) : 0;
	if (!lines)
		return 0;
	barrier_var(lines); /* as in mapping_of_leaf() */
	return &lines[at & 1];
}

/*
 * The entry at a place of a line. clang drops a mask that it can prove redundant; the verifier of kernel 6.1 needs it.
 */
static __always_inline __u64 *line_entry(struct binding_line *line, __u32 at)
{
	barrier_var(at);
	return &line->entry[at & (PORT_GROUP - 1)];
}

/* The line of a group of ports. proto has bindings in m. */
static __always_inline struct binding_line *binding_line_get(const struct mapping *m, __u32 subscriber, __u8 proto,
							     __u32 group)
{
	struct binding_layout l = binding_layout_of(m);
	__u32 protocol = binding_protocol(proto);

	if (!(l.protocols & protocol))
		return 0;
	return binding_line_at(m, l, subscriber,
			       binding_line_of(l.protocols, protocol, m->geo.ports_per_host, m->bucket_shift, group));
}

/* The header of a subscriber's table; NULL only while tables are being deleted. */
static __always_inline struct binding_header *binding_header_get(const struct mapping *m, __u32 subscriber)
{
	return (struct binding_header *)binding_line_at(m, binding_layout_of(m), subscriber, 0);
}

/* The octet of a bucket with a bit for each slot whose session the outside opened. */
static __always_inline __u8 *inbound_octet(const struct mapping *m, __u32 subscriber, __u32 bucket)
{
	__u32 at = (__u32)sizeof(struct binding_header) + bucket;
	struct binding_line *line =
		binding_line_at(m, binding_layout_of(m), subscriber, at / sizeof(struct binding_line));

	if (!line)
		return 0;
	barrier_var(line); /* as in mapping_of_leaf() */
	return (__u8 *)line + (at & (sizeof(*line) - 1));
}

/* Results of binding_take() other than a port offset. */
#define BINDING_NONE (-1) /* no port of the block is free, nor a granted one */
#define BINDING_BUSY (-2) /* not now: a race lost, or too many searches */

/*
 * A search for a port, of one core. In a map, as the verifier would follow each combination of an entry's possible
 * states in registers and on the stack.
 */
struct binding_search {
	__u32 free;    /* one bit for each port of a line that is bound to no inside port */
	__u32 expired; /* bound, but no longer held by its inside port */
	__u32 held;    /* those that a session uses */
	__s32 found;   /* the inside port's own: its place in the line; -1: none */
	__u32 strays;  /* bindings of the home line found in other groups */
	__s32 port;    /* found in another group, as an offset in the block; -1: none */
	__s32 vacant;  /* the first free port of another group, or -1 */
	__s32 stale;   /* the first group with an expired one, or -1 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct binding_search);
} binding_searches SEC(".maps");

static __always_inline struct binding_search *binding_search_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&binding_searches, &zero);
}

static __always_inline __u32 binding_life(const struct mapping *m, __u8 proto)
{
	return LOAD(m->timeout_ticks[binding_timeout(proto)]);
}

/* Looks at the first `size` entries of a line. */
static __always_inline void binding_scan(struct binding_search *b, const struct binding_line *line, __u32 size,
					 __u16 in_port, __u32 now, __u32 life)
{
	STORE(b->free, 0);
	STORE(b->expired, 0);
	STORE(b->held, 0);
	STORE(b->found, -1);
	for (__u32 k = 0; k < PORT_GROUP; k++) {
		__u64 entry = LOAD(line->entry[k]);

		if (k >= size)
			return;
		if (!binding_is_bound(entry))
			ADD_BITS(b->free, 1U << k);
		else if (binding_in_port(entry) == in_port)
			STORE(b->found, (__s32)k);
		else if (binding_expired(entry, now, life))
			ADD_BITS(b->expired, 1U << k);
	}
}

/* The same for the slow path, which has it in several places. Returns 0. */
SUBPROGRAM int binding_scan_line(const struct binding_line *line, __u32 size, __u16 in_port, __u32 now, __u32 life)
{
	struct binding_search *b = binding_search_get();

	if (line && b)
		binding_scan(b, line, size, in_port, now, life);
	return 0;
}

/* Place of the first port in a mask of a line, from one on; the mask is not 0. */
static __always_inline __u32 binding_first_of(__u32 mask, __u32 from)
{
	__u32 at;

	from &= PORT_GROUP - 1;
	/* Rotated so that `from` is bit 0. */
	mask = (mask >> from | mask << (PORT_GROUP - from)) & ((1U << PORT_GROUP) - 1);
	mask &= -mask;
	at = (mask & 0xf0 ? 4 : 0) + (mask & 0xcc ? 2 : 0) + (mask & 0xaa ? 1 : 0);
	return (from + at) & (PORT_GROUP - 1);
}

/* Binds one of the ports of a line in a mask. Returns its place in the line, or -1 if a race was lost. */
static __always_inline __s32 binding_bind(struct binding_line *line, __u32 mask, __u32 from, __u16 in_port, __u32 flags,
					  __u32 now)
{
	__u32 at = binding_first_of(mask, from);
	__u64 *entry = line_entry(line, at), old = LOAD(*entry);

	flags |= BINDING_BOUND | (binding_flags(old) & BINDING_OF_LINE);
	return binding_change(entry, old, binding_entry(in_port, flags, now)) ? (__s32)at : -1;
}

#endif
