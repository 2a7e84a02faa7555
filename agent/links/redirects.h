/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether interfaces take the frames that XDP redirects to them. Some never do (a veth whose peer has neither GRO nor
 * an XDP program, a driver short of queues), and the frames are lost without a trace; only tracepoints tell. Traffic to
 * such an interface goes by way of the kernel until it takes them.
 */
#ifndef DETNAT_REDIRECTS_H
#define DETNAT_REDIRECTS_H

#include <event2/event.h>

#include "datapath/datapath.h"
#include "host/netlink.h"

struct redirects;

/* Called from the event loop when an interface was unable to take a frame; redirects_alarm() is to be called for it. */
typedef void (*redirects_notify)(uint32_t ifindex, void *arg);

/* Loads and attaches the tracepoint programs, which end with the agent. -errno where this kernel lacks their needs. */
int redirects_new(struct event_base *base, const struct datapath *d, redirects_notify notify, void *arg,
		  struct redirects **ret, struct error *err);
void redirects_free(struct redirects *r);

/* Of one interface; zeroed to begin with. */
struct redirect_health {
	bool refusing;	 /* nothing is to be redirected to it */
	uint64_t unable; /* as last read, see struct watched */
	unsigned bad_seconds;
	unsigned good_seconds;
	unsigned pause_s; /* until it is given another chance */
	unsigned waited_s;
};

/* In the functions below r may be NULL: then every interface is thought to be well. */

/*
 * Starts anew, when an interface was attached or its link came up. A veth is tried with a frame of our own, from its
 * MAC address to the same, so that no subscriber's frame has to be lost to find out.
 */
void redirects_start(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* Tries a refusing interface at once, where that can be done with a frame of our own: its link has changed. */
void redirects_retry(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* The next two: whether h->refusing changed; that was logged. */
bool redirects_alarm(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

/* To be called once a second. */
bool redirects_tick(struct redirects *r, const struct link *l, bool native, struct redirect_health *h);

void redirects_stop(struct redirects *r, uint32_t ifindex);

#endif
