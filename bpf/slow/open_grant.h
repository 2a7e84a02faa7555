/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens sessions on granted ports, once no port of the block is free; bound ports are found by grant_bind.h. They are
 * in the subscriber's extent, <detnat/growth.h>, and stray if their port is not of their first choice's group.
 */
#ifndef DETNAT_OPEN_GRANT_H
#define DETNAT_OPEN_GRANT_H

#include "session/grant.h"
#include "slow/open.h"
#include "slow/port_take.h"

/*
 * A walk through the groups of the ports of granted blocks, for each member of enum port_of as port_search_group(). In
 * each block it begins with the first choice's. A single loop, as there.
 */
struct grant_walk {
	const struct flow *f;
	struct subscriber *s;
	__u16 groups; /* of a block */
	__u16 choice; /* the first choice among the ports of a block */
	__u16 port_lo;
	__u8 blocks; /* and one, as the walk begins with `last` */
	__u8 last;   /* the grant that it begins with */
};

/* Under the lock: number of the slot of the session that has a granted port at its second place; -1: none has. */
static __always_inline __s64 grant_far_search(const struct mapping *m, const struct subscriber *s,
					      const struct packet *p, __u32 port)
{
	return extent_search_out(m, subscriber_extent(s), slot_key(p->dst, p->dport, 0), growth_far(port),
				 port << 8 | p->proto);
}

/*
 * Under the lock: the k-th candidate of the group that was scanned, as an offset from opening.port_lo; -1: something
 * holds it. So may a session in slot opening.held.
 */
SUBPROGRAM int grant_candidate(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 k)
{
	struct opening *o = opening_record();
	__u32 first, size, at, port;

	if (!m || !s || !p || !o)
		return -1;
	first = LOAD(o->port_offset);
	size = group_size(first, LOAD(m->growth.block));
	if (k >= size)
		return -1;
	at = group_candidate(first, size, k);
	port = LOAD(o->port_lo) + at;
	if (LOAD(o->ports_used) & (1U << (at & (PORT_GROUP - 1))) ||
	    (settings.portmaps && portmap_is_on(m, mapping_subscriber(&m->geo, p->src), p->proto, port)))
		return -1;
	STORE(o->held, settings.extent_buckets ? grant_far_search(m, s, p, port) : -1);
	return (int)at;
}

/* Under the lock: slot_gives_way() of the session in slot opening.held, if there is one. */
SUBPROGRAM int grant_held_gives_way(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 of)
{
	const struct opening *o = opening_record();
	__s64 held = o ? LOAD(o->held) : -1;

	return m && s && (held < 0 || slot_gives_way(m, s, extent_slot(held), subscriber, of));
}

/* Searches a group of a granted block. Returns 1 if opening.port is set, as in port_search(). */
static __always_inline long grant_search_group(const struct flow *f, struct subscriber *s, __u32 port_lo,
					       __u32 port_offset, __u32 of)
{
	struct opening *o = opening_record();

	if (!o)
		return 1;
	STORE(o->looked, LOAD(o->looked) + 1);
	if (open_scan_ports(f->m, s, f->subscriber, port_lo, port_offset, f->now))
		return 1;
	if (LOAD(o->existing)) {
		opening_choose(o, PORT_OF_EXISTING);
		return 1;
	}
	if (port_mask(o, of) && port_take(f->m, s, opening_slot_beyond(o, port_mask(o, of)), &f->p, of)) {
		ADD_BITS(o->room, port_mask(o, of) & -port_mask(o, of));
		return 1;
	}
#pragma clang loop unroll(disable)
	for (__u32 k = 0; k < PORT_GROUP; k++) {
		int at = grant_candidate(f->m, s, &f->p, k);

		if (at < 0)
			continue;
		if (grant_held_gives_way(f->m, s, f->subscriber, of)) {
			opening_choose(o, at);
			return 1;
		}
		ADD_BITS(o->others, 1U << PORT_OF_TIME_WAIT);
	}
	if (LOAD(o->time_wait_port))
		ADD_BITS(o->others, 1U << PORT_OF_TIME_WAIT);
	ADD_BITS(o->others, 1U << PORT_OF_RESET);
	return 0;
}

static long grant_walk_group(__u32 i, struct grant_walk *w)
{
	__u32 each = w->blocks * w->groups, of = i / each, at = i % each / w->groups, group = i % w->groups;
	struct opening *o = opening_record();

	if (!o || !(LOAD(o->others) >> of))
		return LOOP_END;
	if (!(LOAD(o->others) >> of & 1))
		return LOOP_ON;
	if (!group)
		w->port_lo = (__u16)grant_port_lo(w->f->m, w->f->p.src, at ? at - 1 : w->last);
	if (!w->port_lo)
		return LOOP_ON;
	group += w->choice >> PORT_GROUP_SHIFT;
	if (group >= w->groups)
		group -= w->groups;
	return grant_search_group(w->f, w->s, w->port_lo,
				  group == w->choice >> PORT_GROUP_SHIFT ? w->choice : group << PORT_GROUP_SHIFT, of)
		       ? LOOP_END
		       : LOOP_ON;
}

/*
 * Under the lock, after a scan for the flow: searches the subscriber's granted blocks for a port that is free towards
 * the flow's endpoint. Returns opening.port, from opening.port_lo on.
 */
static __noinline __s32 grant_search(const struct flow *f, struct subscriber *s)
{
	struct grant_walk w = { .f = f, .s = s };
	struct opening *o = opening_record();
	__u32 block = LOAD(f->m->growth.block);

	if (!o || !block)
		return PORT_NONE;
	w.groups = (__u16)((block + PORT_GROUP - 1) >> PORT_GROUP_SHIFT);
	w.choice = (__u16)growth_first_choice(block, f->p.sport);
	w.blocks = (__u8)(grants_end(f->m, f->p.src) + 1);
	w.last = (__u8)grant_search_first(s, w.blocks - 1U);
	opening_choose(o, PORT_NONE);
	STORE(o->others, 1U << PORT_FREE);
	STORE(o->looked, 0);
	bpf_loop(w.blocks * w.groups * N_PORT_OF, grant_walk_group, &w, 0);
	search_count(s, LOAD(o->looked) * PORT_GROUP / GRANT_PORTS_OF_UNIT + (LOAD(o->port) == PORT_NONE));
	return LOAD(o->port);
}

/* Under the lock: returns 1 if another core has opened the flow's session in a slot meanwhile. */
static __always_inline int open_exists(const struct flow *f, struct subscriber *s)
{
	const struct opening *o = opening_record();

	if (!o || open_scan_buckets(f->m, s, &f->p, f->port_offset, f->now) ||
	    (settings.extent_buckets && open_scan_extent(f->m, s, f->subscriber, f->port_offset, f->now)))
		return 0;
	return LOAD(o->existing) || open_exists_apart(f, s);
}

/*
 * Under the lock, after a scan for the flow: opens its session with a state word whose port is a granted one that is
 * bound for it. Another session's it is only from before ports were bound.
 */
static __always_inline enum opened open_on_bound_grant(const struct flow *f, struct subscriber *s, __u64 word,
						       __u64 *ret_word)
{
	__u32 port = word_out_port(word), place = port_offset_of(f->m, f->subscriber, port);
	struct opening *o = opening_record();
	__s64 held;

	if (!o || open_scan_ports(f->m, s, f->subscriber, port - place, place, f->now))
		return OPEN_LOST;
	if (LOAD(o->existing))
		return OPEN_EXISTS;
	held = settings.extent_buckets ? grant_far_search(f->m, s, &f->p, port) : -1;
	if (LOAD(o->ports_used) & 1U << (place & (PORT_GROUP - 1)) ||
	    (held >= 0 && !slot_gives_way(f->m, s, extent_slot(held), f->subscriber, PORT_FREE)))
		return OPEN_NO_PORT;
	opening_choose(o, (__s32)place);
	return open_stray(f, s, word, ret_word);
}

/* Under the lock, after a scan for the flow, whose block has no free port: opens its session on a granted one. */
static __always_inline enum opened open_on_any_grant(const struct flow *f, struct subscriber *s, __u64 *ret_word)
{
	__u32 mark = growth_mark(f->now, grants_of(f->m, f->p.src), search_mark(&f->p));
	const struct opening *o = opening_record();
	__s32 port;

	if (LOAD(s->growth_vain) == mark)
		return OPEN_NO_PORT;
	port = grant_search(f, s);
	if (port >= 0 && o)
		return open_stray(f, s, open_word(f, LOAD(o->port_lo) + (__u32)port), ret_word);
	if (port == PORT_OF_EXISTING)
		return OPEN_EXISTS;
	STORE(s->growth_vain, mark);
	return OPEN_NO_PORT;
}

/* Under the lock: opens a flow's session on the granted port that is bound for it, or on any. */
static __always_inline enum opened open_on_grant(const struct flow *f, struct subscriber *s, __u32 bound,
						 __u64 *ret_word)
{
	if (open_exists(f, s))
		return OPEN_EXISTS;
	if (!settings.bindings || !bound)
		return open_on_any_grant(f, s, ret_word);
	return open_on_bound_grant(f, s, open_word(f, mapping_port_lo(&f->m->geo, f->subscriber) + bound - 1),
				   ret_word);
}

static __always_inline enum opened open_granted_one(const struct flow *f, struct subscriber *s, __u32 bound,
						    __u64 *ret_word)
{
	return open_by_search(open_on_grant, f, s, bound, ret_word);
}

/*
 * open_beyond_slots() on granted ports, for a flow whose block has no free port, or whose bound port is a granted one.
 * A search of its own, as the stack of both in one would not suffice.
 */
SUBPROGRAM int open_on_grants(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 bound,
			      __u64 *ret_word)
{
	return open_under_lock(open_granted_one, m, s, p, bound, ret_word);
}

#endif
