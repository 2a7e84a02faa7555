/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Puts up and takes down signposts, <detnat/extents.h>, under the opener's lock. */
#ifndef DETNAT_SIGNPOST_H
#define DETNAT_SIGNPOST_H

#include "session/opening.h"

/*
 * Place in a bucket of an extent for the signpost of a session, its former one if it has one; -1: none. Not the slot
 * numbered `taken`, where the session is to stand.
 */
SUBPROGRAM int signpost_room_in(__u32 bucket, __u64 key, __u32 proto, __s64 taken)
{
	struct bucket *b = extent_bucket(bucket);
	__u32 room = 0, former = 0, kind = (__u32)(signpost_word(0, (__u8)proto, 0) >> 32);

	if (!b)
		return -1;
	/* Without branches, as word_free_bit(). */
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth), other = LOAD(b->slot[i].key) ^ key;

		other |= ((__u32)(word >> 32) ^ kind) & (WORD_PROTO << 8 | 0xff);
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
	STORE(slot->truth, signpost_word((__u16)(port_and_proto >> 8), (__u8)port_and_proto, now_ticks()));
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
