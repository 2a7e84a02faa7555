// SPDX-License-Identifier: BSD-2-Clause
/* The agent's copy of the routes, filled from the kernel's routes of the test's namespace. */
#include <string.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "fib/route_copy.h"
#include "tables/mapping_drains.h"
#include "fixture.h"
#include "told_routes.h"

static struct event_base *base;
static struct route_copy *copy;
static bool followed; /* the copy is the fixture's: see follow_routes() */

static bool in_force(void)
{
	struct route_copy_summary s;

	route_copy_summary(copy, &s);
	return s.in_force;
}

static void end_copy(void)
{
	if (copy)
		route_copy_free(copy);
	if (base)
		event_base_free(base);
	copy = NULL;
	base = NULL;
}

static void begin_copy(const struct prefix *special, size_t n)
{
	end_copy();
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

void tell_routes_and(const struct prefix *special, size_t n)
{
	followed = false;
	begin_copy(special, n);
}

void tell_routes(void)
{
	tell_routes_and(&(struct prefix){ POOL, 30 }, 1);
}

void tell_no_routes(void)
{
	followed = false;
	end_copy();
}

void follow_routes(void)
{
	followed = true;
}

/* What the agent excludes: pools, also those that drain, and destinations that are not translated. */
static size_t excluded(struct prefix *ret)
{
	size_t n = 0;

	for (int number = mappings_next(mappings, 0); number >= 0; number = mappings_next(mappings, number + 1)) {
		const struct geometry *g = &mappings_get(mappings, number)->geo;

		ret[n++] = (struct prefix){ g->out_base, g->out_plen };
	}
	for (int number = mappings_next_retired(mappings, 0); number >= 0;
	     number = mappings_next_retired(mappings, number + 1)) {
		const struct geometry *g = &mappings_get(mappings, number)->geo;

		ret[n++] = (struct prefix){ g->out_base, g->out_plen };
	}
	for (size_t i = 0; i < settings.n_bypass; i++) {
		const struct address_range *r = &settings.bypass[i];

		ret[n++] = (struct prefix){ r->first, (uint8_t)(1 + __builtin_clz((r->last - r->first) << 1 | 1)) };
	}
	return n;
}

void refresh_followed_routes(void)
{
	static struct prefix prefixes[MAX_MAPPINGS + MAX_BYPASS];

	if (followed)
		begin_copy(prefixes, excluded(prefixes));
}

struct fib_hop *told_hop(uint32_t addr)
{
	const struct fib_hop *hop = route_copy_hop(copy, addr);

	return &datapath.fib->hop[hop - datapath.fib->hop];
}
