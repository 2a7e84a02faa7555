/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4 fragments: what the datapath keeps of a datagram that came in fragments, and how it hands those that come before
 * their first one to the agent.
 *
 * The first fragment opens, or finds, a session as a whole packet does and leaves an entry in the map `fragments`; the
 * others follow it by that entry alone. It goes when the datagram is complete. Only first fragments make entries, so
 * that packets without a session cannot fill the map.
 */
#ifndef DETNAT_FRAGMENTS_H
#define DETNAT_FRAGMENTS_H

#include <linux/types.h>

/* Entries of the map `fragments`: datagrams that are not complete. */
#define FRAGMENTED_DATAGRAMS 16384U
/* See table_share(): of datagrams from inside, and of those from outside, a subscriber has a share each. */
#define FRAGMENT_SHARE 8U
/* So many a subscriber keeps for the whole lifetime, however small its share has become. */
#define FRAGMENTS_KEPT 32U

/* Seconds for which the rest of a datagram is waited for; as long as most hosts wait. */
#define FRAGMENT_LIFETIME 30U

/* Seconds after which another first fragment is that of another datagram, as identifications come again (RFC 6864). */
#define FRAGMENT_ID_REST 1U

/* Fragments before their first, in a second: of an inside source, or to an outside address. */
#define FRAGMENTS_PER_SECOND 1024U
/* Datagrams begun and not completed, in a second, from an external address to a subscriber. */
#define FRAGMENTS_PER_PEER 256U

/* Longest frame of a fragment before its first one that is kept. BPF_PROG_TEST_RUN takes a page less its own needs. */
#define FRAGMENT_FRAME_MAX 3328U

/* Fragments are placed in units of 8 octets (RFC 791). */
#define FRAGMENT_UNIT_SHIFT 3U
#define FRAGMENT_UNITS	    8192U
/* An IPv4 packet, header included, has at most so many octets. */
#define FRAGMENT_END_MAX 65535U

enum fragment_side { FRAGMENT_FROM_INSIDE, FRAGMENT_FROM_OUTSIDE };

/* Addresses as they stand in the fragment when it comes in, host byte order. */
struct fragment_key {
	union {
		struct {
			__u32 src;
			__u32 dst;
			__u16 id;
			__u8 proto;
			__u8 side; /* enum fragment_side */
			__u32 pad;
		};
		__u64 word[2];
	};
};
_Static_assert(sizeof(struct fragment_key) == 16, "hashed as bytes");

struct fragment {
	__u64 word[2]; /* of the key, written last: the kernel may give the memory to another entry at any time */
	__u32 src;     /* addresses behind the translation, host byte order */
	__u32 dst;
	__u32 since;			 /* tick of the first fragment */
	__u32 octets;			 /* of payload that have passed */
	__u32 total;			 /* of payload; 0 until the last fragment came */
	__u32 in_addr;			 /* the subscriber it counts for */
	__u64 seen[FRAGMENT_UNITS / 64]; /* a bit for each unit that has passed */
};
_Static_assert(sizeof(struct fragment) == 1064, "no hidden padding");

enum fragment_hook { FRAGMENT_AT_XDP, FRAGMENT_AT_TC };

/* A fragment before its first one: a record of the ring buffer `early_fragments`, cut behind `length` of the frame. */
struct early_fragment {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct fragment_key key;
	__u32 ifindex; /* it came in by; at tc, too */
	__u16 length;  /* of the frame, octets */
	__u8 hook;     /* enum fragment_hook; at tc the frame is as it leaves, with its TTL lowered */
	__u8 pad;
	__u8 frame[FRAGMENT_FRAME_MAX];
};
_Static_assert(sizeof(struct early_fragment) == 32 + FRAGMENT_FRAME_MAX, "crosses the ring buffer");

#endif
