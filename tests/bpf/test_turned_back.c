// SPDX-License-Identifier: BSD-2-Clause
/* At the egress of an outside interface: what came by one and would leave by one again, and interfaces for both. */
#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(turned_back, .init = set_up, .fini = tear_down);

#define ROUTED .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER
#define PASSES PASS_TC, {}, REASON_passed_untranslated

static const struct row to_inside[] = {
	{ "to a subscriber whose route is gone",
	  TC_OUTSIDE,
	  { ROUTED, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000 },
	  DROP_TC,
	  {},
	  REASON_drop_unreachable },
};
static const struct row to_inside_passing[] = {
	{ "to a subscriber", TC_OUTSIDE, { ROUTED, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000 }, PASSES },
};
static const struct row to_others[] = {
	{ "to another", TC_OUTSIDE, { ROUTED, .src = EXTERNAL, .dst = ADDR(192, 0, 2, 7), UDP, 53, 5000 }, PASSES },
};

static void give_roles(uint8_t in, uint8_t out)
{
	datapath.device[inside_ifindex].roles = in;
	datapath.device[outside_ifindex].roles = out;
}

Test(turned_back, from_outside_to_outside)
{
	give_roles(DEVICE_OUTSIDE, DEVICE_OUTSIDE);
	RUN_ROWS(to_inside);
	RUN_ROWS(to_others);
}

Test(turned_back, an_interface_for_both_leads_to_subscribers_too)
{
	give_roles(DEVICE_OUTSIDE, DEVICE_INSIDE | DEVICE_OUTSIDE);
	RUN_ROWS(to_inside_passing);
	give_roles(DEVICE_INSIDE | DEVICE_OUTSIDE, DEVICE_INSIDE | DEVICE_OUTSIDE);
	RUN_ROWS(to_inside_passing);
	RUN_ROWS(to_others);
}

/* On a stick the kernel sends between inside addresses, and what this program has made is left alone. */
Test(turned_back, on_a_stick_inside_addresses_are_not_translated_among_each_other)
{
	static const struct row rows[] = {
		{ "between subscribers",
		  TC_OUTSIDE,
		  { ROUTED, .src = SUBSCRIBER, .dst = OTHER, UDP, 7000, 53 },
		  PASSES },
		{ "from the interface's own address",
		  TC_OUTSIDE,
		  { ROUTED, .src = ADDR(198, 51, 100, 1), .dst = EXTERNAL, UDP, 7000, 53 },
		  PASSES },
		{ "to the outside",
		  TC_OUTSIDE,
		  { ROUTED, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
		  PASS_TC,
		  { ROUTED, .src = POOL, .dst = EXTERNAL, UDP, OUT_PORT(7000, 2), 53 },
		  REASON_in2out_translated },
	};

	settings.unmatched = UNMATCHED_DROP;
	reload_settings();
	give_roles(DEVICE_INSIDE | DEVICE_OUTSIDE, DEVICE_INSIDE | DEVICE_OUTSIDE);
	RUN_ROWS(rows);
}

/* Of interfaces with one role each, what is routed between inside addresses by an outside interface is translated. */
Test(turned_back, a_subscriber_by_an_outside_interface)
{
	static const struct row rows[] = {
		{ "to another",
		  TC_OUTSIDE,
		  { ROUTED, .src = SUBSCRIBER, .dst = OTHER, UDP, 7000, 53 },
		  PASS_TC,
		  { ROUTED, .src = POOL, .dst = OTHER, UDP, OUT_PORT(7000, 2), 53 },
		  REASON_in2out_translated },
		{ "a link-local source",
		  TC_OUTSIDE,
		  { ROUTED, .src = ADDR(169, 254, 1, 1), .dst = EXTERNAL, UDP, 7000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "a link-local destination",
		  TC_OUTSIDE,
		  { ROUTED, .src = SUBSCRIBER, .dst = ADDR(169, 254, 1, 1), UDP, 7000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "a martian destination",
		  TC_OUTSIDE,
		  { ROUTED, .src = SUBSCRIBER, .dst = ADDR(240, 0, 0, 1), UDP, 7000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
}
