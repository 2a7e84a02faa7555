/* SPDX-License-Identifier: BSD-2-Clause */
/* The state behind fib/route_copy.h, shared by its files. */
#ifndef DETNAT_ROUTE_COPY_PRIVATE_H
#define DETNAT_ROUTE_COPY_PRIVATE_H

#include "base/background.h"
#include "base/prefix_stretch.h"
#include "fib/addresses.h"
#include "fib/dump.h"
#include "fib/gateways.h"
#include "fib/hops.h"
#include "fib/route_copy.h"
#include "fib/route_message.h"
#include "fib/store.h"
#include "fib/trie.h"
#include "fib/virtual.h"

/* Number of remembered preferred sources of routes; beyond it, any address counts as one. */
#define FIB_SOURCES 64U

/* With more prefixes that are special no more, everything is painted anew. */
#define FIB_UNCOVERED 64U

/* Steps of a reading, in this order. */
enum fib_step {
	FIB_STEP_LINKS,
	FIB_STEP_ADDRESSES,
	FIB_STEP_OBJECTS,
	FIB_STEP_NEIGHBOURS,
	FIB_STEP_NEIGHBOURS6,
	FIB_STEP_ROUTES,
	FIB_STEP_ROUTES6, /* left out where there are no ranges of virtual addresses */
	FIB_STEP_SWEEP,	  /* removing unseen entries */
	FIB_STEP_EMPTY,	  /* waiting until no program reads the trie */
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
	struct virtual_range *virtual; /* of IPv6 subscribers */
	size_t n_virtual;

	struct device *known; /* MAX_IFINDEX of them: the datapath's records as last seen */

	struct fib_dump *dump;
	enum fib_step step;
	uint8_t generation;  /* of the present reading, or of the last one; never 0 */
	unsigned attempts;   /* at the present dump */
	bool reading;	     /* routes: notifications take precedence over messages of the reading */
	bool stale;	     /* notifications may be missing since the last complete reading */
	bool again;	     /* the reading may be incomplete: repeat it */
	unsigned patience_s; /* before that */

	bool painted;		       /* the trie follows the store */
	bool repaint;		       /* the special ranges have changed */
	bool purging;		       /* routes with retired next hops are being removed */
	uint32_t purged, swept, drawn; /* segments of the store processed so far */
	/* Prefixes that are special no more, and are still painted as such. */
	struct prefix uncovered[FIB_UNCOVERED];
	size_t n_uncovered;

	uint32_t *met; /* IPv4 addresses of neighbours to look at again */
	size_t n_met, met_room, met_done;

	struct fib_gateways gateways; /* noted since the present reading began, or the last one */
	bool gateways_known;	      /* complete */

	uint32_t source[FIB_SOURCES];
	size_t n_sources; /* FIB_SOURCES + 1: more */

	unsigned held;	     /* bits of enum route_copy_hold */
	uint64_t painted_us; /* CLOCK_MONOTONIC, when the trie was last painted as a whole */
	uint64_t next_us;    /* earliest beginning of the next reading because of doubts */

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
	struct event *settled; /* checks whether it has ended */
};

/* Schedules the next slice for when everything else has had its turn. */
static inline void route_copy_work(struct route_copy *c)
{
	const struct timeval now = { 0 };

	if (!event_pending(c->work, EV_TIMEOUT, NULL))
		event_add(c->work, &now);
}

/* Changes of the kernel's routes: to the store, to the count of next hops, and to the trie. */

/* A notification: RTM_NEWROUTE, with its NLM_F_..., or RTM_DELROUTE. */
void changes_notified(struct route_copy *c, const struct fib_told_route *told, uint16_t type, uint16_t flags);

/* A route of the present reading. */
void changes_read(struct route_copy *c, const struct fib_told_route *told);

/* A nexthop object. A reading does not change objects notified since it began. */
void changes_object(struct route_copy *c, const struct fib_told_object *told, bool notified);

/* Its routes are gone, too; see changes_purge(). */
void changes_object_gone(struct route_copy *c, struct fib_object *object);

/* A neighbour is usable, or not, or has another MAC address. */
void changes_neighbour(struct route_copy *c, struct fib_neighbour *n, bool gone);

/* Removes the routes of a segment of the store whose next hops are retired. */
void changes_purge(struct route_copy *c, uint32_t segment);

/* Removes the routes of a segment of the store that the ended reading did not see. */
void changes_sweep(struct route_copy *c, uint32_t segment);

/*
 * Readings of everything, step by step: links, addresses, nexthop objects, neighbours, routes; then unseen entries are
 * removed, and the trie is painted if it has not been. Notifications continue meanwhile.
 */

void reading_begin(struct route_copy *c);

/* The same if the copy may be wrong: the lease ends, until a reading has ended. */
void reading_begin_stale(struct route_copy *c);

/* Messages of a dump, or notifications. */
void reading_message(struct route_copy *c, const struct nlmsghdr *h, bool notified);

/* A dump has ended. */
void reading_ended(struct route_copy *c, int r);

/* Schedules painting the whole trie; the lease ends. */
void reading_repaint(struct route_copy *c);

/* No program reads the trie any more. */
void reading_empty(struct route_copy *c);

/* Works for some milliseconds. Returns whether there is more to do. */
bool reading_work(struct route_copy *c);

/* Brings the trie in line with the store, prefix by prefix. */

/* A prefix has gained or lost a route. flags: FIB_ROUTE_LOCAL or 0. */
void paint_prefix(struct route_copy *c, uint32_t dst, unsigned plen, uint8_t flags);

/* Paints entries that no route determines: special ranges, and ranges of the gateway's own addresses. */
void paint_special(struct route_copy *c);

/*
 * Paints special prefixes that come, and notes those that go for paint_uncovered(). False, with nothing painted or
 * noted, if it costs less to paint everything.
 */
bool paint_change_special(struct route_copy *c, const struct prefix_stretch *came, const struct prefix_stretch *went);

/* Gives the addresses of one noted prefix to their routes. Returns whether there was one. */
bool paint_uncovered(struct route_copy *c);

/*
 * Whether a prefix of addresses is painted as a special range, so that its change requires painting everything again.
 */
bool paint_is_special(const struct fib_route *r);

/* Gives the neighbours with an IPv4 address (host byte order) their leaves, or removes these. */
void paint_neighbours_at(struct route_copy *c, uint32_t addr);

/* Make paint_met() look at the neighbours with an address, with any in a prefix, or on an interface. */
void paint_meet(struct route_copy *c, uint32_t addr);
void paint_meet_all(struct route_copy *c, uint32_t base, unsigned plen);
void paint_meet_interface(struct route_copy *c, uint32_t ifindex);

/* Looks at some of them. Returns whether there are more. */
bool paint_met(struct route_copy *c, size_t most);

/* The lease of the copy, and the waits for running programs that changes of next hops and nodes need. */

/* Ends the lease while any reason holds it; renews it otherwise. */
void lease_hold(struct route_copy *c, enum route_copy_hold why, bool held);

/*
 * Renews the lease if nothing holds it. Called several times a second. If it has run out, as the agent was stopped or
 * busy or something held it, waiting notifications are processed first (route_copy_on_return()).
 */
void lease_renew(struct route_copy *c);

/* Whether the datapath uses the copy. */
bool lease_stands(const struct route_copy *c);

/* Begins a wait for programs soon, if one is needed. */
void lease_settle_soon(struct route_copy *c);

/* Begins a wait, at once; lease_settle_end() returns true when it has ended. */
void lease_settle_begin(struct route_copy *c);
bool lease_settle_end(struct route_copy *c);

#endif
