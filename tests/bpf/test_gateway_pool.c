// SPDX-License-Identifier: BSD-2-Clause
/* A pool address that is the gateway's own as well: what belongs to no session is for the kernel. Whole packets. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

static void set_up_own(void)
{
	set_up();
	cr_assert_eq(system("ip addr add 203.0.113.0/32 dev tout"), 0);
	datapath_raise_epoch(&datapath);
}

TestSuite(gateway_pool, .init = set_up_own, .fini = tear_down);

#define FROM_NET  .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL
#define UP	  PASS_XDP, {}, REASON_passed_untranslated

static const struct row from_outside[] = {
	{ "to a subscriber's port, of no session", XDP_OUTSIDE, { FROM_NET, UDP, 53, PORT_LO }, UP },
	{ "a segment", XDP_OUTSIDE, { FROM_NET, TCP, 53, PORT_LO, .flags = 16 }, UP },
	{ "to a port below all blocks", XDP_OUTSIDE, { FROM_NET, TCP, 4444, 443, .flags = 2 }, UP },
	{ "an echo request", XDP_OUTSIDE, { FROM_NET, ICMP, 77 }, UP },
	{ "of a protocol without ports", XDP_OUTSIDE, { FROM_NET, 47, .payload = 20 }, UP },
	{ "a first fragment", XDP_OUTSIDE, { FROM_NET, UDP, 53, 443, .payload = 24, .options = MORE_FRAGMENTS }, UP },
	{ "a later one", XDP_OUTSIDE, { FROM_NET, UDP, 53, 443, .payload = 24, .options = LATER_FRAGMENT }, UP },
	{ "with a TTL that runs out", XDP_OUTSIDE, { FROM_NET, UDP, 53, PORT_LO, .ttl = 1 }, UP },
};

Test(gateway_pool, from_outside_what_is_of_no_session_is_the_kernels)
{
	static const struct icmp_row errors[] = {
		{ "an error about what the gateway sent",
		  XDP_OUTSIDE,
		  { FROM_NET, 3, 1, .quote = { .src = POOL, .dst = EXTERNAL, UDP, 443, 53 } },
		  UP },
	};

	RUN_ROWS(from_outside);
	RUN_ICMP_ROWS(errors);
}

Test(gateway_pool, with_a_source_route_too)
{
	static const struct frame f = { FROM_NET, UDP, 53, PORT_LO, .ip_options = 8 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	frame_source_route(in);
	run_frame_counted("a source route", XDP_OUTSIDE, in, size, out, &out_size, PASS_XDP,
			  REASON_passed_untranslated);
	cr_expect(frame_equal("a source route", out, out_size, in, size));
}

Test(gateway_pool, a_packet_that_nobody_may_have_sent_is_still_dropped)
{
	static const struct row rows[] = {
		{ "a later fragment from a martian",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = POOL + 1,
		    UDP,
		    53,
		    443,
		    .payload = 24,
		    .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "from a pool address",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = POOL + 1,
		    .dst = POOL + 2,
		    UDP,
		    53,
		    443,
		    .payload = 24,
		    .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
}

Test(gateway_pool, from_inside_too_whether_or_not_there_are_hairpins)
{
	static const struct row rows[] = {
		{ "UDP", XDP_INSIDE, { FROM_HOST, UDP, 7000, 443 }, UP },
		{ "with a TTL that runs out", XDP_INSIDE, { FROM_HOST, UDP, 7000, 443, .ttl = 1 }, UP },
		{ "of a protocol without ports", XDP_INSIDE, { FROM_HOST, 47, .payload = 20 }, UP },
	};

	RUN_ROWS(rows);
	settings.hairpin = 0;
	reload_settings();
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

/* The sender's session dates from before. */
Test(gateway_pool, an_address_that_becomes_the_gateway_s, .init = set_up)
{
	static const struct row before[] = {
		{ "to nobody", XDP_INSIDE, { FROM_HOST, UDP, 7000, 443 }, DROP_XDP, {}, REASON_drop_no_session },
	};
	static const struct row after[] = {
		{ "to the gateway", XDP_INSIDE, { FROM_HOST, UDP, 7000, 443 }, UP },
	};

	RUN_ROWS(before);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	cr_assert_eq(system("ip addr add 203.0.113.0/32 dev tout"), 0);
	datapath_raise_epoch(&datapath);
	RUN_ROWS(after);
}
