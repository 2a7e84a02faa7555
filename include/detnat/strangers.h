/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets from outside that are dropped as no session, portmap or binding has them, counted by pool address while
 * settings.attack says so. The maps are the agent's own, not pinned: counts begin at 0 with each agent.
 *
 * A pool has a run of counters for each of its stripes, of which each core uses one: a flood on a single address would
 * otherwise have all cores write to one cache line. The more addresses there are, the fewer stripes.
 */
#ifndef DETNAT_STRANGERS_H
#define DETNAT_STRANGERS_H

#include <linux/types.h>

/* Bits of settings.attack: what they are counted by. */
#define STRANGERS_BY_ADDRESS	1U
#define STRANGERS_BY_SUBSCRIBER 2U /* to its ports; in the map `stranger_hosts`, by number among all subscribers */

/* Subscribers that can be counted; packets to others are not. */
#define STRANGER_HOSTS (1U << 22)

/* Counters in all, and pool addresses that can be counted. */
#define STRANGER_COUNTERS (1U << 20)

/* Counters in a cache line, which is an element of the map `strangers`. Each wraps. */
#define STRANGER_LINE	    16U
#define STRANGER_LINE_SHIFT 4U
struct stranger_line {
	__u32 packets[STRANGER_LINE];
} __attribute__((aligned(64)));

#define STRANGER_LINES	    (STRANGER_COUNTERS / STRANGER_LINE)
#define STRANGER_HOST_LINES (STRANGER_HOSTS / STRANGER_LINE)

/* Most stripes of a pool, a power of two. */
#define STRANGER_STRIPES 64U

/* Element of the map `stranger_pools`, by number of the mapping. All zero: not counted. */
struct stranger_pool {
	__u32 first;	   /* outside address, host byte order */
	__u32 n;	   /* addresses */
	__u32 line;	   /* where the stripes begin */
	__u32 stripe_mask; /* stripes - 1 */
};

/* Lines of a stripe. */
static inline __u32 stranger_stripe_lines(__u32 addresses)
{
	return (addresses + STRANGER_LINE - 1) >> STRANGER_LINE_SHIFT;
}

#endif
