// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mappings that drain: sessions go on with their outside endpoints, in both directions, while new ones are opened in
 * the mapping that has the addresses now, or nowhere. Whole packets are compared.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "staged.h"

static void drain_set_up(void);

TestSuite(drain, .init = drain_set_up, .fini = tear_down);

#define NEW_POOL ADDR(203, 0, 113, 64)
/* In place of the fixture's mapping: four times the ports. */
#define NEW_PORTS	     4032
#define NEW_PORT(in_port, n) (1024 + NEW_PORTS * ((n)&15) + (in_port) % NEW_PORTS)
#define OWN_OUT		     ADDR(203, 0, 113, 200)
static const struct prefix all = { ADDR(10, 0, 0, 0), 24 }, old_out = { POOL, 30 }, new_out = { NEW_POOL, 28 };

#define FROM_HOST	 .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define LEAVES(out_addr) .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = out_addr, .dst = EXTERNAL
#define TO_ROUTER	 .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .dst = EXTERNAL
#define FROM_ROUTER	 .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL
#define TO_HOST		 .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

static void drain_set_up(void)
{
	settings.drains = 1;
	set_up();
}

static uint32_t quota = 1000;

static void add(struct prefix in, struct prefix out, const struct mapping_handover *how)
{
	struct mapping_spec spec = { .in = in, .out = out, .sessions_per_user = quota, .session_slots = 64 };
	struct mapping_job *job;
	struct error err;
	int r;

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(300, datapath.hz);
	cr_assert_eq(mappings_add_begin(mappings, &spec, &job, &err), 0, "%s", err.text);
	while ((r = mappings_add_step(job, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_add_commit_with(job, how), 0);
}

/* What an agent finds that starts after another was killed. */
static void start_again(void)
{
	struct error err;

	mappings_close(mappings);
	datapath.reused = true;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
}

static void renumber(void)
{
	add(all, new_out, &(struct mapping_handover){ true, old_out, 600 });
}

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

Test(drain, of_a_deleted_mapping_lets_sessions_go_on_and_opens_none)
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

Test(drain, of_addresses_that_an_exception_takes_leaves_the_others_alone)
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
	add((struct prefix){ SUBSCRIBER, 32 }, (struct prefix){ OWN_OUT, 32 },
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

Test(drain, of_an_exception_goes_on_while_the_mapping_around_is_replaced_and_returns)
{
	const struct prefix own = { SUBSCRIBER, 32 }, own_out = { OWN_OUT, 32 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	add(own, own_out, &(struct mapping_handover){ .drain_s = 600 });
	expect_sessions_of_the_exception("before");
	renumber();
	expect_sessions_of_the_exception("replaced");
	cr_assert_eq(mappings_revive(mappings, all, old_out, &(struct mapping_handover){ true, new_out, 600 }), 0);
	expect_sessions_of_the_exception("returned");
	start_again();
	expect_sessions_of_the_exception("after a restart");
}

Test(drain, of_an_exception_goes_on_when_one_around_it_is_deleted)
{
	const struct prefix own = { SUBSCRIBER, 32 }, own_out = { OWN_OUT, 32 };
	const struct prefix few = { SUBSCRIBER & ~7U, 29 }, few_out = { NEW_POOL, 32 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	add(few, few_out, &(struct mapping_handover){ .drain_s = 600 });
	add(own, own_out, &(struct mapping_handover){ .drain_s = 600 });
	expect_sessions_of_the_exception("before");
	cr_assert_eq(mappings_retire(mappings, few, few_out, 600), 0);
	expect_sessions_of_the_exception("deleted");
}

Test(drain, of_a_drain_keeps_the_sessions_of_both)
{
	const struct prefix third = { ADDR(203, 0, 113, 128), 30 };

	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	renumber();
	cr_assert_eq(open_flow(UDP, 5001, 53, 0), NEW_PORT(5001, 2));
	add(all, third, &(struct mapping_handover){ true, new_out, 600 });
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
	quota = 8;
	renumber();
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
	quota = 7;
	add(all, (struct prefix){ ADDR(203, 0, 113, 128), 28 }, &(struct mapping_handover){ true, new_out, 600 });
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

/* Of the second outside address, which its number in the exception's mapping does not lead to. */
#define SEVENTIETH ADDR(10, 0, 0, 70)

Test(drain, of_an_exception_keeps_the_outside_address_of_the_mapping_around)
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
	add((struct prefix){ SEVENTIETH, 32 }, (struct prefix){ OWN_OUT, 32 },
	    &(struct mapping_handover){ .drain_s = 600 });
	RUN_ROWS(rows);
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
#define FLOWS 9

static uint16_t overflowing(unsigned flow)
{
	return (uint16_t)(6304 + flow * PORTS);
}

Test(drain, keeps_sessions_beyond_the_slots)
{
	const struct endpoint in = { SUBSCRIBER, overflowing(FLOWS - 1) }, ext = { EXTERNAL, 53 };
	int port[FLOWS];

	for (unsigned i = 0; i < FLOWS; i++)
		port[i] = open_flow(UDP, overflowing(i), 53, 0);
	cr_assert_eq(datapath.global->overflow, 1);
	renumber();
	/* The new mapping's subscriber has one there as well, so that the map is asked for it, too. */
	for (unsigned i = 0; i < FLOWS; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(6305 + i * NEW_PORTS), 53, 0), 0);
	cr_assert_eq(datapath.global->overflow, 2);
	for (unsigned i = 0; i < FLOWS; i++)
		cr_expect_eq(open_flow(UDP, overflowing(i), 53, 0), port[i], "session %u", i);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2 * FLOWS);
	cr_expect_eq(sessions_close_in(mappings, in, ext, UDP), 1);
	cr_expect_eq(datapath.global->overflow, 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2 * FLOWS - 1);
}

#define A_PORT OUT_PORT(7000, 2)
#define B_PORT OUT_PORT(8000, 3)
#define HAIRPIN(name_, from_, to_, in_port_, dst_, dst_port_, src_, src_port_, to_port_)                         \
	{                                                                                                        \
		name_, XDP_INSIDE,                                                                               \
			{ .from = HOST, .to = GATEWAY_IN, .src = from_, .dst = dst_, UDP, in_port_, dst_port_ }, \
			REDIRECT_XDP,                                                                            \
			{ .from = GATEWAY_IN,                                                                    \
			  .to = HOST,                                                                            \
			  .src = src_,                                                                           \
			  .dst = to_,                                                                            \
			  UDP,                                                                                   \
			  src_port_,                                                                             \
			  to_port_,                                                                              \
			  .ttl = 63 },                                                                           \
			REASON_hairpin_translated                                                                \
	}

static void open_hairpin(void)
{
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(
		&(struct frame){ .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
		frame);

	run_frame(XDP_INSIDE, frame, size, out, &size);
}

Test(drain, keeps_hairpins_with_both_endpoints)
{
	const struct row before[] = { HAIRPIN("B calls A", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000) };
	const struct row rows[] = {
		HAIRPIN("A to B as before", SUBSCRIBER, OTHER, 7000, POOL, B_PORT, POOL, A_PORT, 8000),
		HAIRPIN("B to A as before", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000),
		{ "a new session's peer has none",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = NEW_POOL, UDP, 7001, NEW_PORT(8001, 3) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		HAIRPIN("by the new addresses", OTHER, SUBSCRIBER, 8001, NEW_POOL, NEW_PORT(7001, 2), NEW_POOL,
			NEW_PORT(8001, 3), 7001),
	};

	open_hairpin();
	RUN_ROWS(before);
	renumber();
	RUN_ROWS(rows);
}

Test(drain, of_a_deleted_mapping_keeps_hairpins)
{
	const struct row before[] = { HAIRPIN("B calls A", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000) };
	const struct row rows[] = {
		HAIRPIN("A to B as before", SUBSCRIBER, OTHER, 7000, POOL, B_PORT, POOL, A_PORT, 8000),
		HAIRPIN("B to A as before", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000),
		{ "another is none",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7002, B_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
	};

	open_hairpin();
	RUN_ROWS(before);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	RUN_ROWS(rows);
}

#define UDP_PORT       OUT_PORT(6304, 2)
#define SEEN	       .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER
#define SENT(out_addr) .ttl = 9, .src = EXTERNAL, .dst = out_addr

static const struct icmp_row errors[] = {
	{ "port unreachable from the subscriber, by the address of the session",
	  XDP_INSIDE,
	  { .src = SUBSCRIBER,
	    .from = HOST,
	    .to = GATEWAY_IN,
	    .dst = EXTERNAL,
	    3,
	    3,
	    .quote = { SEEN, UDP, 53, 6304, .payload = 33 } },
	  REDIRECT_XDP,
	  { .src = POOL, TO_ROUTER, 3, 3, .quote = { SENT(POOL), UDP, 53, UDP_PORT, .payload = 33 } },
	  REASON_icmp_error_translated },
	{ "time exceeded from outside",
	  XDP_OUTSIDE,
	  { .from = ROUTER,
	    .to = GATEWAY_OUT,
	    .src = ADDR(192, 0, 2, 9),
	    .dst = POOL,
	    11,
	    0,
	    .quote = { .ttl = 1, .src = POOL, .dst = EXTERNAL, UDP, UDP_PORT, 53, .payload = 20 } },
	  REDIRECT_XDP,
	  { .ttl = 63,
	    .from = GATEWAY_IN,
	    .to = HOST,
	    .src = ADDR(192, 0, 2, 9),
	    .dst = SUBSCRIBER,
	    11,
	    0,
	    .quote = { .ttl = 1, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, 53, .payload = 20 } },
	  REASON_icmp_error_translated },
	{ "about no session",
	  XDP_INSIDE,
	  { .src = SUBSCRIBER,
	    .from = HOST,
	    .to = GATEWAY_IN,
	    .dst = EXTERNAL,
	    3,
	    3,
	    .quote = { SEEN, UDP, 54, 6304 } },
	  DROP_XDP,
	  {},
	  REASON_drop_no_session },
};

Test(drain, translates_icmp_errors_about_its_sessions)
{
	const struct icmp_row fresh[] = {
		{ "about a new session, by the new address",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    .from = HOST,
		    .to = GATEWAY_IN,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { SEEN, UDP, 53, 6305, .payload = 33 } },
		  REDIRECT_XDP,
		  { .src = NEW_POOL,
		    TO_ROUTER,
		    3,
		    3,
		    .quote = { SENT(NEW_POOL), UDP, 53, NEW_PORT(6305, 2), .payload = 33 } },
		  REASON_icmp_error_translated },
	};

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	renumber();
	cr_assert_eq(open_flow(UDP, 6305, 53, 0), NEW_PORT(6305, 2));
	RUN_ICMP_ROWS(errors);
	RUN_ICMP_ROWS(fresh);
}

Test(drain, of_a_deleted_mapping_translates_icmp_errors_about_its_sessions)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	run_icmp_rows(errors, 2);
	run_icmp_rows(&(struct icmp_row){ "about no session it is as any packet of its sender",
					  XDP_INSIDE,
					  { .src = SUBSCRIBER,
					    .from = HOST,
					    .to = GATEWAY_IN,
					    .dst = EXTERNAL,
					    3,
					    3,
					    .quote = { SEEN, UDP, 54, 6304 } },
					  DROP_XDP,
					  {},
					  REASON_drop_no_mapping },
		      1);
}

/* A piece of a datagram comes out as the same piece of the translated one. */
static void expect_piece(const struct frame *in, const struct frame *out, enum hook hook, unsigned start, unsigned end,
			 bool more)
{
	uint8_t whole[FRAME_MAX], frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size, got_size, want_size;

	frame_build(in, whole);
	size = frame_fragment(whole, 5, start, end, more, frame);
	cr_expect_eq(run_frame(hook, frame, size, got, &got_size), REDIRECT_XDP, "octets %u to %u", start, end);
	frame_build(out, whole);
	want_size = frame_fragment(whole, 5, start, end, more, want);
	cr_expect(frame_equal("fragment", got, got_size, want, want_size), "octets %u to %u", start, end);
}

static void expect_datagrams(void)
{
	const struct frame out = { FROM_HOST, UDP, 7000, 53, .payload = 1600 };
	const struct frame translated = { LEAVES(POOL), UDP, OUT_PORT(7000, 2), 53, .payload = 1600 };
	const struct frame in = { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(7000, 2), .payload = 1600 };
	const struct frame received = { TO_HOST, UDP, 53, 7000, .payload = 1600 };

	expect_piece(&out, &translated, XDP_INSIDE, 0, 800, true);
	expect_piece(&out, &translated, XDP_INSIDE, 800, 1608, false);
	expect_piece(&in, &received, XDP_OUTSIDE, 0, 800, true);
	expect_piece(&in, &received, XDP_OUTSIDE, 800, 1608, false);
}

Test(drain, keeps_fragments_together)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	renumber();
	expect_datagrams();
}

Test(drain, of_a_deleted_mapping_keeps_fragments_together)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	expect_datagrams();
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
	cr_assert_eq(sessions_close_in(mappings, (struct endpoint){ SUBSCRIBER, 5000 },
				       (struct endpoint){ EXTERNAL, 53 }, UDP),
		     1);
	sweep();
	cr_expect_eq(drain->sessions, 1);
	cr_assert_eq(sessions_close_out(mappings, (struct endpoint){ POOL, OUT_PORT(5001, 2) },
					(struct endpoint){ EXTERNAL, 53 }, UDP),
		     1);
	sweep();
	cr_expect(mapping_drain_over(drain));
	cr_assert_eq(mappings_del(mappings, all, old_out), 0);
	cr_expect_eq(mappings_drains(mappings, &drain), 0);
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), NEW_PORT(5002, 2));
}
