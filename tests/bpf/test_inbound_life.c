// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent filtering: how long a bound port and what strangers open there last. */
#include <criterion/criterion.h>

#include "binding_fixture.h"

static void set_up_filtering(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	set_up();
}

TestSuite(inbound_life, .init = set_up_filtering, .fini = tear_down);

Test(inbound_life, an_expired_binding_is_closed_to_strangers)
{
	open_flow(UDP, 6304, 53, 0);
	age_binding(UDP, OUT_PORT(6304, 2), 301);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
}

Test(inbound_life, strangers_do_not_lengthen_a_binding)
{
	uint64_t before;

	open_flow(UDP, 6304, 53, 0);
	age_binding(UDP, OUT_PORT(6304, 2), 100);
	before = *entry_of(UDP, OUT_PORT(6304, 2));
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), REDIRECT_XDP);
	cr_expect_eq(*entry_of(UDP, OUT_PORT(6304, 2)), before);
}

/* With an agent that sweeps or without one. */
Test(inbound_life, a_session_that_a_stranger_opens_ends_with_the_binding)
{
	const int port = OUT_PORT(6304, 2);

	for (int swept = 0; swept < 2; swept++) {
		next_tick();
		cr_assert_eq(open_flow(UDP, 6304, 53, 0), port);
		age_sessions(SUBSCRIBER, 250);
		age_binding(UDP, port, 250);
		for (uint16_t i = 0; i < 4; i++)
			cr_assert_eq(stranger(EXTERNAL, (uint16_t)(55 + i), (uint16_t)port), REDIRECT_XDP);
		if (swept)
			sweep_sessions();
		age_sessions(SUBSCRIBER, 52);
		age_binding(UDP, port, 52);
		cr_expect_eq(stranger(EXTERNAL, 55, (uint16_t)port), DROP_XDP, "its session has ended");
		cr_expect_eq(stranger(EXTERNAL, 59, (uint16_t)port), DROP_XDP, "none opens");
		sweep_sessions();
		cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	}
}

Test(inbound_life, an_answer_to_a_stranger_keeps_the_port)
{
	const int port = OUT_PORT(6304, 2);

	open_flow(UDP, 6304, 53, 0);
	age_sessions(SUBSCRIBER, 250);
	age_binding(UDP, port, 250);
	cr_assert_eq(stranger(EXTERNAL, 55, (uint16_t)port), REDIRECT_XDP);
	next_tick();
	cr_assert_eq(open_flow(UDP, 6304, 55, 0), port);
	sweep_sessions();
	age_sessions(SUBSCRIBER, 100);
	age_binding(UDP, port, 100);
	cr_expect_eq(stranger(EXTERNAL, 56, (uint16_t)port), REDIRECT_XDP);
}

/* Without an agent. */
Test(inbound_life, ports_that_strangers_use_alone_are_the_subscribers_again)
{
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_eq(open_flow(UDP, (uint16_t)(10 * PORTS + i), 53, 0), PORT_LO + i);
	age_sessions(SUBSCRIBER, 250);
	for (uint16_t i = 0; i < 8; i++)
		age_binding(UDP, PORT_LO + i, 250);
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_eq(stranger(EXTERNAL, 55, (uint16_t)(PORT_LO + i)), REDIRECT_XDP);
	age_sessions(SUBSCRIBER, 52);
	for (uint16_t i = 0; i < 8; i++)
		age_binding(UDP, PORT_LO + i, 52);
	for (uint16_t i = 0; i < 8; i++)
		cr_expect_eq(open_flow(UDP, (uint16_t)(20 * PORTS + i), 53, 0), PORT_LO + i, "port %u", i);
}
