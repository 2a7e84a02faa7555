/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Portmaps: outside endpoints that belong to one inside endpoint each, towards every sender. A portmap has no session;
 * it is two entries of the pinned HASH `portmaps`, one to be found from each side, which only the agent changes.
 */
#ifndef DETNAT_PORTMAPS_H
#define DETNAT_PORTMAPS_H

#include <linux/types.h>

/* Portmaps of the configuration, and of all origins. */
#define MAX_PORTMAPS	 65536U
#define MAX_PORTMAPS_ALL 131072U

/* The side that a packet comes from. */
enum portmap_direction { PORTMAP_IN2OUT, PORTMAP_OUT2IN };

struct portmap_key {
	__u32 addr; /* host byte order: in_addr, or out_addr */
	__u16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 direction;
};
_Static_assert(sizeof(struct portmap_key) == 8, "hashed as octets");

/* X(constant, word) */
#define PORTMAP_ORIGINS(X)                                                    \
	X(PORTMAP_STATIC, "static") /* of the configuration: never expires */ \
	X(PORTMAP_PCP, "pcp")	    /* a lease (RFC 6887) */

enum portmap_origin {
#define X(constant, word) constant,
	PORTMAP_ORIGINS(X)
#undef X
		N_PORTMAP_ORIGINS
};

#define PORTMAP_NONCE 12U

struct portmap_value {
	__u32 addr; /* the other endpoint */
	__u16 port;
	__u8 origin; /* enum portmap_origin */
	__u8 pad;
	__u64 packets; /* taken in this direction */
	/*
	 * The agent's, the same in both entries: when a lease ends (CLOCK_BOOTTIME in seconds, 0: never) and its nonce.
	 * Programs do not read them: a lease whose agent is away runs on.
	 */
	__u64 expires_s;
	__u8 nonce[PORTMAP_NONCE];
	__u32 pad2;
};
_Static_assert(sizeof(struct portmap_value) == 40, "no hidden padding");

#endif
