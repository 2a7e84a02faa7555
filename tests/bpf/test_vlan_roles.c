// SPDX-License-Identifier: BSD-2-Clause
/* Frames with VLAN tags: whose interface each is, of which role, and by which interface they leave. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "vlan_fixture.h"

TestSuite(vlan_roles, .init = set_up_vlans, .fini = tear_down);

/* Identifiers have 12 bits: of these two the lower 11 are those of other VLANs. */
Test(vlan_roles, identifiers_have_12_bits)
{
	static const struct tagged_row rows[] = {
		{ "from inside",
		  XDP_INSIDE,
		  { { Q, 0x2000 | 4094 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  REDIRECT_XDP,
		  { { AD, 2100 } },
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "from outside",
		  XDP_OUTSIDE,
		  { { AD, 2100 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  REDIRECT_XDP,
		  { { Q, 4094 } },
		  { TO_HOST, UDP, 53, 6303 },
		  REASON_out2in_translated },
		{ "another, of the same lower bits",
		  XDP_OUTSIDE,
		  { { AD, 2100 - 2048 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	describe_vlan(inside_ifindex, below_inside, Q, 4094);
	describe_vlan(outside_ifindex, below_outside, AD, 2100);
	RUN_TAGGED(rows);
}

/* A tag that no VLAN interface has is the kernel's business, though the interface below has a role, too. */
Test(vlan_roles, unknown_tags_on_an_interface_with_a_role)
{
	static const struct tagged_row rows[] = {
		OPEN,
		{ "unknown",
		  XDP_OUTSIDE,
		  { { AD, 201 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2), .payload = 20 },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
		{ "unknown, behind a priority",
		  XDP_OUTSIDE,
		  { { AD, 0xe000 }, { Q, 7 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2), .payload = 20 },
		  PASS_XDP,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	datapath.device[below_outside].roles = DEVICE_OUTSIDE;
	memcpy(datapath.device[below_outside].mac, datapath.device[outside_ifindex].mac, 6);
	RUN_TAGGED(rows);
}

/* The ports of a bond receive the tagged frames of VLAN interfaces on the bond. */
Test(vlan_roles, on_a_bond_is_that_of_its_ports)
{
	static const struct tagged_row rows[] = { OPEN };
	uint32_t port = if_nametoindex("lo");

	datapath.device[port].master = below_inside;
	below_inside = port;
	RUN_TAGGED(rows);
}

/* What claims to be a subscriber's comes from outside, by an interface that is nothing else. */
Test(vlan_roles, the_direction_is_that_of_the_vlan_s_role)
{
	static const struct tagged_row rows[] = {
		OPEN,
		{ "an inside source, to a pool address",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, UDP, 53, OUT_PORT(6303, 2) },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_martian },
		{ "a subscriber to a subscriber, straight",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = SUBSCRIBER, UDP, 53, 6303 },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_direct_to_inside },
	};

	RUN_TAGGED(rows);
}

Test(vlan_roles, at_tc_tags_of_interfaces_without_a_role_stay)
{
	static const struct tagged_row rows[] = {
		{ "its own",
		  TC_OUTSIDE,
		  { { AD, 200 } },
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = EXTERNAL, UDP, 6303, 53, .payload = 9 },
		  PASS_TC,
		  {},
		  {},
		  REASON_passed_untranslated },
	};

	datapath.device[outside_ifindex].roles = 0;
	run_tagged_counted(rows, sizeof(rows) / sizeof(*rows));
}

static void set_up_open_vlans(void)
{
	settings.open_mappings = 1;
	set_up_vlans();
}

/* Hosts inside that no mapping has: one that is routed there, and one that pretends to be outside. */
Test(vlan_roles, sources_to_pool_addresses_are_asked_for_their_vlan, .init = set_up_open_vlans)
{
#define OPEN_IN	 ADDR(10, 0, 0, 40)
#define OPEN_OUT ADDR(203, 0, 113, 66)
#define ROUTED	 ADDR(192, 0, 3, 9)
	static const struct tagged_row rows[] = {
		{ "forged",
		  XDP_INSIDE,
		  { { Q, 100 } },
		  { .from = HOST, .to = GATEWAY_IN, .src = EXTERNAL, .dst = OPEN_OUT, UDP, 5000, 53, .payload = 9 },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_spoofed },
		{ "routed",
		  XDP_INSIDE,
		  { { Q, 100 } },
		  { .from = HOST, .to = GATEWAY_IN, .src = ROUTED, .dst = OPEN_OUT, UDP, 5000, 53, .payload = 9 },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = ROUTED,
		    .dst = OPEN_IN,
		    UDP,
		    5000,
		    53,
		    .payload = 9 },
		  REASON_hairpin_translated },
		{ "its answer",
		  XDP_INSIDE,
		  { { Q, 100 } },
		  { .from = HOST, .to = GATEWAY_IN, .src = OPEN_IN, .dst = ROUTED, UDP, 53, 5000, .payload = 9 },
		  REDIRECT_XDP,
		  { { Q, 100 } },
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = OPEN_OUT,
		    .dst = ROUTED,
		    UDP,
		    53,
		    5000,
		    .payload = 9 },
		  REASON_hairpin_translated },
		{ "the gateway's own",
		  XDP_OUTSIDE,
		  { { AD, 200 } },
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(198, 51, 100, 1),
		    .dst = OPEN_OUT,
		    UDP,
		    5000,
		    53,
		    .payload = 9 },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_martian },
	};
	struct mapping_spec open = {
		.in = { OPEN_IN, 32 }, .out = { OPEN_OUT, 32 }, .open = true, .sessions_per_user = 1000
	};

	for (int i = 0; i < N_TIMEOUTS; i++)
		open.timeout_ticks[i] = 10000;
	make_mapping(&open, NULL);
	cr_assert_eq(system("ip route add 192.0.3.0/24 via 10.0.0.3"), 0);
	datapath_raise_epoch(&datapath);
	RUN_TAGGED(rows);
}

/* With stages `ports` tells where a frame goes: the outermost interface has been entered alone. */
static void set_up_staged_vlans(void)
{
	setenv("STAGES", "2", 1);
	set_up();
	below_outside = if_nametoindex("pout");
	below_inside = if_nametoindex("pin");
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(below_inside, below_outside, AD, 7);
	describe_vlan(inside_ifindex, below_inside, Q, 100);
	describe_vlan(outside_ifindex, below_inside, Q, 8);
	below_inside = below_outside;
}

Test(vlan_stages, two_tags_leave_by_the_interface_below_both, .init = set_up_staged_vlans, .fini = tear_down)
{
	static const struct tagged_row rows[] = {
		{ "from inside",
		  XDP_INSIDE,
		  { { AD, 7 }, { Q, 100 } },
		  { FROM_HOST, UDP, 6303, 53 },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 8 } },
		  { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53 },
		  REASON_in2out_translated },
		{ "from outside",
		  XDP_OUTSIDE,
		  { { AD, 7 }, { Q, 8 } },
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6303, 2) },
		  REDIRECT_XDP,
		  { { AD, 7 }, { Q, 100 } },
		  { TO_HOST, UDP, 53, 6303 },
		  REASON_out2in_translated },
	};

	RUN_TAGGED(rows);
	cr_expect_eq(counted(REASON_redirect_errors), 0);
}
