// SPDX-License-Identifier: BSD-2-Clause
/* Two VLAN tags on frames of portmaps, bound ports, open mappings, strangers, drains and sessions beyond the slots. */
#include <net/if.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "reach_fixture.h"
#include "vlan_fixture.h"

/* In place of the fixture's mapping: four times the ports. */
#define NEW_POOL	  ADDR(203, 0, 113, 64)
#define NEW_PORT(in_port) (1024 + 4032 * 2 + (in_port) % 4032)

#define INSIDE_TAGS    \
	{ AD, 7 },     \
	{              \
		Q, 100 \
	}
#define OUTSIDE_TAGS \
	{ AD, 7 },   \
	{            \
		Q, 8 \
	}
/* A packet of SUBSCRIBER's, or of another host's, that leaves by an outside endpoint; and one that arrives. */
#define OUT(name_, hook_, in_addr, in_port, out_addr, out_port)                                                \
	{                                                                                                      \
		name_, hook_, { INSIDE_TAGS },                                                                 \
			{ .from = HOST, .to = GATEWAY_IN, .src = in_addr, .dst = EXTERNAL, UDP, in_port, 53 }, \
			REDIRECT_XDP, { OUTSIDE_TAGS },                                                        \
			{ .ttl = 63,                                                                           \
			  .from = GATEWAY_OUT,                                                                 \
			  .to = ROUTER,                                                                        \
			  .src = out_addr,                                                                     \
			  .dst = EXTERNAL,                                                                     \
			  UDP,                                                                                 \
			  out_port,                                                                            \
			  53 },                                                                                \
			REASON_in2out_translated                                                               \
	}
#define IN(name_, hook_, ext_addr, ext_port, in_addr, in_port, out_addr, out_port) \
	{                                                                          \
		name_, hook_, { OUTSIDE_TAGS },                                    \
			{ .from = ROUTER,                                          \
			  .to = GATEWAY_OUT,                                       \
			  .src = ext_addr,                                         \
			  .dst = out_addr,                                         \
			  UDP,                                                     \
			  ext_port,                                                \
			  out_port },                                              \
			REDIRECT_XDP, { INSIDE_TAGS },                             \
			{ .ttl = 63,                                               \
			  .from = GATEWAY_IN,                                      \
			  .to = HOST,                                              \
			  .src = ext_addr,                                         \
			  .dst = in_addr,                                          \
			  UDP,                                                     \
			  ext_port,                                                \
			  in_port },                                               \
			REASON_out2in_translated                                   \
	}

/* From now on both interfaces are VLANs of one VLAN; in one stage, all frames come in by the lowest. */
static void stack_vlans(void)
{
	below_outside = if_nametoindex("pout");
	below_inside = if_nametoindex("pin");
	if (!getenv("STAGES"))
		cr_assert_eq(datapath_add_port(&datapath, below_inside), 0);
	cr_assert_eq(datapath_add_port(&datapath, below_outside), 0);
	describe_vlan(below_inside, below_outside, AD, 7);
	describe_vlan(inside_ifindex, below_inside, Q, 100);
	describe_vlan(outside_ifindex, below_inside, Q, 8);
	below_inside = below_outside;
}

static void in_one_stage(void)
{
	stay_on_one_core();
	stack_vlans();
}

static void reached(void)
{
	reach_set_up();
	in_one_stage();
}

TestSuite(vlan_features, .init = reached, .fini = portmap_tear_down);

Test(vlan_features, tagged_frames_of_a_portmap_a_bound_port_and_an_open_address_pass)
{
	static const struct tagged_row rows[] = {
		IN("a stranger to a portmap", XDP_OUTSIDE, STRAY, 999, SUBSCRIBER, 8080, POOL, WEB),
		OUT("the portmap's own packet", XDP_INSIDE, SUBSCRIBER, 8080, POOL, WEB),
		OUT("a bound port", XDP_INSIDE, SUBSCRIBER, 6304, POOL, BOUND),
		IN("its answer", XDP_OUTSIDE, EXTERNAL, 53, SUBSCRIBER, 6304, POOL, BOUND),
		IN("a stranger to a bound port", XDP_OUTSIDE, STRAY, 999, SUBSCRIBER, 6304, POOL, BOUND),
		IN("a stranger to an open address", XDP_OUTSIDE, STRAY, 999, OPEN_IN, 22, OPEN_OUT, 22),
		OUT("an open address's own packet", XDP_INSIDE, OPEN_IN, 22, OPEN_OUT, 22),
		{ "a stranger to a port that is nobody's",
		  XDP_OUTSIDE,
		  { OUTSIDE_TAGS },
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = STRAY, .dst = POOL, UDP, 999, OUT_PORT(7777, 2) },
		  DROP_XDP,
		  {},
		  {},
		  REASON_drop_no_session },
		{ "from one inside host to the portmap of another",
		  XDP_INSIDE,
		  { INSIDE_TAGS },
		  { .from = HOST, .to = GATEWAY_IN, .src = OPEN_IN, .dst = POOL, UDP, 22, WEB },
		  REDIRECT_XDP,
		  { INSIDE_TAGS },
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = OPEN_OUT, .dst = SUBSCRIBER, UDP, 22, 8080 },
		  REASON_hairpin_translated },
	};

	RUN_TAGGED(rows);
}

Test(vlan_features, at_tc_too)
{
#define AT_TC(name_, in_addr, in_port, out_addr, out_port)                                                       \
	{                                                                                                        \
		name_, TC_OUTSIDE, { OUTSIDE_TAGS },                                                             \
			{ .from = HOST, .to = GATEWAY_IN, .src = in_addr, .dst = EXTERNAL, UDP, in_port, 53 },   \
			PASS_TC, {},                                                                             \
			{ .from = HOST, .to = GATEWAY_IN, .src = out_addr, .dst = EXTERNAL, UDP, out_port, 53 }, \
			REASON_in2out_translated                                                                 \
	}
	static const struct tagged_row rows[] = {
		AT_TC("a portmap", SUBSCRIBER, 8080, POOL, WEB),
		AT_TC("a bound port", SUBSCRIBER, 6304, POOL, BOUND),
		AT_TC("an open address", OPEN_IN, 22, OPEN_OUT, 22),
	};

	run_tagged_counted(rows, sizeof(rows) / sizeof(*rows));
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
static uint16_t beyond;

static void open_beyond(uint16_t first)
{

	for (unsigned i = 0; i < 9; i++)
		beyond = (uint16_t)open_flow(UDP, (uint16_t)(first + i * PORTS), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
}

static void draining(void)
{
	settings.drains = 1;
	set_up();
	open_beyond(6304);
	in_one_stage();
}

static void renumber(void)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 }, .out = { NEW_POOL, 28 }, .sessions_per_user = 1000, .session_slots = 64
	};

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(300, datapath.hz);
	make_mapping(&spec, &(struct mapping_handover){ true, { POOL, 30 }, 600 });
}

static void of_what_drains(void)
{
	uint16_t in_port = 6304 + 8 * PORTS;
	const struct tagged_row before[] = {
		OUT("beyond the slots", XDP_INSIDE, SUBSCRIBER, in_port, POOL, beyond),
		IN("its answer", XDP_OUTSIDE, EXTERNAL, 53, SUBSCRIBER, in_port, POOL, beyond),
		OUT("in a slot", XDP_INSIDE, SUBSCRIBER, 6304, POOL, OUT_PORT(6304, 2)),
	};
	const struct tagged_row after[] = {
		OUT("drains beyond the slots", XDP_INSIDE, SUBSCRIBER, in_port, POOL, beyond),
		IN("its answer", XDP_OUTSIDE, EXTERNAL, 53, SUBSCRIBER, in_port, POOL, beyond),
		OUT("drains in a slot", XDP_INSIDE, SUBSCRIBER, 6304, POOL, OUT_PORT(6304, 2)),
		IN("its answer", XDP_OUTSIDE, EXTERNAL, 53, SUBSCRIBER, 6304, POOL, OUT_PORT(6304, 2)),
		OUT("a new session", XDP_INSIDE, SUBSCRIBER, 7000, NEW_POOL, NEW_PORT(7000)),
		IN("its answer", XDP_OUTSIDE, EXTERNAL, 53, SUBSCRIBER, 7000, NEW_POOL, NEW_PORT(7000)),
	};

	RUN_TAGGED(before);
	renumber();
	RUN_TAGGED(after);
}

Test(vlan_drains, a_drain_keeps_sessions_in_slots_and_beyond, .init = draining, .fini = tear_down)
{
	of_what_drains();
}

static void in_two_stages(void)
{
	setenv("STAGES", "2", 1);
	settings.drains = 1;
	set_up();
	open_beyond(6304);
	stack_vlans();
}

Test(vlan_drains, a_drain_keeps_sessions_in_two_stages, .init = in_two_stages, .fini = tear_down)
{
	of_what_drains();
	cr_expect_eq(counted(REASON_redirect_errors), 0);
}
