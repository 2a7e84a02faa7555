// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors that a router inside, in no mapping, sends to pool addresses. Whole packets are compared. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

TestSuite(icmp_routers, .init = set_up, .fini = tear_down);

#define A_PORT	    OUT_PORT(7000, 2)
#define B_PORT	    OUT_PORT(8000, 3)
#define FROM_ROUTER .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST

/* As it reports about what left: to whom the packet seems to come from. */
Test(icmp_routers, about_what_left_is_as_from_a_router_outside)
{
	static const struct icmp_row rows[] = {
		{ "about a session",
		  XDP_INSIDE,
		  { FROM_ROUTER, 11, 0, .quote = { .src = POOL, .dst = EXTERNAL, UDP, A_PORT, 53 } },
		  REDIRECT_XDP,
		  { TO_HOST, .src = UNMAPPED, .dst = SUBSCRIBER, 11, 0,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 } },
		  REASON_icmp_error_translated },
		{ "about none",
		  XDP_INSIDE,
		  { FROM_ROUTER, 11, 0, .quote = { .src = POOL, .dst = EXTERNAL, UDP, A_PORT, 54 } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	static const struct icmp_row forged[] = {
		{ "about a session, with a source that is not inside",
		  XDP_INSIDE,
		  { FROM_ROUTER, 11, 0, .quote = { .src = POOL, .dst = EXTERNAL, UDP, A_PORT, 53 } },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
	};

	cr_assert_eq(open_flow(UDP, 7000, 53, 0), A_PORT);
	RUN_ICMP_ROWS(forged);
	cr_assert_eq(system("ip route add 10.0.9.0/24 via 10.0.0.2"), 0);
	datapath_raise_epoch(&datapath);
	RUN_ICMP_ROWS(rows);
}

static const struct row hairpin[] = {
	{ "A calls B, who has no session",
	  XDP_INSIDE,
	  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
	  DROP_XDP,
	  {},
	  REASON_drop_no_session },
	{ "B calls A",
	  XDP_INSIDE,
	  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT },
	  REDIRECT_XDP,
	  { TO_HOST, .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 },
	  REASON_hairpin_translated },
};

/* One interface for both sides: the quote tells that it is about a hairpin. */
Test(icmp_routers, about_a_hairpin_on_a_stick)
{
	static const struct icmp_row rows[] = {
		{ "on its way to A",
		  XDP_BOTH,
		  { FROM_ROUTER, 11, 0, .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  REDIRECT_XDP,
		  { TO_HOST, .src = ADDR(10, 0, 0, 1), .dst = OTHER, 11, 0,
		    .quote = { .src = OTHER, .dst = POOL, UDP, 8000, A_PORT } },
		  REASON_icmp_error_translated },
		{ "between pool addresses, where no router is",
		  XDP_BOTH,
		  { FROM_ROUTER, 11, 0, .quote = { .src = POOL, .dst = POOL, UDP, B_PORT, A_PORT } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	RUN_ROWS(hairpin);
	RUN_ICMP_ROWS(rows);
}
