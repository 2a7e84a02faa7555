/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VLAN interfaces, bonds, bridges: which interface sees whose frames, and which carries the program. The links are made
 * up, as not every kernel has these kinds; what is asked of a driver is asked of veths of the same names, in a network
 * namespace of the test's own.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <string.h>

#include "host/stacking.h"
#include "stacking_fixture.h"

TestSuite(stacking, .init = stacking_set_up);

Test(stacking, kinds)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		bool plain = !strcmp(links[i].kind, "veth") || !links[i].kind[0];

		cr_expect_eq(link_is_stacked(&links[i]), !plain, "%s", links[i].name);
		cr_expect_eq(link_is_vlan(&links[i]), !strcmp(links[i].kind, "vlan"), "%s", links[i].name);
	}
}

Test(stacking, links_are_found_by_index)
{
	cr_expect_str_eq(link_find(&all, INNER)->name, "eth0.7.8");
	cr_expect_null(link_find(&all, 99));
	cr_expect_null(link_find(&all, 0), "0 is nobody's, also where a record is empty");
}

Test(stacking, carrier_is_the_first_below_that_is_no_vlan_interface)
{
	static const struct {
		uint32_t vlan, carrier; /* 0: none */
	} rows[] = {
		{ VLAN, ETH0 },	  { SERVICE, ETH0 }, { INNER, ETH0 },	    { DEEPER, 0 },
		{ ELSEWHERE, 0 }, { ON_BOND, BOND }, { ON_BRIDGE, BRIDGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct link *carrier = vlan_carrier(&all, of(rows[i].vlan));

		cr_expect_eq(carrier ? carrier->ifindex : 0, rows[i].carrier, "%s", of(rows[i].vlan)->name);
	}
}

Test(stacking, the_offload_that_matters_is_that_of_the_outermost_tag)
{
	cr_expect_str_eq(vlan_offload(&all, of(VLAN)), OFFLOAD_VLAN);
	cr_expect_str_eq(vlan_offload(&all, of(SERVICE)), OFFLOAD_SERVICE_VLAN);
	cr_expect_str_eq(vlan_offload(&all, of(INNER)), OFFLOAD_SERVICE_VLAN);
	of(SERVICE)->vlan_tpid = ETH_P_8021Q;
	of(INNER)->vlan_tpid = ETH_P_8021AD;
	cr_expect_str_eq(vlan_offload(&all, of(INNER)), OFFLOAD_VLAN);
}

/* Name of what tags_taken_by() or merged_by() found. */
static const char *name(const struct link *l)
{
	return l ? l->name : "none";
}

Test(stacking, tags_are_taken_by_the_driver_at_the_bottom)
{
	cr_expect_str_eq(name(tags_taken_by(&all, of(ETH0), OFFLOAD_VLAN)), "none");
	offload("eth0", "rx-vlan-hw-parse", true);
	cr_expect_str_eq(name(tags_taken_by(&all, of(ETH0), OFFLOAD_VLAN)), "eth0");
	cr_expect_str_eq(name(tags_taken_by(&all, of(ETH0), OFFLOAD_SERVICE_VLAN)), "none");
	cr_expect_str_eq(name(tags_taken_by(&all, of(BOND), OFFLOAD_VLAN)), "none", "eth0 is no port of it yet");
	of(ETH1)->master = of(ETH0)->master = BOND;
	cr_expect_str_eq(name(tags_taken_by(&all, of(BOND), OFFLOAD_VLAN)), "eth0");
	offload("eth0", "rx-vlan-hw-parse", false);
	offload("eth1", "rx-vlan-hw-parse", true);
	cr_expect_str_eq(name(tags_taken_by(&all, of(BOND), OFFLOAD_VLAN)), "eth1");
}

Test(stacking, packets_are_merged_by_gro_at_the_bottom)
{
	of(ETH0)->master = BRIDGE;
	of(ETH1)->master = BOND;
	offload("eth0", "gro", true);
	cr_expect_str_eq(name(merged_by(&all, of(VLAN))), "eth0");
	cr_expect_str_eq(name(merged_by(&all, of(INNER))), "eth0");
	cr_expect_str_eq(name(merged_by(&all, of(MACVLAN))), "eth0");
	cr_expect_str_eq(name(merged_by(&all, of(BRIDGE))), "eth0");
	cr_expect_str_eq(name(merged_by(&all, of(ON_BRIDGE))), "eth0");
	cr_expect_str_eq(name(merged_by(&all, of(BOND))), "none");
	cr_expect_str_eq(name(merged_by(&all, of(ON_BOND))), "none");
	cr_expect_str_eq(name(merged_by(&all, of(ETH0))), "none", "its own GRO comes behind its XDP");
	offload("eth1", "gro", true);
	cr_expect_str_eq(name(merged_by(&all, of(ON_BOND))), "eth1");
	offload("eth0", "gro", false);
	cr_expect_str_eq(name(merged_by(&all, of(VLAN))), "none");
}

Test(stacking, a_ring_of_links_ends_the_search)
{
	of(SERVICE)->lower = INNER;
	cr_expect_null(vlan_carrier(&all, of(INNER)));
	cr_expect_null(merged_by(&all, of(INNER)));
	of(ETH0)->master = BRIDGE;
	of(BRIDGE)->master = ETH0;
	offload("eth0", "gro", true);
	cr_expect_null(merged_by(&all, of(BRIDGE)));
}

Test(stacking, a_link_stands_on_those_below_it)
{
	static const struct {
		uint32_t upper, lower;
		bool stands, shows;
		unsigned height; /* of the upper one */
	} rows[] = {
		{ MACVLAN, ETH0, true, true, 1 },     { VLAN, ETH0, true, false, 1 },
		{ INNER, ETH0, true, false, 2 },      { BOND, ETH1, true, true, 1 },
		{ ON_BOND, ETH1, true, false, 2 },    { BRIDGE, VLAN, true, true, 2 },
		{ BRIDGE, ETH0, true, false, 2 },     { ON_BRIDGE, VLAN, true, false, 3 },
		{ ETH0, MACVLAN, false, false, 0 },   { ETH0, ETH1, false, false, 0 },
		{ BOND, ETH0, false, false, 1 },      { PLAIN, ETH0, false, false, 0 },
		{ ELSEWHERE, ETH0, false, false, 0 },
	};

	of(ETH1)->master = BOND;
	of(VLAN)->master = BRIDGE;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct link *upper = of(rows[i].upper), *lower = of(rows[i].lower);

		cr_expect_eq(link_stands_on(&all, upper, lower), rows[i].stands, "%s on %s", upper->name, lower->name);
		cr_expect_eq(link_shows_in(&all, upper, lower), rows[i].shows, "%s in %s", upper->name, lower->name);
		cr_expect_eq(link_height(&all, upper), rows[i].height, "%s: %u", upper->name, link_height(&all, upper));
	}
}
