// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mappings that drain: sessions go on with their outside endpoints, in both directions, while new ones are opened in
 * the mapping that has the addresses now, or nowhere. Whole packets are compared.
 */
#include <criterion/criterion.h>

#include "drain_fixture.h"

TestSuite(drain, .init = drain_set_up, .fini = tear_down);

Test(drain, leaves_sessions_their_outside_endpoints_both_ways)
{
	const struct row before[] = {
		{ "an echo request",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 77, .payload = 30 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), ICMP, OUT_PORT(77, 2), .payload = 30 },
		  REASON_in2out_translated },
	};
	const struct row rows[] = {
		{ "out as before",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(5000, 2), 53, .payload = 20 },
		  REASON_in2out_translated },
		{ "in as before",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(5000, 2), .payload = 9 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 5000, .payload = 9 },
		  REASON_out2in_translated },
		{ "TCP out as before",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6000, 80, .flags = 16, .payload = 30 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), TCP, OUT_PORT(6000, 2), 80, .flags = 16, .payload = 30 },
		  REASON_in2out_translated },
		{ "an echo request as before",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 77, .payload = 30 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), ICMP, OUT_PORT(77, 2), .payload = 30 },
		  REASON_in2out_translated },
		{ "a new session has the new address and port",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { LEAVES(NEW_POOL), UDP, NEW_PORT(5001, 2), 53, .payload = 20 },
		  REASON_in2out_translated },
		{ "and is answered there",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .dst = NEW_POOL, UDP, 53, NEW_PORT(5001, 2), .payload = 5 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 5001, .payload = 5 },
		  REASON_out2in_translated },
		{ "and goes on",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { LEAVES(NEW_POOL), UDP, NEW_PORT(5001, 2), 53, .payload = 20 },
		  REASON_in2out_translated },
		{ "the old inside port to another destination is new",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 54 },
		  REDIRECT_XDP,
		  { LEAVES(NEW_POOL), UDP, NEW_PORT(5000, 2), 54 },
		  REASON_in2out_translated },
		{ "by tc as before",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 20 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(5000, 2),
		    53,
		    .payload = 20 },
		  REASON_in2out_translated },
		{ "by tc a new session",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 5002, 53, .payload = 20 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = NEW_POOL,
		    .dst = EXTERNAL,
		    UDP,
		    NEW_PORT(5002, 2),
		    53,
		    .payload = 20 },
		  REASON_in2out_translated },
		{ "nothing is opened from outside",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(5001, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_assert_eq(open_flow(TCP, 6000, 80, 2), OUT_PORT(6000, 2));
	RUN_ROWS(before);
	renumber();
	RUN_ROWS(rows);
}

Test(drain, the_drain_of_a_deleted_mapping_lets_sessions_go_on_and_opens_none)
{
	const struct row rows[] = {
		{ "out as before",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(5000, 2), 53, .payload = 20 },
		  REASON_in2out_translated },
		{ "in as before",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(5000, 2), .payload = 9 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 5000, .payload = 9 },
		  REASON_out2in_translated },
		{ "a new session is of no mapping",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5001, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "another subscriber's, too",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = EXTERNAL, UDP, 5001, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "and so is a protocol without ports",
		  XDP_INSIDE,
		  { FROM_HOST, 47, .payload = 20 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "by tc as before",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 20 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(5000, 2),
		    53,
		    .payload = 20 },
		  REASON_in2out_translated },
		{ "by tc nothing new", TC_OUTSIDE, { FROM_HOST, UDP, 5001, 53 }, DROP_TC, {}, REASON_drop_no_mapping },
	};

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	RUN_ROWS(rows);
}

Test(drain, passes_new_sessions_of_a_deleted_mapping_untranslated_where_unmatched_says_so)
{
	const struct row rows[] = {
		{ "out as before",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { LEAVES(POOL), UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
		{ "a new one", XDP_INSIDE, { FROM_HOST, UDP, 5001, 53 }, PASS_XDP, {}, REASON_passed_untranslated },
		{ "a later fragment of a datagram that was not translated",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, .payload = 24, .options = LATER_FRAGMENT | NO_UDP_CHECKSUM },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	settings.unmatched = UNMATCHED_ROUTE;
	reload_settings();
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	RUN_ROWS(rows);
}

Test(drain, the_drain_of_a_drain_keeps_the_sessions_of_both)
{
	const struct prefix third = { ADDR(203, 0, 113, 128), 30 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	renumber();
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	drain_add(all, third, 64, 1000, &(struct mapping_handover){ true, new_out, 600 });
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), OUT_PORT(5002, 2));
}

Test(drain, ends_when_the_mapping_is_taken_into_use_again)
{
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	renumber();
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	cr_assert_eq(mappings_revive(mappings, all, old_out, &(struct mapping_handover){ true, new_out, 600 }), 0);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), OUT_PORT(5002, 2));
}

Test(drain, counts_sessions_of_both_against_the_quota)
{
	for (uint16_t i = 0; i < 6; i++)
		cr_assert_eq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), OUT_PORT(5000 + i, 2));
	drain_add(all, new_out, 64, 8, &(struct mapping_handover){ true, old_out, 600 });
	cr_expect_eq(open_flow(UDP, 6000, 53, 0), NEW_PORT(6000, 2));
	cr_expect_eq(open_flow(UDP, 6001, 53, 0), NEW_PORT(6001, 2));
	cr_expect_eq(open_flow(UDP, 6002, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2), "sessions from before go on at the quota");
	cr_expect_eq(open_flow(UDP, 6000, 53, 0), NEW_PORT(6000, 2));
}

Test(drain, counts_sessions_of_all_that_drain_against_the_quota)
{
	for (uint16_t i = 0; i < 3; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), 0);
	renumber();
	for (uint16_t i = 0; i < 3; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(6000 + i), 53, 0), 0);
	drain_add(all, (struct prefix){ ADDR(203, 0, 113, 128), 28 }, 64, 7,
		  &(struct mapping_handover){ true, new_out, 600 });
	cr_expect_geq(open_flow(UDP, 7000, 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 7001, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
}

Test(drain, gives_a_connection_that_is_opened_anew_the_new_address)
{
	cr_assert_eq(open_flow(TCP, 6000, 80, 2), OUT_PORT(6000, 2));
	/* Both close. */
	open_flow(TCP, 6000, 80, 0x11);
	renumber();
	cr_expect_eq(open_flow(TCP, 6000, 80, 0x10), OUT_PORT(6000, 2));
	cr_expect_eq(open_flow(TCP, 6001, 80, 2), NEW_PORT(6001, 2));
}

Test(drain, keeps_sessions_that_the_subscriber_goes_on_to_use)
{
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	renumber();
	for (int i = 0; i < 3; i++) {
		age_sessions(SUBSCRIBER, 200);
		cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2), "packet %d", i);
	}
	age_sessions(SUBSCRIBER, 400);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), NEW_PORT(5000, 2), "one that has expired is opened anew");
}

Test(drain, survives_the_agent)
{
	const struct mapping_drain *drain;
	uint32_t left;

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	renumber();
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	start_again();
	cr_assert_eq(mappings_drains(mappings, &drain), 1);
	left = mapping_drain_left(drain);
	cr_expect(left > 500 && left <= 600, "%u seconds are left", left);
	cr_expect(mappings_is_retired(mappings, drain->number));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), NEW_PORT(5002, 2));
}

static void sweep(void)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000, NULL, NULL) > 0)
		;
	session_sweep_free(s);
}

Test(drain, is_over_when_its_last_session_has_ended)
{
	const struct mapping_drain *drain;

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), OUT_PORT(5001, 2));
	renumber();
	cr_assert_eq(mappings_drains(mappings, &drain), 1);
	cr_expect_not(mapping_drain_over(drain), "no sweep has counted");
	sweep();
	cr_expect_eq(drain->sessions, 2);
	cr_expect_not(mapping_drain_over(drain));
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, 5000 },
				       (struct endpoint){ EXTERNAL, 53 }, UDP),
		     1);
	sweep();
	cr_expect_eq(drain->sessions, 1);
	cr_assert_eq(sessions_close_out(mappings, (struct endpoint){ POOL, OUT_PORT(5001, 2) },
					(struct endpoint){ EXTERNAL, 53 }, UDP),
		     1);
	sweep();
	cr_expect(mapping_drain_over(drain));
	cr_assert_eq(mappings_del_of(mappings, 0, all, old_out), 0);
	cr_expect_eq(mappings_drains(mappings, &drain), 0);
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), NEW_PORT(5002, 2));
}
