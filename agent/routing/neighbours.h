/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Neighbours on detnat's interfaces. bpf_fib_lookup only reads the kernel's table and never makes the kernel resolve or
 * revalidate an entry. As the kernel sends nothing itself when XDP forwards, the agent has to ask it to.
 */
#ifndef DETNAT_NEIGHBOURS_H
#define DETNAT_NEIGHBOURS_H

#include <event2/event.h>

#include <detnat/next_hops.h>

#include "datapath/datapath.h"
#include "fib/route_copy.h"
#include "host/netlink.h"

struct neighbours;

/*
 * Also starts probing those in use, see routing/neighbours.h. Detnat's interfaces are those whose device record
 * has a role.
 */
int neighbours_new(struct event_base *base, struct datapath *d, const struct route_copy *copy, struct netlink *n,
		   struct neighbours **ret);
void neighbours_free(struct neighbours *v);

/*
 * Asks the kernel to resolve an address, AF_INET or AF_INET6 in network byte order, on one of detnat's interfaces: at
 * most once a second per address, and NEIGHBOURS_RESOLVES_S times a second in all, whatever subscribers send.
 */
#define NEIGHBOURS_RESOLVES_S 256
void neighbours_resolve(struct neighbours *v, int family, const void *addr, uint32_t ifindex, bool router);

/*
 * Whether a notification (RTM_NEWNEIGH, RTM_DELNEIGH) changes the result of bpf_fib_lookup: the MAC address, or whether
 * there is one. Most only say that an entry was confirmed or is getting old; with many subscribers that is many times a
 * second.
 */
bool neighbours_changed(struct neighbours *v, const struct nlmsghdr *h);

/* Clears the state with which neighbours_changed() compares, after notifications were lost. */
void neighbours_forget(struct neighbours *v);

/*
 * Checks whether the neighbours that XDP sends to are still there. The kernel probes those that it sends to itself; for
 * the others the agent starts the kernel's state machine: unicast ARP or NDP requests, one a second. If three go
 * unanswered (net.ipv4.neigh.*.ucast_solicit, retrans_time_ms), the kernel marks the entry as failed. So a router that
 * dies, or silently changes its MAC address, gets no packets after five seconds.
 */

/*
 * Neighbours looked at per second, at most. Routers are always probed. Other neighbours, of which there may be one per
 * subscriber, are probed only when the kernel considers them stale, as it would do itself. If there are more, they take
 * turns.
 */
#define PROBE_ROUTERS_S 256U
#define PROBE_HOSTS_S	256U

struct prober;

/* copy: also shows which neighbours are in use; NULL: only the datapath's map does. */
int prober_new(struct event_base *base, const struct datapath *d, const struct route_copy *copy, struct netlink *n,
	       struct prober **ret);
void prober_free(struct prober *p);

/*
 * The kernel has marked a neighbour as failed: if it is in use, it is resolved again at once, without waiting for a
 * packet.
 */
void prober_failed(struct prober *p, const struct next_hop_address *at);

#endif
