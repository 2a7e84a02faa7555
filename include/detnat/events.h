/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the datapath tells the agent, through the ring buffer `events`. */
#ifndef DETNAT_EVENTS_H
#define DETNAT_EVENTS_H

#include <linux/types.h>

enum event_type {
	EVENT_QUOTA = 1,	   /* a subscriber was refused at its quota */
	EVENT_PORTS_EXHAUSTED = 2, /* no free port of the block towards this destination */
	EVENT_OVERFLOW_FULL = 3,   /* no room beyond the slots */
	EVENT_SESSION_OPENED = 4,
	EVENT_SESSION_CLOSED = 5,
	EVENT_RESOLVE = 6,   /* next hop unresolved: in_addr is its address, ifindex where */
	EVENT_FRAGMENTS = 7, /* too many fragments wait for their first one: another, of in_addr, was dropped */
	/* Of the agent itself: a mapping with this inside address has been made or deleted. */
	EVENT_ADDRESS_BOUND = 8,
	EVENT_ADDRESS_UNBOUND = 9,
	EVENT_RESOLVE_IPV6 = 10, /* as EVENT_RESOLVE; gateway is its address */
};

/* 40 bytes. Addresses and ports in host byte order; what an event has no use for is 0. Not `event`: that is libevent's.
 */
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
	__u32 limit;   /* EVENT_QUOTA: the quota, sessions; EVENT_FRAGMENTS: how many may wait */
	__u32 ifindex; /* EVENT_RESOLVE, EVENT_RESOLVE_IPV6 */
	__u32 pad;
};
_Static_assert(sizeof(struct nat_event) == 40, "events cross the ring buffer");

#endif
