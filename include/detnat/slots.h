/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds and opens sessions in the two candidate buckets of a subscriber, by the rules of <detnat/session.h>.
 *
 * Pure functions except for the memory passed to them; compiled into the BPF programs and into the unit tests, where
 * threads race on it. Functions that open sessions are called under the subscriber's opener lock.
 */
#ifndef DETNAT_SLOTS_H
#define DETNAT_SLOTS_H

#include "order.h"
#include "session.h"

#if !FAMILY6
/*
 * For IPv6 subscribers, bpf/six/state.h: whether a session is of the packet's host, by its number; whether that number
 * is still its host's, by rule 3; and that of a packet inwards its session tells the host.
 */
#define host6_is_own(word)   1
#define host6_is_there(word) 1
#define host6_note(word)     ((void)0)
#define host6_stamp(now)     (now) /* what a session that opens has below its state */
#endif

/*
 * Reads a slot's key after its state word, `word`, without a barrier. *again is the slot, and becomes the pointer by
 * which the state word is to be read again, after the key.
 */
static __always_inline __u64 slot_key_after(const struct slot **again, __u64 word)
{
	__u64 key = LOAD(order_after(*again, word)->key);

	*again = order_after(*again, key);
	return key;
}

/*
 * Reads a slot by rule 3. Returns the state word if the slot is live, has this key and protocol and has not expired;
 * else 0.
 */
static __always_inline __u64 slot_match_in(const struct slot *s, __u64 key, __u8 proto, __u32 now,
					   const __u32 timeout_ticks[N_TIMEOUTS])
{
	__u64 word = LOAD(s->truth);

	order_reads();
	if (LOAD(s->key) != key || !word_is_live(word) || !word_is_of(word, proto))
		return 0;
	order_reads();
	if (!host6_is_there(word))
		return 0;
	if (!word_same(LOAD(s->truth), word) || word_expired(word, now, timeout_ticks))
		return 0;
	return word;
}

/*
 * slot_match_in() for packets from outside: matches the external endpoint and the outside port. *ret_key: the slot's
 * key.
 */
static __always_inline __u64 slot_match_out(const struct slot *s, __u64 key, __u16 out_port, __u8 proto, __u32 now,
					    const __u32 timeout_ticks[N_TIMEOUTS], __u64 *ret_key)
{
	__u64 word = LOAD(s->truth), found;

	order_reads();
	found = LOAD(s->key);
	if ((found ^ key) >> 16 || !word_is_live(word) || word_out_port(word) != out_port || !word_is_of(word, proto))
		return 0;
	order_reads();
	host6_note(word);
	if (!word_same(LOAD(s->truth), word) || word_expired(word, now, timeout_ticks))
		return 0;
	*ret_key = found;
	return word;
}

/* The candidate buckets of a session: the same one twice if the subscriber has only one. */
struct bucket_choice {
	struct bucket *first;
	struct bucket *second;
	__u32 home; /* bit of the first bucket in subscriber.displaced */
};

/* Bit of a bucket in subscriber.displaced, by its number among the subscriber's; beyond 32, buckets share bits. */
static __always_inline __u32 home_bit(__u32 bucket)
{
	return 1U << (bucket & 31);
}

/*
 * The slot that a session of this port offset occupies if it can. It is examined first, so that most packets touch one
 * cache line of the table and take no unpredictable branch.
 */
static __always_inline struct slot *preferred_slot(const struct bucket_choice *b, __u32 port_offset)
{
	return &b->first->slot[port_offset & (BUCKET_SLOTS - 1)];
}

/* word_is_free() as a bit: no comparison, of which the verifier would follow both sides for each slot of a bucket. */
static __always_inline __u32 word_free_bit(__u64 word)
{
	return (__u32)(((word >> 32 & 0xff) - 1) >> 63);
}

/*
 * Returns 1 if a state word is that of a live session of a protocol. In one comparison: searches have it for each slot,
 * and the verifier would follow each branch of it.
 */
static __always_inline int word_is_live_of(__u64 word, __u8 proto)
{
	__u32 kind = (__u32)(word >> 32);

	return !((((kind >> 8) ^ proto) & WORD_PROTO) | ((kind & 0xff) - SESSION_OPENING - 1) >> 31);
}

/*
 * Finds the slot of a session of an inside endpoint with an external one in a bucket: its number, or -1. key:
 * slot_key(). No other slot has it, as openers remove an expired session that clashes with theirs: so whether it has
 * expired, and rule 3, are left to slot_match_in() of the slot found.
 */
static __always_inline int bucket_find_in(const struct bucket *b, __u64 key, __u8 proto)
{
	for (int i = 0; i < (int)BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth);

		if (LOAD(b->slot[i].key) == key && word_is_live_of(word, proto) && host6_is_own(word))
			return i;
	}
	return -1;
}

/*
 * The same for an outside endpoint and an external one, and slot_match_out(). key: slot_key() with any inside port.
 */
static __always_inline int bucket_find_out(const struct bucket *b, __u64 key, __u16 out_port, __u8 proto)
{
	for (int i = 0; i < (int)BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth);

		if (word_out_port(word) == out_port && !((LOAD(b->slot[i].key) ^ key) >> 16) &&
		    word_is_live_of(word, proto))
			return i;
	}
	return -1;
}

/* The outside port to which a signpost of an inside endpoint and an external one in a bucket leads, or -1. */
static __always_inline int bucket_find_signpost(const struct bucket *b, __u64 key, __u8 proto)
{
	for (int i = 0; i < (int)BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth);

		if (LOAD(b->slot[i].key) == key && word_is_signpost_of(word, proto) && host6_is_own(word))
			return word_out_port(word);
	}
	return -1;
}

/* Rule 4: replaces a state word if it still is the one read. Returns 1 on success. */
static __always_inline int slot_change(struct slot *s, __u64 from, __u64 to)
{
	return __sync_val_compare_and_swap(&s->truth, from, to) == from;
}

/*
 * Rule 2: turns a slot with state word `from` into the session (key, word). Returns 1; or 0 if the slot was changed
 * meanwhile, and leaves it alone.
 */
static __always_inline int slot_claim(struct slot *s, __u64 from, __u64 key, __u64 word)
{
	if (!slot_change(s, from, word_opening(word)))
		return 0;
	/*
	 * Atomic exchanges, because they order the stores. Only the opener writes the key, and at most a late refresh
	 * has changed last seen in the state word of an opening slot: so the word is not compared.
	 */
	__sync_lock_test_and_set(&s->key, key);
	__sync_lock_test_and_set(&s->truth, word);
	return 1;
}

#define OPENING_SLOTS  (4 * BUCKET_SLOTS)
#define OPENING_EXTENT (2 * BUCKET_SLOTS)	    /* bits of an extent's buckets begin here */
#define OPENING_OWN    ((1U << OPENING_EXTENT) - 1) /* those of the subscriber's own */

/*
 * An opener's findings in the candidate buckets. The masks have one bit per slot: 0..7 for the first bucket, 8..15 for
 * the second; 16..31 for both of the subscriber's extent, <detnat/extents.h>. In BPF the struct must be in a map: the
 * verifier follows each combination of values in registers and on the stack, of which there are too many, but assumes
 * nothing about the contents of a map.
 */
struct opening {
	/* input */
	__u64 key;	   /* slot_key() */
	__u32 port_offset; /* first choice, from the first port of the block */
	__u32 port_lo;
	/* findings */
	__u32 room;	/* free or expired */
	__u32 reset;	/* closed by an RST: gives way where there is no room */
	__u32 existing; /* the session sought */
	__u32 time_wait;
	__u32 time_wait_port; /* those of time_wait that hold a port of the group towards this external endpoint */
	__u32 ports_used;     /* one bit per port of the group that another session holds towards it */
	__u32 freed;	      /* expired sessions removed, by which the caller lowers the count */
	__s32 port;	      /* chosen port, offset in the block, or -1 */
	__u8 proto;
	__u8 rated; /* 1: the flow's own opening, which takes a token, <detnat/limits.h> */
	__u8 pad[2];
	__u32 gone;		   /* sessions removed, including time-wait: to be reported, one bit each */
	__u32 reset_port;	   /* as time_wait_port, for sessions that an RST has closed */
	__u32 others;		   /* port search: whose ports may be taken, a bit for each enum port_of */
	__u32 reserved;		   /* 1: the flow has the place in the quota of a session that gave way */
	struct bucket_pair extent; /* the buckets of the subscriber's extent, if it has one */
	__u32 looked;		   /* port search: groups of granted blocks that were scanned */
	__u32 vain;		   /* extent_mark() of the last extent that was not to be had */
	__u32 pad_vain;
	__s64 held; /* of a granted port's second place: number of the slot of the session that has it; -1: none */
	__s64 post; /* number of the slot of the signpost put up for the session, or POST_… */
	struct slot gone_slot[OPENING_SLOTS]; /* the removed slots */
};
_Static_assert(sizeof(struct opening) == 104 + 4 * sizeof(struct bucket), "no hidden padding");

/* Clears the findings; opening_scan_slot() for each slot of both buckets fills them in. */
static __always_inline void opening_begin(struct opening *o)
{
	o->room = o->reset = o->existing = o->time_wait = o->time_wait_port = o->ports_used = o->freed = o->gone =
		o->reset_port = 0;
}

#define ADD_BITS(field, bits) (*(volatile typeof(field) *)&(field) |= (bits))

/*
 * Scans one slot. An expired session that clashes is freed first, else a late refresh could revive it. at: number of
 * the slot's bit in the masks.
 */
static __always_inline void opening_scan_slot(struct opening *o, struct slot *s, __u32 at, __u32 now,
					      const __u32 timeout_ticks[N_TIMEOUTS])
{
	__u64 word = LOAD(s->truth), key = LOAD(s->key);
	__u32 bit = 1U << at;

	if (!word_is_live(word)) {
		if (word_is_free(word))
			ADD_BITS(o->room, bit);
		return;
	}

	int clash = !((key ^ o->key) >> 16) && word_is_of(word, o->proto);

	if (word_expired(word, now, timeout_ticks)) {
		if (!clash) {
			ADD_BITS(o->room, bit);
			return;
		}
		if (slot_change(s, word, 0)) {
			if (word_state(word) != SESSION_TIME_WAIT)
				o->freed++;
			o->gone_slot[at] = (struct slot){ .key = key, .truth = word };
			ADD_BITS(o->gone, bit);
			ADD_BITS(o->room, bit);
			return;
		}
		/* Either just refreshed, and alive, or swept, and harmless to treat as alive. */
	}
	if (word_state(word) == SESSION_TIME_WAIT)
		ADD_BITS(o->time_wait, bit);
	else if (word_state(word) & SESSION_RESET)
		ADD_BITS(o->reset, bit);
	if (!clash)
		return;
	if (key == o->key && host6_is_own(word))
		ADD_BITS(o->existing, bit);

	__u32 offset = (__u32)word_out_port(word) - o->port_lo;

	if (offset >> PORT_GROUP_SHIFT == o->port_offset >> PORT_GROUP_SHIFT) {
		ADD_BITS(o->ports_used, 1U << (offset & (PORT_GROUP - 1)));
		if (word_state(word) == SESSION_TIME_WAIT)
			ADD_BITS(o->time_wait_port, bit);
		else if (word_state(word) & SESSION_RESET)
			ADD_BITS(o->reset_port, bit);
	}
}

/* Place in its bucket of the lowest bit set in a mask of two buckets, which is not 0. */
static __always_inline __u32 opening_slot_at(__u32 mask)
{
	__u32 low = mask & -mask, upper, in_half;

	/* In arithmetic, not by conditions: the verifier would follow all that comes after it for each place. */
	low = (low | low >> BUCKET_SLOTS) & 0xff; /* 1, 2, 4 … 128 */
	upper = low >> 4;
	in_half = (low | upper) & 0xf; /* 1, 2, 4, 8 */
	return (in_half >> 1) - (in_half >> 3) + ((upper + 7) >> 3 << 2);
}

/* Slot of the lowest bit set in a mask of two buckets, which is not 0. */
static __always_inline struct slot *opening_slot(const struct bucket_choice *b, __u32 mask)
{
	__u32 at = opening_slot_at(mask);

	return mask & 0xff ? &b->first->slot[at & (BUCKET_SLOTS - 1)] : &b->second->slot[at & (BUCKET_SLOTS - 1)];
}

static __always_inline __u32 count_bits8(__u32 byte)
{
	byte = byte - (byte >> 1 & 0x55);
	byte = (byte & 0x33) + (byte >> 2 & 0x33);
	return (byte + (byte >> 4)) & 0xf;
}

/* Bit of the preferred slot in the masks. */
static __always_inline __u32 preferred_bit(__u32 port_offset)
{
	return 1U << (port_offset & (BUCKET_SLOTS - 1));
}

/*
 * Returns 1 if a subscriber's slots are half full or more. Below that a new session takes its preferred slot, where one
 * cache line finds it; from then on one in the emptier bucket, so that few sessions find both buckets full.
 */
static __always_inline int slots_crowded(__u32 sessions, __u32 bucket_shift)
{
	return sessions >> bucket_shift >= BUCKET_SLOTS / 2;
}

/* Chooses among the slots with room. crowded: as returned by slots_crowded(). */
static __always_inline __u32 opening_room(__u32 room, __u32 port_offset, int crowded)
{
	__u32 preferred = preferred_bit(port_offset);

	if (room & preferred && !crowded)
		return preferred;
	if (count_bits8(room >> 8 & 0xff) > count_bits8(room & 0xff)) {
		room &= 0xff00;
		preferred <<= BUCKET_SLOTS;
	}
	return room & preferred ? preferred : room;
}

/* Number of ports in the group of an offset; the last group is short if the block is no multiple of 8. */
static __always_inline __u32 group_size(__u32 port_offset, __u32 ports_per_host)
{
	__u32 left = ports_per_host - (port_offset & ~(PORT_GROUP - 1));

	return left < PORT_GROUP ? left : PORT_GROUP;
}

/*
 * The k-th candidate port of a group, as an offset in the block: the first choice itself, then the ports after it,
 * wrapping around at the end of the group.
 */
static __always_inline __u32 group_candidate(__u32 port_offset, __u32 size, __u32 k)
{
	__u32 base = port_offset & ~(PORT_GROUP - 1);
	__u32 at = (port_offset & (PORT_GROUP - 1)) + k;
	/* All ones before the end of the group. Not a branch, of which the verifier would follow both sides for each k.
	 */
	__u32 before_end = (__u32)((__s32)(at - size) >> 31);

	return base + at - (size & ~before_end);
}

#endif
