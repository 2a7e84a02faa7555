/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens sessions in the extent on ports that a search has found, under the opener's lock: with a signpost,
 * <detnat/extents.h>, if they stray.
 */
#ifndef DETNAT_OPEN_STRAY_H
#define DETNAT_OPEN_STRAY_H

#include "session/signpost.h"
#include "slow/open.h"

/*
 * Whether a session of a flow from inside has its place where its first choice leads: on a granted port of that group.
 * After a scan of the group of opening.port, an offset from opening.port_lo.
 */
static __always_inline int stray_is_home(const struct opening *o, const struct flow *f)
{
	return settings.growth && LOAD(o->port_lo) != mapping_port_lo(&f->m->geo, f->subscriber) &&
	       (__u32)LOAD(o->port) >> PORT_GROUP_SHIFT == granted_offset(f) >> PORT_GROUP_SHIFT;
}

/* Under the lock: opens a flow's session with state word `word` in a slot of the extent. */
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
 * there in the subscriber's extent. Returns enum opened; OPEN_NO_ROOM: its extent has no room; OPEN_GROWS: it may get
 * some.
 */
static __always_inline enum opened open_stray(const struct flow *f, struct subscriber *s, __u64 word, __u64 *ret_word)
{
	struct opening *o = opening_record();
	enum opened opened;
	__u32 what = (__u32)word_out_port(word) << 8 | f->p.proto;
	int grows;
	__s64 at;

	if (!o || !settings.extent_buckets)
		return OPEN_NO_ROOM;
	grows = extent_may_grow(o, f);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < STRAY_BUCKETS && !grows; i++)
		signposts_clear(f->m, s, f->subscriber, f->key, i << 24 | what);
	at = stray_place(f->m, s, f->subscriber, f->key,
			 what | (stray_is_home(o, f) ? STRAY_HOME : 0) | (grows ? 0 : STRAY_LAST));
	if (at < 0)
		return grows ? OPEN_GROWS : OPEN_NO_ROOM;
	opened = open_stray_at(f, s, at, word, ret_word);
	if (opened != OPENED)
		signpost_take(LOAD(o->post));
	return opened;
}

#endif
