/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixture's routes as the agent tells them to the datapath (<detnat/fib.h>). */
#ifndef DETNAT_TEST_TOLD_ROUTES_H
#define DETNAT_TEST_TOLD_ROUTES_H

#include <detnat/fib.h>

/* Fills in the routes and vouches for them; and the opposite. */
void tell_routes(void);
void tell_no_routes(void);

/* The next hops of ROUTER and of the hosts inside. */
extern struct fib_hop *told_router, *told_host;

#endif
