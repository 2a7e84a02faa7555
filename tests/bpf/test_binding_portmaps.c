// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent mapping beside portmaps: no inside port is bound to a port that a portmap holds. */
#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "portmap_fixture.h"

static void set_up_both(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .inbound = 25 };
	portmap_set_up();
}

TestSuite(binding_portmaps, .init = set_up_both, .fini = portmap_tear_down);

/* The group of the first choice of inside port 5000, which begins with it, and those that are searched next. */
#define GROUP		(5000 % PORTS / 8)
#define PORT(ahead, at) ((uint16_t)(PORT_LO + (GROUP + (ahead)) * 8 + (at)))

static void hold(uint16_t out_port)
{
	map_port(UDP, SUBSCRIBER, (uint16_t)(out_port + 20000), out_port);
}

static void fill_all(void)
{
	for (uint32_t group = 0; group < PORTS / 8; group++)
		fill_group(UDP, group, 0, 0);
}

Test(binding_portmaps, a_free_port_of_the_group_is_passed_over)
{
	hold(PORT(0, 0));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT(0, 1));
}

Test(binding_portmaps, an_expired_port_of_the_group_is_passed_over)
{
	fill_group(UDP, GROUP, 0x03, 0);
	fill_group(UDP, GROUP, 0xfc, 4000);
	hold(PORT(0, 0));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT(0, 1));
}

Test(binding_portmaps, a_free_port_of_another_group_is_passed_over)
{
	fill_group(UDP, GROUP, 0, 0);
	hold(PORT(1, 0));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT(1, 1));
}

Test(binding_portmaps, expired_ports_of_other_groups_are_passed_over)
{
	fill_all();
	age_binding(UDP, PORT(1, 0), 4000);
	age_binding(UDP, PORT(2, 0), 4000);
	age_binding(UDP, PORT(2, 1), 4000);
	age_binding(UDP, PORT(2, 2), 4000);
	hold(PORT(1, 0));
	hold(PORT(2, 0));
	hold(PORT(2, 1));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT(2, 2));
}

Test(binding_portmaps, a_binding_gives_its_port_up_to_one)
{
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), PORT(0, 0));
	hold(PORT(0, 0));
	cr_expect_eq(open_flow(UDP, 5000, 54, 0), PORT(0, 1));
	cr_expect_not(binding_is_bound(*entry_of(UDP, PORT(0, 0))));
	cr_expect_eq(open_flow(UDP, 5000, 55, 0), PORT(0, 1), "and keeps the one that it has got");
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT(0, 0), "the session from before keeps the former");
}
