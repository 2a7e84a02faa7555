/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Each subscriber's list of its sessions in the overflow: the LRU_HASH `overflow_lists`. It lets the datapath find
 * those that have expired, as the map `overflow` can only be searched by endpoints.
 *
 * Lists change under the opener's lock, when a session opens or gives way. A session that ends otherwise stays listed
 * until then. So an entry is a hint, valid only while the session exists, and a list has at most overflow_list_room()
 * entries. Sessions whose entries the kernel has evicted, and sessions opened by programs without lists, are not
 * listed; the agent's sweep removes them when they expire.
 */
#ifndef DETNAT_OVERFLOW_LIST_H
#define DETNAT_OVERFLOW_LIST_H

#include <linux/types.h>

#define OVERFLOW_CHUNK_SHIFT 3U
#define OVERFLOW_CHUNK	     (1U << OVERFLOW_CHUNK_SHIFT)
/* 2 MiB: enough for the default of `overflow_sessions`, and more. */
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
	/* Used in chunk 0 only. */
	__u32 n;
	__u32 next; /* the entry to examine next */
	struct overflow_listed session[OVERFLOW_CHUNK];
};

/* The most entries of a list, given the subscriber's sessions in the overflow. */
static inline __attribute__((always_inline)) __u32 overflow_list_room(__u32 sessions)
{
	return 2 * sessions + 2 * OVERFLOW_CHUNK;
}

#endif
