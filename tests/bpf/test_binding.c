// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent mapping and filtering. Whole packets are compared. */
#include <criterion/criterion.h>
#include <string.h>

#include <detnat/binding.h>

#include "fixture.h"
#include "sessions/bound_ports.h"
#include "told_routes.h"

#define QUOTA 40

static void set_up_mapping(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP | BINDING_ICMP, .inbound = 25 };
	set_up();
}

static void set_up_filtering(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	set_up();
}

TestSuite(binding, .init = set_up_mapping, .fini = tear_down);
TestSuite(inbound, .init = set_up_filtering, .fini = tear_down);

#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL

/* The entry of an outside port of SUBSCRIBER. */
static uint64_t *entry_of(uint8_t proto, int out_port)
{
	return mappings_binding(mappings, 0, 2, proto, (uint32_t)(out_port - PORT_LO));
}

/* Puts the stamp of a binding so many seconds further into the past. */
static void age_binding(uint8_t proto, int out_port, uint32_t seconds)
{
	*entry_of(proto, out_port) -= ticks_of_seconds(seconds, datapath.hz);
}

/* Binds all ports of a group of SUBSCRIBER but those in `but` to some inside ports, as of now. */
static void fill_group(uint8_t proto, uint32_t group, unsigned but, uint32_t seconds_ago)
{
	uint32_t seen = datapath_ticks(&datapath) - ticks_of_seconds(seconds_ago, datapath.hz);

	for (unsigned k = 0; k < 8; k++)
		if (!(but >> k & 1))
			*entry_of(proto, PORT_LO + (int)(group * 8 + k)) =
				binding_entry((uint16_t)(60000 + group * 8 + k), BINDING_BOUND, seen);
}

static void quota(uint32_t sessions)
{
	struct mapping_spec spec = { .in = { ADDR(10, 0, 0, 0), 24 },
				     .out = { POOL, 30 },
				     .sessions_per_user = sessions,
				     .bindings = bindings };
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	cr_assert_eq(mappings_update(mappings, &spec), 0);
}

static void sweep(void)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, NULL, NULL) > 0)
		;
	session_sweep_free(s);
}

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

	quota(2 * PORTS);
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
}

Test(binding, the_sweep_keeps_bindings_of_sessions_and_removes_others)
{
	uint32_t life = ticks_of_seconds(300, datapath.hz);

	open_flow(UDP, 5000, 53, 0);
	open_flow(UDP, 6000, 53, 0);
	age_binding(UDP, OUT_PORT(5000, 2), 299);
	*entry_of(UDP, PORT_LO) = binding_entry(9, BINDING_BOUND, datapath_ticks(&datapath) - life - life / 2 - 2);
	*entry_of(UDP, PORT_LO + 1) = binding_entry(9, BINDING_BOUND, datapath_ticks(&datapath) - life - 2);
	sweep();
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
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 53, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 54, 0), OUT_PORT(5000, 2));
	spec.bindings = bindings;
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	cr_expect_eq(open_flow(UDP, 5000 + PORTS, 55, 0), OUT_PORT(5000, 2) + 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 4);
	/* What went by the port of another still does. */
	cr_expect_eq(open_flow(UDP, 5000 + 2 * PORTS, 54, 0), OUT_PORT(5000, 2));
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
}

Test(binding, a_session_beyond_the_slots_has_the_bound_port_too)
{
	int port = open_flow(UDP, 5000, 53, 0);

	cr_expect_eq(port, OUT_PORT(5000, 2));
	for (uint32_t ext = 1000; ext < 3000 && !counted(REASON_sessions_overflowed); ext++) {
		quota(65535);
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

Test(inbound, a_stranger_reaches_a_bound_port)
{
	static const struct row rows[] = {
		{ "before it is bound",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 53 },
		  REASON_in2out_translated },
		{ "another external port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6304, 2), .payload = 11 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 54, 6304, .payload = 11 },
		  REASON_out2in_translated },
		{ "again",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6304, 2), .payload = 12 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 54, 6304, .payload = 12 },
		  REASON_out2in_translated },
		{ "the answer",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 54, .payload = 3 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 54, .payload = 3 },
		  REASON_in2out_translated },
		{ "another external address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL + 9, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL + 9, .dst = SUBSCRIBER, UDP, 53, 6304 },
		  REASON_out2in_translated },
		{ "a port that is not bound",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6305, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another protocol",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "the gateway's own address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(198, 51, 100, 1),
		    .dst = POOL,
		    UDP,
		    57,
		    OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "an inside source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, UDP, 57, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a pool address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL + 1, .dst = POOL, UDP, 57, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sessions_inbound), 2);
	cr_expect_eq(counted(REASON_sessions_opened), 3);
	cr_expect_eq(sessions_of(SUBSCRIBER), 3);
}

Test(inbound, only_a_syn_opens_a_connection_and_the_handshake_establishes_it)
{
	static const struct row rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6304, 443, .flags = 2 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, OUT_PORT(6304, 2), 443, .flags = 2 },
		  REASON_in2out_translated },
		{ "no SYN",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 0x10 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "SYN and ACK",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 0x12 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "RST",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 4 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "SYN",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 2 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 54, 6304, .flags = 2 },
		  REASON_out2in_translated },
		{ "SYN again",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 2 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 54, 6304, .flags = 2 },
		  REASON_out2in_translated },
	};
	static const struct row answer[] = {
		{ "its answer",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6304, 54, .flags = 0x12 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, OUT_PORT(6304, 2), 54, .flags = 0x12 },
		  REASON_in2out_translated },
	};
	static const struct row acknowledged[] = {
		{ "the ACK",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 0x10 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 54, 6304, .flags = 0x10 },
		  REASON_out2in_translated },
	};
	int number = mappings_find_inside(mappings, SUBSCRIBER);
	const struct slot *slots = (const struct slot *)mappings_buckets(mappings, number, 2), *s = slots;

	RUN_ROWS(rows);
	while (key_ext_port(s->key) != 54 || !word_is_live(s->truth))
		cr_assert_lt(++s - slots, 1024);
	cr_expect_eq(word_state(s->truth), SESSION_SYN_RECEIVED);
	RUN_ROWS(answer);
	cr_expect_eq(word_state(s->truth), SESSION_SYN_RECEIVED_ANSWERED);
	RUN_ROWS(acknowledged);
	cr_expect_eq(word_state(s->truth), SESSION_ESTABLISHED);
}

/* How many come in the flood. */
enum { FLOOD = 400 };

static int stranger(uint32_t src, uint16_t sport, uint16_t dport)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = src, .dst = POOL, .proto = UDP, .sport = sport, .dport = dport
	};
	size_t size = frame_build(&f, in), out_size;

	if (sport % 16 == 0)
		refresh_followed_routes();
	return run_frame(XDP_OUTSIDE, in, size, out, &out_size);
}

Test(inbound, a_flood_takes_its_share_and_no_more)
{
	quota(QUOTA);
	open_flow(UDP, 6304, 53, 0);
	for (unsigned i = 0; i < FLOOD; i++)
		stranger(ADDR(192, 0, 2, 0) + i % 256, (uint16_t)(1024 + i), OUT_PORT(6304, 2));
	cr_expect_eq(counted(REASON_sessions_inbound), QUOTA / 4);
	cr_expect_eq(counted(REASON_drop_inbound_limit), FLOOD - QUOTA / 4);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1 + QUOTA / 4);
	/* Once they have expired, others may come. */
	age_sessions(SUBSCRIBER, 301);
	next_tick();
	cr_expect_eq(stranger(ADDR(192, 0, 2, 1), 9, OUT_PORT(6304, 2)), REDIRECT_XDP);
}

Test(inbound, sessions_from_outside_give_way_to_the_subscribers_own)
{
	quota(QUOTA);
	open_flow(UDP, 6304, 53, 0);
	for (unsigned i = 0; i < 100; i++)
		stranger(ADDR(192, 0, 2, 0), (uint16_t)(1024 + i), OUT_PORT(6304, 2));
	for (unsigned i = 0; i < QUOTA - 1; i++) {
		if (i % 8 == 7)
			next_tick();
		cr_expect_eq(open_flow(UDP, 6304, (uint16_t)(1000 + i), 0), OUT_PORT(6304, 2), "own session %u", i);
	}
	cr_expect_eq(counted(REASON_drop_quota), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA);
	/* All are its own: the next is refused. */
	next_tick();
	cr_expect_eq(open_flow(UDP, 6304, 999, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
}

Test(inbound, at_the_quota_strangers_are_dropped)
{
	quota(2);
	open_flow(UDP, 6304, 53, 0);
	open_flow(UDP, 6304, 54, 0);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), 1);
}

Test(inbound, an_expired_binding_is_closed_to_strangers)
{
	open_flow(UDP, 6304, 53, 0);
	age_binding(UDP, OUT_PORT(6304, 2), 301);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
}

Test(inbound, strangers_do_not_lengthen_a_binding)
{
	uint64_t before;

	open_flow(UDP, 6304, 53, 0);
	age_binding(UDP, OUT_PORT(6304, 2), 100);
	before = *entry_of(UDP, OUT_PORT(6304, 2));
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), REDIRECT_XDP);
	cr_expect_eq(*entry_of(UDP, OUT_PORT(6304, 2)), before);
}

Test(inbound, a_hairpin_needs_no_hole_punched_first)
{
	static const struct row rows[] = {
		{ "one binds its port",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 53 },
		  REASON_in2out_translated },
		{ "the other sends to it",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, OUT_PORT(6304, 2) },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    OUT_PORT(7000, 3),
		    6304 },
		  REASON_hairpin_translated },
		{ "and is answered",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 6304, OUT_PORT(7000, 3) },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = OTHER,
		    UDP,
		    OUT_PORT(6304, 2),
		    7000 },
		  REASON_hairpin_translated },
		{ "what claims to be that peer comes from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = POOL,
		    .dst = POOL,
		    UDP,
		    OUT_PORT(7000, 3),
		    OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
}
