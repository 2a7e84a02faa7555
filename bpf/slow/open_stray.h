/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens sessions in the extent whose port is not of their first choice's group, under the opener's lock: each with a
 * signpost, <detnat/extents.h>.
 */
#ifndef DETNAT_OPEN_STRAY_H
#define DETNAT_OPEN_STRAY_H

#include "session/signpost.h"
#include "slow/open.h"

/*
 * Under the lock, after a scan of the group of opening.port, an offset from opening.port_lo: number of the slot in the
 * subscriber's extent for a session on that port; -1: none.
 */
static __always_inline __s64 stray_room(const struct opening *o)
{
	__u32 room = opening_room(LOAD(o->room) >> OPENING_EXTENT, (__u32)LOAD(o->port), 0) << OPENING_EXTENT;

	if (!room)
		room = LOAD(o->time_wait) & ~OPENING_OWN;
	return room ? opening_number_beyond(o, room) : -1;
}

/* Under the lock: opens a flow's session with state word `word` in a slot to which a signpost leads. */
static __noinline enum opened open_stray_at(const struct flow *f, struct subscriber *s, __s64 at, __u64 word,
					    __u64 *ret_word)
{
	struct slot *slot = extent_slot(at);
	enum opened opened;

	if (!slot)
		return OPEN_LOST;
	displace(s, stray_homes(f->m, f->subscriber, f->key, word));
	opened = open_claim(f, s, slot, LOAD(slot->truth), word, ret_word);
	if (opened == OPENED)
		count_add(REASON_sessions_overflowed, 1);
	return opened;
}

/*
 * Under the lock, for an admitted flow, after a scan of the group of opening.port, which is free: opens its session
 * there in the subscriber's extent. Returns enum opened; OPEN_NO_ROOM: its extent has no room.
 */
static __always_inline enum opened open_stray(const struct flow *f, struct subscriber *s, __u64 word, __u64 *ret_word)
{
	struct opening *o = opening_record();
	enum opened opened;
	__s64 at, post;

	if (!o || !settings.extent_buckets || !subscriber_extent(s))
		return OPEN_NO_ROOM;
	at = stray_room(o);
	post = at < 0 ? -1 : signpost_put(s, f->key, (__u32)word_out_port(word) << 8 | f->p.proto, at);
	if (post < 0)
		return OPEN_NO_ROOM;
	opened = open_stray_at(f, s, at, word, ret_word);
	if (opened != OPENED)
		signpost_take(post);
	return opened;
}

#endif
