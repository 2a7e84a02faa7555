/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint-independent mapping, <detnat/binding.h>: the outside port of an inside endpoint, found or bound when a
 * session opens. The fast path calls binding_take_home(), the slow path binding_take(); packets of sessions never get
 * here. All of it is compiled away while no mapping has it.
 */
#ifndef DETNAT_BIND_PORT_H
#define DETNAT_BIND_PORT_H

#include "base/lock.h"
#include "session/grant_bind.h"

/* Takes the ports of a group that no session may have out of those that can be bound. */
static __always_inline void binding_spare_withheld(struct binding_search *b, const struct mapping *m,
						   const struct subscriber *s, const struct packet *p, __u32 group)
{
	__u32 first = mapping_port_lo(&m->geo, mapping_subscriber(&m->geo, p->src)) + (group << PORT_GROUP_SHIFT);

	if (!ports_are_withheld(s))
		return;
	for (__u32 k = 0; k < PORT_GROUP; k++) {
		if (!portmap_holds(m, s, p, first + k))
			continue;
		STORE(b->free, LOAD(b->free) & ~(1U << k));
		STORE(b->expired, LOAD(b->expired) & ~(1U << k));
	}
}

/* Walks the other groups of the block, for a binding that has strayed and for a free port. */
struct binding_groups_walk {
	const struct mapping *m;
	const struct subscriber *s;
	const struct packet *p;
	__u32 subscriber;
	__u32 port_lo; /* of the block */
	__u32 home;    /* group */
	__u32 now;
	__u32 life;
	__u16 in_port;
	__u8 proto;
	__u8 choose; /* look for a free port, too */
};

/* Returns 1 if the first choices of two inside ports are in one group; on a stack of its own, too. */
SUBPROGRAM int binding_same_group(const struct mapping *m, __u16 a, __u16 b)
{
	return m && mapping_first_choice(&m->geo, a) >> PORT_GROUP_SHIFT ==
			    mapping_first_choice(&m->geo, b) >> PORT_GROUP_SHIFT;
}

/* The first port of a subscriber's block, computed on a stack of its own (stacks.py). */
SUBPROGRAM __u32 binding_block(const struct mapping *m, __u32 in_addr)
{
	return m ? mapping_port_lo(&m->geo, mapping_subscriber(&m->geo, in_addr)) : 0;
}

/* Returns 1 if no session may have a port of the block. */
static __always_inline int binding_is_withheld(const struct mapping *m, const struct subscriber *s,
					       const struct packet *p, __s32 offset)
{
	return ports_are_withheld(s) && portmap_holds(m, s, p, binding_block(m, p->src) + (__u32)offset);
}

/*
 * Looks at a port of another group, which is in `line`: notes whether it is free, expired or strayed. Returns 1 if it
 * is the inside endpoint's own. For the verifier's sake a subprogram, and with little on the stack (stacks.py).
 */
SUBPROGRAM int binding_visit(const struct mapping *m, const struct subscriber *s, const struct packet *p,
			     struct binding_line *line, __s32 offset)
{
	struct binding_search *b = binding_search_get();
	__u64 *at, entry;

	if (!m || !s || !p || !line || !b)
		return 1;
	at = line_entry(line, (__u32)offset);
	entry = LOAD(*at);
	if (!binding_is_bound(entry)) {
		if (LOAD(b->vacant) < 0 && !binding_is_withheld(m, s, p, offset))
			STORE(b->vacant, offset);
		return 0;
	}
	if (binding_flags(entry) & BINDING_STRAYED) {
		if (binding_in_port(entry) == p->sport && binding_is_withheld(m, s, p, offset)) {
			/* Another inside port's by now. */
			binding_change(at, entry, binding_freed(entry));
			return 0;
		}
		if (binding_in_port(entry) == p->sport) {
			STORE(b->port, offset);
			binding_raise(at, now_ticks());
			return 1;
		}
		if (binding_same_group(m, binding_in_port(entry), p->sport))
			STORE(b->strays, 1);
	}
	if (LOAD(b->stale) < 0 && binding_expired(entry, now_ticks(), binding_life(m, p->proto)) &&
	    !binding_is_withheld(m, s, p, offset))
		STORE(b->stale, offset >> PORT_GROUP_SHIFT);
	return 0;
}

static long binding_walk_group(__u32 i, struct binding_groups_walk *w)
{
	const struct binding_search *b;
	__u32 groups = binding_groups(w->m->geo.ports_per_host), group = w->home + 1 + i, offset, end;
	struct binding_line *line;

	if (group >= groups)
		group -= groups;
	line = binding_line_get(w->m, w->subscriber, w->proto, group);
	if (!line)
		return LOOP_END;
	offset = group << PORT_GROUP_SHIFT;
	end = offset + group_size(offset, w->m->geo.ports_per_host);
	for (__u32 k = 0; k < PORT_GROUP && offset < end; k++, offset++)
		if (binding_visit(w->m, w->s, w->p, line, (__s32)offset))
			return LOOP_END;
	b = binding_search_get();
	return b && w->choose && LOAD(b->vacant) >= 0 ? LOOP_END : LOOP_ON;
}

/* Clears or sets the note in a home line that a binding of its group has strayed. */
static __always_inline void binding_note_away(struct binding_line *home, int away)
{
	__u64 bit = (__u64)BINDING_AWAY << 32;

	if (away)
		__sync_fetch_and_or(&home->entry[0], bit);
	else
		__sync_fetch_and_and(&home->entry[0], ~bit);
}

static __always_inline __s32 binding_search_groups(struct binding_groups_walk *w, struct binding_search *b,
						   struct subscriber *s)
{
	__u32 groups = binding_groups(w->m->geo.ports_per_host);

	STORE(b->port, -1);
	STORE(b->vacant, -1);
	STORE(b->stale, -1);
	STORE(b->strays, 0);
	if (groups > 1)
		bpf_loop(groups - 1, binding_walk_group, w, 0);
	search_end(s, groups << PORT_GROUP_SHIFT);
	return LOAD(b->port);
}

/*
 * Lets bindings with old stamps, whose ports sessions use, hold for a moment more, so that the next search passes them
 * over. They still end with their sessions.
 */
static __always_inline void binding_raise_held(struct binding_line *line, __u32 mask, __u32 now, __u32 life)
{
	for (__u32 k = 0; k < PORT_GROUP; k++)
		if (mask & (1U << k))
			binding_raise(&line->entry[k], now - life + BINDING_HELD_TICKS);
}

/* Binds a port of another group: a free one, or an expired one that no session uses. */
static __always_inline __s32 binding_stray(struct binding_groups_walk *w, struct binding_search *b,
					   struct subscriber *s, const struct packet *p, struct binding_line *home)
{
	struct binding_line *line;
	__s32 vacant, group, at;
	__u32 mask;

	w->choose = 1;
	binding_search_groups(w, b, s);
	vacant = LOAD(b->vacant);
	group = vacant >= 0 ? vacant >> PORT_GROUP_SHIFT : LOAD(b->stale);
	if (group < 0)
		return BINDING_NONE;
	line = binding_line_get(w->m, w->subscriber, w->proto, (__u32)group);
	if (!line)
		return BINDING_BUSY;
	mask = 1U << (vacant & (PORT_GROUP - 1));
	if (vacant < 0) {
		binding_scan_line(line, group_size((__u32)group << PORT_GROUP_SHIFT, w->m->geo.ports_per_host),
				  w->in_port, w->now, w->life);
		binding_spare_withheld(b, w->m, s, p, (__u32)group);
		held_ports_walk(w->m, s, w->subscriber, p->proto, w->port_lo + ((__u32)group << PORT_GROUP_SHIFT));
		mask = LOAD(b->expired) & ~LOAD(b->held);
		/* The next search passes them over. */
		binding_raise_held(line, LOAD(b->expired) & LOAD(b->held), w->now, w->life);
	}
	if (!mask)
		return BINDING_BUSY;
	/* Noted first, so that lookups find the binding as soon as it exists. */
	binding_note_away(home, 1);
	at = binding_bind(line, mask, 0, w->in_port, BINDING_STRAYED, w->now);
	return at < 0 ? BINDING_BUSY : (group << PORT_GROUP_SHIFT) + at;
}

/*
 * Binds the ports of sessions that are older than the bindings; of several inside ports, the first one found gets the
 * port. The agent did so before it turned bindings on; sessions opened meanwhile are left for this.
 */
struct binding_import {
	const struct mapping *m;
	__u32 subscriber;
	__u32 now;
};

static long binding_import_slot(__u32 i, struct binding_import *w)
{
	const struct mapping *m = w->m;
	struct binding_search *b = binding_search_get();
	struct bucket *bucket = subscriber_bucket(m, w->subscriber, i >> BUCKET_SLOTS_SHIFT);
	struct binding_line *line;
	__u64 word, key;
	__u32 at;

	if (!b || !bucket)
		return LOOP_END;
	word = LOAD(bucket->slot[i & (BUCKET_SLOTS - 1)].truth);
	key = LOAD(bucket->slot[i & (BUCKET_SLOTS - 1)].key);
	if (!word_is_live(word) || word_expired(word, w->now, m->timeout_ticks) || !binding_maps(m, word_proto(word)))
		return LOOP_ON;
	at = word_out_port(word) - mapping_port_lo(&m->geo, w->subscriber);
	if (at >= m->geo.ports_per_host || !word_out_port(word))
		return LOOP_ON;
	line = binding_line_get(m, w->subscriber, word_proto(word), at >> PORT_GROUP_SHIFT);
	if (!line)
		return LOOP_END;
	binding_scan_line(line, PORT_GROUP, key_in_port(key), w->now, ~0U >> 1);
	at &= PORT_GROUP - 1;
	if (LOAD(b->found) < 0 && LOAD(b->free) >> at & 1)
		binding_bind(line, 1U << at, 0, key_in_port(key), 0, word_seen(word));
	return LOOP_ON;
}

/* Under the lock, at a subscriber's first opening after its mapping got bindings. */
static __always_inline void binding_import(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now)
{
	struct binding_header *h = binding_header_get(m, subscriber);
	struct binding_import w = { .m = m, .subscriber = subscriber, .now = now };

	if (!h || LOAD(h->imported))
		return;
	STORE(h->imported, 1);
	if (LOAD(s->sessions))
		bpf_loop(BUCKET_SLOTS * subscriber_buckets(m, s), binding_import_slot, &w, 0);
}

/* Under the lock: the port offset of a packet's inside endpoint, bound if need be. */
static __always_inline __s32 binding_of(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	struct binding_search *b = binding_search_get();
	__u32 first = mapping_first_choice(&m->geo, p->sport), group = first >> PORT_GROUP_SHIFT, mask;
	struct binding_groups_walk w = {
		.m = m,
		.s = s,
		.p = p,
		.subscriber = mapping_subscriber(&m->geo, p->src),
		.port_lo = binding_block(m, p->src),
		.home = group,
		.now = now_ticks(),
		.life = binding_life(m, p->proto),
		.in_port = p->sport,
		.proto = p->proto,
	};
	struct binding_line *home = binding_line_get(m, w.subscriber, p->proto, group);
	__u64 *entry;
	__s32 at;

	if (!b || !home)
		return BINDING_BUSY;
	binding_import(m, s, w.subscriber, w.now);
	binding_scan_line(home, group_size(first, m->geo.ports_per_host), w.in_port, w.now, w.life);
	binding_spare_withheld(b, m, s, p, group);
	at = LOAD(b->found);
	if (at >= 0 && binding_is_withheld(m, s, p, (__s32)(group << PORT_GROUP_SHIFT) + at)) {
		/* Another inside port's by now. */
		entry = line_entry(home, (__u32)at);
		binding_change(entry, LOAD(*entry), binding_freed(LOAD(*entry)));
		at = -1;
	}
	if (at >= 0) {
		binding_raise(line_entry(home, (__u32)at), w.now);
		return (__s32)(group << PORT_GROUP_SHIFT) + at;
	}
	if (binding_flags(LOAD(home->entry[0])) & BINDING_AWAY) {
		if (search_begin(s, w.now))
			return BINDING_BUSY;
		at = binding_search_groups(&w, b, s);
		if (at >= 0)
			return at;
		if (!LOAD(b->strays))
			binding_note_away(home, 0);
	}
	mask = LOAD(b->free);
	if (!mask && LOAD(b->expired)) {
		if (search_begin(s, w.now))
			return BINDING_BUSY;
		held_ports_walk(m, s, w.subscriber, p->proto, w.port_lo + (group << PORT_GROUP_SHIFT));
		mask = LOAD(b->expired) & ~LOAD(b->held);
		binding_raise_held(home, LOAD(b->expired) & LOAD(b->held), w.now, w.life);
	}
	if (mask) {
		at = binding_bind(home, mask, first, w.in_port, 0, w.now);
		return at < 0 ? BINDING_BUSY : (__s32)(group << PORT_GROUP_SHIFT) + at;
	}
	if (search_begin(s, w.now))
		return BINDING_BUSY;
	/* Searched in vain in this tick already. */
	if (s->exhausted == binding_mark(p->proto))
		return BINDING_NONE;
	at = binding_stray(&w, b, s, p, home);
	if (at == BINDING_NONE)
		s->exhausted = binding_mark(p->proto);
	return at;
}

/* Returns 1 if an inside endpoint may keep or get a port of its home line, given as an offset in the block. */
static __always_inline int binding_may_have(const struct mapping *m, const struct subscriber *s, __u32 subscriber,
					    __u8 proto, __u32 offset)
{
	__u32 port = mapping_port_lo(&m->geo, subscriber) + offset;

	if (settings.port_zero && !port)
		return 0;
	return !subscriber_may_map_out(s, proto, port) || !portmap_is_on(m, subscriber, proto, port);
}

/*
 * Under the lock: binding_of() in the common case, where the line of the first choice has the inside endpoint's own
 * port or a free one. endpoint: inside port 16 | protocol 8. -1: binding_of() has to look further.
 */
SUBPROGRAM int binding_take_home(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 endpoint)
{
	struct binding_search *b = binding_search_get();
	__u16 in_port = (__u16)(endpoint >> 8);
	__u32 first, group, at, now = now_ticks();
	const struct binding_header *h;
	struct binding_line *home;
	int bound;

	if (!m || !s || !b)
		return -1;
	first = mapping_first_choice(&m->geo, in_port);
	group = first >> PORT_GROUP_SHIFT << PORT_GROUP_SHIFT;
	h = binding_header_get(m, subscriber);
	home = binding_line_get(m, subscriber, (__u8)endpoint, first >> PORT_GROUP_SHIFT);
	if (!h || !home || !LOAD(h->imported))
		return -1;
	binding_scan(b, home, group_size(first, m->geo.ports_per_host), in_port, now, binding_life(m, (__u8)endpoint));
	bound = LOAD(b->found) >= 0;
	if (!bound && (binding_flags(LOAD(home->entry[0])) & BINDING_OF_LINE || !LOAD(b->free)))
		return -1;
	at = bound ? (__u32)LOAD(b->found) : binding_first_of(LOAD(b->free), first);
	if (!binding_may_have(m, s, subscriber, (__u8)endpoint, group + at))
		return -1;
	if (bound)
		binding_raise(line_entry(home, at), now);
	else if (binding_bind(home, 1U << (at & (PORT_GROUP - 1)), 0, in_port, 0, now) < 0)
		return -1;
	return (int)(group + at);
}

/*
 * Under the lock: the outside port of a packet's inside endpoint, as an offset in the block: the one that it has, or
 * one bound to it now. Or BINDING_NONE, or BINDING_BUSY.
 */
SUBPROGRAM int binding_in_block(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	return m && s && p ? binding_of(m, s, p) : BINDING_BUSY;
}

/* The same with granted ports, whose offsets are beyond the block. One after the other, to save stack. */
static __always_inline int binding_find(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	int offset = mapping_grows(m) ? grant_binding_of(m, s, p) : BINDING_NONE;

	if (offset == BINDING_NONE)
		offset = binding_in_block(m, s, p);
	if (offset == BINDING_NONE && mapping_grows(m))
		offset = grant_bind(m, s, p);
	return offset;
}

/* binding_find(); takes the lock. */
static __always_inline int binding_take(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	int offset;

	if (open_lock(s))
		return BINDING_BUSY;
	offset = binding_find(m, s, p);
	open_unlock(s);
	return offset;
}

#endif
