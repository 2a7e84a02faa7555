/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receives rtnetlink notifications and raises the epoch: at once for the first one, then at most once in
 * MONITOR_QUIET_MS, because a routing daemon may cause thousands a second and each raise invalidates the datapath's
 * caches.
 */
#ifndef DETNAT_MONITOR_H
#define DETNAT_MONITOR_H

#include <event2/event.h>
#include <linux/netlink.h>

#include "datapath/datapath.h"

#define MONITOR_QUIET_MS 10

struct monitor;

struct monitor_handlers {
	void (*message)(const struct nlmsghdr *h, void *arg);
	/*
	 * Notifications were lost: read everything again. Called at once, and again after the waiting ones have been
	 * processed. The epoch has been raised.
	 */
	void (*lost)(void *arg);
	void *arg;
};

int monitor_new(struct event_base *base, struct datapath *d, const struct monitor_handlers *handlers,
		struct monitor **ret);
void monitor_free(struct monitor *m);

/* Passes on all waiting messages at once. */
void monitor_catch_up(struct monitor *m);

/* Passes on messages about routes, rules and addresses of IPv6, and its part of links, from now on. 0 or -errno. */
int monitor_hear_ipv6(struct monitor *m);

/* Raises the epoch now or, if that was done within MONITOR_QUIET_MS, after this time. */
void monitor_raise_epoch(struct monitor *m);

#endif
