// SPDX-License-Identifier: BSD-2-Clause
/* The agent's copy of the routes, filled from the kernel's routes of the test's namespace. */
#include <string.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "fib/route_copy.h"
#include "fixture.h"
#include "told_routes.h"

static struct event_base *base;
static struct route_copy *copy;

static bool in_force(void)
{
	struct route_copy_summary s;

	route_copy_summary(copy, &s);
	return s.in_force;
}

void tell_routes_and(const struct prefix *special, size_t n)
{
	tell_no_routes();
	memset(&datapath.fib->first, 0, offsetof(struct fib, station) - offsetof(struct fib, first));
	base = event_base_new();
	cr_assert_not_null(base);
	cr_assert_eq(route_copy_new(base, &datapath, &copy), 0);
	cr_assert_eq(route_copy_set_special(copy, special, n), 0);
	route_copy_hold(copy, ROUTE_COPY_SYNC, false);
	while (!in_force())
		cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	/* No event loop goes on to renew the lease. */
	datapath.global->fib_until = datapath_ticks(&datapath) + 0x10000000;
}

void tell_routes(void)
{
	tell_routes_and(&(struct prefix){ POOL, 30 }, 1);
}

void tell_no_routes(void)
{
	if (copy)
		route_copy_free(copy);
	if (base)
		event_base_free(base);
	copy = NULL;
	base = NULL;
}

struct fib_hop *told_hop(uint32_t addr)
{
	const struct fib_hop *hop = route_copy_hop(copy, addr);

	return &datapath.fib->hop[hop - datapath.fib->hop];
}
