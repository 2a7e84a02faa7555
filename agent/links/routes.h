/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blackhole routes for the outside prefixes, so that packets to unused pool addresses do not loop between the gateway
 * and its upstream router.
 */
#ifndef DETNAT_ROUTES_H
#define DETNAT_ROUTES_H

#include "config/config.h"
#include "host/netlink.h"

/* The protocol number that marks the routes as detnat's; `ip route show proto 215` lists them. */
#define ROUTE_PROTOCOL 215U

/* Their metric: so high that any other route for the same prefix is preferred. */
#define ROUTE_METRIC 1048576U

/*
 * Makes detnat's routes in the main table match these prefixes: adds missing ones, deletes others. A prefix of length 0
 * gets none. If another route is in the same place, it is left alone, which is logged once per call. 0 or -errno.
 */
int routes_apply(struct netlink *n, const struct prefix *prefixes, size_t count, struct error *err);

/* Calls `missing` for each of these prefixes that has neither detnat's route nor another in its place. 0 or -errno. */
int routes_compare(struct netlink *n, const struct prefix *prefixes, size_t count,
		   void (*missing)(struct prefix prefix, void *arg), void *arg);

/* Deletes all routes of detnat's protocol. */
int routes_remove_all(struct netlink *n, struct error *err);

#endif
