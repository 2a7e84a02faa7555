/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks whether the neighbours that XDP sends to are still there. The kernel probes those that it sends to itself; for
 * the others the agent starts the kernel's state machine: unicast ARP or NDP requests, one a second. If three go
 * unanswered (net.ipv4.neigh.*.ucast_solicit, retrans_time_ms), the kernel marks the entry as failed. So a router that
 * dies, or silently changes its MAC address, gets no more packets after five seconds.
 */
#ifndef DETNAT_NEIGHBOURS_PROBE_H
#define DETNAT_NEIGHBOURS_PROBE_H

#include <event2/event.h>

#include <detnat/next_hops.h>

#include "datapath/datapath.h"
#include "fib/route_copy.h"
#include "host/netlink.h"

/*
 * Neighbours looked at per second, at most. Routers are always probed. Other neighbours, of which there may be one per
 * subscriber, are probed only when the kernel considers them stale, as it would do itself. If there are more, they take
 * turns.
 */
#define PROBE_ROUTERS_S 256U
#define PROBE_HOSTS_S	256U

struct prober;

/* copy: also tells which neighbours are in use; NULL: the datapath's map alone does. */
int prober_new(struct event_base *base, const struct datapath *d, const struct route_copy *copy, struct netlink *n,
	       struct prober **ret);
void prober_free(struct prober *p);

/*
 * The kernel has marked a neighbour as failed: if it is in use, it is resolved again at once, without waiting for a
 * packet.
 */
void prober_failed(struct prober *p, const struct next_hop_address *at);

#endif
