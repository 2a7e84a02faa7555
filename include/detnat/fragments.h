/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4 fragments: the datapath's record of a fragmented datagram, and the record with which it hands the agent a
 * fragment that arrives before the datagram's first one.
 *
 * The first fragment opens or finds a session like a whole packet, and creates an entry in the map `fragments`; the
 * others use only that entry, which is deleted when the datagram is complete. Only first fragments create entries, so
 * that packets without a session cannot fill the map.
 */
#ifndef DETNAT_FRAGMENTS_H
#define DETNAT_FRAGMENTS_H

#include <linux/types.h>

/* Entries of the map `fragments`: incomplete datagrams. */
#define FRAGMENTED_DATAGRAMS 16384U
/* See table_share(): a subscriber has one share for datagrams from inside and one for those from outside. */
#define FRAGMENT_SHARE 8U
/* Datagrams that a subscriber keeps for their whole lifetime, however small its share has become. */
#define FRAGMENTS_KEPT 32U

/* Seconds to wait for the rest of a datagram, as long as most hosts do. */
#define FRAGMENT_LIFETIME 30U

/* Seconds after which another first fragment starts a new datagram, as identifications are reused (RFC 6864). */
#define FRAGMENT_ID_REST 1U

/* Fragments before their first one, per second and inside source, or per second and outside address. */
#define FRAGMENTS_PER_SECOND 1024U
/* Incomplete datagrams begun per second, per external address and subscriber. */
#define FRAGMENTS_PER_PEER 256U

/* Longest frame kept of a fragment before its first one. BPF_PROG_TEST_RUN takes a page less its own overhead. */
#define FRAGMENT_FRAME_MAX 3328U

/* Fragment offsets are in units of 8 octets (RFC 791). */
#define FRAGMENT_UNIT_SHIFT 3U
#define FRAGMENT_UNITS	    8192U
/* Longest IPv4 packet, in octets, including its header. */
#define FRAGMENT_END_MAX 65535U

enum fragment_side { FRAGMENT_FROM_INSIDE, FRAGMENT_FROM_OUTSIDE };

/* Addresses as in the fragment when it arrives, host byte order. */
struct fragment_key {
	union {
		struct {
			__u32 src;
			__u32 dst;
			__u16 id;
			__u8 proto;
			__u8 side;   /* enum fragment_side */
			__u8 tenant; /* of an inside source: number of its tenant; else 0 */
			__u8 pad[3];
		};
		__u64 word[2];
	};
};
_Static_assert(sizeof(struct fragment_key) == 16, "hashed as bytes");

struct fragment {
	__u64 word[2]; /* the key, written last: the kernel may give the memory to another entry at any time */
	__u32 src;     /* translated addresses, host byte order */
	__u32 dst;
	__u32 since;   /* tick of the first fragment */
	__u32 octets;  /* octets of payload that have passed; of an IPv6 subscriber above them the host */
	__u32 total;   /* octets of payload; 0 until the last fragment has come */
	__u32 in_addr; /* inside address of its subscriber */
	__u64 seen[FRAGMENT_UNITS / 64]; /* one bit per unit that has passed */
};
_Static_assert(sizeof(struct fragment) == 1064, "no hidden padding");

enum fragment_hook { FRAGMENT_AT_XDP, FRAGMENT_AT_TC };

/*
 * A fragment before its first one: a record of the ring buffer `early_fragments`, cut off after `length` octets of
 * frame[].
 */
struct early_fragment {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct fragment_key key;
	__u32 ifindex; /* of the ingress interface, at tc as well */
	__u16 length;  /* octets in frame[] */
	__u8 hook;     /* enum fragment_hook; at tc the frame is the outgoing one, with its TTL decremented */
	__u8 pad;
	__u8 frame[FRAGMENT_FRAME_MAX];
};
_Static_assert(sizeof(struct early_fragment) == 32 + FRAGMENT_FRAME_MAX, "crosses the ring buffer");

#endif
