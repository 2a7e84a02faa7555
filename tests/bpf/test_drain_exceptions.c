// SPDX-License-Identifier: BSD-2-Clause
/* Drains of exceptions and of the mappings around them. */
#include <criterion/criterion.h>

#include "drain_fixture.h"

TestSuite(drain_exceptions, .init = drain_set_up, .fini = tear_down);

Test(drain_exceptions, the_drain_of_addresses_that_an_exception_takes_leaves_the_others_alone)
{
	const struct row rows[] = {
		{ "the exception's session from before",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
		{ "its answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(5000, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 5000 },
		  REASON_out2in_translated },
		{ "a new session of its own",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { LEAVES(OWN_OUT), UDP, 1024 + 5001, 53 },
		  REASON_in2out_translated },
		{ "a neighbour's new session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = EXTERNAL, UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(5001, 3), 53 },
		  REASON_in2out_translated },
	};

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	drain_add((struct prefix){ SUBSCRIBER, 32 }, (struct prefix){ OWN_OUT, 32 }, 64, 1000,
		  &(struct mapping_handover){ .drain_s = 600 });
	RUN_ROWS(rows);
	/* Back again: what the exception has opened drains, and the others are the mapping's own. */
	cr_assert_eq(mappings_retire(mappings, (struct prefix){ SUBSCRIBER, 32 }, (struct prefix){ OWN_OUT, 32 }, 600),
		     0);
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), 1024 + 5001);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), OUT_PORT(5002, 2));
}

static void expect_sessions_of_the_exception(const char *when)
{
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2), "%s: of the mapping around", when);
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), 1024 + 5001, "%s: of the exception", when);
}

Test(drain_exceptions, the_drain_of_an_exception_goes_on_while_the_mapping_around_is_replaced_and_returns)
{
	const struct prefix own = { SUBSCRIBER, 32 }, own_out = { OWN_OUT, 32 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	drain_add(own, own_out, 64, 1000, &(struct mapping_handover){ .drain_s = 600 });
	expect_sessions_of_the_exception("before");
	renumber();
	expect_sessions_of_the_exception("replaced");
	cr_assert_eq(mappings_revive(mappings, all, old_out, &(struct mapping_handover){ true, new_out, 600 }), 0);
	expect_sessions_of_the_exception("returned");
	start_again();
	expect_sessions_of_the_exception("after a restart");
}

Test(drain_exceptions, the_drain_of_an_exception_goes_on_when_one_around_it_is_deleted)
{
	const struct prefix own = { SUBSCRIBER, 32 }, own_out = { OWN_OUT, 32 };
	const struct prefix few = { SUBSCRIBER & ~7U, 29 }, few_out = { NEW_POOL, 32 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	drain_add(few, few_out, 64, 1000, &(struct mapping_handover){ .drain_s = 600 });
	drain_add(own, own_out, 64, 1000, &(struct mapping_handover){ .drain_s = 600 });
	expect_sessions_of_the_exception("before");
	cr_assert_eq(mappings_retire(mappings, few, few_out, 600), 0);
	expect_sessions_of_the_exception("deleted");
}

/* Of the second outside address, which its number in the exception's mapping does not lead to. */
#define SEVENTIETH ADDR(10, 0, 0, 70)

Test(drain_exceptions, the_drain_of_an_exception_keeps_the_outside_address_of_the_mapping_around)
{
	const struct row rows[] = {
		{ "before and while it drains",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SEVENTIETH, .dst = EXTERNAL, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { LEAVES(POOL + 1), UDP, OUT_PORT(5000, 6), 53 },
		  REASON_in2out_translated },
		{ "by tc",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SEVENTIETH, .dst = EXTERNAL, UDP, 5000, 53 },
		  PASS_TC,
		  { .from = HOST, .to = GATEWAY_IN, .src = POOL + 1, .dst = EXTERNAL, UDP, OUT_PORT(5000, 6), 53 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
	drain_add((struct prefix){ SEVENTIETH, 32 }, (struct prefix){ OWN_OUT, 32 }, 64, 1000,
		  &(struct mapping_handover){ .drain_s = 600 });
	RUN_ROWS(rows);
}
