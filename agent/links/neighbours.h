/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Neighbours on our interfaces. bpf_fib_lookup takes what the kernel's table holds and never makes the kernel resolve
 * or re-validate an entry; as the kernel itself sends nothing when XDP forwards, the agent has to ask it to.
 */
#ifndef DETNAT_NEIGHBOURS_H
#define DETNAT_NEIGHBOURS_H

#include <event2/event.h>

#include "datapath/datapath.h"
#include "host/netlink.h"

struct neighbours;

/*
 * Starts to probe those in use, see links/neighbours_probe.h; "our interfaces" are those whose device record has a
 * role.
 */
int neighbours_new(struct event_base *base, struct datapath *d, struct netlink *n, struct neighbours **ret);
void neighbours_free(struct neighbours *v);

/*
 * Asks the kernel to resolve an address, AF_INET or AF_INET6 in network byte order, on one of our interfaces: at most
 * once a second and address, and NEIGHBOURS_RESOLVES_S a second in all, whatever subscribers send.
 */
#define NEIGHBOURS_RESOLVES_S 256
void neighbours_resolve(struct neighbours *v, int family, const void *addr, uint32_t ifindex);

/*
 * Whether a notification (RTM_NEWNEIGH, RTM_DELNEIGH) changes what bpf_fib_lookup would answer: the MAC address, or
 * whether there is one. Most only tell that an entry was confirmed or is getting old, many times a second where there
 * are many subscribers.
 */
bool neighbours_changed(struct neighbours *v, const struct nlmsghdr *h);

/* Forgets what neighbours_changed() compares with, after notifications were lost. */
void neighbours_forget(struct neighbours *v);

#endif
