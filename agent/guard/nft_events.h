/* SPDX-License-Identifier: BSD-2-Clause */
/* nftables' notifications: tells when others change the guard's table. */
#ifndef DETNAT_NFT_EVENTS_H
#define DETNAT_NFT_EVENTS_H

#include <event2/event.h>
#include <stdint.h>

struct guard_watch;

/*
 * changed is called from the event loop, once for what came together, when another netlink socket than that of the port
 * changes the table. 0 or -errno.
 */
int guard_watch_new(struct event_base *base, uint32_t port, const char *table, void (*changed)(void *arg), void *arg,
		    struct guard_watch **ret);
void guard_watch_free(struct guard_watch *w);

#endif
