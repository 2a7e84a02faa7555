// SPDX-License-Identifier: BSD-2-Clause
/* What is handed to the agent of TCP of no session, and what it asks for; of the suite of test_unsolicited.c. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include "told_routes.h"
#include "unsolicited_fixture.h"

Test(unsolicited, syns_go_to_the_agent)
{
	static const struct reset_row rows[] = {
		{ "SYN", { TO_POOL, TCP, 80, 3333, .flags = S } },
		{ "SYN with ECN", { TO_POOL, TCP, 80, 3333, .flags = S | 0xc0 } },
		{ "SYN with options",
		  { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 40, .ip_options = 40 },
		  .tcp_options = 40 },
		{ "SYN with text", { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 1000 } },
		{ "SYN to a port of no subscriber", { TO_POOL, TCP, 80, 22, .flags = S } },
	};
	struct taken t;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t in[FRAME_MAX];
		size_t quote;

		run_reset(&rows[i], XDP_OUTSIDE);
		cr_assert_eq(handed_over(&t), 1, "%s", rows[i].name);
		segment_build(&rows[i], in);
		quote = 40U + rows[i].in.ip_options + rows[i].in.payload;
		quote = quote < UNSOLICITED_QUOTE_MAX ? quote : UNSOLICITED_QUOTE_MAX;
		cr_expect(frame_equal(rows[i].name, t.last.packet, t.last.length, in + 14, quote));
		cr_expect_eq(t.last.ifindex, outside_ifindex);
		cr_expect_eq(t.last.of.ext_addr, EXTERNAL);
		cr_expect_eq(t.last.of.ext_port, 80);
		cr_expect_eq(t.last.of.out_addr, POOL);
		cr_expect_eq(t.last.of.out_port, rows[i].in.dport);
		cr_expect_eq(t.last.of.proto, TCP);
	}
}

Test(unsolicited, nothing_else_goes_to_the_agent)
{
	static const struct reset_row rows[] = {
		{ "RST and SYN", { TO_POOL, TCP, 80, 3333, .flags = R | S } },
		{ "from the loopback",
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = POOL,
		    TCP,
		    80,
		    22,
		    .flags = S } },
		{ "a fragment", { TO_POOL, TCP, 80, 3333, .flags = S, .payload = 20, .options = MORE_FRAGMENTS } },
	};
	struct taken t;

	RUN_RESETS(rows);
	cr_expect_eq(handed_over(&t), 0);
}

/* Nobody takes them: the ring buffer is full at some time, and the datapath goes on. */
Test(unsolicited, without_an_agent)
{
	const struct reset_row row = { "SYN", { TO_POOL, TCP, 80, 3333, .flags = S } };
	uint64_t dropped = counted(REASON_drop_no_session);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = segment_build(&row, in), out_size;
	struct taken t;
	unsigned n;

	for (unsigned i = 0; i < 3000; i++) {
		if (!(i % 100))
			refresh_followed_routes();
		cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), DROP_XDP);
	}
	cr_expect_eq(counted(REASON_drop_no_session) - dropped, 3000);
	n = handed_over(&t);
	cr_expect(n > 1000 && n < 3000, "%u", n);
}

static unsigned held(uint16_t ext_port, uint16_t out_port, uint8_t proto)
{
	struct session_question q = {
		.ext_addr = EXTERNAL, .out_addr = POOL, .ext_port = ext_port, .out_port = out_port, .proto = proto
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &q, .ctx_size_in = sizeof(q));

	cr_assert_eq(bpf_prog_test_run_opts(datapath.session_held, &run), 0);
	return run.retval;
}

/* Opens a session to port 80; its outside port. */
static uint16_t open_from_inside(uint16_t port)
{
	const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, port, 80, .flags = S
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	cr_assert_eq(run_frame(XDP_INSIDE, in, frame_build(&f, in), out, &size), REDIRECT_XDP);
	return (uint16_t)(out[34] << 8 | out[35]);
}

Test(unsolicited, whether_a_session_is_held)
{
	uint16_t out_port = OUT_PORT(5000, 2);

	cr_expect_eq(held(80, out_port, TCP), 0);
	open_from_inside(5000);
	cr_expect_eq(held(80, out_port, TCP), 1);
	cr_expect_eq(held(81, out_port, TCP), 0);
	cr_expect_eq(held(80, out_port + 1, TCP), 0);
	cr_expect_eq(held(80, out_port, UDP), 0);
	cr_expect_eq(held(80, 22, TCP), 0, "a port of no subscriber");
	age_sessions(SUBSCRIBER, 241);
	cr_expect_eq(held(80, out_port, TCP), 0, "it has expired");
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
Test(unsolicited, whether_a_session_beyond_the_slots_is_held)
{
	uint16_t out_port = 0;

	for (uint16_t i = 0; i < 9; i++)
		out_port = open_from_inside((uint16_t)(6304 + i * PORTS));
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	cr_expect_eq(held(80, out_port, TCP), 1);
	cr_expect_eq(held(81, out_port, TCP), 0);
}
