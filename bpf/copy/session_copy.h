/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Places a session that another gateway has announced in a slot of its subscriber, <detnat/copies.h>. It is opened like
 * that of a packet (opening.h), with three differences: the announcement gives its port, sessions in time-wait give
 * way, and its opening is not reported, as the other gateway has done so. An announcement may have any content.
 */
#ifndef DETNAT_SESSION_COPY_H
#define DETNAT_SESSION_COPY_H

#include <detnat/copies.h>

#include "session/inbound_slots.h"
#include "session/opening.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct session_copies);
} copies SEC(".maps");

/*
 * The sessions that prevent a copy, one bit per slot as in struct opening, those of the extent among them. In a map, as
 * the verifier needs it.
 */
struct copy_scan {
	__u32 existing; /* the session itself */
	__u32 taken;	/* others on its port towards its external endpoint */
	__u32 stamp;	/* of the session's binding: a session from outside does not prolong it */
	__u32 pad;
	__s64 room;	 /* copy_extent_room() */
	struct packet p; /* a packet of the session from inside; here to save stack */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct copy_scan);
} copy_scans SEC(".maps");

static __always_inline struct session_copies *copies_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&copies, &zero);
}

static __always_inline struct copy_scan *copy_scan_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&copy_scans, &zero);
}

/* A packet of the session from inside, for the functions that look for ports. */
static __always_inline struct packet copy_packet(const struct mapping *m, __u32 subscriber, __u64 key, __u64 word)
{
	return (struct packet){ .src = m->geo.in_base + subscriber,
				.dst = key_ext_addr(key),
				.sport = key_in_port(key),
				.dport = key_ext_port(key),
				.proto = word_proto(word) };
}

/*
 * Notes whether a slot holds the session's flow, or another one on its port towards its external endpoint. Either gives
 * way if it is in time-wait: the gateway that announced the copy has found the port free. But not to a session on
 * another port, or of another flow, that has had no packet since: it is older, and packets of the one in time-wait may
 * still come.
 */
static __always_inline void copy_clash(const struct mapping *m, const struct session_copy *c, struct slot *s, __u32 bit,
				       struct copy_scan *found, struct opening *o)
{
	__u64 word = LOAD(s->truth), key = LOAD(s->key);

	if (!word_is_live(word) || (key ^ c->key) >> 16 || word_proto(word) != word_proto(c->word) ||
	    (key != c->key && word_out_port(word) != word_out_port(c->word)))
		return;
	if (word_state(word) == SESSION_TIME_WAIT &&
	    ((key == c->key && word_out_port(word) == word_out_port(c->word)) ||
	     (__s32)(c->last - word_seen(word)) >= 0) &&
	    slot_change(s, word, 0)) {
		ADD_BITS(o->room, bit);
		slot_closed(m, c->subscriber, key, word);
		return;
	}
	if (key == c->key)
		ADD_BITS(found->existing, bit);
	else
		ADD_BITS(found->taken, bit);
}

/* copy_clash() for each slot of both buckets of a port offset. Returns 0, or -1 while tables are being deleted. */
SUBPROGRAM int copy_clashes(const struct mapping *m, const struct session_copy *c, __u32 port_offset)
{
	struct copy_scan *found = copy_scan_get();
	struct opening *o = opening_record();
	struct bucket_choice b;

	if (!m || !c || !found || !o)
		return -1;
	if (bucket_choice_get(m, c->subscriber, key_ext_addr(c->key), key_ext_port(c->key), word_proto(c->word),
			      port_offset, &b))
		return -1;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		copy_clash(m, c, &b.first->slot[i], 1U << i, found, o);
	if (b.second != b.first)
		for (__u32 i = 0; i < BUCKET_SLOTS; i++)
			copy_clash(m, c, &b.second->slot[i], 1U << (BUCKET_SLOTS + i), found, o);
	return 0;
}

/* copy_clash() for each slot of the buckets of the subscriber's extent that open_scan_extent() has scanned. */
SUBPROGRAM int copy_clashes_beyond(const struct mapping *m, const struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	struct opening *o = opening_record();

	if (!m || !c || !found || !o)
		return -1;
	for (__u32 i = OPENING_EXTENT; i < OPENING_SLOTS; i++) {
		__u32 bucket = i < OPENING_EXTENT + BUCKET_SLOTS ? LOAD(o->extent.first) : LOAD(o->extent.second);
		struct slot *slot = extent_slot(extent_slot_number(bucket, i));

		if (!slot)
			return -1;
		copy_clash(m, c, slot, 1U << i, found, o);
	}
	return 0;
}

/* Under the lock: returns 1 if the session is in the extent on a granted port, where a scan does not look. */
static __always_inline int copy_exists_apart(const struct mapping *m, const struct subscriber *s,
					     const struct session_copy *c)
{
	__u32 in_port = key_in_port(c->key), block = LOAD(m->growth.block);

	return settings.growth && growth_is_apart(block, mapping_first_choice(&m->geo, in_port), in_port) &&
	       extent_has(m, extent_search_in(m, subscriber_extent(s), c->key,
					      growth_first_choice(block, in_port) << 8 | word_proto(c->word)));
}

/*
 * Under the lock: scans both buckets of a port offset for a session with the packet found->p. Returns its findings, or
 * NULL while tables are being deleted.
 */
static __always_inline struct opening *copy_scan(const struct mapping *m, struct subscriber *s,
						 const struct session_copy *c, __u32 port_offset,
						 struct copy_scan *found)
{
	struct opening *o = opening_record();

	STORE(found->existing, 0);
	STORE(found->taken, 0);
	if (!o || open_scan_buckets(m, s, &found->p, port_offset, now_ticks()) ||
	    (settings.extent_buckets && open_scan_extent(m, s, c->subscriber, port_offset, now_ticks())))
		return 0;
	if ((LOAD(o->existing) || LOAD(o->ports_used)) &&
	    (copy_clashes(m, c, port_offset) ||
	     (settings.extent_buckets && subscriber_extent(s) && copy_clashes_beyond(m, c))))
		return 0;
	if (settings.extent_buckets && copy_exists_apart(m, s, c))
		ADD_BITS(found->existing, 1U << OPENING_EXTENT);
	return o;
}

#define COPY_BOUND_AWAY 2

/*
 * Under the lock: looks for the port to which an inside port is bound. Returns 0 if it is the one at this offset in the
 * block, 1 if the inside port has none, -1 if it is another one, COPY_BOUND_AWAY if it may be in another group.
 */
SUBPROGRAM int copy_bound(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 offset)
{
	struct binding_search *b = binding_search_get();
	struct copy_scan *o = copy_scan_get();
	struct binding_line *home;
	__u32 first, subscriber, now;
	__s32 at;

	if (!m || !s || !p || !b || !o)
		return -1;
	first = mapping_first_choice(&m->geo, p->sport);
	subscriber = mapping_subscriber(&m->geo, p->src);
	now = now_ticks();
	home = binding_line_get(m, subscriber, p->proto, first >> PORT_GROUP_SHIFT);
	if (!home)
		return -1;
	binding_import(m, s, subscriber, now);
	binding_scan(b, home, group_size(first, m->geo.ports_per_host), p->sport, now, binding_life(m, p->proto));
	at = LOAD(b->found);
	if (at >= 0) {
		if ((first & ~(PORT_GROUP - 1U)) + (__u32)at != offset)
			return -1;
		binding_raise(line_entry(home, (__u32)at), LOAD(o->stamp));
		return 0;
	}
	return binding_flags(LOAD(home->entry[0])) & BINDING_AWAY ? COPY_BOUND_AWAY : 1;
}

/* Goes on after COPY_BOUND_AWAY. A subprogram of its own, as the stack of both in one would not suffice. */
SUBPROGRAM int copy_bound_away(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 offset)
{
	struct binding_search *b = binding_search_get();
	__s32 at;

	if (!m || !s || !p || !b)
		return -1;

	struct binding_groups_walk w = {
		.m = m,
		.s = s,
		.p = p,
		.subscriber = mapping_subscriber(&m->geo, p->src),
		.home = mapping_first_choice(&m->geo, p->sport) >> PORT_GROUP_SHIFT,
		.now = now_ticks(),
		.life = binding_life(m, p->proto),
		.in_port = p->sport,
		.proto = p->proto,
	};

	at = binding_search_groups(&w, b, s);
	return at < 0 ? 1 : (__u32)at == offset ? 0 : -1;
}

/* Under the lock: binds the port at this offset to an inside port that has none. 0, or -1 if the port is not free. */
SUBPROGRAM int copy_bind_port(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 offset)
{
	struct binding_search *b = binding_search_get();
	struct copy_scan *o = copy_scan_get();
	__u32 at = offset & (PORT_GROUP - 1), bit = 1U << at, group = offset >> PORT_GROUP_SHIFT, home, now;
	struct binding_line *line;

	if (!m || !s || !p || !b || !o)
		return -1;
	line = binding_line_get(m, mapping_subscriber(&m->geo, p->src), p->proto, group);
	if (!line)
		return -1;
	now = now_ticks();
	binding_scan(b, line, group_size(offset, m->geo.ports_per_host), p->sport, now, binding_life(m, p->proto));
	if (LOAD(b->expired) & bit)
		held_ports_walk(m, s, mapping_subscriber(&m->geo, p->src), p->proto,
				binding_block(m, p->src) + (group << PORT_GROUP_SHIFT));
	if (!(LOAD(b->free) & bit) && !(LOAD(b->expired) & ~LOAD(b->held) & bit))
		return -1;
	home = mapping_first_choice(&m->geo, p->sport) >> PORT_GROUP_SHIFT;
	if (group != home) {
		struct binding_line *first = binding_line_get(m, mapping_subscriber(&m->geo, p->src), p->proto, home);

		if (!first)
			return -1;
		/* Noted first, so that lookups find the binding as soon as it exists. */
		binding_note_away(first, 1);
	}
	return binding_bind(line, bit, at, p->sport, group == home ? 0 : BINDING_STRAYED, LOAD(o->stamp)) < 0 ? -1 : 0;
}

/*
 * Under the lock: looks for the granted port to which an inside port is bound, as copy_bound(). A binding on which no
 * session opens any more gives way.
 */
SUBPROGRAM int copy_bound_granted(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 offset)
{
	struct copy_scan *o = copy_scan_get();
	struct grant_binding *b;

	if (!m || !s || !p || !o)
		return -1;
	b = grant_binding_get(m, p);
	if (b && grant_offset(m, p, LOAD(b->port)) == (__s32)(offset & 0xffff)) {
		grant_binding_raise(b, LOAD(o->stamp));
		return 0;
	}
	if (b && grant_opens(m, p->src, LOAD(b->port)))
		return -1;
	if (b)
		grant_unbind(mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src)), LOAD(b->port), p->proto);
	return 1;
}

/* Under the lock: binds a granted port to an inside port that has none. 0, or -1 if the port is not free. */
SUBPROGRAM int copy_bind_granted(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 offset)
{
	struct copy_scan *o = copy_scan_get();
	__u32 port;

	if (!m || !s || !p || !o)
		return -1;
	port = (mapping_port_lo(&m->geo, mapping_subscriber(&m->geo, p->src)) + offset) & 0xffff;
	return grant_port_is_free(m, s, p, port) ? grant_bind_port(m, p, port, LOAD(o->stamp)) : -1;
}

/*
 * Under the lock, for an endpoint-independent mapping: binds a session's port, an offset in the block or beyond, to its
 * inside port. Returns 0, or -1 if the port is bound to another inside port or the inside port to another port. In
 * steps, as kernel 6.1 allows 512 octets of stack for a chain of calls and rounds each frame up to 32.
 */
static __always_inline int copy_bind(const struct mapping *m, struct subscriber *s, const struct packet *p,
				     __u32 offset)
{
	int r = mapping_grows(m) ? copy_bound_granted(m, s, p, offset) : 1;

	if (r <= 0)
		return r;
	r = copy_bound(m, s, p, offset);
	if (r == COPY_BOUND_AWAY)
		r = copy_bound_away(m, s, p, offset);
	if (r <= 0)
		return r;
	return offset >= m->geo.ports_per_host ? copy_bind_granted(m, s, p, offset) : copy_bind_port(m, s, p, offset);
}

/* Under the lock: checks the tables other than the buckets for the session's port, and binds it. */
static __always_inline int copy_port(const struct mapping *m, struct subscriber *s, const struct packet *p,
				     __u32 out_port, __u32 offset)
{
	if (subscriber_has_portmaps(s) && portmap_holds(m, s, p, out_port))
		return COPY_PORT;
	if (binding_maps(m, p->proto) && copy_bind(m, s, p, offset))
		return COPY_PORT;
	return COPY_PLACED;
}

/* After copy_scan() that found neither in the subscriber's own slots: whether its extent has the session, or its port.
 */
static __always_inline int copy_in_extent(const struct copy_scan *found)
{
	if (!settings.extent_buckets)
		return COPY_PLACED;
	if (LOAD(found->existing) >> OPENING_EXTENT)
		return COPY_BEYOND;
	return LOAD(found->taken) >> OPENING_EXTENT ? COPY_PORT : COPY_PLACED;
}

/* Number of the slot of the lowest bit in a mask that is not 0, as opening_slot(). */
static __always_inline __u32 copy_slot_number(struct bucket_pair pair, __u32 mask)
{
	__u32 byte = mask & 0xff ? mask & 0xff : mask >> 8;
	__u32 low = byte & -byte, at = (low > 8 ? 4 : 0) + (low & 0xcc ? 2 : 0) + (low & 0xaa ? 1 : 0);

	return (mask & 0xff ? pair.first : pair.second) << BUCKET_SLOTS_SHIFT | at;
}

/* Notes the slot of the session that has the port: copy_scan.taken, of the buckets of this port. */
static __always_inline void copy_note_taken(const struct mapping *m, struct session_copy *c, __u32 offset)
{
	struct copy_scan *found = copy_scan_get();

	if (found)
		c->slot = (__u16)copy_slot_number(session_buckets(key_ext_addr(c->key), key_ext_port(c->key),
								  word_proto(c->word), offset, m->bucket_shift),
						  LOAD(found->taken));
}

/* After copy_scan() of the first choice: whether the subscriber's own slots have the session, or its port. */
static __always_inline int copy_in_own(const struct mapping *m, struct session_copy *c, __u32 first,
				       const struct copy_scan *found)
{
	if (LOAD(found->existing) & OPENING_OWN) {
		c->slot = (__u16)copy_slot_number(session_buckets(key_ext_addr(c->key), key_ext_port(c->key),
								  word_proto(c->word), first, m->bucket_shift),
						  LOAD(found->existing));
		return COPY_EXISTS;
	}
	if (!(LOAD(found->taken) & OPENING_OWN))
		return COPY_PLACED;
	copy_note_taken(m, c, first);
	return COPY_PORT;
}

/* Bit of a slot in the masks; 0: the slot is in neither bucket. */
static __always_inline __u32 copy_slot_bit(struct bucket_pair pair, __u32 slot)
{
	__u32 bucket = slot >> BUCKET_SLOTS_SHIFT, bit = 1U << (slot & (BUCKET_SLOTS - 1));

	return bucket == pair.first ? bit : bucket == pair.second ? bit << BUCKET_SLOTS : 0;
}

/* Under the lock: counts a session that the outside has opened; h may be NULL. */
static __always_inline void copy_count_inbound(struct binding_header *h, const struct session_copy *c)
{
	if (h && c->inbound)
		STORE(h->inbound, LOAD(h->inbound) + 1);
}

/* Under the lock: notes in the octet of the slot's bucket which side opened the session. */
static __always_inline void copy_mark_inbound(const struct mapping *m, const struct session_copy *c, __u32 slot)
{
	struct binding_header *h = binding_header_get(m, c->subscriber);
	__u8 *octet = inbound_octet(m, c->subscriber, slot >> BUCKET_SLOTS_SHIFT);
	__u8 bit = (__u8)(1U << (slot & (BUCKET_SLOTS - 1)));

	if (!h || !octet)
		return;
	STORE(*octet, (__u8)(c->inbound ? LOAD(*octet) | bit : LOAD(*octet) & ~bit));
	copy_count_inbound(h, c);
}

/* Under the lock: puts the session into a slot. Not inlined, for the stack. */
static __noinline int copy_claim(const struct mapping *m, struct subscriber *s, struct slot *slot,
				 const struct session_copy *c, __u64 word)
{
	switch (opening_claim(m, s, c->subscriber, slot, LOAD(slot->truth), c->key, word, now_ticks())) {
	case OPENED:
		return COPY_PLACED;
	case OPEN_AT_QUOTA:
		return COPY_QUOTA;
	default:
		return COPY_BUSY;
	}
}

/* Under the lock, for a session that the subscriber can have. */
SUBPROGRAM int copy_place_locked(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	__u32 first, offset, wanted, room;
	struct bucket_pair pair;
	struct opening *o;
	struct bucket_choice b;
	struct packet *p;
	int r;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	p = &found->p;
	*p = copy_packet(m, c->subscriber, c->key, c->word);
	STORE(found->stamp, c->inbound ? word_seen(c->word) : now_ticks());
	first = mapping_first_choice(&m->geo, p->sport);
	offset = word_out_port(c->word) - mapping_port_lo(&m->geo, c->subscriber);
	pair = session_buckets(p->dst, p->dport, p->proto, first, m->bucket_shift);
	wanted = copy_slot_bit(pair, c->slot);
	if (!wanted || offset >= m->geo.ports_per_host || offset >> PORT_GROUP_SHIFT != first >> PORT_GROUP_SHIFT)
		return COPY_IMPOSSIBLE;
	o = copy_scan(m, s, c, first, found);
	if (!o || bucket_choice_get(m, c->subscriber, p->dst, p->dport, p->proto, first, &b))
		return COPY_IMPOSSIBLE;
	r = copy_in_own(m, c, first, found);
	if (r != COPY_PLACED)
		return r;
	r = copy_in_extent(found);
	if (settings.extent_buckets && r == COPY_PLACED &&
	    extent_has(m, extent_search_strayed(m, c->subscriber, subscriber_extent(s), c->key, p->proto)))
		r = COPY_BEYOND;
	if (r != COPY_PLACED) {
		c->slot = COPY_NOT_IN_A_SLOT;
		return r;
	}
	room = LOAD(o->room) & OPENING_OWN;
	if (room & wanted)
		room = wanted;
	else if (room)
		room = opening_room(room, first, slots_crowded(LOAD(s->sessions), m->bucket_shift));
	else
		room = LOAD(o->time_wait) & OPENING_OWN;
	if (!room)
		return COPY_NO_SLOT;
	/* The lowest bit alone. */
	room &= -room;
	r = copy_port(m, s, p, word_out_port(c->word), offset);
	if (r != COPY_PLACED) {
		c->slot = COPY_NOT_IN_A_SLOT;
		return r;
	}
	if (offset != first || room != preferred_bit(first))
		displace(s, b.home);
	r = copy_claim(m, s, opening_slot(&b, room), c, c->word);
	if (r != COPY_PLACED)
		return r;
	c->slot = (__u16)copy_slot_number(pair, room);
	if (LOAD(m->bindings.filtering))
		copy_mark_inbound(m, c, c->slot);
	return COPY_PLACED;
}

#endif
