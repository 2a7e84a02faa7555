/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Extents: buckets beyond a subscriber's own. A subscriber whose own buckets are full gets an extent, 1, 4, 16, 64,
 * 256 or 1024 buckets of the mmapable ARRAY `extents`. They are buckets as the others: the same slots by the same
 * rules, <detnat/session.h>, two candidates for a session by the same hash, opened under the same lock. The
 * subscriber's record has the extent's place beside `hairpins`, in a word of which only the opener's lock allows a
 * change.
 *
 * A session in an extent sets the bit of its flow's first own bucket in subscriber.displaced: while that is clear, the
 * fast path need not look here.
 *
 * An extent that has grown full is replaced by one four times as large: the sessions are copied there, the record gets
 * the new place, then each old slot is emptied, all under the lock. What others do meanwhile:
 *
 *  - A reader has the place from before, and the session is in the old slot still, or finds nothing: the slow path
 *    reads the record again, or takes the lock. Either extent translates alike.
 *  - The old slot changes between copy and exchange (an end, a change of state, a refresh): the exchange that empties
 *    it returns the change, which the copy gets, see extent_merged(). Each side has lowered the subscriber's count for
 *    what it ended; extent_correction() makes one of two.
 *  - A packet has read the old slot, and changes its state after the exchange: its compare-and-swap fails, and it
 *    passes without that change, as a packet does that loses two races.
 *  - A refresh of the old slot after the exchange marks a slot that is free, rule 4.
 *  - A pass of the agent reads the place at each subscriber, and so counts the sessions of one extent or of the other.
 *    One that ends a session in the old extent and meets the copy in the new one at once tells that end twice.
 *
 * A replaced extent is retired: the datapath takes extents from the lists of free ones, and puts those that it no
 * longer needs into the lists of retired ones. Only the agent makes free ones of them, emptied, once every core has
 * left the programs that may have read their place. Without an agent none is used again. An extent in a list has the
 * next one's first bucket, plus one, in the key of its first slot, whose state is free. In a list of retired ones it
 * has that only once the program that retired it has ended, as nothing may keep a program from entering one: others
 * that do so at the same time neither. An extent that an agent had
 * taken out of a list as it was killed is in no list, and in no record: the next start finds those,
 * agent/tables/extent_recovery.c.
 *
 * An extent whose sessions have all ended is retired, too, by the program `extent_release`, which the sweep calls.
 *
 * A session strays if its outside port is not in the group of its first choice. Packets from outside find it by its
 * port, as any other. So does a session on a granted port of that group that finds little room at the place of its port
 * in the block, which all blocks of a subscriber share, <detnat/growth.h>. Those from inside find a signpost: a slot
 * with the session's key, in one of two buckets of the extent that the hash of the whole key gives, whose word has the
 * session's outside port, and of an IPv6 subscriber its host. It is put up under the lock before the session is there,
 * and is no session: it is not free and not live, so whoever counts, lists or ends sessions passes it over. A signpost
 * whose session has gone leads nowhere; the sweep takes it down.
 */
#ifndef DETNAT_EXTENTS_H
#define DETNAT_EXTENTS_H

#include "slots.h"
#include "tables.h"

#define EXTENT_MAX_SHIFT 10U /* log2 of the buckets of the largest */
#define EXTENT_GROWS_BY	 2U  /* log2 */
#define EXTENT_SIZES	 (EXTENT_MAX_SHIFT / EXTENT_GROWS_BY + 1)

/* The place of an extent: first bucket 27 | log2 of the buckets, plus one 4. 0: none. */
#define EXTENT_SHIFT_BITS 4U

static __always_inline __u32 extent_of(__u32 first, __u32 shift)
{
	return first << EXTENT_SHIFT_BITS | (shift + 1);
}

static __always_inline __u32 extent_first(__u32 extent)
{
	return extent >> EXTENT_SHIFT_BITS;
}

static __always_inline __u32 extent_shift(__u32 extent)
{
	return ((extent & ((1U << EXTENT_SHIFT_BITS) - 1)) - 1) & 15;
}

static __always_inline __u32 extent_buckets(__u32 extent)
{
	return extent ? 1U << extent_shift(extent) : 0;
}

/* In subscriber.hairpins, the extent is above the flag. */
#define EXTENT_AT 1U

static __always_inline __u32 subscriber_extent(const struct subscriber *s)
{
	return LOAD(s->hairpins) >> EXTENT_AT;
}

/*
 * The two candidate buckets of a session in an extent of 1 << shift, relative to its first one. ext: slot_key() with
 * any inside port. By other bits of the hash than session_buckets(): the sessions that find no room in the subscriber's
 * own buckets are alike in those, and would find none here either.
 */
static __always_inline struct bucket_pair extent_buckets_at(__u64 ext, __u8 proto, __u32 port_offset, __u32 shift)
{
	__u64 hash = session_hash(key_ext_addr(ext), key_ext_port(ext), proto);

	return bucket_pair_at(((__u32)(hash >> 56) | ((__u32)(hash >> 32) & 0xff00)) +
				      (port_offset >> PORT_GROUP_SHIFT),
			      (__u32)(hash >> 48) + (port_offset >> 16), shift);
}

/* The same, numbered from the first of all extents. */
static __always_inline struct bucket_pair extent_pair(__u32 extent, __u64 ext, __u8 proto, __u32 port_offset)
{
	struct bucket_pair pair = extent_buckets_at(ext, proto, port_offset, extent_shift(extent));

	pair.first += extent_first(extent);
	pair.second += extent_first(extent);
	return pair;
}

/* In place of a port offset, for the two candidate buckets of a signpost: spreads the inside ports over all buckets. */
static __always_inline __u32 signpost_offset(__u64 key)
{
	return (key_in_port(key) * 0x9e3779b1U) >> 16 << PORT_GROUP_SHIFT;
}

/* A signpost stands for so many ticks, however soon its session ends: its opener may have still to open it. */
#define SIGNPOST_TICKS 1000U

/* The extents that no subscriber has: ARRAY of one `extent_pool`, mmapable. */
struct extent_pool {
	__u64 next;    /* the buckets from here on were never part of an extent */
	__u64 used;    /* buckets of extents that subscribers have, or had and are not free yet */
	__u64 refused; /* openings that found no extent */
	__u64 grown;   /* extents that took the place of a smaller one */
	__u64 pad[4];
	/* Lists by size: changes 32 | first bucket of the first one, plus one; 0: empty. */
	__u64 free[8];
	__u64 retired[8];
};
_Static_assert(sizeof(struct extent_pool) == 192, "lines of their own");
_Static_assert(EXTENT_SIZES <= 8, "a list for each size");

/*
 * The agent's request to the syscall program `extent_release`: give up a subscriber's extent if it is empty; or leave
 * it with all that is in it, where a check has found that it is not, or not only, this subscriber's.
 */
struct extent_release {
	__u32 mapping;	  /* its number */
	__u32 subscriber; /* within it */
	__u32 extent;	  /* as its record has it */
	__u32 leave;	  /* 1: leave it */
};
_Static_assert(sizeof(struct extent_release) == 16, "context of a program");

/* A list's word after an extent was put in front, or taken off. first: of the extent that is in front now, plus one. */
static __always_inline __u64 extent_list_with(__u64 list, __u32 first)
{
	return ((list >> 32) + 1) << 32 | first;
}

/* Whether a session counts towards its subscriber's sessions, expired or not. */
static __always_inline __s32 word_is_counted(__u64 word)
{
	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT;
}

/*
 * The state word of a session that is moved: `copied` from its old slot, which has `old` by now, while its copy has
 * `now`. An end on either side ends it.
 */
static __always_inline __u64 extent_merged(__u64 copied, __u64 old, __u64 now)
{
	__u64 merged = now;

	if (!word_is_live(old))
		return 0;
	if (!word_is_live(now))
		return now;
	if (!word_same(old, copied) && (word_same(now, copied) || word_state(old) == SESSION_TIME_WAIT))
		merged = old;
	if (seen_is_later(word_seen(old), word_seen(now)))
		return word_seen_at(merged, word_seen(old));
	return word_seen_at(merged, word_seen(now));
}

/* What is to be added to the subscriber's count after that, as each side has taken off what it ended. */
static __always_inline __s32 extent_correction(__u64 copied, __u64 old, __u64 now, __u64 merged)
{
	return word_is_counted(copied) - word_is_counted(old) - word_is_counted(now) + word_is_counted(merged);
}

#endif
