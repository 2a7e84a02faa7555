/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink's notifications, and the epoch raised at what they tell: at once at the first of them, then at most once in
 * MONITOR_QUIET_MS, as a routing daemon may bring thousands a second and each raise empties the datapath's caches.
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
	void (*lost)(
		void *arg); /* notifications were lost: everything has to be read anew; the epoch is raised already */
	void *arg;
};

int monitor_new(struct event_base *base, struct datapath *d, const struct monitor_handlers *handlers,
		struct monitor **ret);
void monitor_free(struct monitor *m);

/* Has the epoch raised now or, if that was done within MONITOR_QUIET_MS, at their end. */
void monitor_raise_epoch(struct monitor *m);

#endif
