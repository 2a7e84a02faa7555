/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies in their subscriber's extent, <detnat/extents.h>, under the lock, where openers put sessions: with a signpost
 * if they stray. Their state words have the peer that announced them as the owner, and their turn.
 */
#ifndef DETNAT_EXTENT_COPY_H
#define DETNAT_EXTENT_COPY_H

#include "copy/session_copy.h"
#include "session/extent_grow.h"
#include "session/signpost.h"

/* Whether an announcement may replace a session of its flow beyond the slots. */
static __always_inline int copy_may_replace(const struct session_copy *c, __u32 owner, __u64 word)
{
	return owner == c->owner || (c->takes >> owner & 1 && word_out_port(word) == word_out_port(c->word));
}

/* The announced session's state word in an extent. */
static __always_inline __u64 copy_word(const struct session_copy *c)
{
	return word_owned(c->word, c->owner, c->turn) | (c->inbound ? WORD_INBOUND : 0);
}

/* The slot of the session's flow in the extent, or NULL. */
static __always_inline struct slot *copy_slot_of(const struct mapping *m, const struct subscriber *s,
						 const struct session_copy *c)
{
	__u32 in_port = key_in_port(c->key), block = LOAD(m->growth.block), extent = subscriber_extent(s);
	__u32 first = mapping_first_choice(&m->geo, in_port), proto = word_proto(c->word);
	__s64 at = extent_search_in(m, extent, c->key, first << 8 | proto);

	if (at < 0 && settings.growth && growth_is_apart(block, first, in_port))
		at = extent_search_in(m, extent, c->key, growth_first_choice(block, in_port) << 8 | proto);
	if (at < 0)
		at = extent_search_strayed(m, c->subscriber, extent, c->key, proto);
	return extent_slot(at);
}

/* Merges what has become of a session that moves into the one in the slot. Returns enum copy_result. */
static __always_inline int copy_merge(const struct session_copy *c, struct slot *slot, __u64 word)
{
	__u64 merged = extent_merged(c->before, copy_word(c), word);

	return word_out_port(word) != word_out_port(c->word) || merged == word || slot_change(slot, word, merged)
		       ? COPY_BEYOND
		       : COPY_BUSY;
}

/* Ends a session in a slot. Returns 1; 0: it has changed. */
static __always_inline int copy_slot_end(const struct mapping *m, struct subscriber *s, const struct session_copy *c,
					 struct slot *slot, __u64 word)
{
	if (!slot_change(slot, word, 0))
		return 0;
	if (!c->moves) {
		limit_ended(m, c->subscriber, word_proto(word), 1);
		__sync_fetch_and_add(&s->sessions, -1U);
	}
	return 1;
}

/*
 * Under the lock: looks for the session in the extent. Returns
 *	COPY_PLACED	it is not there, or was removed: it had expired, or was a copy on another port
 *	COPY_BEYOND	it is there; if it may be replaced, it is now the announced one
 *	COPY_BUSY	it changed meanwhile
 * c->before returns its state word. A session in time-wait is left to copy_clash().
 */
SUBPROGRAM int copy_present(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct slot *slot;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	slot = copy_slot_of(m, s, c);
	word = slot ? LOAD(slot->truth) : 0;
	if (!slot || !word_is_counted(word))
		return COPY_PLACED;
	if (c->moves)
		return copy_merge(c, slot, word);
	if (word_expired(word, now_ticks(), m->timeout_ticks)) {
		if (!copy_slot_end(m, s, c, slot, word))
			return COPY_BUSY;
		slot_closed(m, c->subscriber, c->key, word);
		return COPY_PLACED;
	}
	c->before = word;
	if (!copy_may_replace(c, word_owner(word), word))
		return COPY_BEYOND;
	/* The peer opened it again on another port, and its announcement about the former one was lost. */
	if (word_out_port(word) != word_out_port(c->word))
		return copy_slot_end(m, s, c, slot, word) ? COPY_PLACED : COPY_BUSY;
	return slot_change(slot, word, copy_word(c)) ? COPY_BEYOND : COPY_BUSY;
}

/* COPY_END of a session in the extent. */
SUBPROGRAM int copy_end(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct slot *slot;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	slot = copy_slot_of(m, s, c);
	word = slot ? LOAD(slot->truth) : 0;
	if (!slot || word_owner(word) != c->owner || word_out_port(word) != word_out_port(c->word))
		return COPY_CHANGED;
	if (c->moves && c->before && c->before != word)
		return COPY_CHANGED;
	return copy_slot_end(m, s, c, slot, word) ? COPY_PLACED : COPY_BUSY;
}

/* Whether the session's port is in the group of its first choice. offset: port_offset_of(). */
static __always_inline int copy_is_home(const struct mapping *m, const struct session_copy *c, __u32 offset)
{
	__u32 in_port = key_in_port(c->key), port = word_out_port(c->word), block = LOAD(m->growth.block);

	if (((port - mapping_port_lo(&m->geo, c->subscriber)) & 0xffff) < m->geo.ports_per_host)
		return offset >> PORT_GROUP_SHIFT == mapping_first_choice(&m->geo, in_port) >> PORT_GROUP_SHIFT;
	return settings.growth && block &&
	       offset >> PORT_GROUP_SHIFT == growth_first_choice(block, in_port) >> PORT_GROUP_SHIFT;
}

/* Number of a slot in the extent, as it is now, for the session, with its signpost if it needs one; -1: none. */
static __always_inline __s64 copy_place(const struct mapping *m, struct subscriber *s, const struct session_copy *c,
					__u32 offset)
{
	__u32 what = (copy_is_home(m, c, offset) ? STRAY_HOME : 0) | word_out_port(c->word) << 8 | word_proto(c->word);

	if (open_scan_ports(m, s, c->subscriber, word_out_port(c->word) - offset, offset, now_ticks()))
		return -1;
	return stray_place(m, s, c->subscriber, c->key, what);
}

/*
 * After copy_slots(): number of a slot for the session in the extent, which is made, or made larger, as for an
 * opening; -1: none.
 */
SUBPROGRAM __s64 copy_room(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	__u32 offset;
	__s64 at;

	if (!m || !s || !c || !settings.extent_buckets)
		return -1;
	offset = port_offset_of(m, c->subscriber, word_out_port(c->word));
	at = copy_place(m, s, c, offset);
	if (at >= 0)
		return at;
	extent_grow(m, s, c->subscriber);
	return copy_place(m, s, c, offset);
}

/* copy_claim() for a session that moves, which has its place in the quota and in the limit of its protocol. */
static __always_inline int copy_claim_moving(const struct mapping *m, struct subscriber *s, struct slot *slot,
					     const struct session_copy *c)
{
	struct opening *o = opening_record();
	int r, left;

	if (!o)
		return COPY_IMPOSSIBLE;
	STORE(o->reserved, 1);
	r = copy_claim(m, s, slot, c, copy_word(c));
	/* That of an expired session in the slot was taken instead; or a claim in vain has given it back. */
	left = (int)LOAD(o->reserved);
	STORE(o->reserved, 0);
	if (left == (r == COPY_PLACED))
		__sync_fetch_and_add(&s->sessions, left ? -1U : 1);
	if (r == COPY_PLACED)
		limit_ended(m, c->subscriber, word_proto(c->word), 1);
	return r;
}

/* Puts the session into that slot. Returns enum copy_result. */
SUBPROGRAM int copy_insert(const struct mapping *m, struct subscriber *s, struct session_copy *c, __s64 at)
{
	struct slot *slot = extent_slot(at);
	int r;

	if (!m || !s || !c || !slot)
		return COPY_IMPOSSIBLE;
	displace(s, stray_homes(m, c->subscriber, c->key, c->word));
	if (c->moves)
		return copy_claim_moving(m, s, slot, c);
	r = copy_claim(m, s, slot, c, copy_word(c));
	if (r == COPY_PLACED && LOAD(m->bindings.filtering))
		copy_count_inbound(binding_header_get(m, c->subscriber), c);
	return r;
}

/* Under the lock, after copy_scan(): the same for a granted port, which no session in the subscriber's own slots has.
 */
SUBPROGRAM int copy_granted_slots(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	struct opening *o = opening_record();
	struct slot *far;
	__u32 port, offset;
	__s64 at;

	if (!m || !s || !c || !found || !o)
		return COPY_IMPOSSIBLE;
	port = word_out_port(c->word);
	offset = port_offset_of(m, c->subscriber, port);
	STORE(found->existing, 0);
	STORE(found->taken, 0);
	if (open_scan_ports(m, s, c->subscriber, port - offset, offset, now_ticks()) ||
	    (subscriber_extent(s) && copy_clashes_beyond(m, c)))
		return COPY_IMPOSSIBLE;
	at = extent_search_out(m, subscriber_extent(s), c->key, growth_far(port), port << 8 | word_proto(c->word));
	far = extent_slot(at);
	if (far && !slot_gives_way(m, s, far, c->subscriber, PORT_FREE))
		copy_clash(m, c, far, 1, found, o);
	if (LOAD(found->existing))
		return COPY_BEYOND;
	return LOAD(found->taken) ? COPY_PORT : COPY_PLACED;
}

/*
 * Under the lock: looks for the session and its port in the slots. The session itself can be in the buckets of its
 * first choice, other sessions on its port in the buckets of the port. Returns
 *	COPY_PLACED	neither is in the slots
 *	COPY_EXISTS	the session is in c->slot
 *	COPY_BEYOND	the session is in the subscriber's extent
 *	COPY_PORT	another session has the port, in c->slot or in the extent
 *	COPY_IMPOSSIBLE	the tables are being deleted
 */
SUBPROGRAM int copy_slots(const struct mapping *m, struct subscriber *s, struct session_copy *c, __u32 offset)
{
	struct copy_scan *found = copy_scan_get();
	__u32 first;
	int r;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	first = mapping_first_choice(&m->geo, key_in_port(c->key));
	if (!copy_scan(m, s, c, first, found))
		return COPY_IMPOSSIBLE;
	r = copy_in_own(m, c, first, found);
	if (r != COPY_PLACED)
		return r;
	r = copy_in_extent(found);
	if (r != COPY_PLACED || offset >> PORT_GROUP_SHIFT == first >> PORT_GROUP_SHIFT)
		return r;
	if (offset >= m->geo.ports_per_host)
		return settings.growth && settings.extent_buckets ? copy_granted_slots(m, s, c) : r;
	if (!copy_scan(m, s, c, offset, found))
		return COPY_IMPOSSIBLE;
	if (!(LOAD(found->taken) & OPENING_OWN))
		return copy_in_extent(found);
	copy_note_taken(m, c, offset);
	return COPY_PORT;
}

/* Returns 1 if a session's port is in its subscriber's block, or granted to it. */
static __always_inline int copy_port_is_own(const struct mapping *m, const struct session_copy *c, __u32 offset)
{
	return offset < m->geo.ports_per_host ||
	       (settings.growth &&
		grant_owner(m, mapping_out_addr(&m->geo, c->subscriber), word_out_port(c->word)) == (int)c->subscriber);
}

/* Returns 1 if the port is of the shared range: its grant may be on its way. */
static __always_inline int copy_port_may_come(const struct mapping *m, const struct session_copy *c)
{
	__u32 block = LOAD(m->growth.block);

	return settings.growth && block && growth_block_of(&m->geo, block, word_out_port(c->word)) >= 0;
}

/* COPY_TO_EXTENT, under the lock. Returns enum copy_result. */
SUBPROGRAM int copy_beyond(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	__u32 offset;
	int r;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	found->p = copy_packet(m, c->subscriber, c->key, c->word);
	offset = word_out_port(c->word) - mapping_port_lo(&m->geo, c->subscriber);
	if (!copy_port_is_own(m, c, offset))
		return copy_port_may_come(m, c) ? COPY_NO_SLOT : COPY_IMPOSSIBLE;
	c->slot = COPY_NOT_IN_A_SLOT;
	c->before = c->moves ? c->before : 0;
	r = settings.extent_buckets ? copy_present(m, s, c) : COPY_PLACED;
	if (r == COPY_PLACED)
		r = copy_slots(m, s, c, offset);
	if (r != COPY_PLACED)
		return r;
	STORE(found->stamp, now_ticks());
	if (subscriber_has_portmaps(s) && portmap_holds(m, s, &found->p, word_out_port(c->word)))
		return COPY_PORT;
	if (!c->moves && LOAD(s->sessions) >= m->sessions_per_user)
		return COPY_QUOTA;
	found->room = copy_room(m, s, c);
	if (found->room < 0)
		return COPY_NO_SLOT;
	if (!c->moves && binding_maps(m, found->p.proto) && copy_bind(m, s, &found->p, offset))
		return COPY_PORT;
	return copy_insert(m, s, c, found->room);
}

#endif
