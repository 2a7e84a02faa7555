// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent mapping. Whole packets are compared. */
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"

static void set_up_mapping(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP | BINDING_ICMP, .inbound = 25 };
	set_up();
}

TestSuite(binding, .init = set_up_mapping, .fini = tear_down);

#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL

Test(binding, an_inside_port_keeps_its_outside_port_for_all_destinations)
{
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 54, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(open_flow(UDP, 5000, 54, 0), OUT_PORT(5000, 2));
	for (uint16_t ext = 1000; ext < 1100; ext++) {
		cr_expect_eq(open_flow(UDP, 5000 + PORTS, ext, 0), OUT_PORT(5000, 2) + 1);
		cr_expect_eq(open_flow(UDP, 5000, ext, 0), OUT_PORT(5000, 2));
	}
}

Test(binding, each_protocol_has_ports_of_its_own)
{
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(TCP, 5000 + PORTS, 53, 2), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(TCP, 5000, 54, 2), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(open_flow(TCP, 5000, 53, 2), OUT_PORT(5000, 2) + 1);
}

Test(binding, no_outside_port_serves_two_inside_ports)
{
	int seen[PORTS] = { 0 };

	set_quota(2 * PORTS);
	/* Each group gets its eight inside ports, in an order that lets none have its first choice at last. */
	for (unsigned i = 0; i < PORTS; i++) {
		int port = open_flow(UDP, (uint16_t)(10000 + (i % 8) * PORTS + i / 8 * 8), (uint16_t)(1000 + i), 0);

		cr_assert_geq(port, PORT_LO);
		cr_assert_eq(seen[port - PORT_LO]++, 0, "inside port %u gets %d, which another has", i, port);
	}
}

Test(binding, a_bindings_port_is_not_used_up_by_a_destination)
{
	/* Without bindings the second inside port would get the first's port towards another destination. */
	open_flow(UDP, 5000, 53, 0);
	cr_expect_neq(open_flow(UDP, 5000 + PORTS, 5353, 0), OUT_PORT(5000, 2));
}

Test(binding, strays_to_another_group_when_its_own_is_full)
{
	uint32_t group = 5000 % PORTS / 8;
	int port;

	fill_group(UDP, group, 0, 0);
	port = open_flow(UDP, 5000, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_expect_neq((uint32_t)(port - PORT_LO) / 8, group);
	for (uint16_t ext = 54; ext < 60; ext++)
		cr_expect_eq(open_flow(UDP, 5000, ext, 0), port);
	/* It stays there when its own group has room again. */
	*entry_of(UDP, PORT_LO + (int)group * 8) = binding_freed(*entry_of(UDP, PORT_LO + (int)group * 8));
	*entry_of(UDP, PORT_LO + (int)group * 8 + 3) = 0;
	cr_expect_eq(open_flow(UDP, 5000, 60, 0), port);
	/* Another inside port of the group does not find it. */
	cr_expect_neq(open_flow(UDP, 5000 + PORTS, 60, 0), port);
	cr_expect_eq(open_flow(UDP, 5000, 61, 0), port, "which is found after that, too");

	const struct row rows[] = {
		{ "a packet of the session",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 5 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, (uint16_t)port, 53, .payload = 5 },
		  REASON_in2out_translated },
		{ "its answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, (uint16_t)port, .payload = 7 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 5000, .payload = 7 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

Test(binding, strays_are_searched_for_while_the_group_has_any)
{
	int home = PORT_LO + 5000 % PORTS / 8 * 8, port;

	fill_group(UDP, 5000 % PORTS / 8, 0, 0);
	port = open_flow(UDP, 5000, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_assert(binding_flags(*entry_of(UDP, home)) & BINDING_AWAY);
	*entry_of(UDP, home + 3) = 0;
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 54, 0), home + 3);
	cr_expect(binding_flags(*entry_of(UDP, home)) & BINDING_AWAY, "one has strayed");
	*entry_of(UDP, port) = 0;
	*entry_of(UDP, home + 4) = 0;
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 55, 0), home + 4);
	cr_expect_not(binding_flags(*entry_of(UDP, home)) & BINDING_AWAY, "none has");
}

Test(binding, refuses_an_inside_port_when_the_block_is_bound)
{
	struct binding_layout layout = mappings_get(mappings, 0)->bindings;

	cr_assert_eq(layout.protocols, 7);
	for (uint32_t group = 0; group < PORTS / 8; group++)
		fill_group(UDP, group, 0, 0);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	/* The other protocols' ports are free. */
	cr_expect_eq(open_flow(TCP, 5000, 53, 2), OUT_PORT(5000, 2));
	/* So is the next one that is given up, wherever it is. */
	*entry_of(UDP, PORT_LO + 3) = 0;
	next_tick();
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), PORT_LO + 3);
}

Test(binding, an_expired_binding_gives_its_port_up_to_another_inside_port)
{
	uint32_t group = 5000 % PORTS / 8, at = 5000 % PORTS % 8;

	fill_group(UDP, group, 1U << at, 0);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	age_sessions(SUBSCRIBER, 301);
	age_binding(UDP, OUT_PORT(5000, 2), 301);
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), OUT_PORT(5000, 2));
}

Test(binding, an_inside_port_that_comes_back_finds_its_expired_binding)
{
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2) + 1);
	age_sessions(SUBSCRIBER, 301);
	age_binding(UDP, OUT_PORT(5000, 2), 301);
	age_binding(UDP, OUT_PORT(5000, 2) + 1, 301);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2) + 1);
}

Test(binding, a_port_that_a_session_uses_is_not_given_up_though_its_stamp_is_old)
{
	uint32_t group = 5000 % PORTS / 8, at = 5000 % PORTS % 8;
	int port;

	fill_group(UDP, group, 1U << at, 0);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	/* As without an agent: packets of the session go on, nothing raises the stamp. */
	age_binding(UDP, OUT_PORT(5000, 2), 400);
	port = open_flow(UDP, 5000 + PORTS, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_expect_neq((uint32_t)(port - PORT_LO) / 8, group);
	/* It was found to be in use. */
	cr_expect(binding_holds(*entry_of(UDP, OUT_PORT(5000, 2)), datapath_ticks(&datapath),
				ticks_of_seconds(300, datapath.hz)));
	cr_expect_gt(datapath_ticks(&datapath) - binding_seen(*entry_of(UDP, OUT_PORT(5000, 2))),
		     ticks_of_seconds(290, datapath.hz), "for a moment");
}

Test(binding, the_sweep_keeps_bindings_of_sessions_and_removes_others)
{
	uint32_t life = ticks_of_seconds(300, datapath.hz);

	open_flow(UDP, 5000, 53, 0);
	open_flow(UDP, 6000, 53, 0);
	age_binding(UDP, OUT_PORT(5000, 2), 299);
	*entry_of(UDP, PORT_LO) = binding_entry(9, BINDING_BOUND, datapath_ticks(&datapath) - life - life / 2 - 2);
	*entry_of(UDP, PORT_LO + 1) = binding_entry(9, BINDING_BOUND, datapath_ticks(&datapath) - life - 2);
	sweep_sessions();
	cr_expect_lt(datapath_ticks(&datapath) - binding_seen(*entry_of(UDP, OUT_PORT(5000, 2))), 100);
	cr_expect_eq(*entry_of(UDP, PORT_LO), 0);
	cr_expect_neq(*entry_of(UDP, PORT_LO + 1), 0, "one that has just expired may be a session's beyond the slots");
}

Test(binding, sessions_from_before_keep_their_ports_and_bind_them)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 },
		.out = { POOL, 30 },
		.sessions_per_user = 1000,
	};
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	/* Off: the second inside port has the first choice of both towards another destination. */
	cr_expect_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	age_sessions(SUBSCRIBER, 301);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 54, 0), OUT_PORT(5000, 2));
	spec.bindings = bindings;
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 55, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 4);
	/* One that has expired binds none. */
	cr_expect_eq(open_flow(UDP, 7000 + PORTS, 53, 0), OUT_PORT(7000, 2));
	/* What went by the port of another still does. */
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 54, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
}

Test(binding, a_session_beyond_the_slots_has_the_bound_port_too)
{
	int port = open_flow(UDP, 5000, 53, 0);

	cr_expect_eq(port, OUT_PORT(5000, 2));
	for (uint32_t ext = 1000; ext < 3000 && !counted(REASON_sessions_overflowed); ext++) {
		set_quota(65535);
		cr_assert_eq(open_flow(UDP, 5000, (uint16_t)ext, 0), port, "towards port %u", ext);
	}
	cr_expect_geq(counted(REASON_sessions_overflowed), 1);
}

Test(binding, strangers_are_dropped_without_filtering)
{
	static const struct row rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 53 },
		  REASON_in2out_translated },
		{ "a stranger",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ROWS(rows);
}

/* A walk of the other groups begins with the next one. */
Test(binding, groups_whose_expired_ports_are_in_use_do_not_hide_others)
{
	uint32_t home = 5000 % PORTS / 8;

	for (uint32_t group = 0; group < PORTS / 8; group++)
		fill_group(UDP, group, 0, 0);
	/* Expired by its stamp, as without an agent, but a session uses the port. */
	*entry_of(UDP, PORT_LO + (int)(home + 1) * 8) = 0;
	cr_assert_eq(open_flow(UDP, (uint16_t)((home + 1) * 8), 53, 0), PORT_LO + (int)(home + 1) * 8);
	age_binding(UDP, PORT_LO + (int)(home + 1) * 8, 400);
	age_binding(UDP, PORT_LO + (int)(home + 2) * 8, 400);
	for (int tries = 0; tries < 2; tries++) {
		if (open_flow(UDP, 5000, 53, 0) == PORT_LO + (int)(home + 2) * 8)
			return;
		next_tick();
	}
	cr_expect(0, "an expired port that nothing uses is not found");
}

Test(binding, one_that_has_strayed_gives_its_port_up_to_a_portmap)
{
	struct portmap m = { .in = { SUBSCRIBER, 9999 }, .proto = UDP };
	struct portmaps *portmaps;
	struct error err;
	int port;

	settings.portmaps = 1;
	reload_settings();
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	fill_group(UDP, 5000 % PORTS / 8, 0, 0);
	port = open_flow(UDP, 5000, 53, 0);
	cr_assert_geq(port, PORT_LO);
	m.out = (struct endpoint){ POOL, (uint16_t)port };
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_expect_neq(open_flow(UDP, 5000, 54, 0), port, "the port is the portmap's");
	cr_expect_neq(open_flow(UDP, 5000, 55, 0), port);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), port, "the session from before keeps it");
	portmaps_close(portmaps);
}

Test(binding, a_session_beyond_the_slots_keeps_its_port_while_packets_come)
{
	uint32_t group = 5000 % PORTS / 8;
	int port;

	fill_group(UDP, group, 0, 0);
	port = open_flow(UDP, 5000, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	age_binding(UDP, port, 299);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), port);
	sweep_sessions();
	cr_expect_lt(datapath_ticks(&datapath) - binding_seen(*entry_of(UDP, port)), 100);
}

Test(binding, an_expired_port_that_another_protocol_uses_is_given_up)
{
	cr_assert_eq(open_flow(TCP, 6304, 80, 2), OUT_PORT(6304, 2));
	fill_group(UDP, 6304 % PORTS / 8, 1U << 0, 0);
	fill_group(UDP, 6304 % PORTS / 8, 0xfe, 4000);
	cr_expect_eq(open_flow(UDP, 6305, 53, 0), OUT_PORT(6304, 2));
}

Test(binding, an_expired_port_is_given_up_though_a_session_has_one_of_the_next_group)
{
	/* Of the next group, at the same place. */
	cr_assert_eq(open_flow(UDP, 6304 + 8, 53, 0), OUT_PORT(6304 + 8, 2));
	fill_group(UDP, 6304 % PORTS / 8, 1U << 0, 0);
	fill_group(UDP, 6304 % PORTS / 8, 0xfe, 4000);
	cr_expect_eq(open_flow(UDP, 6305, 53, 0), OUT_PORT(6304, 2));
}

Test(binding, expired_ports_of_another_group_are_given_up_one_by_one)
{
	int next = PORT_LO + (5000 % PORTS / 8 + 1) * 8;

	for (uint32_t group = 0; group < PORTS / 8; group++)
		fill_group(UDP, group, 0, 0);
	*entry_of(UDP, next) = 0;
	cr_assert_eq(open_flow(UDP, (uint16_t)(next - PORT_LO), 53, 0), next);
	for (int at = 0; at < 3; at++)
		age_binding(UDP, next + at, 400);
	/* A session uses the first one. */
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), next + 1);
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), next + 2);
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1, "there is none to wait for");
}
