/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Puts up and takes down signposts, <detnat/extents.h>, under the opener's lock. */
#ifndef DETNAT_SIGNPOST_H
#define DETNAT_SIGNPOST_H

#include "session/opening.h"

/*
 * Place in a bucket of an extent for the signpost of a session of the packet's host, its former one if it has one; -1:
 * none. Not the slot numbered `taken`, where the session is to stand.
 */
SUBPROGRAM int signpost_room_in(__u32 bucket, __u64 key, __u32 proto, __s64 taken)
{
	struct bucket *b = extent_bucket(bucket);
	__u32 room = 0, former = 0, kind = (__u32)(signpost_word(0, (__u8)proto, 0) >> 32), host = host6_stamp(0);

	if (!b)
		return -1;
	/* Without branches, as word_free_bit(). */
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth), other = LOAD(b->slot[i].key) ^ key;

		other |= ((__u32)(word >> 32) ^ kind) & (WORD_PROTO << 8 | 0xff);
		other |= ((__u32)word ^ host) & ~WORD_SEEN;
		room |= word_free_bit(word) << i;
		former |= (__u32)(((other | -other) >> 63) ^ 1) << i;
	}
	if (taken >> BUCKET_SLOTS_SHIFT == bucket)
		room &= ~(1U << (taken & (BUCKET_SLOTS - 1)));
	room = former ? former : room;
	return room ? (int)opening_slot_at(room) : -1;
}

/* The same in both of its buckets, as a number among the slots of all extents. A former one comes first. */
static __always_inline __s64 signpost_room(__u32 extent, __u64 key, __u8 proto, __s64 taken)
{
	struct bucket_pair pair = extent_pair(extent, key, proto, signpost_offset(key));
	int second = signpost_room_in(pair.second, key, proto, taken);
	struct slot *at = second < 0 ? 0 : extent_slot(extent_slot_number(pair.second, (__u32)second));
	int first = at && word_is_signpost(LOAD(at->truth)) ? -1 : signpost_room_in(pair.first, key, proto, taken);

	if (first >= 0)
		return extent_slot_number(pair.first, (__u32)first);
	return second >= 0 ? extent_slot_number(pair.second, (__u32)second) : -1;
}

/*
 * Under the lock: puts up the signpost of a session that is to have the slot numbered `taken`. Returns the signpost's
 * slot; -1: there is no room for it. port_and_proto: out_port << 8 | proto.
 */
SUBPROGRAM __s64 signpost_put(struct subscriber *s, __u64 key, __u32 port_and_proto, __s64 taken)
{
	__u32 extent = s ? subscriber_extent(s) : 0;
	struct slot *slot;
	__s64 at;

	if (!extent)
		return -1;
	at = signpost_room(extent, key, (__u8)port_and_proto, taken);
	slot = extent_slot(at);
	if (!slot)
		return -1;
	/* Nobody else fills a slot; whoever reads the new word with the old key finds no such session. */
	STORE(slot->key, key);
	order_writes();
	STORE(slot->truth, signpost_word((__u16)(port_and_proto >> 8), (__u8)port_and_proto, host6_stamp(now_ticks())));
	order_writes();
	return at;
}

/* Under the lock: takes down a signpost whose session was not opened. */
static __always_inline void signpost_take(__s64 at)
{
	struct slot *slot = extent_slot(at);
	__u64 word = slot ? LOAD(slot->truth) : 0;

	if (slot && word_is_signpost(word))
		slot_change(slot, word, 0);
}

/* Buckets where a session may stand, or its signpost. */
#define STRAY_BUCKETS 6U

/*
 * Under the lock: whether a signpost leads to a session, expired or not. Looked for by the port, as of an IPv6
 * subscriber the signpost may be another host's than the packet's.
 */
static __always_inline int signpost_leads(const struct mapping *m, __u32 subscriber, __u32 extent, __u64 key,
					  __u64 word)
{
	__u32 port = word_out_port(word), proto = signpost_proto(word);
	struct slot *s =
		extent_slot(extent_search_out(m, extent, key, far_offset_of(m, subscriber, port), port << 8 | proto));

	return s && LOAD(s->key) == key && !((__u32)(LOAD(s->truth) ^ word) & ~WORD_SEEN);
}

/*
 * Under the lock: takes down the signposts that lead nowhere in one of the STRAY_BUCKETS of a session on a port. The
 * agent does so in all extents, now and then; where no room is left it cannot be waited for. which: number of the
 * bucket 8 | out_port 16 | proto 8.
 */
SUBPROGRAM int signposts_clear(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u64 key, __u32 which)
{
	__u32 port = which >> 8 & 0xffff, extent, offset, bucket;
	struct bucket_pair pair;

	if (!m || !s)
		return 0;
	extent = subscriber_extent(s);
	if (!extent)
		return 0;
	offset = which >> 25 == 0   ? signpost_offset(key)
		 : which >> 25 == 1 ? port_offset_of(m, subscriber, port)
				    : far_offset_of(m, subscriber, port);
	pair = extent_pair(extent, key, (__u8)which, offset);
	bucket = which >> 24 & 1 ? pair.second : pair.first;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		struct slot *slot = extent_slot(extent_slot_number(bucket, i));
		__u64 word = slot ? LOAD(slot->truth) : 0;

		if (slot && word_is_signpost(word) && !signpost_leads(m, subscriber, extent, LOAD(slot->key), word))
			slot_change(slot, word, 0);
	}
	return 0;
}

/* With a port and a protocol: the session's place is where its first choice leads. */
#define STRAY_HOME 0x80000000U
/* The subscriber gets no larger extent: a session that an RST has closed gives way. */
#define STRAY_LAST 0x40000000U

/* In opening.post: none is needed, or one is to be put up. */
#define POST_NONE   (-1)
#define POST_WANTED (-2)

/* stray_place() without the signpost. */
SUBPROGRAM __s64 stray_slot(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u64 key, __u32 what)
{
	__u32 port = what >> 8 & 0xffff, home = what & STRAY_HOME, extent, offset, room;
	struct opening *o = opening_record();
	__s64 at = -1;
	int granted;

	if (!m || !s || !o)
		return -1;
	extent = subscriber_extent(s);
	if (!extent)
		return -1;
	offset = port_offset_of(m, subscriber, port);
	granted = settings.growth && far_offset_of(m, subscriber, port) != offset;
	room = opening_room(LOAD(o->room) >> OPENING_EXTENT, offset, 0) << OPENING_EXTENT;
	STORE(o->post, POST_WANTED);
	if (granted && !(home && room && !extent_is_crowded(LOAD(o->room) >> OPENING_EXTENT, offset)))
		at = extent_room(extent, key, (__u8)what, growth_far(port));
	if (at >= 0 || (granted && !home))
		return at;
	if (home)
		STORE(o->post, POST_NONE);
	room = room ? room : LOAD(o->time_wait) & ~OPENING_OWN;
	if (room)
		return opening_number_beyond(o, room);
	room = what & STRAY_LAST ? LOAD(o->reset) & ~OPENING_OWN : 0;
	at = room ? opening_number_beyond(o, room) : -1;
	return at >= 0 && slot_gives_way(m, s, extent_slot(at), subscriber, PORT_OF_RESET) ? at : -1;
}

/*
 * Under the lock, after a scan of the group of a port: number of a slot in the subscriber's extent for a session on it,
 * to which its signpost leads, opening.post, if it needs one; -1: none. One on a granted port that is at home leaves
 * some slots there to others while its second place has room. what: out_port << 8 | proto, STRAY_….
 */
static __always_inline __s64 stray_place(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u64 key,
					 __u32 what)
{
	__s64 at = stray_slot(m, s, subscriber, key, what);
	struct opening *o = opening_record();

	if (at < 0 || !o || LOAD(o->post) != POST_WANTED)
		return at;
	STORE(o->post, signpost_put(s, key, what & ~(STRAY_HOME | STRAY_LAST), at));
	return LOAD(o->post) < 0 ? -1 : at;
}

/*
 * Bits of subscriber.displaced for a session that strays: packets from inside look at that of its first choice, packets
 * from outside at that of its port. word: its state word.
 */
static __always_inline __u32 stray_homes(const struct mapping *m, __u32 subscriber, __u64 key, __u64 word)
{
	__u32 offset = (word_out_port(word) - mapping_port_lo(&m->geo, subscriber)) & 0xffff;
	__u32 first = mapping_first_choice(&m->geo, key_in_port(key)), addr = key_ext_addr(key);
	__u16 port = key_ext_port(key);
	__u8 proto = word_proto(word);

	return home_bit(session_buckets(addr, port, proto, first, m->bucket_shift).first) |
	       home_bit(session_buckets(addr, port, proto, offset, m->bucket_shift).first);
}

#endif
