/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blackhole routes for the outside prefixes, so that packets to pool addresses that nobody answers do not circle
 * between the gateway and its upstream router.
 */
#ifndef DETNAT_ROUTES_H
#define DETNAT_ROUTES_H

#include "config/config.h"
#include "host/netlink.h"

/* Protocol number that marks the routes as ours; `ip route show proto 215` lists them. */
#define ROUTE_PROTOCOL 215U

/* Their metric: so high that any other route for the same prefix is preferred, whoever adds it and when. */
#define ROUTE_METRIC 1048576U

/*
 * Makes the set of our routes in the main table equal to these prefixes: adds what is missing, deletes what is too
 * much. A prefix of length 0 gets none. Where somebody else's route stands at that very place, it is left, and said so
 * once per call. 0 or -errno.
 */
int routes_apply(struct netlink *n, const struct prefix *prefixes, size_t count, struct error *err);

/* Calls missing for each of these prefixes that has none of our routes, nor another's in its place. 0 or -errno. */
int routes_compare(struct netlink *n, const struct prefix *prefixes, size_t count,
		   void (*missing)(struct prefix prefix, void *arg), void *arg);

/* Deletes all routes of our protocol. */
int routes_remove_all(struct netlink *n, struct error *err);

#endif
