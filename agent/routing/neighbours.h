/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Neighbours on detnat's interfaces. bpf_fib_lookup only reads the kernel's table and never makes the kernel resolve or
 * revalidate an entry. As the kernel sends nothing itself when XDP forwards, the agent has to ask it to.
 */
#ifndef DETNAT_NEIGHBOURS_H
#define DETNAT_NEIGHBOURS_H

#include <event2/event.h>

#include "datapath/datapath.h"
#include "fib/route_copy.h"
#include "host/netlink.h"

struct neighbours;

/*
 * Also starts probing those in use, see routing/neighbours_probe.h. Detnat's interfaces are those whose device record
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
void neighbours_resolve(struct neighbours *v, int family, const void *addr, uint32_t ifindex);

/*
 * Whether a notification (RTM_NEWNEIGH, RTM_DELNEIGH) changes the result of bpf_fib_lookup: the MAC address, or whether
 * there is one. Most only say that an entry was confirmed or is getting old; with many subscribers that is many times a
 * second.
 */
bool neighbours_changed(struct neighbours *v, const struct nlmsghdr *h);

/* Clears what neighbours_changed() compares with, after notifications were lost. */
void neighbours_forget(struct neighbours *v);

#endif
