// SPDX-License-Identifier: BSD-2-Clause
/* What the kernel routes out from interfaces without a role: "inside": ["*"], and indexes beyond the tables. */
#include <criterion/criterion.h>

#include "icmp_frame.h"

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

Test(anywhere, an_index_beyond_the_tables_is_no_other_interfaces)
{
	set_up_with(INSIDE_ANY, 0);
	inside_ifindex = MAX_IFINDEX + outside_ifindex;
	RUN_ROWS(translated);
}

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
	inside_ifindex = MAX_IFINDEX - 1;
	RUN_ROWS(guarded);
	inside_ifindex = MAX_IFINDEX;
	RUN_ROWS(translated);
	inside_ifindex = 70000;
	RUN_ROWS(translated);
	RUN_ROWS(others);
}

/* A router that no mapping covers tells of what a subscriber has received; the gateway tells it in its place. */
Test(anywhere, with_any_icmp_errors_are_known_by_what_they_quote)
{
#define ROUTERS(type_)                                                       \
	{                                                                    \
		SENT, .src = UNMAPPED, .dst = EXTERNAL, type_, 1, .quote = { \
			.src = EXTERNAL,                                     \
			.dst = SUBSCRIBER,                                   \
			UDP,                                                 \
			53,                                                  \
			7000,                                                \
			.payload = 20                                        \
		}                                                            \
	}
	static const struct icmp_row rows[] = {
		{ "host unreachable",
		  TC_OUTSIDE,
		  ROUTERS(3),
		  PASS_TC,
		  { SENT, .src = ADDR(198, 51, 100, 1), .dst = EXTERNAL, 3, 1,
		    .quote = { .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(7000, 2), .payload = 20 } },
		  REASON_icmp_error_translated },
		{ "no error", TC_OUTSIDE, ROUTERS(14), PASS_TC, {}, REASON_passed_untranslated },
	};

	set_up_with(INSIDE_ANY, 0);
	RUN_ROWS(translated);
	RUN_ICMP_ROWS(rows);
}

Test(anywhere, with_names_an_interface_without_a_role_is_guarded)
{
	set_up_with(INSIDE_NAMED, 0);
	RUN_ROWS(guarded);
	inside_ifindex = 70000;
	RUN_ROWS(guarded);
}

Test(anywhere, a_packet_back_from_another_outside_interface_is_not_taken_for_a_subscribers)
{
	set_up_with(INSIDE_ANY, 0);
	datapath.device[inside_ifindex].roles = DEVICE_OUTSIDE;
	RUN_ROWS(guarded);
}
