/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases that no agent has deleted. Whole packets are compared. */
#include <criterion/criterion.h>

#include "portmap_fixture.h"

TestSuite(portmap_leases, .init = portmap_set_up, .fini = portmap_tear_down);

#define IN_PORT 3074
#define COMES                                             \
	{                                                 \
		FROM_ROUTER, UDP, 5555, CAM, .payload = 7 \
	}
#define LEAVES                                              \
	{                                                   \
		FROM_HOST, UDP, IN_PORT, 5555, .payload = 9 \
	}
#define WAS_OVER ((int64_t)LEASE_LEFT_S + 60)

static const struct row by_lease[] = {
	{ "in",
	  XDP_OUTSIDE,
	  COMES,
	  REDIRECT_XDP,
	  { TO_HOST, UDP, 5555, IN_PORT, .payload = 7 },
	  REASON_out2in_translated },
	{ "out",
	  XDP_INSIDE,
	  LEAVES,
	  REDIRECT_XDP,
	  { TO_ROUTER, UDP, CAM, 5555, .payload = 9 },
	  REASON_in2out_translated },
};

Test(portmap_leases, one_whose_agent_is_away_runs_on_for_an_hour)
{
	static const int64_t left[] = { 86400, 1, 0, -60, -(int64_t)LEASE_LEFT_S + 60 };

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		lease_port(UDP, SUBSCRIBER, IN_PORT, CAM, left[i]);
		run_rows(by_lease, ARRAY_SIZE(by_lease));
	}
}

Test(portmap_leases, after_that_its_port_is_shut_and_its_host_opens_sessions)
{
	static const struct row rows[] = {
		{ "in", XDP_OUTSIDE, COMES, DROPPED(drop_no_session) },
		{ "out, by a session on the port of the plan",
		  XDP_INSIDE,
		  LEAVES,
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(IN_PORT, 2), 5555, .payload = 9 },
		  REASON_in2out_translated },
		{ "in, to the session",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 5555, OUT_PORT(IN_PORT, 2), .payload = 7 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 5555, IN_PORT, .payload = 7 },
		  REASON_out2in_translated },
		{ "in, to the port of the lease", XDP_OUTSIDE, COMES, DROPPED(drop_no_session) },
	};

	lease_port(UDP, SUBSCRIBER, IN_PORT, CAM, -WAS_OVER);
	run_rows(rows, ARRAY_SIZE(rows));
	/* As it is renewed, it is in force again, and the session with that peer goes on. */
	lease_port(UDP, SUBSCRIBER, IN_PORT, CAM, 600);
	run_rows(by_lease, 1);
}

Test(portmap_leases, portmaps_of_the_configuration_never_end)
{
	map_port(UDP, SUBSCRIBER, IN_PORT, CAM);
	run_rows(by_lease, ARRAY_SIZE(by_lease));
}

Test(portmap_leases, a_neighbour_does_not_reach_it_either)
{
	static const struct row rows[] = {
		{ "a hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 4000, CAM },
		  DROPPED(drop_no_session) },
	};

	lease_port(UDP, SUBSCRIBER, IN_PORT, CAM, -WAS_OVER);
	run_rows(rows, ARRAY_SIZE(rows));
}
