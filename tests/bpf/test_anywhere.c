// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel routes out from interfaces without a role: "inside": ["*"], and indexes beyond the tables. */
#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(anywhere, .fini = tear_down);

/* Interfaces of subscribers have no role. */
static void set_up_with(enum inside_from from, uint32_t ifindex)
{
	settings.inside_from = (uint8_t)from;
	settings.guard = 1;
	set_up();
	datapath.device[inside_ifindex].roles = 0;
	if (ifindex)
		inside_ifindex = ifindex;
}

#define SENT .from = GATEWAY_OUT, .to = ROUTER

static const struct row translated[] = {
	{ "a mapped source is translated",
	  TC_OUTSIDE,
	  { SENT, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53, .ttl = 9 },
	  PASS_TC,
	  { SENT, .src = POOL, .dst = EXTERNAL, UDP, OUT_PORT(7000, 2), 53, .ttl = 9 },
	  REASON_in2out_translated },
};

static const struct row others[] = {
	{ "another source is none of detnat's business",
	  TC_OUTSIDE,
	  { SENT, .src = UNMAPPED, .dst = EXTERNAL, UDP, 7000, 53 },
	  PASS_TC,
	  {},
	  REASON_passed_untranslated },
	{ "what the gateway itself sends is not translated",
	  TC_OWN,
	  { SENT, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
	  PASS_TC,
	  {},
	  REASON_passed_untranslated },
};

static const struct row guarded[] = {
	{ "a mapped source does not leave",
	  TC_OUTSIDE,
	  { SENT, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
	  DROP_TC,
	  {},
	  REASON_drop_guard_out },
};

Test(anywhere, with_any_the_source_decides)
{
	set_up_with(INSIDE_ANY, 0);
	RUN_ROWS(translated);
	RUN_ROWS(others);
}

Test(anywhere, with_any_an_index_beyond_the_tables_is_as_good)
{
	set_up_with(INSIDE_ANY, 70000);
	RUN_ROWS(translated);
}

Test(anywhere, with_a_pattern_only_an_index_beyond_the_tables_is_taken_for_inside)
{
	set_up_with(INSIDE_BEYOND, 0);
	RUN_ROWS(guarded);
	inside_ifindex = 70000;
	RUN_ROWS(translated);
	RUN_ROWS(others);
}

Test(anywhere, with_names_an_interface_without_a_role_is_guarded)
{
	set_up_with(INSIDE_NAMED, 0);
	RUN_ROWS(guarded);
	inside_ifindex = 70000;
	RUN_ROWS(guarded);
}

Test(anywhere, what_comes_back_from_another_outside_interface_is_not_taken_for_a_subscribers)
{
	set_up_with(INSIDE_ANY, 0);
	datapath.device[inside_ifindex].roles = DEVICE_OUTSIDE;
	RUN_ROWS(guarded);
}
