// SPDX-License-Identifier: BSD-2-Clause
/* Bindings turned on for a mapping with sessions, and for further protocols. Whole packets are compared. */
#include <criterion/criterion.h>

#include "binding_fixture.h"

static void set_up_udp(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 25 };
	set_up();
}

TestSuite(binding_changes, .init = set_up_udp, .fini = tear_down);

#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL

/* A stranger's packet reaches the port that a session of this inside port has, and is answered from it. */
static void expect_open(uint8_t proto, uint16_t in_port, uint16_t out_port, uint16_t from)
{
	uint8_t syn = proto == TCP ? 2 : 0, answer = proto == TCP ? 0x12 : 0;
	const struct row rows[] = {
		{ "a stranger",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, proto, from, out_port, .flags = syn, .payload = 11 },
		  REDIRECT_XDP,
		  { TO_HOST, proto, from, in_port, .flags = syn, .payload = 11 },
		  REASON_out2in_translated },
		{ "the answer",
		  XDP_INSIDE,
		  { FROM_HOST, proto, in_port, from, .flags = answer, .payload = 3 },
		  REDIRECT_XDP,
		  { TO_ROUTER, proto, out_port, from, .flags = answer, .payload = 3 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
}

Test(binding_changes, a_stranger_reaches_what_was_bound_before_another_protocol)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(open_flow(TCP, 6305, 80, 2), OUT_PORT(6305, 2));
	set_protocols(BINDING_PROTOCOLS, BINDING_UDP | BINDING_TCP);
	expect_open(UDP, 6304, OUT_PORT(6304, 2), 54);
	expect_open(TCP, 6305, OUT_PORT(6305, 2), 54);
	cr_expect_eq(counted(REASON_sessions_inbound), 2);
	cr_expect_eq(sessions_of(SUBSCRIBER), 4);
}

Test(binding_changes, a_binding_without_sessions_outlives_the_change)
{
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2) + 1);
	age_sessions(SUBSCRIBER, 301);
	sweep_sessions();
	cr_assert_eq(sessions_of(SUBSCRIBER), 0);
	set_protocols(BINDING_UDP | BINDING_ICMP, BINDING_UDP);
	expect_open(UDP, 6304, OUT_PORT(6304, 2) + 1, 54);
	cr_expect_eq(open_flow(UDP, 6304, 55, 0), OUT_PORT(6304, 2) + 1);
}

Test(binding_changes, a_binding_that_has_strayed_does_too)
{
	int port;

	fill_group(UDP, 6304 % PORTS / 8, 0, 0);
	port = open_flow(UDP, 6304, 53, 0);
	cr_assert_geq(port, PORT_LO);
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_UDP);
	cr_expect_eq(open_flow(UDP, 6304, 54, 0), port);
	cr_expect_eq(open_flow(UDP, 6304, 53, 0), port);
}

Test(binding_changes, sessions_that_the_outside_has_opened_still_give_way)
{
	open_flow(UDP, 6304, 53, 0);
	for (uint16_t i = 0; i < 4; i++)
		cr_assert_eq(stranger(EXTERNAL, (uint16_t)(1001 + i), OUT_PORT(6304, 2)), REDIRECT_XDP);
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_UDP | BINDING_TCP);
	bindings = (struct binding_layout){ .mapping = 3, .filtering = 3, .inbound = 25 };
	set_quota(5);
	next_tick();
	cr_expect_eq(open_flow(UDP, 6304, 54, 0), OUT_PORT(6304, 2), "one of the outside's ends");
	cr_expect_eq(sessions_of(SUBSCRIBER), 5);
	cr_expect_eq(counted(REASON_drop_quota), 0);
}

Test(binding_changes, a_stranger_reaches_the_ports_of_sessions_from_before)
{
	set_protocols(0, 0);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2) + 1);
	cr_assert_eq(open_flow(TCP, 6306, 80, 2), OUT_PORT(6306, 2));
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_UDP | BINDING_TCP);
	expect_open(UDP, 6304, OUT_PORT(6304, 2), 54);
	expect_open(UDP, 6304 + PORTS, OUT_PORT(6304, 2) + 1, 54);
	expect_open(TCP, 6306, OUT_PORT(6306, 2), 54);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6306, 2)), DROP_XDP, "another protocol's");
}

/* Off, bindings are not kept: the port is that of a session from then, not that of one before. */
Test(binding_changes, off_and_on_again)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	set_protocols(0, 0);
	cr_expect_eq(stranger(EXTERNAL, 54, OUT_PORT(6304, 2)), DROP_XDP);
	age_sessions(SUBSCRIBER, 301);
	sweep_sessions();
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2));
	set_protocols(BINDING_UDP, BINDING_UDP);
	expect_open(UDP, 6304 + PORTS, OUT_PORT(6304, 2), 54);
	cr_expect_eq(open_flow(UDP, 6304, 55, 0), OUT_PORT(6304, 2) + 1);
}

/* As if they had been opened between the agent's look at them and the change. */
Test(binding_changes, sessions_that_the_agent_has_missed_are_bound_at_the_next_opening)
{
	set_protocols(0, 0);
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2));
	set_protocols(BINDING_UDP, BINDING_UDP);
	*entry_of(UDP, OUT_PORT(6304, 2)) = 0;
	cr_expect_eq(open_flow(UDP, 6304, 54, 0), OUT_PORT(6304, 2) + 1);
	expect_open(UDP, 6304 + PORTS, OUT_PORT(6304, 2), 55);
}

/* Of a protocol that is mapped so and not filtered so, its port is for those that it has sent to. */
Test(binding_changes, a_stranger_reaches_protocols_that_are_filtered_so_alone)
{
	set_protocols(BINDING_UDP | BINDING_TCP, BINDING_TCP);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(open_flow(TCP, 6304, 80, 2), OUT_PORT(6304, 2));
	cr_expect_eq(stranger(EXTERNAL, 54, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
	expect_open(TCP, 6304, OUT_PORT(6304, 2), 54);
}
