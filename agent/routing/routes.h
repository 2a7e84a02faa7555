/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blackhole routes for the outside prefixes, so that packets to unused pool addresses do not loop between the gateway
 * and its upstream router.
 */
#ifndef DETNAT_ROUTES_H
#define DETNAT_ROUTES_H

#include "config/config.h"
#include "fib/route_copy.h"
#include "host/netlink.h"

/* The protocol number that marks the routes as detnat's; `ip route show proto 215` lists them. */
#define ROUTE_PROTOCOL 215U

/* Their metric: so high that any other route for the same prefix is preferred. */
#define ROUTE_METRIC 1048576U

/* A route of detnat's in the kernel. */
struct own_route {
	struct prefix prefix;
	uint32_t metric;
	uint32_t table;
	uint8_t type;
	bool old; /* not seen yet by the present reading */
};

/* The existing ones, as far as notified. Zero-initialised. */
struct own_routes {
	struct own_route *route;
	size_t count;
	size_t room;
	bool failed; /* out of memory */
	bool known;  /* all of them have been read since notifications were last lost */
};

void own_routes_free(struct own_routes *own);

/*
 * Processes an RTM_NEWROUTE or RTM_DELROUTE. True: an own route has gone, or may have, which the agent has not taken
 * away itself; those that it has are forgotten before their notification comes.
 */
bool own_routes_message(struct own_routes *own, const struct nlmsghdr *h);

/* The same as part of a reading of all routes. */
void own_routes_again(struct own_routes *own, enum route_copy_reading what, const struct nlmsghdr *h);

/* What there should be: a route for each prefix, in the table `main` and in those of VRFs. A prefix of /0 gets none. */
struct blackholes {
	const struct prefix *prefix;
	size_t count;
	const uint32_t *vrf_table;
	size_t n_vrf_tables;
};

/*
 * Makes detnat's routes match these: adds missing ones, deletes others, whatever their table. Leaves alone another
 * route in the same place, and logs that once per call. own: the existing ones; if they are unknown, or it is NULL,
 * they are read, which takes long if there are many routes. 0 or -errno.
 */
int routes_apply(struct netlink *n, struct own_routes *own, const struct blackholes *wanted, struct error *err);

/*
 * The same where only some prefixes differ from what routes_apply() has been given: adds the routes of those that came,
 * and deletes those of others that went. The rest is not looked at. Not with unknown routes.
 */
int routes_change(struct netlink *n, struct own_routes *own, const struct blackholes *came,
		  const struct blackholes *went, struct error *err);

/* Calls `missing` for each of these that is neither there nor has another route in its place. 0 or -errno. */
int routes_compare(struct netlink *n, const struct own_routes *own, const struct blackholes *wanted,
		   void (*missing)(struct prefix prefix, uint32_t table, void *arg), void *arg);

/* Deletes all routes of detnat's protocol, of IPv6 as well. */
int routes_remove_all(struct netlink *n, struct error *err);

#endif
