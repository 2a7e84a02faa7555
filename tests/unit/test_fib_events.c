/* SPDX-License-Identifier: BSD-2-Clause */
/* What the copy of the kernel's routes makes of events, one by one. */
#include <stdlib.h>

#include "fib/route_copy_private.h"
#include "fib_lab.h"

TestSuite(fib_events, .init = lab_set_up, .fini = lab_tear_down, .timeout = 300);

#define ADDRESS 0x0a050505U

static bool is_out(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_OUT;
}

static bool is_in(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_FAST_IN;
}

static bool is_the_kernels(void)
{
	return !lab_look_up(ADDRESS)->flags;
}

static bool is_unresolved(void)
{
	return lab_look_up(ADDRESS)->flags == FIB_ROUTED;
}

static size_t n_routes(void)
{
	struct route_copy_summary s;

	route_copy_summary(lab_copy, &s);
	return s.routes;
}

static bool is_small(void)
{
	return n_routes() < 1000;
}

static void add_many(const char *way)
{
	FILE *f = popen("ip -batch -", "w");

	for (unsigned i = 0; i < 20000; i++)
		fprintf(f, "route add 20.%u.%u.0/24 %s\n", i >> 8, i & 255, way);
	cr_assert_eq(pclose(f), 0);
}

static bool is_own(void)
{
	return lab_look_up(ADDRESS)->flags & FIB_LOCAL;
}

/* Waits, as routes whose order is not certain are read again. */
static void run_and_pass(const char *command)
{
	lab_run(command);
	lab_pass();
	lab_wait_until_in_force();
}

Test(fib_events, an_address_on_two_interfaces_stays_until_both_have_lost_it)
{
	lab_wait_until_in_force();
	run_and_pass("ip addr add 10.5.5.5/24 dev out0 && ip addr add 10.5.5.5/24 dev in0");
	cr_expect(is_own());
	run_and_pass("ip addr del 10.5.5.5/24 dev out0");
	cr_expect(is_own());
	run_and_pass("ip addr del 10.5.5.5/24 dev in0");
	cr_expect_not(is_own());
}

/* All of the same prefix and metric, and left to the kernel or with the same next hop. */
Test(fib_events, one_of_two_routes_alike_stays)
{
	static const struct {
		const char *add, *append;
		bool told; /* where it leads, is_out() */
	} alike[] = {
		{ "nexthop via 203.0.113.2 nexthop via 203.0.113.3",
		  "nexthop via 203.0.113.2 nexthop via 203.0.113.4" },
		{ "nexthop via 203.0.113.2 weight 2 nexthop via 203.0.113.3",
		  "nexthop via 203.0.113.2 nexthop via 203.0.113.3" },
		{ "via 203.0.113.2 mtu lock 1400", "via 203.0.113.3 mtu lock 1400" },
		{ "via 203.0.113.2 dev out0", "via 203.0.113.2 dev out0 onlink", true },
		{ "via 203.0.113.2 realm 3", "via 203.0.113.2 realm 4", true },
	};
	char text[256];

	lab_wait_until_in_force();
	run_and_pass("ip route add 10.5.0.0/16 via 198.51.100.2");
	cr_expect(is_in());
	for (size_t i = 0; i < ARRAY_SIZE(alike); i++) {
		snprintf(text, sizeof(text), "ip route add 10.5.5.0/24 %s && ip route append 10.5.5.0/24 %s",
			 alike[i].add, alike[i].append);
		run_and_pass(text);
		cr_expect(alike[i].told ? is_out() : is_the_kernels(), "%s", alike[i].add);
		snprintf(text, sizeof(text), "ip route del 10.5.5.0/24 %s", alike[i].add);
		run_and_pass(text);
		cr_expect(alike[i].told ? is_out() : is_the_kernels(), "%s is left", alike[i].append);
		snprintf(text, sizeof(text), "ip route del 10.5.5.0/24 %s", alike[i].append);
		run_and_pass(text);
		cr_expect(is_in(), "both are gone");
	}
}

/* The kernel does not tell of routes that go with an interface. */
Test(fib_events, routes_vanish_with_their_interface)
{
	lab_wait_until_in_force();
	add_many("via 203.0.113.2");
	lab_run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip route add 10.5.5.0/24 via 203.0.113.2 && "
		"ip route add default via 203.0.113.3");
	lab_wait_for(is_out, "the route is used");
	lab_run("ip link set out0 down");
	lab_wait_for(is_in, "the shorter prefix is used");
	lab_wait_for(is_small, "the other routes are forgotten");
	lab_wait_until_right("interface down", NOTHING_WRONG);
	lab_run("ip link set out0 up && ip neigh replace 203.0.113.4 lladdr 02:00:00:00:02:04 dev out0 nud permanent "
		"&& "
		"ip route add 10.5.5.0/24 via 203.0.113.4");
	lab_wait_for(is_out, "the new route is used");
	lab_wait_until_right("interface up again", NOTHING_WRONG);
	lab_run("ip link del out0");
	lab_wait_for(is_in, "the shorter prefix is used");
	lab_wait_until_right("interface deleted", NOTHING_WRONG);
}

Test(fib_events, nexthop_objects_vanish_with_the_carrier)
{
	lab_wait_until_in_force();
	lab_run("ip route add 10.5.0.0/16 via 198.51.100.2 && ip nexthop add id 9 via 203.0.113.2 dev out0 && "
		"ip route add 10.5.5.0/24 nhid 9");
	lab_wait_for(is_out, "the nexthop object is used");
	lab_run("ip nexthop replace id 9 via 198.51.100.3 dev in0");
	lab_wait_for(is_in, "the changed object is used");
	lab_run("ip nexthop replace id 9 via 203.0.113.2 dev out0");
	lab_wait_for(is_out, "the object is used again");
	lab_run("ip link set out1 down");
	lab_wait_for(is_in, "the shorter prefix is used");
	lab_wait_until_right("no carrier", NOTHING_WRONG);
	lab_run("ip link set out1 up");
	lab_wait_until_right("carrier again", NOTHING_WRONG);
	lab_run("ip nexthop add id 9 via 203.0.113.2 dev out0 && ip route add 10.5.5.0/24 nhid 9");
	lab_wait_for(is_out, "the new object is used");
	lab_run("ip nexthop del id 9");
	lab_wait_for(is_in, "the shorter prefix is used");
}

/* Nor of those that go with the address that is their preferred source. */
Test(fib_events, routes_vanish_with_their_preferred_source)
{
	lab_wait_until_in_force();
	lab_run("ip addr add 192.0.2.7/32 dev lo && ip route add 10.5.0.0/16 via 198.51.100.2 && "
		"ip route add 10.5.5.0/24 via 203.0.113.2 src 192.0.2.7");
	lab_wait_for(is_out, "the route is used");
	lab_run("ip addr del 192.0.2.7/32 dev lo");
	lab_wait_for(is_in, "the shorter prefix is used");
	lab_wait_until_right("address deleted", NOTHING_WRONG);
}

/* Nor of those that go with the last address of their interface, which stays up. */
Test(fib_events, routes_vanish_with_the_last_address_of_their_interface)
{
	lab_wait_until_in_force();
	run_and_pass("ip addr add 192.0.2.7/32 dev out0 && ip route add 10.5.0.0/16 via 198.51.100.2 && "
		     "ip route add 10.5.5.0/24 via 203.0.113.2 && ip nexthop add id 9 via 203.0.113.3 dev out0 && "
		     "ip route add 10.5.6.0/24 nhid 9");
	cr_expect(is_out());
	run_and_pass("ip addr del 192.0.2.7/32 dev out0");
	cr_expect(is_out(), "there is another address");
	run_and_pass("ip addr del 203.0.113.1/24 dev out0");
	cr_expect(is_in(), "the shorter prefix is used");
	lab_wait_until_right("no address", NOTHING_WRONG);
	/* Those with nexthop objects stay; the neighbours are gone. */
	cr_expect_eq(lab_look_up(0x0a050605)->flags, FIB_ROUTED);
	run_and_pass("ip addr add 203.0.113.1/24 dev out0 && ip route add 10.5.5.0/24 via 203.0.113.2 && "
		     "ip neigh replace 203.0.113.2 lladdr 02:00:00:00:02:02 dev out0 nud permanent");
	lab_wait_for(is_out, "the new route is used");
	/* The address as it was read at the start counts, too. */
	route_copy_lost(lab_copy);
	lab_wait_until_in_force();
	run_and_pass("ip addr del 203.0.113.1/24 dev out0");
	cr_expect(is_in());
}

static size_t n_neighbours(void)
{
	struct route_copy_summary s;

	route_copy_summary(lab_copy, &s);
	return s.neighbours;
}

Test(fib_events, neighbours_that_failed_are_forgotten_once_deleted)
{
	size_t before;

	lab_wait_until_in_force();
	before = n_neighbours();
	run_and_pass("ip neigh add 203.0.113.9 lladdr 02:00:00:00:02:09 dev out0 nud stale");
	cr_expect_eq(n_neighbours(), before + 1);
	run_and_pass("ip neigh change 203.0.113.9 dev out0 nud failed");
	cr_expect_eq(n_neighbours(), before + 1);
	run_and_pass("ip neigh del 203.0.113.9 dev out0");
	cr_expect_eq(n_neighbours(), before);
	cr_expect_eq(lab_look_up(0xcb007109)->flags, FIB_ROUTED, "of the network it was on");
	/* Those that never were usable are not remembered. */
	run_and_pass("ip neigh add 203.0.113.9 dev out0 nud failed");
	cr_expect_eq(n_neighbours(), before);
}

Test(fib_events, neighbours_and_records_decide_about_flags)
{
	lab_wait_until_in_force();
	lab_run("ip route add 10.5.0.0/16 via 203.0.113.9");
	lab_wait_until_right("unresolved", NOTHING_WRONG);
	cr_expect_eq(lab_look_up(ADDRESS)->flags, FIB_ROUTED);
	lab_run("ip neigh add 203.0.113.9 lladdr 02:00:00:00:02:09 dev out0 nud stale");
	lab_wait_for(is_out, "the neighbour is resolved");
	lab_run("ip neigh replace 203.0.113.9 lladdr 02:00:00:00:02:19 dev out0 nud reachable");
	cr_expect_eq(lab_look_up(ADDRESS)->dmac[5], 9);
	lab_turn();
	lab_wait_for(is_out, "the new address is used");
	cr_expect_eq(lab_look_up(ADDRESS)->dmac[5], 0x19);
	lab_record("out0", DEVICE_OUTSIDE | DEVICE_INSIDE);
	lab_wait_for(is_in, "the interface is an inside one, too");
	lab_run("ip neigh change 203.0.113.9 dev out0 nud failed");
	while (lab_look_up(ADDRESS)->flags != FIB_ROUTED)
		lab_turn();
	lab_run("ip link set out1 down");
	lab_wait_for(is_the_kernels, "the interface has no carrier");
}

/* The kernel says that one of them is replaced, not which. */
Test(fib_events, one_of_several_routes_is_replaced)
{
	static const char *const verbs[] = { "append", "prepend" };
	char text[512];

	lab_wait_until_in_force();
	lab_run("ip route add 10.5.0.0/16 via 203.0.113.2");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		snprintf(text, sizeof(text),
			 "ip route add 10.5.5.0/24 via 203.0.113.2 && ip route %s 10.5.5.0/24 via 203.0.113.3 && "
			 "ip route %s 10.5.5.0/24 via 203.0.113.4",
			 verbs[i], verbs[i]);
		run_and_pass(text);
		cr_expect(is_the_kernels());
		run_and_pass("ip route replace 10.5.5.0/24 via 198.51.100.2");
		lab_wait_until_right("replaced", NOTHING_WRONG);
		run_and_pass("ip route del 10.5.5.0/24 via 198.51.100.2");
		cr_expect(is_the_kernels(), "two are left");
		run_and_pass("ip route del 10.5.5.0/24 via 203.0.113.3");
		/* Which one was replaced is known once everything has been read again. */
		lab_wait_for(is_out, "one is left");
		run_and_pass("ip route flush 10.5.5.0/24");
	}
}

/* The kernel notifies the routes of an object that changes as if they replaced something. */
Test(fib_events, a_changed_object_replaces_no_route)
{
	lab_wait_until_in_force();
	run_and_pass("ip nexthop add id 9 via 198.51.100.3 dev in0 && ip route add 10.5.5.0/24 via 203.0.113.2 && "
		     "ip route append 10.5.5.0/24 nhid 9");
	cr_expect(is_the_kernels());
	run_and_pass("ip nexthop replace id 9 via 198.51.100.4 dev in0");
	cr_expect(is_the_kernels(), "there are two still");
	run_and_pass("ip route del 10.5.5.0/24 nhid 9");
	cr_expect(is_out());
}

static bool is_shorter(void)
{
	return is_out() && lab_look_up(ADDRESS)->mtu == 1400;
}

static bool is_full_size(void)
{
	return is_out() && lab_look_up(ADDRESS)->mtu == 1500;
}

Test(fib_events, the_mtu_is_that_of_the_route_or_of_the_interface)
{
	lab_wait_until_in_force();
	lab_run("ip route add 10.5.5.0/24 via 203.0.113.2 mtu 1400 advmss 1300");
	lab_wait_for(is_shorter, "the route's");
	lab_run("ip route change 10.5.5.0/24 via 203.0.113.2 advmss 1300");
	lab_wait_for(is_full_size, "the interface's");
	lab_run("ip route change 10.5.5.0/24 via 203.0.113.2 mtu 9000");
	lab_pass();
	lab_wait_for(is_full_size, "the interface's, which is lower");
	lab_run("ip nexthop add id 9 via 203.0.113.2 dev out0 && ip route replace 10.5.5.0/24 nhid 9 mtu 1400");
	lab_wait_for(is_shorter, "that of a route with an object");
	lab_run("ip route change 10.5.5.0/24 via 203.0.113.2 mtu lock 1400");
	lab_wait_for(is_the_kernels, "locked");
}

Test(fib_events, gateways_may_have_ipv6_addresses)
{
	lab_wait_until_in_force();
	lab_run("ip neigh add fe80::2:22 lladdr 02:00:00:00:02:22 dev out0 nud permanent && "
		"ip neigh add fe80::3:22 lladdr 02:00:00:00:02:33 dev out0 nud permanent && "
		"ip route add 10.5.5.0/24 via inet6 fe80::2:22 dev out0");
	lab_wait_for(is_out, "the gateway is used");
	cr_expect_eq(lab_look_up(ADDRESS)->dmac[5], 0x22);
	lab_run("ip route change 10.5.5.0/24 via inet6 fe80::3:22 dev out0");
	lab_pass();
	lab_wait_for(is_out, "the other one is used");
	cr_expect_eq(lab_look_up(ADDRESS)->dmac[5], 0x33);
	lab_run("ip nexthop add id 9 via fe80::2:22 dev out0 && ip route change 10.5.5.0/24 nhid 9");
	lab_pass();
	lab_wait_for(is_out, "the object's is used");
	cr_expect_eq(lab_look_up(ADDRESS)->dmac[5], 0x22);
	/* What is there at a reading. */
	route_copy_lost(lab_copy);
	lab_wait_until_in_force();
	lab_wait_for(is_out, "it is used still");
	lab_run("ip neigh del fe80::2:22 dev out0");
	lab_wait_for(is_unresolved, "it is not resolved");
}

Test(fib_events, an_own_address_that_goes_leaves_a_special_range_special)
{
	lab_wait_until_in_force();
	cr_assert_eq(route_copy_set_special(lab_copy, &(struct prefix){ 0x0a050000, 16 }, 1), 0);
	lab_wait_until_in_force();
	lab_run("ip route add 10.0.0.0/8 via 203.0.113.2 && ip addr add 10.5.5.5/32 dev lo && "
		"ip addr add 169.254.1.1/32 dev lo && ip route add 169.254.0.0/16 via 203.0.113.2");
	lab_wait_for(is_own, "the address is the gateway's");
	run_and_pass("ip addr del 10.5.5.5/32 dev lo && ip addr del 169.254.1.1/32 dev lo");
	cr_expect(is_the_kernels());
	cr_expect_eq(lab_look_up(0xa9fe0101)->flags, 0);
}

/* Of every table, and of routes that are left to the kernel. */
Test(fib_events, gateways_are_known)
{
	static const struct prefix pools[] = { { 0xcb007103, 32 }, { 0xcb007104, 31 }, { 0xcb007106, 31 } };

	lab_run("ip route add 10.5.0.0/16 nexthop via 203.0.113.2 nexthop via 203.0.113.3");
	cr_expect(route_copy_may_lead_to(lab_copy, pools[0]) && route_copy_may_lead_to(lab_copy, pools[2]),
		  "not read yet");
	lab_wait_until_in_force();
	cr_expect(route_copy_may_lead_to(lab_copy, pools[0]));
	cr_expect_not(route_copy_may_lead_to(lab_copy, pools[1]));
	lab_run("ip route add 10.6.0.0/16 via 203.0.113.5 table 7 && ip route add 10.7.0.0/16 via 203.0.113.4 && "
		"ip route del 10.7.0.0/16");
	while (!route_copy_may_lead_to(lab_copy, pools[1]))
		lab_turn();
	cr_expect_not(route_copy_may_lead_to(lab_copy, pools[2]));
	/* Those of routes that are gone are forgotten with the next reading. */
	route_copy_lost(lab_copy);
	lab_wait_until_in_force();
	cr_expect(route_copy_may_lead_to(lab_copy, (struct prefix){ 0xcb007105, 32 }));
	cr_expect_not(route_copy_may_lead_to(lab_copy, (struct prefix){ 0xcb007104, 32 }));
}

Test(fib_events, special_ranges_are_the_kernels)
{
	const struct prefix special[] = { { 0x0a050000, 16 } };
	struct route_copy_summary s;

	lab_wait_until_in_force();
	lab_run("ip route add 10.0.0.0/8 via 203.0.113.2");
	lab_wait_for(is_out, "the route is used");
	cr_expect(lab_look_up(0xa9fe0001)->flags == 0 && lab_look_up(0xe0000001)->flags == 0 &&
		  lab_look_up(0x7f000005)->flags == 0);
	cr_assert_eq(route_copy_set_special(lab_copy, special, 1), 0);
	cr_expect(is_the_kernels());
	cr_expect(lab_look_up(0x0a060000)->flags & FIB_FAST_OUT);
	route_copy_summary(lab_copy, &s);
	cr_expect(s.in_force);
	/* Of so many addresses, no entry is looked at alone. */
	cr_assert_eq(route_copy_set_special(lab_copy, NULL, 0), 0);
	route_copy_summary(lab_copy, &s);
	cr_expect_not(s.in_force);
	lab_wait_until_in_force();
	cr_expect(is_out());
	/* A range of the gateway's own addresses. */
	lab_run("ip route add local 10.5.0.0/16 dev lo");
	lab_wait_for(is_the_kernels, "the range is the gateway's own");
	lab_wait_until_in_force();
	lab_run("ip route del local 10.5.0.0/16 dev lo");
	lab_wait_for(is_out, "the range is the gateway's own no longer");
}

static bool is_ranked(unsigned rank)
{
	return FIB_RANK(fib_trie_entry(&lab_copy->trie, ADDRESS)) == rank;
}

static bool is_own_address(void)
{
	return is_ranked(FIB_RANK_LOCAL);
}

static bool is_in_own_range(void)
{
	return is_ranked(FIB_RANK_LOCAL_PREFIX);
}

static bool is_special(void)
{
	return is_ranked(FIB_RANK_SPECIAL);
}

/* What the datapath takes for perhaps its own; the pools of the mappings are not. */
Test(fib_events, own_ranges_hide_special_ones)
{
	const struct prefix special[] = { { 0x0a050500, 24 } };

	lab_wait_until_in_force();
	cr_assert_eq(route_copy_set_special(lab_copy, special, 1), 0);
	lab_wait_until_in_force();
	cr_expect(is_special());
	lab_run("ip route add local 10.5.0.0/16 dev lo");
	lab_wait_for(is_in_own_range, "the range is the gateway's own");
	lab_run("ip addr add 10.5.5.5/32 dev lo");
	lab_wait_for(is_own_address, "the address is");
	lab_run("ip addr del 10.5.5.5/32 dev lo");
	lab_wait_for(is_in_own_range, "the range still is");
	lab_run("ip route del local 10.5.0.0/16 dev lo");
	lab_wait_for(is_special, "the range is the gateway's own no longer");
}
