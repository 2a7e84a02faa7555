/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lists of a subscriber's sessions beyond the slots, by which the datapath finds those that have ended: the LRU_HASH
 * `overflow_lists`. The map `overflow` can be searched by endpoints alone.
 *
 * Lists are changed under the opener's lock, when a session is opened or one gives way. What ends otherwise stays
 * listed until then, so an entry is a hint: it counts if the session is there. A list has twice as many entries as the
 * subscriber has sessions there, at most, and a few more. What the kernel evicts, or what was opened by programs
 * without lists, is missing: such sessions end when the agent's sweep finds them.
 */
#ifndef DETNAT_OVERFLOW_LIST_H
#define DETNAT_OVERFLOW_LIST_H

#include <linux/types.h>

#define OVERFLOW_CHUNK_SHIFT 3U
#define OVERFLOW_CHUNK	     (1U << OVERFLOW_CHUNK_SHIFT)
/* 2 MiB for as many sessions as `overflow_sessions` is by default, and more. */
#define OVERFLOW_CHUNKS 16384U

struct overflow_list_key {
	__u32 subscriber; /* numbered across all mappings */
	__u32 chunk;
};

struct overflow_listed {
	__u64 key; /* slot_key() */
	__u16 out_port;
	__u8 proto;
	__u8 pad[5];
};
_Static_assert(sizeof(struct overflow_listed) == 16, "no hidden padding");

struct overflow_list {
	/* In chunk 0 alone. */
	__u32 n;
	__u32 next; /* entry to be looked at next */
	struct overflow_listed session[OVERFLOW_CHUNK];
};

/* Entries that a list may have. */
static inline __attribute__((always_inline)) __u32 overflow_list_room(__u32 sessions)
{
	return 2 * sessions + 2 * OVERFLOW_CHUNK;
}

#endif
