/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds a place for a session that opens, under the opener's lock: its port, and the slots where it may stand. */
#ifndef DETNAT_OPEN_PLACE_H
#define DETNAT_OPEN_PLACE_H

#include "session/fast_open.h"
#include "session/opening.h"
#include "session/portmap.h"
#include "session/session_lookup.h"

/* The state word of a flow from inside whose session begins on an outside port. */
static __always_inline __u64 open_word(const struct flow *f, __u32 out_port)
{
	return state_word((__u16)out_port, f->p.proto, open_state(&f->p), host6_stamp(f->now));
}

static __always_inline void opening_choose(struct opening *o, __s32 offset)
{
	*(volatile __s32 *)&o->port = offset;
}

/*
 * After open_scan(): returns the k-th candidate for the outside port of a packet from inside, as an offset in the
 * block; or -1 if there is none, or something holds it.
 */
SUBPROGRAM int opening_candidate(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 k)
{
	struct opening *o = opening_record();
	__u32 first, size, offset;

	if (!m || !s || !p || !o)
		return -1;
	first = LOAD(o->port_offset);
	size = group_size(first, m->geo.ports_per_host);
	if (k >= size)
		return -1;
	offset = group_candidate(first, size, k);
	if (LOAD(o->ports_used) & (1U << (offset & (PORT_GROUP - 1))) ||
	    port_is_withheld(m, s, p, LOAD(o->port_lo) + offset))
		return -1;
	return (int)offset;
}

/* Chooses the outside port under the lock: the first candidate that nothing holds, also in opening.port; -1: none. */
static __always_inline int opening_port(struct opening *o, const struct flow *f, struct subscriber *s)
{
	opening_choose(o, -1);
	for (__u32 k = 0; k < PORT_GROUP && LOAD(o->port) < 0; k++)
		opening_choose(o, opening_candidate(f->m, s, &f->p, k));
	return LOAD(o->port);
}

/* open_scan_buckets() for a flow: its findings and buckets, or NULL. */
static __always_inline struct opening *open_scan(const struct flow *f, struct subscriber *s, __u32 port_offset,
						 struct bucket_choice *ret_b)
{
	if (open_scan_buckets(f->m, s, &f->p, port_offset, f->now) ||
	    (settings.extent_buckets && open_scan_extent(f->m, s, f->subscriber, port_offset, f->now)) ||
	    bucket_choice_get(f->m, f->subscriber, f->p.dst, f->p.dport, f->p.proto, port_offset, ret_b))
		return 0;
	return opening_record();
}

/* Under the lock: number of the slot of the flow's session in its extent where open_scan() does not look; -1: none. */
static __always_inline __s64 open_search_apart(const struct flow *f, struct subscriber *s)
{
	__s64 at = settings.extent_buckets ? extent_search_apart(f, subscriber_extent(s)) : -1;

	return at >= 0 && !slot_gives_way(f->m, s, extent_slot(at), f->subscriber, PORT_FREE) ? at : -1;
}

static __always_inline int open_exists_apart(const struct flow *f, struct subscriber *s)
{
	return open_search_apart(f, s) >= 0;
}

/*
 * Under the lock, after open_scan() of the port's group: returns a bound port, as an offset in the block, or -1 if it
 * is another session's towards the flow's external endpoint, which can only be one from before there were bindings.
 */
static __always_inline __s32 open_bound_port(const struct opening *o, __u32 offset)
{
	return LOAD(o->ports_used) & (1U << (offset & (PORT_GROUP - 1))) ? -1 : (__s32)offset;
}

/*
 * Under the lock, after open_scan(): where a session may stand, as a mask; 0: nowhere. In the extent only if not in the
 * subscriber's own buckets, and there in the preferred slot if it can, where one cache line finds it.
 */
static __always_inline __u32 open_room(const struct opening *o, const struct flow *f, const struct subscriber *s)
{
	__u32 own = opening_room(LOAD(o->room) & OPENING_OWN, LOAD(o->port_offset),
				 slots_crowded(LOAD(s->sessions), f->m->bucket_shift));

	if (!settings.extent_buckets || own)
		return own;
	return opening_room(LOAD(o->room) >> OPENING_EXTENT, LOAD(o->port_offset), 0) << OPENING_EXTENT;
}

#endif
