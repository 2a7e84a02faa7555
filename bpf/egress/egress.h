/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The egress of a packet: its interface, and whether XDP or the kernel sends it. For outbound
 * packets it is part of the next-hop cache (route.h); towards a subscriber it is read from the subscriber's record
 * (egress_find.h).
 */
#ifndef DETNAT_EGRESS_H
#define DETNAT_EGRESS_H

#include "packet/ether.h"

enum egress_state {
	EGRESS_READY,	   /* XDP can send to it */
	EGRESS_KERNEL,	   /* the kernel must send */
	EGRESS_REFUSING,   /* the kernel must send: the interface takes no frames from XDP; all fields are valid */
	EGRESS_UNRESOLVED, /* the neighbour is not resolved: ifindex, gateway and family are valid */
	EGRESS_NOWHERE,	   /* no route to the subscriber, one through an outside interface, or a local address */
};

/* Direction of a translated packet. */
enum direction { DIRECTION_OUT, DIRECTION_IN, DIRECTION_HAIRPIN };

struct egress {
	union {
		struct {
			struct ether_addresses mac;
			__u32 mtu;
		};
		__u32 gateway[4]; /* EGRESS_UNRESOLVED: network byte order; an IPv4 address is the first word */
	};
	__u32 ifindex;
	union {
		__u32 longest; /* longest packet that XDP may send, octets; up to the MTU the kernel decides */
		__u32 family;  /* EGRESS_UNRESOLVED: of the gateway, which may be IPv6 (RFC 8950) */
	};
	__u32 state; /* enum egress_state */
};
_Static_assert(sizeof(struct egress) == 28, "no hidden padding");

#endif
