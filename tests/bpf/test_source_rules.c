// SPDX-License-Identifier: BSD-2-Clause
/* Sources and the kernel's rules: routing policies, bonds, and interfaces without XDP. Whole packets are compared. */
#include <net/if.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(source_rules, .init = set_up, .fini = tear_down);

#define OWN	   ADDR(10, 0, 0, 1)
#define FROM(addr) .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = EXTERNAL
#define TO(addr)   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = (addr), .dst = EXTERNAL
#define UP	   PASS_XDP, {}, REASON_passed_untranslated

static void run(const char *commands)
{
	cr_assert_eq(system(commands), 0, "%s", commands);
	datapath_raise_epoch(&datapath);
}

/* Where rules decide, the kernel is asked about a source that routes refuse, though no filter is on. */
Test(source_rules, with_rules_the_kernel_decides_about_sources_that_are_refused)
{
	static const struct row rows[] = {
		{ "a blackhole", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 9)), UDP, 5001, 53 }, UP },
		{ "prohibited", XDP_INSIDE, { FROM(ADDR(10, 0, 0, 10)), UDP, 5001, 53 }, UP },
		{ "another",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO(POOL), UDP, OUT_PORT(5001, 2), 53 },
		  REASON_in2out_translated },
	};

	run("ip route add blackhole 10.0.0.9/32; ip route add prohibit 10.0.0.10/32");
	settings.policy_routing = 1;
	reload_settings();
	RUN_ROWS(rows);
}

/* The way back is looked up as for an answer, which comes in by the egress. */
Test(source_rules, the_way_back_is_that_of_an_answer)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO(POOL), UDP, OUT_PORT(5001, 2), 53 },
		  REASON_in2out_translated },
	};
	static const struct row prohibited[] = {
		{ "whose answers are refused", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5002, 53 }, UP },
	};

	run("ip route add prohibit 10.0.0.2/32 table 100; ip rule add iif tin lookup 100");
	settings.policy_routing = 1;
	reload_settings();
	RUN_ROWS(rows);
	run("ip rule add iif tout lookup 100");
	RUN_ROWS(prohibited);
}

/* As in the kernel, which looks a source up by the VRF that the packet came in through. */
Test(source_rules, with_vrfs_the_way_back_is_looked_up_from_where_the_packet_came_in)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO(POOL), UDP, OUT_PORT(5001, 2), 53 },
		  REASON_in2out_translated },
	};
	static const struct row prohibited[] = {
		{ "prohibited there", XDP_INSIDE, { FROM(SUBSCRIBER), UDP, 5002, 53 }, UP },
	};

	run("ip route add prohibit 10.0.0.2/32 table 100; ip rule add iif tout lookup 100");
	settings.policy_routing = POLICY_INTERFACES;
	settings.vrf = 1;
	reload_settings();
	RUN_ROWS(rows);
	run("ip rule add iif tin lookup 100");
	RUN_ROWS(prohibited);
}

/* Routes lead through the bond, not through its ports. */
Test(source_rules, behind_a_port_is_behind_its_bond)
{
	static const struct row rows[] = {
		{ "in a mapping",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO(POOL), UDP, OUT_PORT(5001, 2), 53 },
		  REASON_in2out_translated },
		{ "in none", XDP_INSIDE, { FROM(ADDR(192, 0, 3, 9)), UDP, 5001, 53 }, UP },
		{ "in none, of another",
		  XDP_INSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), UDP, 5001, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
	};
	uint32_t bond = inside_ifindex, port = if_nametoindex("pin");

	run("ip route add 192.0.3.0/24 via 10.0.0.2");
	datapath.device[bond].rp_filter = 1;
	datapath.device[port] = datapath.device[bond];
	datapath.device[port].master = bond;
	settings.source_check = SOURCES_STRICT_EACH;
	settings.unmatched = UNMATCHED_STRICT;
	reload_settings();
	inside_ifindex = port;
	RUN_ROWS(rows);
	inside_ifindex = bond;
}

/* The kernel forwards what a bond receives, whatever is set for its ports. */
Test(source_rules, a_packet_that_a_port_receives_is_routed_as_its_bonds)
{
	static const struct row rows[] = {
		{ "in a mapping",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5001, 53 },
		  REDIRECT_XDP,
		  { TO(POOL), UDP, OUT_PORT(5001, 2), 53 },
		  REASON_in2out_translated },
	};
	uint32_t bond = inside_ifindex, port = if_nametoindex("pin");

	run("echo 0 > /proc/sys/net/ipv4/conf/pin/forwarding");
	datapath.device[port] = datapath.device[bond];
	datapath.device[port].master = bond;
	inside_ifindex = port;
	RUN_ROWS(rows);
	inside_ifindex = bond;
}

/* On one interface for both sides the way back of what comes from outside is another one, or the same. */
Test(source_rules, on_a_stick_no_filter_is_asked_about_senders_outside)
{
	static const struct row rows[] = {
		{ "in",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(5001, 2) },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5001 },
		  REASON_out2in_translated },
	};

	cr_assert_eq(open_flow(UDP, 5001, 53, 0), OUT_PORT(5001, 2));
	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	datapath.device[inside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

/* Only hairpins: the kernel checks what it forwards. */
Test(source_rules, the_rules_hold_for_hairpins_at_tc, .init = set_up_ingress)
{
#define HAIRPIN(addr, port) .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = POOL, UDP, port, PORT_LO
	static const struct row rows[] = {
		{ "the gateway's own", INGRESS_INSIDE, { HAIRPIN(OWN, 5000) }, DROP_TC, {}, REASON_drop_martian },
		{ "behind another interface",
		  INGRESS_INSIDE,
		  { HAIRPIN(OTHER, 5000) },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "where it belongs",
		  INGRESS_INSIDE,
		  { HAIRPIN(SUBSCRIBER, 5000) },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
	};

	run("ip link add tin2 type veth peer name pin2; ip link set tin2 up; ip link set pin2 up;"
	    "ip route add 10.0.0.3/32 dev tin2");
	datapath.device[inside_ifindex].rp_filter = 1;
	settings.source_check = SOURCES_STRICT;
	reload_settings();
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(OWN) + sessions_of(OTHER), 0);
}
