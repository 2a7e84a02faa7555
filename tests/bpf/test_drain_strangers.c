// SPDX-License-Identifier: BSD-2-Clause
/* Addresses in no mapping any more, whose sessions drain: they are inside addresses still, shut to the outside. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "drain_fixture.h"
#include "told_routes.h"

TestSuite(drain_strangers, .init = drain_set_up, .fini = tear_down);

static const struct prefix own = { SUBSCRIBER, 32 }, own_out = { OWN_OUT, 32 };

#define TO_GATEWAY .from = ROUTER, .to = GATEWAY_OUT
#define SESSION	   OUT_PORT(5000, 2)

static void retire(void)
{
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), SESSION);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
}

Test(drain_strangers, nothing_comes_straight_to_such_an_address_or_from_it)
{
	static const struct row rows[] = {
		{ "to the address",
		  XDP_OUTSIDE,
		  { TO_GATEWAY, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "from it, to nobody",
		  XDP_OUTSIDE,
		  { TO_GATEWAY, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "from it, to a pool address",
		  XDP_OUTSIDE,
		  { TO_GATEWAY, .src = OTHER, .dst = POOL, UDP, 53, SESSION },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "neither: untranslated",
		  XDP_OUTSIDE,
		  { TO_GATEWAY, .src = EXTERNAL, .dst = UNMAPPED, UDP, 53, 5000 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};
	static const struct icmp_row errors[] = {
		{ "an ICMP error from it",
		  XDP_OUTSIDE,
		  { TO_GATEWAY, .src = OTHER, .dst = POOL, 11, 0,
		    .quote = { .ttl = 1, .src = POOL, .dst = EXTERNAL, UDP, SESSION, 53, .payload = 20 } },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	retire();
	RUN_ROWS(rows);
	RUN_ICMP_ROWS(errors);
}

Test(drain_strangers, on_one_interface_both_sides_are_told_apart)
{
	static const struct row rows[] = {
		{ "out as before",
		  XDP_BOTH,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL, UDP, SESSION, 53 },
		  REASON_in2out_translated },
		{ "in as before",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = POOL, UDP, 53, SESSION },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000 },
		  REASON_out2in_translated },
		{ "straight to such an address",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = OTHER, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};

	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	retire();
	RUN_ROWS(rows);
}

/* Without sessions nothing tells whose they are. */
Test(drain_strangers, protocols_without_ports_pass_no_more)
{
#define GRE(...)                                                                                                    \
	{                                                                                                           \
		"GRE", XDP_OUTSIDE, { TO_GATEWAY, .src = EXTERNAL, .dst = OWN_OUT, 47, .payload = 20 }, __VA_ARGS__ \
	}
	static const struct row before[] = {
		GRE(REDIRECT_XDP,
		    { .ttl = 63,
		      .from = GATEWAY_IN,
		      .to = HOST,
		      .src = EXTERNAL,
		      .dst = SUBSCRIBER,
		      47,
		      .payload = 20 },
		    REASON_out2in_translated),
	};
	static const struct row after[] = { GRE(DROP_XDP, {}, REASON_drop_protocol) };

	drain_add(own, own_out, 64, 1000, &(struct mapping_handover){ 0 });
	RUN_ROWS(before);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), 1024 + 5000);
	cr_assert_eq(mappings_retire(mappings, own, own_out, 600), 0);
	RUN_ROWS(after);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), 1024 + 5000);
}

/* An error from inside, of a sender without a mapping: one program took it for a hairpin's, the other for no hairpin's.
 */
Test(drain_strangers, an_error_about_no_session_of_such_an_address_is_dropped_at_once)
{
	static const struct icmp_row rows[] = {
		{ "from a router inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = ADDR(192, 0, 3, 9),
		    .dst = POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = OTHER, UDP, SESSION, 53, .payload = 20 } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	cr_assert_eq(system("ip route add 192.0.3.0/24 via 10.0.0.3"), 0);
	retire();
	datapath_raise_epoch(&datapath);
	refresh_followed_routes();
	RUN_ICMP_ROWS(rows);
}
