/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blackhole routes for the NAT64 prefixes, as those of routing/routes.h for pools: where only the default route covers
 * one, packets to it that no program has taken would come back, and go round until their hop limit ends.
 */
#ifndef DETNAT_ROUTES6_H
#define DETNAT_ROUTES6_H

#include <detnat/prefix6.h>

#include "host/netlink.h"

struct prefix6 {
	struct address6 addr;
	uint8_t plen;
};

/*
 * Makes detnat's routes of IPv6, known by ROUTE_PROTOCOL, match these, of which none is listed twice: adds missing
 * ones, deletes others. Another route in the same place is left alone. 0 or -errno with err.
 */
int routes6_apply(struct netlink *n, const struct prefix6 *wanted, size_t count, struct error *err);

#endif
