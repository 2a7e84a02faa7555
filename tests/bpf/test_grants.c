// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks that grow: 10.1.0.0/25 shares one outside address with 448 ports each, which leaves the ports from 58368 on to
 * its shared range, 56 blocks of 128.
 */
#include <criterion/criterion.h>

#include "grant_fixture.h"
#include "icmp_frame.h"

#define FEW    448
#define SHARED (1024 + 128 * FEW)
#define BLOCK  128
#define LO     (SHARED + 5 * BLOCK)

static void set_up_growing(void)
{
	set_up_plan(&(struct grant_plan){ .ports = FEW, .block = BLOCK, .max_blocks = 2, .quota = 4000, .slots = 512 });
}

TestSuite(grants, .init = set_up_growing, .fini = tear_down);

static int open_one(uint16_t in_port)
{
	return open_of(UDP, in_port, 53, 0);
}

/* All ports of the block are in use towards one endpoint. */
static void fill_block(void)
{
	for (unsigned i = 0; i < FEW; i++)
		cr_assert_geq(open_one((uint16_t)(2000 + i)), 0, "flow %u", i);
}

static int note_granted(const struct session *s, void *arg)
{
	if (s->out_port >= LO)
		*(struct session *)arg = *s;
	return 0;
}

/* A session of IN on a granted port; the test fails if there is none. */
static struct session granted_session(void)
{
	struct session found = { 0 };
	struct session_walk *w;

	cr_assert_eq(session_walk_new_subscriber(mappings, IN, &w), 0);
	while (session_walk_step(w, 1000000, note_granted, &found) > 0)
		;
	session_walk_free(w);
	cr_assert(found.out_port);
	return found;
}

Test(grants, the_first_flow_without_a_port_is_refused_in_silence_and_the_agent_is_asked_once)
{
	uint64_t answered;

	fill_block();
	asked();
	answered = counted(REASON_sent_icmp_unreachable);
	for (uint16_t port = 9000; port < 9003; port++)
		cr_expect_eq(open_one(port), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 3);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), answered);
	cr_expect_eq(asked(), 1);
}

Test(grants, a_request_in_vain_is_repeated_and_then_the_refusal_is_answered)
{
	fill_block();
	asked();
	cr_expect_eq(open_one(9000), -1);
	wait_for_next_request();
	cr_expect_eq(open_one(9001), -1);
	cr_expect_eq(open_one(9002), -1);
	cr_expect_eq(asked(), 2);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 3);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
}

Test(grants, a_flow_opens_as_soon_as_there_is_a_block_though_the_tick_has_searched_in_vain)
{
	fill_block();
	next_tick();
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_eq(open_one((uint16_t)(9000 + 1000 * i)), -1);
		grant(IN, (uint16_t)i, (uint16_t)(LO + i * BLOCK));
		for (unsigned k = 0; k < BLOCK; k++)
			cr_assert_geq(open_one((uint16_t)(9000 + 1000 * i + k)), LO, "block %u, flow %u", i, k);
	}
}

Test(grants, the_first_flow_beyond_a_granted_block_is_refused_in_silence_too)
{
	uint64_t answered;

	fill_block();
	cr_expect_eq(open_one(9000), -1);
	grant(IN, 0, LO);
	for (unsigned i = 0; i < BLOCK; i++)
		cr_assert_geq(open_one((uint16_t)(9000 + i)), LO, "flow %u", i);
	asked();
	answered = counted(REASON_sent_icmp_unreachable);
	cr_expect_eq(open_one(20000), -1);
	cr_expect_eq(asked(), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), answered);
}

/* Sessions of IN that end on a granted port, of which there is one in that block then. */
static void close_on(uint16_t in_port, uint16_t out_port)
{
	cr_assert_eq(open_one(in_port), out_port);
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ IN, in_port }, (struct endpoint){ EXTERNAL, 53 },
				       UDP),
		     1);
}

Test(grants, a_search_begins_with_the_block_that_was_granted_last_and_goes_round)
{
	fill_block();
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(open_one((uint16_t)(9000 + 1000 * i)), -1);
		grant(IN, (uint16_t)i, (uint16_t)(LO + i * BLOCK));
		for (unsigned k = 0; k < BLOCK - i; k++)
			cr_assert_geq(open_one((uint16_t)(9000 + 1000 * i + k)), LO + (int)(i * BLOCK));
	}
	close_on(9000, (uint16_t)(LO + 9000 % BLOCK));
	cr_expect_geq(open_one(20000), LO + BLOCK, "the last one has a port");
	cr_expect_eq(open_one(20001), LO + 9000 % BLOCK, "and the first one");
	cr_expect_eq(open_one(20002), -1);
}

Test(grants, without_an_agent_the_refusal_is_answered_and_nobody_is_asked)
{
	serve_growth(false);
	fill_block();
	asked();
	cr_expect_eq(open_one(9000), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
	cr_expect_eq(asked(), 0);
}

Test(grants, sessions_open_on_a_granted_block_until_it_is_full_and_come_back_through_it)
{
	bool used[BLOCK] = { false };

	fill_block();
	grant(IN, 0, LO);
	for (unsigned i = 0; i < BLOCK; i++) {
		int port = open_one((uint16_t)(9000 + i));

		cr_assert(port >= LO && port < LO + BLOCK, "flow %u: %d", i, port);
		cr_expect_not(used[port - LO], "port %d", port);
		used[port - LO] = true;
		cr_expect_eq(open_one((uint16_t)(9000 + i)), port, "its next packet");
	}
	cr_expect_eq(open_one(9000 + BLOCK), -1);

	const int port = open_one(9000);
	const struct row rows[] = {
		{ "an answer reaches the subscriber",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, UDP, 53, (uint16_t)port },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = IN, UDP, 53, 9000 },
		  REASON_out2in_translated },
		{ "a stranger does not",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, UDP, 54, (uint16_t)port },
		  DROP_XDP,
		  { 0 },
		  REASON_drop_no_session },
		{ "nor does a packet to a block that nobody has",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, UDP, 53, LO - 1 },
		  DROP_XDP,
		  { 0 },
		  REASON_drop_no_session },
	};

	RUN_ROWS(rows);
}

Test(grants, an_icmp_error_about_a_session_on_a_granted_port_reaches_its_subscriber)
{
	int port;

	fill_block();
	grant(IN, 0, LO);
	port = open_one(9000);

	const struct icmp_row rows[] = {
		{ "port unreachable",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = OUT, .dst = EXTERNAL, .proto = UDP, .sport = (uint16_t)port, .dport = 53 } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = IN, .dst = EXTERNAL, .proto = UDP, .sport = 9000, .dport = 53 } },
		  REASON_icmp_error_translated },
	};

	RUN_ICMP_ROWS(rows);
}

Test(grants, another_subscriber_gets_nothing_of_it)
{
	fill_block();
	grant(THIRD, 0, LO);
	cr_expect_eq(open_one(9000), -1);
}

Test(grants, a_grant_of_another_outside_address_leads_nowhere)
{
	fill_block();
	grant_entry(OUT, LO, GRANT_OF_OUTSIDE, IN, LO);
	grant_entry(IN, 0, GRANT_OF_INSIDE, OUT + 1, LO);
	cr_expect_eq(open_one(9000), -1);
}

Test(grants, a_session_goes_on_while_its_block_is_taken_back_and_none_opens)
{
	int port;

	fill_block();
	grant(IN, 0, LO);
	port = open_one(9000);
	cr_assert_geq(port, LO);
	grant_close(IN, 0);
	cr_expect_eq(open_one(9000), port);
	cr_expect_eq(open_one(9001), -1);
}

Test(grants, beyond_max_blocks_the_refusal_is_answered_and_has_its_own_reason)
{
	fill_block();
	grant(IN, 0, LO);
	grant(IN, 1, LO + BLOCK);
	for (unsigned i = 0; i < 2 * BLOCK; i++)
		cr_assert_geq(open_one((uint16_t)(9000 + i)), LO, "flow %u", i);
	asked();
	cr_expect_eq(open_one(20000), -1);
	cr_expect_eq(counted(REASON_drop_growth_exhausted), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), 1);
	cr_expect_eq(asked(), 0);
}

Test(grants, where_the_address_has_no_block_left_the_reason_is_the_same)
{
	fill_block();
	grant_entry(OUT, 0, GRANT_NONE_LEFT, 0, 0);
	cr_expect_eq(open_one(20000), -1);
	cr_expect_eq(counted(REASON_drop_growth_exhausted), 1);
}

Test(grants, a_hairpin_to_a_granted_port_reaches_its_subscriber_and_is_answered)
{
	const int third = 1024 + 3 * FEW + 8000 % FEW;
	struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 0, (uint16_t)third };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	grant(IN, 0, LO);
	/* All that the block can have towards one endpoint, and one more. */
	for (unsigned i = 0; i <= FEW; i++) {
		f.sport = (uint16_t)(2000 + i);
		run_frame(XDP_INSIDE, in, frame_build(&f, in), out, &size);
		if (counted(REASON_drop_busy)) {
			next_tick();
			run_frame(XDP_INSIDE, in, frame_build(&f, in), out, &size);
		}
	}
	cr_assert_gt(datapath.pool->used, 0);

	const struct session last = granted_session();
	const struct row rows[] = {
		{ "the other calls it",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = THIRD, .dst = OUT, UDP, 8000, last.out_port },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = OUT,
		    .dst = IN,
		    UDP,
		    (uint16_t)third,
		    last.in_port },
		  REASON_hairpin_translated },
		{ "and is answered from it",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, last.in_port, (uint16_t)third },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = THIRD, UDP, last.out_port, 8000 },
		  REASON_hairpin_translated },
	};

	RUN_ROWS(rows);
}

Test(grants, the_program_at_the_egress_opens_on_them_too)
{
	struct frame f = { .from = GATEWAY_OUT, .to = ROUTER, .src = IN, .dst = EXTERNAL, UDP, 9000, 53 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;
	int port;

	fill_block();
	grant(IN, 0, LO);
	next_tick();
	cr_expect_eq(run_frame(TC_OUTSIDE, in, frame_build(&f, in), out, &size), PASS_TC);
	port = out[34] << 8 | out[35];
	cr_expect(port >= LO && port < LO + BLOCK, "%d", port);
}

Test(grants, fragments_to_a_granted_port_follow_their_first_one)
{
	struct frame f = { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OUT, UDP, 53, .payload = 1000 };
	uint8_t whole[FRAME_MAX], part[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	fill_block();
	grant(IN, 0, LO);
	f.dport = (uint16_t)open_one(9000);
	cr_assert_geq(f.dport, LO);
	frame_build(&f, whole);
	size = frame_fragment(whole, 7, 0, 504, true, part);
	cr_expect_eq(run_frame(XDP_OUTSIDE, part, size, out, &size), REDIRECT_XDP);
	size = frame_fragment(whole, 7, 504, 1008, false, part);
	cr_expect_eq(run_frame(XDP_OUTSIDE, part, size, out, &size), REDIRECT_XDP);
	cr_expect_eq((uint32_t)out[30] << 24 | out[31] << 16 | out[32] << 8 | out[33], IN);
}
