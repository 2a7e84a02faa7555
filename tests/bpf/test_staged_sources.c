// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sources of packets from outside that need no session, in two stages as in one: stage 2 cannot ask the kernel. Whole
 * packets are compared.
 */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "portmap_fixture.h"
#include "staged.h"
#include "told_routes.h"

static void set_up_single(void)
{
	settings.outside_filter = 1;
	portmap_set_up();
	follow_routes();
}

static void set_up_staged(void)
{
	setenv("STAGES", "2", 1);
	settings.outside_filter = 1;
	portmap_set_up();
}

TestSuite(staged_sources, .init = set_up_staged, .fini = portmap_tear_down);
TestSuite(single_sources, .init = set_up_single, .fini = portmap_tear_down);

#define SYN(src_) .src = src_, .dst = POOL, TCP, 5060, CAM, .flags = 2, .payload = 30
#define OURS	  ADDR(192, 0, 2, 77) /* in a prefix that is the gateway's own as a whole */

static void use(const char *commands)
{
	cr_assert_eq(system(commands), 0);
	datapath_raise_epoch(&datapath);
	map_port(TCP, SUBSCRIBER, 8443, CAM);
	refresh_followed_routes();
}

static void expect_no_own_prefix(void)
{
	static const struct row rows[] = {
		{ "from it", XDP_OUTSIDE, { .from = ROUTER, .to = GATEWAY_OUT, SYN(OURS) }, DROPPED(drop_martian) },
	};

	use("ip route add local 192.0.2.64/26 dev lo");
	RUN_ROWS(rows);
}

Test(staged_sources, an_address_of_a_prefix_that_is_the_gateways_own_is_none)
{
	expect_no_own_prefix();
}

Test(single_sources, an_address_of_a_prefix_that_is_the_gateways_own_is_none)
{
	expect_no_own_prefix();
}

/* Several next hops of one interface: the kernel's filter takes either. */
static void expect_multipath(void)
{
	static const struct row rows[] = {
		{ "a SYN from behind one of the routers",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, SYN(ADDR(192, 0, 2, 9)) },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = ADDR(192, 0, 2, 9),
		    .dst = SUBSCRIBER,
		    TCP,
		    5060,
		    8443,
		    .flags = 2,
		    .payload = 30 },
		  REASON_out2in_translated },
	};

	datapath.device[outside_ifindex].rp_filter = 1;
	use("ip route replace default nexthop via 198.51.100.7 nexthop via 198.51.100.8");
	RUN_ROWS(rows);
}

Test(single_sources, sources_of_a_multipath_route_pass_a_strict_filter)
{
	expect_multipath();
}

Test(staged_sources, sources_of_a_multipath_route_pass_a_strict_filter)
{
	expect_multipath();
}

#define OWN_IN	ADDR(10, 0, 0, 32)
#define OWN_OUT ADDR(203, 0, 113, 80)
#define LEFT	ADDR(172, 16, 0, 9)

/* To an open address: the source has sessions in a mapping that drains, and is in none. */
static void expect_no_left_over(void)
{
	static const struct prefix in = { ADDR(172, 16, 0, 0), 24 }, out = { ADDR(203, 0, 113, 96), 30 };
	static const struct row rows[] = {
		{ "from it",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = LEFT, .dst = OWN_OUT, UDP, 53, 5000, .payload = 30 },
		  DROPPED(drop_martian) },
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN_OUT, UDP, 53, 5000, .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = OWN_IN,
		    UDP,
		    53,
		    5000,
		    .payload = 30 },
		  REASON_out2in_translated },
	};
	struct mapping_spec open = { .in = { OWN_IN, 32 },
				     .out = { OWN_OUT, 32 },
				     .open = true,
				     .sessions_per_user = 100 },
			    left = { .in = in, .out = out, .session_slots = 64, .sessions_per_user = 100 };

	for (int i = 0; i < N_TIMEOUTS; i++)
		open.timeout_ticks[i] = left.timeout_ticks[i] = 10000;
	settings.drains = settings.open_mappings = 1;
	reload_settings();
	make_mapping(&open, NULL);
	make_mapping(&left, NULL);
	cr_assert_eq(system("ip route add 172.16.0.0/24 via 10.0.0.3"), 0);
	datapath_raise_epoch(&datapath);
	refresh_followed_routes();
	cr_assert_geq(open_flow_of(LEFT, UDP, 5000, 53, 0), 0);
	cr_assert_eq(mappings_retire(mappings, in, out, 600), 0);
	refresh_followed_routes();
	RUN_ROWS(rows);
}

Test(single_sources, subscribers_of_a_draining_mapping_are_no_sources)
{
	expect_no_left_over();
}

Test(staged_sources, subscribers_of_a_draining_mapping_are_no_sources)
{
	expect_no_left_over();
}
