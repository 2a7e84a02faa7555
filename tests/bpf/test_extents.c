// SPDX-License-Identifier: BSD-2-Clause
/*
 * Subscribers whose slots are full have extents, <detnat/extents.h>: their sessions are found there by every program,
 * in both directions, as those in slots are, also while an extent is replaced by a larger one.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "extents_fixture.h"
#include "icmp_frame.h"
#include "told_routes.h"

TestSuite(extents, .init = set_up_extents, .fini = tear_down, .timeout = 240);

/* Next hops stay cached, and the programs of the slow path are gone: as in test_fast_features.c. */
static void leave_the_fast_path(void)
{
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_open };

	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
}

static void set_up_fast(void)
{
	set_up_extents();
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	reload_settings();
	datapath.global->sources_until = datapath_ticks(&datapath) + 100000;
}

Test(extents, answers_to_a_session_without_a_slot_take_the_fast_path, .init = set_up_fast)
{
	const unsigned flows = SLOTS + 6;

	extents_open_those(UDP, 0, flows, 0);
	extents_expect_passes(UDP, 0, 0, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(extents_size(), 1);
	cr_expect_eq(counted(REASON_sessions_overflowed), 6);
	cr_expect_eq(sessions_of(IN), flows);
	leave_the_fast_path();
	for (unsigned i = 0; i < flows; i++)
		extents_expect_answer(UDP, i, 0, XDP_OUTSIDE);
	cr_expect_eq(counted(REASON_no_program), 0);
}

Test(extents, it_passes_in_the_slow_path_too)
{
	extents_open_those(UDP, 0, SLOTS + 3, 0);
	for (unsigned i = SLOTS; i < SLOTS + 3; i++)
		extents_expect_passes(UDP, i, 0, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	extents_tables_right();
}

/* 1, 4, 16, 64, 256 buckets, and each session found in each. */
Test(extents, an_extent_that_is_full_gives_way_to_one_four_times_as_large)
{
	const unsigned flows = 900;
	uint32_t seen = 0;

	for (unsigned i = 0; i < flows; i++) {
		uint32_t before = extents_size();

		cr_assert_eq(extents_open_nth(UDP, i, 0), extents_out_port(i), "flow %u, of %u buckets", i, before);
		if (extents_size() == before)
			continue;
		cr_expect_eq(extents_size(), before ? 4 * before : 1);
		seen |= extents_size();
		cr_expect_eq(sessions_of(IN), i + 1);
		for (unsigned k = 0; k <= i; k += i / 40 + 1)
			extents_expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
	}
	cr_expect_eq(seen, 1 | 4 | 16 | 64 | 256);
	cr_expect_eq(datapath.pool->grown, 4);
	cr_expect_eq(extents_record()->sessions, flows);
	cr_expect_eq(sessions_of(IN), flows);
	extents_tables_right();
	for (unsigned k = 0; k < flows; k += 5)
		extents_expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

static uint8_t state_of(unsigned flow)
{
	uint32_t n;
	const struct slot *slots = slots_beyond(extents_number(), IN, &n);

	for (uint32_t i = 0; i < n; i++)
		if (word_is_live(slots[i].truth) && key_in_port(slots[i].key) == extents_port(flow) &&
		    key_ext_port(slots[i].key) == extents_ext(flow))
			return word_state(slots[i].truth);
	return SESSION_FREE;
}

Test(extents, a_connection_there_has_all_states_and_its_port_is_taken_in_time_wait)
{
	const unsigned flow = SLOTS;
	uint32_t sessions;

	tell_routes();
	extents_open_those(UDP, 0, SLOTS, 0);
	cr_assert_eq(extents_open_nth(TCP, flow, SYN), extents_out_port(flow));
	cr_expect_eq(state_of(flow), SESSION_SYN_SENT);
	extents_expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	extents_expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(state_of(flow), SESSION_ESTABLISHED);
	sessions = extents_record()->sessions;
	extents_expect_passes(TCP, flow, FIN | ACK, XDP_INSIDE, XDP_OUTSIDE);
	extents_expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(state_of(flow), SESSION_TIME_WAIT);
	cr_expect_eq(extents_record()->sessions, sessions - 1);
	cr_expect_eq(sessions_of(IN), SLOTS);
	/* A SYN opens it again. */
	cr_expect_eq(extents_open_nth(TCP, flow, SYN), extents_out_port(flow));
	cr_expect_eq(state_of(flow), SESSION_SYN_SENT);
	cr_expect_eq(extents_record()->sessions, sessions);
	extents_expect_passes(TCP, flow, RST, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect(state_of(flow) & SESSION_RESET);
	tell_no_routes();
}

/* Two flows that want one port: the second has another of its group, wherever the first stands. */
Test(extents, a_port_there_is_another_flows_own)
{
	int port;

	extents_open_those(UDP, 0, SLOTS + 4, 0);
	port = open_flow_of(IN, UDP, (uint16_t)(extents_port(SLOTS) + PORTS), extents_ext(SLOTS), 0);
	cr_expect_neq(port, extents_out_port(SLOTS));
	cr_expect_eq((port - 1024) / 8 * 8, (extents_out_port(SLOTS) - 1024) / 8 * 8, "a port of the group");
	cr_expect_eq(sessions_of(IN), SLOTS + 5);
	extents_tables_right();
}

Test(extents, a_session_there_is_refreshed_by_its_subscriber_and_expires)
{
	const unsigned flow = SLOTS;

	extents_open_those(UDP, 0, SLOTS + 1, 0);
	age_sessions(IN, 200);
	cr_expect_eq(extents_open_nth(UDP, flow, 0), extents_out_port(flow));
	age_sessions(IN, 200);
	/* The others have expired, this one has not. */
	cr_expect_eq(sessions_of(IN), 1);
	extents_expect_passes(UDP, flow, 0, XDP_INSIDE, XDP_OUTSIDE);
	age_sessions(IN, 400);
	cr_expect_eq(sessions_of(IN), 0);
	/* Its flow opens a session again, on the same port. */
	cr_expect_eq(extents_open_nth(UDP, flow, 0), extents_out_port(flow));
	cr_expect_eq(sessions_of(IN), 1);
}

Test(extents, icmp_errors_about_a_session_there_go_both_ways)
{
	const unsigned flow = SLOTS + 2;
	const struct icmp_row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = OUT,
			       .dst = EXTERNAL,
			       UDP,
			       extents_out_port(flow),
			       extents_ext(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = EXTERNAL,
		    .dst = IN,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = IN,
			       .dst = EXTERNAL,
			       UDP,
			       extents_port(flow),
			       extents_ext(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REASON_icmp_error_translated },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL,
			       .dst = IN,
			       UDP,
			       extents_ext(flow),
			       extents_port(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .ttl = 63,
		    .src = OUT,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL,
			       .dst = OUT,
			       UDP,
			       extents_ext(flow),
			       extents_out_port(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REASON_icmp_error_translated },
	};

	extents_open_those(UDP, 0, flow + 1, 0);
	RUN_ICMP_ROWS(rows);
}

/* A calls B, whose session towards A stands in an extent, as does that of A. */
Test(extents, hairpins_find_sessions_there)
{
	const uint32_t b = IN + 1;
	const uint16_t a_port = OUT_PORT(7900, 2), b_port = OUT_PORT(8000, 3);
	const struct row rows[] = {
		{ "A calls B, who has no session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 7900, b_port },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "B calls A, who has one by now",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = b, .dst = OUT, UDP, 8000, a_port, .payload = 9 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = IN, UDP, b_port, 7900, .payload = 9, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "A answers",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 7900, b_port, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = b, UDP, a_port, 8000, .payload = 5, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "from outside, as if from A",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OUT, .dst = OUT, UDP, a_port, b_port, .payload = 5 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	for (uint32_t addr = IN; addr <= b; addr++)
		for (unsigned i = 0; i < SLOTS + 1; i++)
			cr_assert_geq(open_flow_of(addr, UDP, extents_port(i), 53, 0), 0);
	RUN_ROWS(rows);
	cr_expect_eq(extents_record()->hairpins & HAIRPINS_SEEN, HAIRPINS_SEEN);
	cr_expect_eq(extents_size(), 1);
	cr_expect_eq(sessions_of(IN), SLOTS + 2);
}

Test(extents, fragments_of_a_session_there_pass_both_ways)
{
	const unsigned flow = SLOTS + 1;
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	const struct frame from = { .from = HOST,
				    .to = GATEWAY_IN,
				    .src = IN,
				    .dst = EXTERNAL,
				    UDP,
				    extents_port(flow),
				    extents_ext(flow),
				    .payload = 1600 },
			   to = { .ttl = 63,
				  .from = GATEWAY_OUT,
				  .to = ROUTER,
				  .src = OUT,
				  .dst = EXTERNAL,
				  UDP,
				  extents_out_port(flow),
				  extents_ext(flow),
				  .payload = 1600 };
	static const unsigned parts[][2] = { { 0, 800 }, { 800, 1608 } };

	extents_open_those(UDP, 0, flow + 1, 0);
	for (unsigned i = 0; i < 2; i++) {
		size_t size, out_size, want_size;

		frame_build(&from, whole);
		size = frame_fragment(whole, 7, parts[i][0], parts[i][1], !i, in);
		cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		frame_build(&to, whole);
		want_size = frame_fragment(whole, 7, parts[i][0], parts[i][1], !i, want);
		cr_expect(frame_equal("fragment", out, out_size, want, want_size));
	}
	cr_expect_eq(sessions_of(IN), flow + 1);
}

static void set_up_quota(void)
{
	settings.extent_buckets = 4096;
	set_up();
	extents_mapping(60);
}

/* The quota counts sessions in slots and in extents, and those that an RST has closed give way, wherever they are. */
Test(extents, the_quota_counts_them_and_those_that_were_reset_give_way, .init = set_up_quota)
{
	extents_open_those(TCP, 0, 60, SYN);
	cr_expect_eq(extents_open_nth(TCP, 60, SYN), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(extents_open_nth(TCP, 40, RST), extents_out_port(40));
	cr_expect_eq(extents_open_nth(TCP, 61, SYN), extents_out_port(61));
	cr_expect_eq(extents_open_nth(TCP, 62, SYN), -1);
	cr_expect_eq(sessions_of(IN), 60);
	/* Packets of those that there are pass. */
	for (unsigned i = 0; i < 40; i++)
		cr_expect_eq(extents_open_nth(TCP, i, ACK), extents_out_port(i), "flow %u", i);
	extents_tables_right();
}

static struct copy_program program;

/* Asks for a copy of a flow from an inside port: an enum copy_result. */
static int copy_of(uint8_t request, unsigned flow, uint16_t in_port)
{
	const struct mapping *m = mappings_get(mappings, extents_number());
	uint32_t first = mapping_first_choice(&m->geo, in_port);
	uint64_t word = state_word(extents_out_port(flow), UDP, SESSION_UDP, datapath_ticks(&datapath));

	program.requests->n = 1;
	program.requests->copy[0] = (struct session_copy){
		.key = slot_key(EXTERNAL, extents_ext(flow), in_port),
		.word = word,
		.subscriber = IN - m->geo.in_base,
		.last = datapath_ticks(&datapath),
		.mapping = (uint16_t)extents_number(),
		.slot = (uint16_t)(first % BUCKET_SLOTS),
		.owner = 1,
		.request = request,
	};
	cr_assert_eq(copy_program_run(&program), 0);
	return program.requests->copy[0].result;
}

/* Neither the session nor its port is there twice, wherever the peer has it. */
Test(extents, a_peers_session_that_is_there_is_not_placed_again_nor_is_its_port)
{
	const unsigned flow = SLOTS + 1;

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	extents_open_those(UDP, 0, SLOTS + 2, 0);
	for (uint8_t request = COPY_TO_SLOT; request <= COPY_TO_EXTENT; request++) {
		cr_expect_eq(copy_of(request, flow, extents_port(flow)), COPY_BEYOND, "request %u", request);
		cr_expect_eq(program.requests->copy[0].slot, COPY_NOT_IN_A_SLOT);
		cr_expect_eq(copy_of(request, flow, (uint16_t)(extents_port(flow) + PORTS)), COPY_PORT, "request %u",
			     request);
		cr_expect_eq(program.requests->copy[0].slot, COPY_NOT_IN_A_SLOT);
		/* The port of another group than the first choice's. */
		cr_expect_eq(copy_of(request, flow, (uint16_t)(extents_port(flow) + 16)),
			     request == COPY_TO_SLOT ? COPY_IMPOSSIBLE : COPY_PORT, "request %u", request);
	}
	cr_expect_eq(sessions_of(IN), SLOTS + 2);
	extents_tables_right();
	copy_program_unload(&program);
}

/* The gateway that announces it has found the port free. */
Test(extents, a_session_there_that_is_in_time_wait_gives_way_to_a_peers)
{
	const unsigned flow = SLOTS + 1;
	uint32_t n;
	struct slot *slots;

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	extents_open_those(UDP, 0, SLOTS + 2, 0);
	slots = slots_beyond(extents_number(), IN, &n);
	for (uint32_t i = 0; i < n; i++)
		if (word_is_live(slots[i].truth) && key_in_port(slots[i].key) == extents_port(flow))
			slots[i].truth = word_with(slots[i].truth, SESSION_TIME_WAIT, word_seen(slots[i].truth));
	extents_record()->sessions--;
	cr_expect_eq(copy_of(COPY_TO_EXTENT, flow, (uint16_t)(extents_port(flow) + PORTS)), COPY_PLACED);
	for (uint32_t i = 0; i < n; i++)
		cr_expect(word_state(slots[i].truth) != SESSION_TIME_WAIT);
	cr_expect_eq(sessions_of(IN), SLOTS + 2);
	extents_tables_right();
	copy_program_unload(&program);
}
