/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two stages: an alternative form of the fast path, for tables that no cache holds, in which the reads of successive
 * packets' sessions overlap.
 *
 * Stage 1, the main program, goes as far as the place of the session. It notes that in a list of its core, marks the
 * frame and redirects it by the map `ports`, whose entries carry a program. The kernel queues up to 16 frames and runs
 * that program, which calls stage 2, over them when it sends: the first run reads a word of all sessions noted, and the
 * others find theirs in the cache. Stage 2 compares, counts and rewrites; it can send or drop a frame, nothing else.
 *
 * The kernel takes a queue's program from the first frame queued. So programs with stages redirect every frame by
 * `ports`, and only mark frames once no program without stages can be running: see struct stage_control.
 */
#ifndef DETNAT_STAGES_H
#define DETNAT_STAGES_H

#include <linux/types.h>

/* The most frames of a core that wait at a time, of which each interface has up to 16. A power of two. */
#define STAGE_ENTRIES 64U

/* Entries of `ports`, a DEVMAP_HASH by interface index: a power of two. */
#define STAGE_PORTS 4096U

/*
 * The mark: STAGE_MAGIC and the entry's sequence number replace the destination's MAC address, and IEEE 802's second
 * local experimental EtherType, 0x88b6, the EtherType. The source's MAC address stays.
 */
#define STAGE_ETHERTYPE 0x88b6
#define STAGE_MAGIC	0x6e02 /* a locally administered address */

/* The mark's parts in a frame, each read and written as one word. */
#define STAGE_MAGIC_AT(frame)	  (*(__u16 *)(frame))
#define STAGE_SEQUENCE_AT(frame)  (*(__u32 *)((char *)(frame) + 2))
#define STAGE_ETHERTYPE_AT(frame) (*(__be16 *)((char *)(frame) + 12))

/* The results of stage 1 for a frame. Addresses and ports are in host byte order. */
struct stage_entry {
	__u32 place;   /* see stage_place() */
	__u32 now;     /* tick of stage 1 */
	__u32 chunk;   /* of the session's first bucket */
	__u32 within;  /* the bucket's number in the chunk */
	__u64 key;     /* slot_key(); from outside, with inside port 0 */
	__u32 steady;  /* upper half of the state word that the packet leaves as it is; from inside without the port */
	__u32 timeout; /* ticks that the session lives without a refresh, if it is in that state */
	__u32 subscriber;
	__u32 new_addr; /* the new source or, from outside, the new destination */
	__u32 ingress;	/* interface index */
	__u16 hop;	/* its number in the copy of the routes, <detnat/fib.h> */
	__u16 mapping;	/* its number */
	__u16 port_offset;
	__u8 from_inside;
	__u8 refreshes; /* the packet refreshes its session */
	__u8 pad[12];
};
_Static_assert(sizeof(struct stage_entry) == 64, "a cache line");

/*
 * stage_entry.place of a frame with this sequence number that waits for stage 2. Once stage 2 has seen the frame, the
 * place is the sequence number itself, whose lowest bits are others.
 */
static inline __attribute__((always_inline)) __u32 stage_place(__u32 sequence)
{
	return ~sequence;
}

/* Returns 1 if a frame waits whose entry is that of a sequence number. */
static inline __attribute__((always_inline)) int stage_place_waits(__u32 place, __u32 sequence)
{
	return !((place ^ stage_place(sequence)) & (STAGE_ENTRIES - 1));
}

/* A core's list, the only value of the PERCPU_ARRAY `stage_lists`. Sequence number s has entry s % STAGE_ENTRIES. */
struct stage_list {
	__u32 next;    /* sequence number of the next entry */
	__u32 touched; /* entries before this one have been read ahead */
	__u32 current; /* sequence number of the current frame, for the programs that stage 2 calls */
	__u32 pad[13];
	struct stage_entry entry[STAGE_ENTRIES];
};

/*
 * The pinned map `stage_control`, an ARRAY of one, written by the agent.
 *
 * To replace programs, the agent sets `generation` to 0, so that no more frames are marked, and replaces the main
 * programs. After a grace period, when all marked frames have left, it replaces stage 2 and sets `generation`. If it is
 * killed on the way, the programs it leaves mark no frames and forward in one stage.
 */
struct stage_control {
	__u32 generation; /* of the programs that may mark frames; 0: none */
	__u32 pad[15];
};

#endif
