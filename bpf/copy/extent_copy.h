/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies in their subscriber's extent, <detnat/extents.h>, under the lock. A copy is there under the condition under
 * which an opener puts a session there: both of its endpoints lead to the same buckets. Its state word has the peer
 * that announced it as the owner, and its turn.
 */
#ifndef DETNAT_EXTENT_COPY_H
#define DETNAT_EXTENT_COPY_H

#include "copy/session_copy.h"
#include "session/extent_grow.h"

/* Whether an announcement may replace a session of its flow beyond the slots. owner: beyond_owner(). */
static __always_inline int copy_may_replace(const struct session_copy *c, __u32 owner, __u64 word)
{
	return owner == overflow_mark_peer(c->mark) ||
	       (c->takes >> owner & 1 && word_out_port(word) == word_out_port(c->word));
}

/* The announced session's state word in an extent. */
static __always_inline __u64 copy_word(const struct session_copy *c)
{
	return word_owned(c->word, overflow_mark_peer(c->mark), c->turn);
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

/*
 * Whether both endpoints of the session lead to the same buckets of an extent. offset: port_offset_of(). A bound
 * granted port's is in the overflow, where packets keep the binding.
 */
static __always_inline int copy_leads_to_one(const struct mapping *m, const struct session_copy *c, __u32 offset)
{
	__u32 in_port = key_in_port(c->key), port = word_out_port(c->word);

	if (((port - mapping_port_lo(&m->geo, c->subscriber)) & 0xffff) < m->geo.ports_per_host)
		return offset >> PORT_GROUP_SHIFT == mapping_first_choice(&m->geo, in_port) >> PORT_GROUP_SHIFT;
	return settings.growth && LOAD(m->growth.block) && !binding_maps(m, word_proto(c->word)) &&
	       offset >> PORT_GROUP_SHIFT == growth_first_choice(LOAD(m->growth.block), in_port) >> PORT_GROUP_SHIFT;
}

/* Scans the extent for the session: where it may stand, as a mask; 0: nowhere, or it has no extent. */
static __always_inline __u32 copy_extent_scan(const struct mapping *m, struct subscriber *s,
					      const struct session_copy *c, struct opening *o, __u32 offset)
{
	if (open_scan_ports(m, s, c->subscriber, word_out_port(c->word) - offset, offset, now_ticks()))
		return 0;
	return opening_room(LOAD(o->room) >> OPENING_EXTENT, offset, 0) << OPENING_EXTENT;
}

/*
 * After copy_overflow_slots(): number of a slot for the session in the extent, which is made, or made larger, as for an
 * opening; -1: none.
 */
SUBPROGRAM __s64 copy_extent_room(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct opening *o = opening_record();
	__u32 offset, room;

	if (!m || !s || !c || !o || !settings.extent_buckets || c->inbound)
		return -1;
	offset = port_offset_of(m, c->subscriber, word_out_port(c->word));
	if (!copy_leads_to_one(m, c, offset))
		return -1;
	room = copy_extent_scan(m, s, c, o, offset);
	if (extent_is_due(o, s, room) && extent_grow(m, s, c->subscriber))
		room = copy_extent_scan(m, s, c, o, offset);
	if (!room)
		room = LOAD(o->time_wait);
	if (!room)
		return -1;
	room >>= OPENING_EXTENT;
	return extent_slot_number(room & 0xff ? LOAD(o->extent.first) : LOAD(o->extent.second), opening_slot_at(room));
}

/* Puts the session into that slot. Returns enum copy_result. */
SUBPROGRAM int copy_extent_insert(const struct mapping *m, struct subscriber *s, struct session_copy *c, __s64 at)
{
	struct slot *slot = extent_slot(at);

	if (!m || !s || !c || !slot)
		return COPY_IMPOSSIBLE;
	displace(s, home_bit(session_buckets(key_ext_addr(c->key), key_ext_port(c->key), word_proto(c->word),
					     mapping_first_choice(&m->geo, key_in_port(c->key)), m->bucket_shift)
				     .first));
	return copy_claim(m, s, slot, c, copy_word(c));
}

#endif
