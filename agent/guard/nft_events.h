/* SPDX-License-Identifier: BSD-2-Clause */
/* nf_tables notifications: reports changes of the guard's table by other programs. */
#ifndef DETNAT_NFT_EVENTS_H
#define DETNAT_NFT_EVENTS_H

#include <event2/event.h>
#include <stdint.h>

struct guard_watch;

/*
 * Calls `changed` from the event loop, once per batch of messages, when a netlink socket with another port changes the
 * table. 0 or -errno.
 */
int guard_watch_new(struct event_base *base, uint32_t port, const char *table, void (*changed)(void *arg), void *arg,
		    struct guard_watch **ret);
void guard_watch_free(struct guard_watch *w);

#endif
