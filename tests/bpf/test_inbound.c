// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent filtering: what the outside may open. Whole packets are compared. */
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"

#define QUOTA 40

static void set_up_filtering(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	set_up();
}

static void set_up_udp(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 25 };
	set_up();
}

TestSuite(inbound, .init = set_up_filtering, .fini = tear_down);

#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL

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
	cr_expect_eq(mappings_inbound(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0)), 2);
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
		{ "SYN and FIN",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 54, OUT_PORT(6304, 2), .flags = 3 },
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
	int number = mappings_find_any(mappings, SUBSCRIBER);
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

Test(inbound, a_flood_takes_its_share_and_no_more)
{
	set_quota(QUOTA);
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
	set_quota(QUOTA);
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
	set_quota(2);
	open_flow(UDP, 6304, 53, 0);
	open_flow(UDP, 6304, 54, 0);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_quota), 1);
	RUN_ROWS(((struct row[]){
		{ "before its TTL is looked at",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 55, OUT_PORT(6304, 2), .ttl = 1 },
		  DROP_XDP,
		  {},
		  REASON_drop_inbound_quota },
		{ "another subscriber",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_inbound_quota },
	}));
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

/* Refusals are neither answered nor reported for the next second. */
static void hold_refusals(void)
{
	struct subscriber *s = mappings_subscriber(mappings, 0, 2);

	s->icmp_next = s->quota_event_next = (datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;
}

Test(inbound, sessions_from_outside_give_way_to_those_of_every_protocol, .init = set_up_udp)
{
	set_quota(8);
	open_flow(UDP, 6304, 53, 0);
	for (uint16_t i = 0; i < 2; i++)
		cr_assert_eq(stranger(EXTERNAL, (uint16_t)(1000 + i), OUT_PORT(6304, 2)), REDIRECT_XDP);
	for (uint16_t i = 0; i < 5; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(7000 + i), 80, 2), PORT_LO);
	next_tick();
	hold_refusals();
	cr_expect_geq(open_flow(TCP, 7005, 80, 2), PORT_LO, "the first in the tick");
	cr_expect_geq(open_flow(TCP, 7006, 80, 2), PORT_LO, "and the second");
	cr_expect_eq(open_flow(TCP, 7007, 80, 2), -1, "now all are its own");
	cr_expect_eq(sessions_of(SUBSCRIBER), 8);
}

Test(inbound, an_opening_that_finds_no_port_to_bind_ends_none_of_them)
{
	set_quota(2);
	open_flow(UDP, 6304, 53, 0);
	cr_assert_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), REDIRECT_XDP);
	for (uint32_t group = 0; group < PORTS / 8; group++)
		fill_group(UDP, group, 0, 0);
	cr_expect_eq(open_flow(UDP, 5000, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

/* The external port towards which a connection's preferred slot is the one of a UDP session of the same inside port. */
static uint16_t colliding_port(uint16_t in_port, uint16_t udp_port)
{
	const struct mapping *m = mappings_get(mappings, 0);
	uint32_t offset = in_port % PORTS, wanted;

	wanted = session_buckets(EXTERNAL, udp_port, UDP, offset, m->bucket_shift).first;
	for (uint16_t port = 1; port; port++)
		if (session_buckets(EXTERNAL, port, TCP, offset, m->bucket_shift).first == wanted)
			return port;
	return 0;
}

Test(inbound, a_session_in_a_slot_that_was_the_outsides_is_the_subscribers_own, .init = set_up_udp)
{
	uint16_t port = colliding_port(6304, 1000);

	/* So that the fast path opens it. */
	stay_on_one_core();
	set_quota(2);
	open_flow(UDP, 6304, 53, 0);
	cr_assert_eq(stranger(EXTERNAL, 1000, OUT_PORT(6304, 2)), REDIRECT_XDP);
	age_sessions(SUBSCRIBER, 301);
	sweep_sessions();
	cr_assert_eq(sessions_of(SUBSCRIBER), 0);
	cr_assert_geq(open_flow(TCP, 6304, port, 2), PORT_LO);
	cr_assert_geq(open_flow(TCP, 6999, 80, 2), PORT_LO);
	cr_expect_eq(open_flow(TCP, 7000, 80, 2), -1, "does not give way to the next");
}

/* The tables of a mapping are kept, empty, for addresses that an exception has taken out of it. */
Test(inbound, a_port_bound_before_an_exception_is_closed)
{
	struct mapping_spec spec = { .in = { SUBSCRIBER, 32 },
				     .out = { ADDR(203, 0, 113, 66), 32 },
				     .sessions_per_user = 1000,
				     .session_slots = 1024 };

	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	open_flow(UDP, 6304, 53, 0);
	cr_assert_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), REDIRECT_XDP);
	make_mapping(&spec, NULL);
	cr_expect_eq(stranger(EXTERNAL, 56, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
}

Test(inbound, an_expired_session_beyond_the_slots_keeps_no_stranger_out)
{
	int port;

	fill_group(UDP, 5000 % PORTS / 8, 0, 0);
	port = open_flow(UDP, 5000, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);
	age_beyond(ticks_of_seconds(301, datapath.hz));
	*entry_of(UDP, port) = 0;
	/* Another inside port has it now. */
	cr_assert_eq(open_flow(UDP, (uint16_t)(PORTS * 10 + port - PORT_LO), 54, 0), port);
	cr_expect_eq(stranger(EXTERNAL, 53, (uint16_t)port), REDIRECT_XDP);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->beyond, 0, "which has ended");
}

#define NEW_POOL ADDR(203, 0, 113, 64)

static void set_up_renumbered(void)
{
	settings.drains = 1;
	set_up_udp();
}

/* Replaces the fixture's mapping, whose sessions drain, by one with the same blocks and a quota. */
static void renumber(uint32_t quota)
{
	const struct prefix all = { ADDR(10, 0, 0, 0), 24 }, former = { POOL, 30 };
	struct mapping_spec spec = { .in = all,
				     .out = { NEW_POOL, 30 },
				     .sessions_per_user = quota,
				     .session_slots = 64,
				     .bindings = bindings };

	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, &(struct mapping_handover){ true, former, 600 });
}

Test(inbound, sessions_that_drain_count_for_the_outside_too, .init = set_up_renumbered)
{
	const struct row rows[] = {
		{ "a stranger below the quota",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = NEW_POOL, UDP, 54, OUT_PORT(6304, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 54, 6304 },
		  REASON_out2in_translated },
		{ "at the quota",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = NEW_POOL, UDP, 55, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_inbound_quota },
	};

	for (uint16_t i = 0; i < 6; i++)
		cr_assert_eq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), OUT_PORT(5000 + i, 2));
	renumber(8);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 8);
}

/* It is a stranger as any, not one beyond the limit. */
Test(inbound, nobody_opens_a_session_in_a_mapping_that_drains, .init = set_up_renumbered)
{
	set_quota(2);
	open_flow(UDP, 6304, 53, 0);
	open_flow(UDP, 6304, 54, 0);
	renumber(8);
	cr_expect_eq(stranger(EXTERNAL, 55, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
	cr_expect_eq(stranger(EXTERNAL, 54, OUT_PORT(6304, 2)), REDIRECT_XDP, "one that there is goes on");
}

/* Slots could not hold its sessions, which are found by the port. */
Test(inbound, a_binding_that_has_strayed_is_closed_to_strangers)
{
	int port;

	fill_group(UDP, 6304 % PORTS / 8, 0, 0);
	port = open_flow(UDP, 6304, 53, 0);
	cr_assert_geq(port, PORT_LO);
	cr_expect_eq(stranger(EXTERNAL, 55, (uint16_t)port), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_no_session), 1);
}
