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

/* Whether an announcement may replace a session of its flow beyond the slots. owner: beyond_owner(). */
static __always_inline int copy_may_replace(const struct session_copy *c, __u32 owner, __u64 word)
{
	return owner == overflow_mark_peer(c->mark) ||
	       (c->takes >> owner & 1 && word_out_port(word) == word_out_port(c->word));
}

/* The announced session's state word in an extent. */
static __always_inline __u64 copy_word(const struct session_copy *c)
{
	return word_owned(c->word, overflow_mark_peer(c->mark), c->turn) | (c->inbound ? WORD_INBOUND : 0);
}

/* The slot of the session's flow in the extent, or NULL. */
static __always_inline struct slot *copy_extent_slot(const struct mapping *m, const struct subscriber *s,
						     const struct session_copy *c)
{
	__u32 in_port = key_in_port(c->key), block = LOAD(m->growth.block), extent = subscriber_extent(s);
	__u32 first = mapping_first_choice(&m->geo, in_port), proto = word_proto(c->word);
	__s64 at = extent_search_in(m, extent, c->key, first << 8 | proto);

	if (at < 0 && settings.growth && growth_is_apart(block, first, in_port))
		at = extent_search_in(m, extent, c->key, growth_first_choice(block, in_port) << 8 | proto);
	if (at < 0)
		at = copy_search_strayed(m, extent, c->key, c->subscriber, proto);
	return extent_slot(at);
}

/* Ends a session in a slot. Returns 1; 0: it has changed. */
static __always_inline int copy_slot_end(const struct mapping *m, struct subscriber *s, const struct session_copy *c,
					 struct slot *slot, __u64 word)
{
	if (!slot_change(slot, word, 0))
		return 0;
	limit_ended(m, c->subscriber, word_proto(word), 1);
	__sync_fetch_and_add(&s->sessions, -1U);
	return 1;
}

/* As copy_overflow_present(), in the extent. A session in time-wait is left to copy_clash(). */
SUBPROGRAM int copy_extent_present(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct slot *slot;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	slot = copy_extent_slot(m, s, c);
	word = slot ? LOAD(slot->truth) : 0;
	if (!slot || !word_is_counted(word))
		return COPY_PLACED;
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
SUBPROGRAM int copy_extent_end(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct slot *slot;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	slot = copy_extent_slot(m, s, c);
	word = slot ? LOAD(slot->truth) : 0;
	if (!slot || word_owner(word) != overflow_mark_peer(c->mark) || word_out_port(word) != word_out_port(c->word))
		return COPY_CHANGED;
	return copy_slot_end(m, s, c, slot, word) ? COPY_PLACED : COPY_BUSY;
}

/* Whether the session strays: its port is not in the group of its first choice. offset: port_offset_of(). */
static __always_inline int copy_strays(const struct mapping *m, const struct session_copy *c, __u32 offset)
{
	__u32 in_port = key_in_port(c->key), port = word_out_port(c->word), block = LOAD(m->growth.block);

	if (((port - mapping_port_lo(&m->geo, c->subscriber)) & 0xffff) < m->geo.ports_per_host)
		return offset >> PORT_GROUP_SHIFT != mapping_first_choice(&m->geo, in_port) >> PORT_GROUP_SHIFT;
	return !settings.growth || !block ||
	       offset >> PORT_GROUP_SHIFT != growth_first_choice(block, in_port) >> PORT_GROUP_SHIFT;
}

/*
 * Number of a slot in the extent, as it is now, for the session; -1: there is none, or none for its signpost; or, with
 * `grows`, the session should get room in a larger one.
 */
static __always_inline __s64 copy_extent_place(const struct mapping *m, struct subscriber *s,
					       const struct session_copy *c, const struct opening *o, __u32 offset,
					       int grows)
{
	__u32 room;
	__s64 at;

	if (!subscriber_extent(s) ||
	    open_scan_ports(m, s, c->subscriber, word_out_port(c->word) - offset, offset, now_ticks()))
		return -1;
	room = opening_room(LOAD(o->room) >> OPENING_EXTENT, offset, 0) << OPENING_EXTENT;
	if (grows && extent_is_due(o, s, room))
		return -1;
	if (!room)
		room = LOAD(o->time_wait);
	if (!room)
		return -1;
	at = opening_number_beyond(o, room);
	if (copy_strays(m, c, offset) &&
	    signpost_put(s, c->key, (__u32)word_out_port(c->word) << 8 | word_proto(c->word), at) < 0)
		return -1;
	return at;
}

/*
 * After copy_overflow_slots(): number of a slot for the session in the extent, which is made, or made larger, as for an
 * opening; -1: none.
 */
SUBPROGRAM __s64 copy_extent_room(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct opening *o = opening_record();
	__u32 offset;
	__s64 at;

	if (!m || !s || !c || !o || !settings.extent_buckets)
		return -1;
	offset = port_offset_of(m, c->subscriber, word_out_port(c->word));
	at = copy_extent_place(m, s, c, o, offset, 1);
	if (at >= 0)
		return at;
	extent_grow(m, s, c->subscriber);
	return copy_extent_place(m, s, c, o, offset, 0);
}

/* Puts the session into that slot. Returns enum copy_result. */
SUBPROGRAM int copy_extent_insert(const struct mapping *m, struct subscriber *s, struct session_copy *c, __s64 at)
{
	struct slot *slot = extent_slot(at);
	int r;

	if (!m || !s || !c || !slot)
		return COPY_IMPOSSIBLE;
	displace(s, stray_homes(m, c->subscriber, c->key, c->word));
	r = copy_claim(m, s, slot, c, copy_word(c));
	if (r == COPY_PLACED && LOAD(m->bindings.filtering))
		copy_count_inbound(binding_header_get(m, c->subscriber), c);
	return r;
}

#endif
