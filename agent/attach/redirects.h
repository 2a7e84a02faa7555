/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches whether interfaces take the frames that XDP redirects to them. Some never do (a veth whose peer has neither
 * GRO nor an XDP program, a driver short of queues), and frames are lost silently; only tracepoints show it. Traffic to
 * such an interface goes through the kernel until it takes frames.
 */
#ifndef DETNAT_REDIRECTS_H
#define DETNAT_REDIRECTS_H

#include <event2/event.h>

#include "datapath/datapath.h"
#include "host/netlink.h"

struct redirects;

/* Called from the event loop when an interface could not take a frame; the callback should call redirects_alarm(). */
typedef void (*redirects_notify)(uint32_t ifindex, void *arg);

/* Loads and attaches the tracepoint programs, which end with the agent. -errno if this kernel lacks support. */
int redirects_new(struct event_base *base, const struct datapath *d, redirects_notify notify, void *arg,
		  struct redirects **ret, struct error *err);
void redirects_free(struct redirects *r);

/* For one interface; zero-initialised. */
struct redirect_health {
	bool refusing;	 /* no frame may be redirected to it */
	uint64_t unable; /* as last read, see struct watched */
	unsigned bad_seconds;
	unsigned good_seconds;
	unsigned pause_s; /* when to give it another chance */
	unsigned waited_s;
};

/* In the functions below r may be NULL: then every interface counts as healthy. */

/*
 * Starts afresh after an interface was attached or its link came up. A veth is tested with a frame of the agent's own,
 * to and from its MAC address, so that no subscriber's frame is lost.
 */
void redirects_start(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* Tests a refusing interface at once, as its link has changed, if the agent can use a frame of its own. */
void redirects_retry(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* The next two return whether h->refusing has changed; they log the change. */
bool redirects_alarm(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* Call this once a second. */
bool redirects_tick(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

void redirects_stop(struct redirects *r, uint32_t ifindex);

#endif
