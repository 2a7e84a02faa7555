/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the neighbours of on-link pools that the addresses are here now: hosts of a link that sent to the gateway which
 * had them before would go on to do so until their entries expire, which takes minutes to hours. A pool is on-link of
 * an outside interface that has an address of whose prefix it is.
 */
#ifndef DETNAT_ANNOUNCE_H
#define DETNAT_ANNOUNCE_H

#include <event2/event.h>

#include "base/address.h"
#include "base/error.h"
#include "datapath/datapath.h"

/* Each address is announced so often, a second apart. */
#define ANNOUNCE_TIMES 3U
/* Announcements a second, at most. */
#define ANNOUNCES_S 500U
/* Of more addresses that come at once none is announced: that is logged. */
#define ANNOUNCES_MAX 4096U

struct announcer;

/* 0 or -errno. base and d must outlive the result. */
int announcer_new(struct event_base *base, const struct datapath *d, struct announcer **ret);

/* a may be NULL. */
void announcer_free(struct announcer *a);

/*
 * The pools of the gateway, all of them: announces what became on-link since the last call, by a gratuitous ARP request
 * for each address (RFC 5227 section 3). A pool comes when a mapping does, when a link comes up, and when the gateway
 * gets a further address of the pool's prefix, as at a takeover by VRRP.
 */
void announcer_update(struct announcer *a, const struct prefix *pools, size_t n);

#endif
