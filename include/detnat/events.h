/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events from the datapath to the agent, through the ring buffer `events`. */
#ifndef DETNAT_EVENTS_H
#define DETNAT_EVENTS_H

#include <linux/types.h>

enum event_type {
	EVENT_QUOTA = 1,	   /* a subscriber was refused at its quota */
	EVENT_PORTS_EXHAUSTED = 2, /* no free port of the block towards this destination */
	EVENT_EXTENTS_FULL = 3,	   /* no room beyond the slots */
	EVENT_SESSION_OPENED = 4,
	EVENT_SESSION_CLOSED = 5,
	EVENT_RESOLVE = 6,   /* next hop unresolved: in_addr is its address, ifindex its interface */
	EVENT_FRAGMENTS = 7, /* limit of fragments waiting for their first one reached; one of in_addr dropped */
	/* Made by the agent itself: a mapping with this inside address was created or deleted. */
	EVENT_ADDRESS_BOUND = 8,
	EVENT_ADDRESS_UNBOUND = 9,
	EVENT_RESOLVE_IPV6 = 10, /* like EVENT_RESOLVE; gateway is its address */
	/* Made by the agent itself: a portmap was made or has ended. */
	EVENT_PORTMAP_MADE = 11,
	EVENT_PORTMAP_ENDED = 12,
	EVENT_GROWTH = 13, /* a subscriber without a free port needs a block of the shared range */
	/* Made by the agent itself: a block was granted, or taken back; out_port and ext_port are its ends. */
	EVENT_BLOCK_GRANTED = 14,
	EVENT_BLOCK_ENDED = 15,
	EVENT_QUOTA_PROTOCOL = 16, /* a subscriber was refused at its limit of sessions of a protocol */
	EVENT_RATE = 17,	   /* a subscriber was refused as it opened too many sessions per second */
};

/* Addresses and ports are in host byte order; unused fields are 0. The name `event` would clash with libevent. */
struct nat_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	union {
		struct {
			__u32 in_addr;
			__u32 out_addr;
			__u32 ext_addr;
			__u16 in_port;
			__u16 out_port;
		};
		__u8 gateway[16]; /* EVENT_RESOLVE_IPV6 */
	};
	__u16 ext_port;
	__u8 type; /* enum event_type */
	__u8 proto;
	/*
	 * EVENT_QUOTA…: sessions; EVENT_RATE: sessions per second; EVENT_FRAGMENTS: fragments; EVENT_RESOLVE…: 1 if the
	 * next hop is a router, not the destination itself; EVENT_SESSION_…: of an IPv6 subscriber, the host's number
	 */
	__u32 limit;
	__u32 ifindex; /* EVENT_RESOLVE, EVENT_RESOLVE_IPV6 */
	__u32 tenant;  /* number of the subscriber's tenant, set by the agent; 0: there is none, or not known */
};
_Static_assert(sizeof(struct nat_event) == 40, "events cross the ring buffer");

#endif
