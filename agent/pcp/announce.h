/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells clients that leases were lost (RFC 6887 section 14.1): an ANNOUNCE response to all hosts, by every inside
 * interface, several times.
 */
#ifndef DETNAT_PCP_ANNOUNCE_H
#define DETNAT_PCP_ANNOUNCE_H

#include <event2/event.h>

#include "datapath/datapath.h"

#define PCP_ANNOUNCEMENTS	 10U
#define PCP_ANNOUNCE_INTERVAL_MS 250U /* from the first to the second; each further one is twice as long */

struct pcp_announcer;

/* Gives the sockets to send by, in turn; -1 behind the last. The epoch is asked for with each message. */
struct pcp_announce_source {
	int (*socket)(void *arg, unsigned n);
	uint32_t (*epoch)(void *arg);
	void *arg;
};

int pcp_announcer_new(struct event_base *base, const struct datapath *d, const struct pcp_announce_source *from,
		      struct pcp_announcer **ret); /* -ENOMEM; base and d must outlive it */
void pcp_announcer_free(struct pcp_announcer *a);

void pcp_announce(struct pcp_announcer *a);	 /* begins, or begins anew */
void pcp_announce_stop(struct pcp_announcer *a); /* ends it early */

#endif
