// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the fast path does for subscribers with portmaps and with bound ports. The programs of the slow path are taken
 * away once next hops are known, so no packet can come back from there.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <string.h>

#include <detnat/portmap_lines.h>

#include "binding_fixture.h"
#include "datapath/datapath_private.h"
#include "portmap_fixture.h"

#define BOUND_PORT 6001

static void set_up_features(void)
{
	static const struct row first[] = {
		{ "a portmap's, out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 3074, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, CAM, 53, .payload = 30 },
		  REASON_in2out_translated },
		{ "a portmap's, in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, CAM, .payload = 30 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 3074, .payload = 30 },
		  REASON_out2in_translated },
	};
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_open };

	bindings = (struct binding_layout){ .mapping = BINDING_TCP, .inbound = 25 };
	portmap_set_up();
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	/* As in ordinary_packets_take_the_fast_path. */
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	settings.session_events = 1;
	reload_settings();
	datapath.global->sources_until = datapath_ticks(&datapath) + 100000;
	RUN_ROWS(first);
	/* The first opening of a subscriber binds the ports of its older sessions, on the slow path. */
	cr_assert_eq(open_flow(TCP, BOUND_PORT, 80, 2), OUT_PORT(BOUND_PORT, 2));
	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
}

TestSuite(fast_features, .init = set_up_features, .fini = portmap_tear_down);

static const struct row portmap_rows[] = {
	{ "out, to anyone",
	  XDP_INSIDE,
	  { FROM_HOST, UDP, 3074, 5353, .payload = 30 },
	  REDIRECT_XDP,
	  { TO_ROUTER, UDP, CAM, 5353, .payload = 30 },
	  REASON_in2out_translated },
	{ "in, from anyone",
	  XDP_OUTSIDE,
	  { FROM_ROUTER, UDP, 5454, CAM, .payload = 30 },
	  REDIRECT_XDP,
	  { TO_HOST, UDP, 5454, 3074, .payload = 30 },
	  REASON_out2in_translated },
};

Test(fast_features, a_portmaps_packets_need_one_program)
{
	RUN_ROWS(portmap_rows);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->sessions, 1);
}

/* Runs a packet in each direction; the portmap must count them. */
static void expect_counted(void)
{
	const struct portmap *m = portmaps_by_out(portmaps, UDP, (struct endpoint){ POOL, CAM });
	struct portmap_traffic before, after;

	portmaps_traffic(portmaps, m, &before);
	RUN_ROWS(portmap_rows);
	portmaps_traffic(portmaps, m, &after);
	cr_expect_eq(after.packets_in, before.packets_in + 1);
	cr_expect_eq(after.packets_out, before.packets_out + 1);
}

Test(fast_features, a_portmap_is_found_in_its_lines_alone_and_its_packets_are_counted)
{
	struct portmap_key in = portmap_key_inside(0, SUBSCRIBER, 3074, UDP),
			   out = { .addr = POOL, .port = CAM, .proto = UDP, .direction = PORTMAP_OUT2IN };

	expect_counted();
	cr_assert_eq(bpf_map_delete_elem(datapath.portmaps, &in), 0);
	cr_assert_eq(bpf_map_delete_elem(datapath.portmaps, &out), 0);
	expect_counted();
}

Test(fast_features, a_portmap_for_which_the_lines_have_no_room_is_found_in_the_map)
{
	memset(datapath.portmap_line, 0, sizeof(struct portmap_line) * PORTMAP_LINES_TABLE);
	expect_counted();
}

Test(fast_features, an_entry_of_a_line_is_for_both_its_addresses)
{
	/* Ports of other applications, of another subscriber than the one that has the endpoint now. */
	for (uint32_t i = 0; i < PORTMAP_LINES_TABLE; i++)
		for (unsigned at = 0; at < PORTMAP_LINE; at++)
			if (datapath.portmap_line[i].addresses[at]) {
				datapath.portmap_line[i].addresses[at] ^= 1;
				datapath.portmap_line[i].ports[at] ^= 0x55;
			}
	RUN_ROWS(portmap_rows);
}

Test(fast_features, a_session_beside_a_portmap_needs_one_program)
{
	static const struct row rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(7000, 2), 53, .payload = 30 },
		  REASON_in2out_translated },
		{ "is answered",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2), .payload = 30 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 7000, .payload = 30 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->sessions, 2);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->lock & 1, 0);
}

/* 500 ports into its block is the portmap's. The flow is for the slow path, which is not there. */
Test(fast_features, no_session_gets_the_port_of_a_portmap)
{
	struct frame f = { FROM_HOST, UDP, 1024, 53, .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	while (OUT_PORT(f.sport, 2) != CAM)
		f.sport++;
	size = frame_build(&f, in);
	run_frame_counted("its first choice is taken", XDP_INSIDE, in, size, out, &out_size, PASS_XDP,
			  REASON_no_program);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->sessions, 1);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->lock & 1, 0);
}

Test(fast_features, a_bound_port_is_found_or_bound_in_one_program)
{
	cr_expect_eq(open_flow(TCP, BOUND_PORT, 81, 2), OUT_PORT(BOUND_PORT, 2), "found");
	cr_expect_eq(open_flow(TCP, 6002, 81, 2), OUT_PORT(6002, 2), "bound");
	cr_expect_eq(binding_in_port(*entry_of(TCP, OUT_PORT(6002, 2))), 6002);
	/* Another inside port has its first choice: it gets the next free one of the group, for all destinations. */
	cr_expect_eq(open_flow(TCP, 6002 + PORTS, 81, 2), open_flow(TCP, 6002 + PORTS, 82, 2));
	cr_expect_neq(open_flow(TCP, 6002 + PORTS, 83, 2), OUT_PORT(6002, 2));
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->sessions, 6);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->lock & 1, 0);
}

/* The program that would look for a session first is taken away, once next hops are known. */
static void set_up_openings(void)
{
	static const uint32_t search = PROG_in2out;

	set_up();
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	reload_settings();
	datapath.global->sources_until = datapath_ticks(&datapath) + 100000;
	cr_assert_eq(open_flow(TCP, 5000, 80, 2), OUT_PORT(5000, 2));
	bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &search);
}

TestSuite(fast_openings, .init = set_up_openings, .fini = tear_down);

Test(fast_openings, what_takes_a_search_goes_straight_to_the_program_that_opens)
{
	cr_expect_eq(open_flow(TCP, 5000 + PORTS, 80, 2), OUT_PORT(5000, 2) + 1, "its first choice is taken");
	cr_expect_eq(open_flow(TCP, 5000 + PORTS, 80, 2), OUT_PORT(5000, 2) + 1, "it goes on");
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}
