/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports that sessions and bindings hold; of the suite of test_pcp_decide.c. */
#include "pcp_fixture.h"

static void hold(uint16_t port)
{
	held.others[port / 8] |= (uint8_t)(1 << port % 8);
}

Test(pcp_decide, a_port_of_another_inside_port_is_not_given)
{
	hold(PORT_LO + 40);
	hold(PORT_LO + 41);
	expect(MAP(.in_port = 40), PORT_LO + 42, 3600);
	expect(MAP(.in_port = 43, .out_port = PORT_LO + 41), PORT_LO + 43, 3600);
	EXPECT_REFUSED(MAP(.in_port = 44, .out_port = PORT_LO + 41, .prefer_failure = true),
		       PCP_CANNOT_PROVIDE_EXTERNAL, 30);
	cr_expect_eq(n_leases, 2);
}

Test(pcp_decide, a_block_whose_ports_are_all_in_use_has_no_resources)
{
	for (uint16_t i = 0; i < PORTS; i++)
		hold(PORT_LO + i);
	EXPECT_REFUSED(MAP(.in_port = 40), PCP_NO_RESOURCES, 30);
	held.others[(PORT_LO + 77) / 8] &= (uint8_t) ~(1 << (PORT_LO + 77) % 8);
	expect(MAP(.in_port = 40), PORT_LO + 77, 3600);
}

Test(pcp_decide, a_lease_that_there_is_keeps_its_port)
{
	expect(MAP(.in_port = 40), PORT_LO + 40, 3600);
	hold(PORT_LO + 40);
	expect(MAP(.in_port = 40), PORT_LO + 40, 3600);
}

Test(pcp_decide, an_inside_port_that_is_bound_gets_the_port_that_it_has)
{
	held.own = PORT_LO + 90;
	EXPECT_REFUSED(MAP(.in_port = 40, .out_port = PORT_LO + 7, .prefer_failure = true), PCP_CANNOT_PROVIDE_EXTERNAL,
		       30);
	expect(MAP(.in_port = 40, .out_port = PORT_LO + 7), PORT_LO + 90, 3600);
	/* It is a lease's by now. */
	expect(MAP(.in_port = 41), PORT_LO + 41, 3600);
}

Test(pcp_decide, a_bound_port_with_sessions_of_another_inside_port_is_not_given)
{
	held.own = PORT_LO + 90;
	hold(PORT_LO + 90);
	expect(MAP(.in_port = 40), PORT_LO + 40, 3600);
}
