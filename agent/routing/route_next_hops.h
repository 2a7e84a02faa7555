/* SPDX-License-Identifier: BSD-2-Clause */
/* Next hops of the kernel's routes, for change/preflight.c. */
#ifndef DETNAT_ROUTE_NEXT_HOPS_H
#define DETNAT_ROUTE_NEXT_HOPS_H

#include <stdint.h>

#include "config/config.h"

/*
 * Searches the IPv4 routes of this network namespace for next hops in any of n prefixes. Returns the lowest number of a
 * prefix that contains one, with the next hop in host byte order; n if there is none; or -errno.
 */
int routes_find_next_hop(const struct prefix *prefix, int n, uint32_t *ret_next_hop);

#endif
