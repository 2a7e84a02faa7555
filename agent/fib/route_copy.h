/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datapath's copy of the kernel's routes (<detnat/fib.h>): read at the start, then kept up to date by the kernel's
 * notifications, which the caller passes on. While all of it is known, and nothing holds it back, a lease in the
 * datapath's globals is renewed; without it, and a second after the agent's end, the datapath asks the kernel.
 *
 * All IPv4 routes of the tables `main` and `local` are kept, and those of IPv6 that lead to subscribers. Prefixes that
 * the copy cannot represent are left to the kernel, or all routes are.
 */
#ifndef DETNAT_ROUTE_COPY_H
#define DETNAT_ROUTE_COPY_H

#include <event2/event.h>
#include <libmnl/libmnl.h>

#include "datapath/datapath.h"
#include "fib/store.h"
#include "fib/virtual.h"

struct route_copy;

/* Reasons why the copy is not in force. X(constant, name) */
#define ROUTE_COPY_HOLDS(X)                            \
	X(ROUTE_COPY_READING, "reading")               \
	X(ROUTE_COPY_PROGRAMS, "programs")             \
	X(ROUTE_COPY_RULES, "rules")                   \
	X(ROUTE_COPY_PATH_MTU, "path-mtu")             \
	X(ROUTE_COPY_FORWARDING_OFF, "forwarding-off") \
	X(ROUTE_COPY_SYNC, "sync")

enum route_copy_hold {
#define X(constant, name) constant,
	ROUTE_COPY_HOLDS(X)
#undef X
		N_ROUTE_COPY_HOLDS
};

const char *route_copy_hold_name(enum route_copy_hold why);

/*
 * Before the call, subscribe to links, neighbours, addresses, routes and nexthop objects; pass every message on from
 * then on. The datapath's maps of routes must be empty. 0 or -errno.
 */
int route_copy_new(struct event_base *base, struct datapath *d, struct route_copy **ret);
void route_copy_free(struct route_copy *c); /* ends the lease first */

/* Processes a notification. */
void route_copy_message(struct route_copy *c, const struct nlmsghdr *h);

/* Notifications were lost: the lease ends, and everything is read again. */
void route_copy_lost(struct route_copy *c);

/*
 * Sets a function that passes on all waiting notifications. It is called before an expired lease begins again, as the
 * copy may be outdated by then.
 */
void route_copy_on_return(struct route_copy *c, void (*catch_up)(void *arg), void *arg);

/* Ends the lease for a reason, or drops that reason. */
void route_copy_hold(struct route_copy *c, enum route_copy_hold why, bool held);

/*
 * Destinations to which XDP must not forward, besides martians and link-local ones. Those that come are the kernel's on
 * return. Those that go become their routes' when the caller has returned to the event loop. If more than a few go, or
 * large ones, the lease ends at once, and begins again when everything has been painted anew. 0 or -ENOMEM, with the
 * lease ended.
 */
int route_copy_set_special(struct route_copy *c, const struct prefix *prefix, size_t count);

/*
 * The inside prefixes of IPv6: routes of IPv6 that lead to their subscribers are those of their virtual addresses,
 * which are special no more. If they change, the lease ends at once, and begins again when all routes have been read.
 * Whoever passes on notifications subscribes to those of IPv6 routes before. 0 or -ENOMEM, with the lease ended.
 */
int route_copy_set_virtual(struct route_copy *c, const struct virtual_range *range, size_t count);

/* The datapath's records of interfaces may have changed: compares them. */
void route_copy_devices_changed(struct route_copy *c);

/*
 * Calls a function for each prefix of the gateway's own addresses (host byte order). False if they are unknown, as
 * routes are being read.
 */
bool route_copy_own(const struct route_copy *c, void (*call)(uint32_t base, unsigned plen, void *arg), void *arg);

/*
 * Calls a function when a reading of all routes begins, for each of its messages, and when it has ended. Notifications
 * come separately.
 */
enum route_copy_reading { ROUTES_BEGIN, ROUTES_MESSAGE, ROUTES_END };
typedef void (*route_copy_on_route)(enum route_copy_reading what, const struct nlmsghdr *h, void *arg);
void route_copy_on_routes(struct route_copy *c, route_copy_on_route call, void *arg);

/* Calls a function for each neighbour to which the datapath has sent packets through the copy in the last seconds. */
typedef void (*route_copy_on_used)(uint32_t ifindex, uint8_t family, const uint8_t addr[static 16], bool router,
				   void *arg);
void route_copy_used(const struct route_copy *c, uint32_t seconds, route_copy_on_used call, void *arg);

/* Whether a neighbour is one of these. */
bool route_copy_is_used(const struct route_copy *c, uint32_t seconds, uint32_t ifindex, uint8_t family,
			const uint8_t addr[static 16]);

struct route_copy_summary {
	bool in_force;
	unsigned held; /* bits of enum route_copy_hold */
	size_t routes;
	size_t next_hops;
	size_t neighbours;
	size_t memory; /* octets of trie and store */
	size_t kept[N_FIB_KEPT];
	size_t unsure; /* routes that the kernel may not use */
	size_t full;   /* ranges without room in the trie */
};

void route_copy_summary(const struct route_copy *c, struct route_copy_summary *ret);

/* The name of a reason for leaving routes to the kernel; NULL for FIB_KEPT_NOT. */
const char *route_copy_kept_name(enum fib_kept why);

/*
 * Whether a gateway of any IPv4 route of any table may be in a prefix (host byte order). False: certainly none is. True
 * also while routes are being read, and for routes that are gone.
 */
bool route_copy_may_lead_to(const struct route_copy *c, struct prefix prefix);

/* The next hop of an address (host byte order) according to the copy, which may not be in force. */
const struct fib_hop *route_copy_hop(const struct route_copy *c, uint32_t addr);

#endif
