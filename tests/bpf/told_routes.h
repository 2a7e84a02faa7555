/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's copy of the routes (<detnat/fib.h>), filled from the kernel's routes of the test's namespace. */
#ifndef DETNAT_TEST_TOLD_ROUTES_H
#define DETNAT_TEST_TOLD_ROUTES_H

#include <detnat/fib.h>

#include "config/config.h"

/*
 * Copies the kernel's routes as they are now, with the fixture's pool as a destination never forwarded to, and vouches
 * for the copy; the second function names those destinations, the third ends all that.
 */
void tell_routes(void);
void tell_routes_and(const struct prefix *special, size_t n);
void tell_no_routes(void);

/*
 * From now on, until the test calls one of the above, each call of the second function makes the copy anew, as an agent
 * does after changes of routes, neighbours, interfaces, and the configuration.
 */
void follow_routes(void);
void refresh_followed_routes(void);

/* The next hop of an address. */
struct fib_hop *told_hop(uint32_t addr);

#endif
