// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent filtering: who may open a session from outside, how many, and what is answered. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "icmp_frame.h"
#include "told_routes.h"

static void set_up_udp(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 25 };
	set_up();
}

TestSuite(inbound_limit, .init = set_up_udp, .fini = tear_down);

#define QUOTA 40
#define LIMIT (QUOTA / 4)
#define PORT  OUT_PORT(6304, 2)

static void end(uint16_t ext_port)
{
	cr_assert_eq(sessions_close_in(mappings, (struct endpoint){ .addr = SUBSCRIBER, .port = 6304 },
				       (struct endpoint){ .addr = EXTERNAL, .port = ext_port }, UDP),
		     1);
}

/* The sessions are counted at most once in a tick; what the count has found holds for the next ones. */
Test(inbound_limit, sessions_that_end_make_room_in_the_next_tick)
{
	uint16_t first = 2000;
	int same = 0, other = 0;
	uint32_t tick;

	set_quota(QUOTA);
	do {
		age_sessions(SUBSCRIBER, 301);
		next_tick();
		open_flow(UDP, 6304, 53, 0);
		first = (uint16_t)(first + 100);
		for (uint16_t i = 0; i < LIMIT; i++)
			stranger(EXTERNAL, (uint16_t)(first + i), PORT);
		next_tick();
		tick = datapath_ticks(&datapath);
		refresh_followed_routes();
		other = stranger(EXTERNAL, (uint16_t)(first + 50), PORT);
		end(first);
		end((uint16_t)(first + 1));
		end((uint16_t)(first + 2));
		same = stranger(EXTERNAL, (uint16_t)(first + 51), PORT);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(other, DROP_XDP, "at the limit");
	cr_expect_eq(same, DROP_XDP, "counted already");
	next_tick();
	refresh_followed_routes();
	for (uint16_t i = 0; i < 3; i++)
		cr_expect_eq(stranger(EXTERNAL, (uint16_t)(first + 52 + i), PORT), REDIRECT_XDP, "room for number %u",
			     i);
	cr_expect_eq(stranger(EXTERNAL, (uint16_t)(first + 55), PORT), DROP_XDP, "at the limit again");
	cr_expect_eq(mappings_inbound(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0)), LIMIT);
}

/* As to a portmap: see the suite portmap. */
Test(inbound_limit, a_sender_behind_the_inside_is_none)
{
	static const struct row rows[] = {
		{ "a host behind the inside that no mapping covers",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = UNMAPPED, .dst = POOL, UDP, 5555, PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a host outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 5555, PORT },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 5555, 6304 },
		  REASON_out2in_translated },
	};

	open_flow(UDP, 6304, 53, 0);
	cr_assert_eq(system("ip route add 10.0.9.0/24 dev tin"), 0);
	datapath.device[outside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

Test(inbound_limit, one_whose_packet_expires_is_answered_and_opens_nothing)
{
	struct frame f = { .ttl = 1,
			   .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = POOL,
			   UDP,
			   5555,
			   PORT,
			   .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	open_flow(UDP, 6304, 53, 0);
	run_frame_counted("expires", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_ttl);
	expect_error("expires", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}
