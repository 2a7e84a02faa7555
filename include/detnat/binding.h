/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bindings: an outside port that belongs to one inside port for all destinations (endpoint-independent mapping, RFC
 *4787 REQ-1).
 *
 * A mapping with bindings has a table for each of its subscribers, in the memory of buckets. The table begins with a
 * header about sessions that the outside has opened. Then each protocol has one entry for each port of the block, in
 * cache lines of one group of ports each. A packet from outside finds its entry by its port; one from inside searches
 * the line of its first choice. If that group has no free port, the binding strays to another group, and a flag in its
 * home line says so.
 *
 *	entry	in_port 16 | flags 16 | last seen 32
 *
 * Rules for all code that touches an entry:
 *  1. Only the datapath binds a port, under the subscriber's opener lock. Every change is a compare-and-swap of the
 *     whole entry, so the agent may raise a stamp or remove a binding at any time. Before the agent turns a protocol
 *on, only the agent writes that protocol's entries.
 *  2. The stamp (last seen) is the tick of the last opening from inside or, if that is later, last seen of the newest
 *     session that the agent's sweep found. A binding outlives its stamp by the protocol's timeout, for TCP the
 *     transitory one (RFC 4787 REQ-5, RFC 7857 section 2.1). A session that the outside opens starts with the binding's
 *     stamp as its own, so it never prolongs the binding.
 *  3. Only its own inside port may revive an expired binding. Another inside port may take the port once no session
 *uses it.
 *
 * Pure functions except for the memory passed to them; compiled into the BPF programs and into the tests.
 */
#ifndef DETNAT_BINDING_H
#define DETNAT_BINDING_H

#include "binding_layout.h"
#include "slots.h"

/* Flags of an entry. */
#define BINDING_BOUND	0x1U
#define BINDING_STRAYED 0x2U /* outside the group of its first choice */
#define BINDING_AWAY	0x4U /* only in a line's first entry, bound or not: a binding has strayed from this group */
#define BINDING_GRANTED 0x8U /* likewise: an inside endpoint of this group has a granted port, <detnat/growth.h> */
/* Those that stay with a line whatever becomes of its bindings. */
#define BINDING_OF_LINE (BINDING_AWAY | BINDING_GRANTED)

struct binding_line {
	__u64 entry[PORT_GROUP];
};
_Static_assert(2 * sizeof(struct binding_line) == sizeof(struct bucket), "two lines take the place of a bucket");

/* The beginning of a subscriber's table. It changes under the opener lock, except that the agent clears `imported`. */
struct binding_header {
	__u32 inbound; /* upper bound of the sessions that the outside has opened; a count of the slots corrects it */
	__u32 counted_tick; /* tick of the last count */
	__u32 imported;	    /* 1: sessions older than the table have bindings, too */
	__u32 pad;
	/* One octet for each bucket follows: the slots with sessions that the outside opened, one bit each. */
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

/* The timeout by which a binding outlives its stamp. */
static __always_inline enum timeout binding_timeout(__u8 proto)
{
	return proto == 17 ? TIMEOUT_UDP : proto == 6 ? TIMEOUT_TCP_TRANSITORY : TIMEOUT_ICMP;
}

/* Signed, as a stamp may be a tick ahead. */
static __always_inline int binding_expired(__u64 entry, __u32 now, __u32 life_ticks)
{
	return (__s32)(now - binding_seen(entry)) > (__s32)life_ticks;
}

/* Returns 1 if an entry is bound and has not expired. */
static __always_inline int binding_holds(__u64 entry, __u32 now, __u32 life_ticks)
{
	return binding_is_bound(entry) && !binding_expired(entry, now, life_ticks);
}

/* The entry with a later stamp; it never goes back. */
static __always_inline __u64 binding_raised(__u64 entry, __u32 seen)
{
	return (__s32)(seen - binding_seen(entry)) > 0 ? (entry & ~0xffffffffULL) | seen : entry;
}

/* The entry after its binding is removed. */
static __always_inline __u64 binding_freed(__u64 entry)
{
	return binding_entry(0, binding_flags(entry) & BINDING_OF_LINE, 0);
}

/* Rule 1. Returns 1 on success. */
static __always_inline int binding_change(__u64 *at, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(at, from, to) == from;
}

/* Raises the stamp of a bound entry to `seen`. If the entry changes meanwhile, it is as recent, or another binding. */
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

/* The number of buckets whose memory the tables of so many subscribers take. */
static inline __u64 binding_buckets(__u64 subscribers, __u32 protocols, __u32 ports_per_host, __u32 bucket_shift)
{
	return (subscribers * binding_lines(protocols, ports_per_host, bucket_shift) + 1) / 2;
}

/*
 * The most sessions that the outside may open to one subscriber: a percentage of its quota, or of its slots if they are
 * fewer, as these sessions are kept in slots only. At least 1.
 */
static __always_inline __u32 inbound_limit(__u32 percent, __u32 quota, __u32 bucket_shift)
{
	__u32 slots = BUCKET_SLOTS << bucket_shift, most = quota < slots ? quota : slots;
	__u32 limit = most * percent / 100;

	return limit ? limit : 1;
}

#endif
