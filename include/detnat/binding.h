/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bindings: which inside port holds an outside port towards everybody (endpoint-independent mapping, RFC 4787 REQ-1).
 *
 * A mapping that asks for them has a table for each of its subscribers, in the space of buckets: a header with what the
 * outside has opened, then for each protocol one entry for every port of the block, a cache line for each group of
 * ports. The outside port is the index; from inside, the line of the first choice is searched. A binding that found no
 * port in its group strays to another one, which is noted in its home line.
 *
 *	entry	in_port 16 | flags 16 | last seen 32
 *
 * Rules for all code that touches an entry:
 *  1. Only the datapath binds a port, under the subscriber's opener lock. Every change is a compare-and-swap of the
 *     whole entry, so the agent may raise a stamp or remove a binding at any time. Before it turns a protocol on, the
 *     protocol's entries are the agent's.
 *  2. The stamp is the tick of the last opening from inside, or of the newest session as the agent's sweep has seen it.
 *     A binding outlives it by the timeout of the protocol, of TCP the transitory one (RFC 4787 REQ-5, RFC 7857 section
 *     2.1). Sessions that the outside opens begin with it as their own, so they never move it.
 *  3. Only its own inside port may revive an expired binding. Another one may have the port if no session uses it.
 *
 * Pure functions except for the memory passed to them; compiled into the BPF programs and into the tests.
 */
#ifndef DETNAT_BINDING_H
#define DETNAT_BINDING_H

#include "binding_layout.h"
#include "slots.h"

/* Flags of an entry. */
#define BINDING_BOUND	0x1U
#define BINDING_STRAYED 0x2U /* in another group than its first choice's */
#define BINDING_AWAY	0x4U /* only in a line's first entry, bound or not: a binding of this group has strayed */

struct binding_line {
	__u64 entry[PORT_GROUP];
};
_Static_assert(2 * sizeof(struct binding_line) == sizeof(struct bucket), "two lines take the place of a bucket");

/* The beginning of a subscriber's table. Changed under the opener lock, but for `imported`, which the agent clears. */
struct binding_header {
	__u32 inbound; /* sessions that the outside has opened, at most: those that have ended are found by a count */
	__u32 counted_tick; /* tick of that count */
	__u32 imported;	    /* 1: ports of sessions from before there were bindings are bound */
	__u32 pad;
	/* From here on an octet for each bucket: slots whose session the outside has opened. */
};
_Static_assert(sizeof(struct binding_header) == 16, "the octets of the buckets follow");

/* The bit of a protocol; 0: it has no bindings. */
static __always_inline __u32 binding_protocol(__u8 proto)
{
	return proto == 17 ? BINDING_UDP : proto == 6 ? BINDING_TCP : proto == 1 ? BINDING_ICMP : 0;
}

static __always_inline __u64 binding_entry(__u16 in_port, __u32 flags, __u32 seen)
{
	return (__u64)in_port << 48 | (__u64)flags << 32 | seen;
}

static __always_inline __u16 binding_in_port(__u64 entry)
{
	return (__u16)(entry >> 48);
}

static __always_inline __u32 binding_flags(__u64 entry)
{
	return (__u32)(entry >> 32) & 0xffff;
}

static __always_inline __u32 binding_seen(__u64 entry)
{
	return (__u32)entry;
}

static __always_inline int binding_is_bound(__u64 entry)
{
	return !!(binding_flags(entry) & BINDING_BOUND);
}

/* Returns 1 if an entry holds its port for this inside port, expired or not. */
static __always_inline int binding_is_of(__u64 entry, __u16 in_port)
{
	return binding_is_bound(entry) && binding_in_port(entry) == in_port;
}

/* How long a binding outlives its stamp. */
static __always_inline enum timeout binding_timeout(__u8 proto)
{
	return proto == 17 ? TIMEOUT_UDP : proto == 6 ? TIMEOUT_TCP_TRANSITORY : TIMEOUT_ICMP;
}

/* Signed, as a stamp may be a tick ahead. */
static __always_inline int binding_expired(__u64 entry, __u32 now, __u32 life_ticks)
{
	return (__s32)(now - binding_seen(entry)) > (__s32)life_ticks;
}

/* Returns 1 if a bound port is the inside port's at this time. */
static __always_inline int binding_holds(__u64 entry, __u32 now, __u32 life_ticks)
{
	return binding_is_bound(entry) && !binding_expired(entry, now, life_ticks);
}

/* The entry with a later stamp; it never goes back. */
static __always_inline __u64 binding_raised(__u64 entry, __u32 seen)
{
	return (__s32)(seen - binding_seen(entry)) > 0 ? (entry & ~0xffffffffULL) | seen : entry;
}

/* What is left of an entry without its binding. */
static __always_inline __u64 binding_freed(__u64 entry)
{
	return binding_entry(0, binding_flags(entry) & BINDING_AWAY, 0);
}

/* Rule 1. Returns 1 on success. */
static __always_inline int binding_change(__u64 *at, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(at, from, to) == from;
}

/* Raises the stamp of a bound entry to `seen`, unless it has been changed; then it is as recent, or another's. */
static __always_inline void binding_raise(__u64 *at, __u32 seen)
{
	__u64 entry = LOAD(*at), raised = binding_raised(entry, seen);

	if (raised != entry)
		binding_change(at, entry, raised);
}

/* The layout of a mapping's tables. */

/* Lines before those of the protocols. */
static __always_inline __u32 binding_header_lines(__u32 bucket_shift)
{
	return (__u32)((sizeof(struct binding_header) + (1U << bucket_shift) + sizeof(struct binding_line) - 1) /
		       sizeof(struct binding_line));
}

static __always_inline __u32 binding_groups(__u32 ports_per_host)
{
	return (ports_per_host + PORT_GROUP - 1) >> PORT_GROUP_SHIFT;
}

static __always_inline __u32 binding_count(__u32 protocols)
{
	return (protocols & 1) + (protocols >> 1 & 1) + (protocols >> 2 & 1);
}

/* Lines of one subscriber. */
static __always_inline __u32 binding_lines(__u32 protocols, __u32 ports_per_host, __u32 bucket_shift)
{
	return binding_header_lines(bucket_shift) + binding_count(protocols) * binding_groups(ports_per_host);
}

/* Line of a group of ports, within the subscriber's table. protocol: one of `protocols`. */
static __always_inline __u32 binding_line_of(__u32 protocols, __u32 protocol, __u32 ports_per_host, __u32 bucket_shift,
					     __u32 group)
{
	return binding_header_lines(bucket_shift) +
	       binding_count(protocols & (protocol - 1)) * binding_groups(ports_per_host) + group;
}

/* Buckets that the tables of so many subscribers take. */
static inline __u64 binding_buckets(__u64 subscribers, __u32 protocols, __u32 ports_per_host, __u32 bucket_shift)
{
	return (subscribers * binding_lines(protocols, ports_per_host, bucket_shift) + 1) / 2;
}

/*
 * Sessions of a subscriber that the outside may have opened: a share of its quota, or of its slots if they are fewer,
 * since these sessions are kept in slots only. At least 1.
 */
static __always_inline __u32 inbound_limit(__u32 percent, __u32 quota, __u32 bucket_shift)
{
	__u32 slots = BUCKET_SLOTS << bucket_shift, most = quota < slots ? quota : slots;
	__u32 limit = most * percent / 100;

	return limit ? limit : 1;
}

#endif
