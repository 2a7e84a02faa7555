/* SPDX-License-Identifier: BSD-2-Clause */
/* The state behind fib/route_copy.h, shared by its files. */
#ifndef DETNAT_ROUTE_COPY_PRIVATE_H
#define DETNAT_ROUTE_COPY_PRIVATE_H

#include "base/background.h"
#include "fib/addresses.h"
#include "fib/dump.h"
#include "fib/gateways.h"
#include "fib/hops.h"
#include "fib/nexthop_objects.h"
#include "fib/route_copy.h"
#include "fib/route_message.h"
#include "fib/store.h"
#include "fib/trie.h"

/* Preferred sources of routes that are remembered; with more, any address counts as one. */
#define FIB_SOURCES 64U

/* Steps of a reading, in this order. */
enum fib_step {
	FIB_STEP_LINKS,
	FIB_STEP_ADDRESSES,
	FIB_STEP_OBJECTS,
	FIB_STEP_NEIGHBOURS,
	FIB_STEP_NEIGHBOURS6,
	FIB_STEP_ROUTES,
	FIB_STEP_SWEEP, /* removing what was not seen */
	FIB_STEP_EMPTY, /* waiting until no program reads the trie */
	FIB_STEP_PAINT,
	FIB_STEP_DONE,
};

struct route_copy {
	struct datapath *datapath;
	struct fib_trie trie;
	struct fib_store store;
	struct fib_hops hops;
	struct fib_neighbours neighbours;
	struct hash_table objects; /* of fib_objects */
	struct fib_addresses addresses;
	struct prefix *special; /* never forwarded by XDP: bypassed destinations and pools */
	size_t n_special;

	struct device *known; /* MAX_IFINDEX of them: the datapath's records as last seen */

	struct fib_dump *dump;
	enum fib_step step;
	uint8_t generation;  /* of the present reading, or of the last one; never 0 */
	unsigned attempts;   /* at the present dump */
	bool reading;	     /* routes: notifications take precedence over what is read */
	bool stale;	     /* notifications may be missing since the last reading that ended */
	bool again;	     /* it is not certain that everything was read: once more */
	unsigned patience_s; /* before that */

	bool painted;		       /* the trie follows the store */
	bool repaint;		       /* the special ranges have changed */
	bool purging;		       /* routes with retired next hops are being removed */
	uint32_t purged, swept, drawn; /* segments of the store that are done */

	uint32_t *met; /* IPv4 addresses of neighbours to be looked at again */
	size_t n_met, met_room, met_done;

	struct fib_gateways gateways; /* noted since the present reading began, or the last one */
	bool gateways_known;	      /* all of them */

	uint32_t source[FIB_SOURCES];
	size_t n_sources; /* FIB_SOURCES + 1: more */

	unsigned held;	     /* bits of enum route_copy_hold */
	uint64_t painted_us; /* CLOCK_MONOTONIC, when the trie was last painted as a whole */
	uint64_t next_us;    /* when the next reading because of doubts may begin */

	struct background grace;
	bool settling; /* waiting for programs to end */
	bool emptying; /* the trie is empty then */

	route_copy_on_route on_route;
	void *on_route_arg;

	void (*catch_up)(void *arg);
	void *catch_up_arg;
	bool catching_up;

	struct event *work;    /* the next slice */
	struct event *lease;   /* several times a second */
	struct event *settle;  /* the next wait for programs begins */
	struct event *settled; /* looks whether it has ended */
};

/* Has the next slice done as soon as everything else has had its turn. */
static inline void route_copy_work(struct route_copy *c)
{
	const struct timeval now = { 0 };

	if (!event_pending(c->work, EV_TIMEOUT, NULL))
		event_add(c->work, &now);
}

#endif
