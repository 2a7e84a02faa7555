/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the neighbours that XDP sends to are still there. The kernel probes those that it sends to itself; for the
 * others the agent starts its state machine: unicast requests of ARP or NDP, a second apart, and where none of three is
 * answered (net.ipv4.neigh.*.ucast_solicit, retrans_time_ms) the kernel takes the entry for failed. So a router that
 * dies, or changes its MAC address in silence, is sent nothing more after five seconds.
 */
#ifndef DETNAT_NEIGHBOURS_PROBE_H
#define DETNAT_NEIGHBOURS_PROBE_H

#include <event2/event.h>

#include <detnat/next_hops.h>

#include "datapath/datapath.h"
#include "host/netlink.h"

/*
 * Neighbours looked at in a second, at most. Routers are probed, whatever the kernel thinks of them; others, of which
 * there may be one for each subscriber, only where it takes them for stale, as it would do itself. Where there are
 * more, they take turns.
 */
#define PROBE_ROUTERS_S 256U
#define PROBE_HOSTS_S	256U

struct prober;

int prober_new(struct event_base *base, const struct datapath *d, struct netlink *n, struct prober **ret);
void prober_free(struct prober *p);

/* The kernel takes a neighbour for failed: one that is in use is resolved anew at once, not when a packet comes. */
void prober_failed(struct prober *p, const struct next_hop_address *at);

#endif
