// SPDX-License-Identifier: BSD-2-Clause
/* Outside to inside: the XDP program of the outside. Whole packets are compared. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(out2in, .init = set_up_with_room, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

#define OPEN(proto_, port_, ext_)                                                                             \
	{                                                                                                     \
		"opens", XDP_INSIDE, { FROM_HOST, proto_, port_, ext_, .flags = 2 }, REDIRECT_XDP,            \
			{ TO_ROUTER, proto_, OUT_PORT(port_, 2), ext_, .flags = 2 }, REASON_in2out_translated \
	}

Test(out2in, translates_for_a_session)
{
	static const struct row rows[] = {
		OPEN(TCP, 6303, 443),
		{ "TCP",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 443, OUT_PORT(6303, 2), .flags = 0x12 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 443, 6303, .flags = 0x12 },
		  REASON_out2in_translated },
		OPEN(UDP, 6304, 53),
		{ "UDP",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .payload = 33 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304, .payload = 33 },
		  REASON_out2in_translated },
		{ "UDP without checksum",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .options = NO_UDP_CHECKSUM },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304, .options = NO_UDP_CHECKSUM },
		  REASON_out2in_translated },
		{ "IP options",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .ip_options = 8, .payload = 3 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304, .ip_options = 8, .payload = 3 },
		  REASON_out2in_translated },
		OPEN(ICMP, 6305, 0),
		{ "echo reply",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, ICMP, .dport = OUT_PORT(6305, 2), .icmp_type = ECHO_REPLY_TYPE, .payload = 56 },
		  REDIRECT_XDP,
		  { TO_HOST, ICMP, .dport = 6305, .icmp_type = ECHO_REPLY_TYPE, .payload = 56 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

Test(out2in, unsolicited_packets_are_dropped_silently)
{
	static const struct row rows[] = {
		OPEN(UDP, 6304, 53),
		OPEN(ICMP, 6305, 0),
		{ "another external port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 54, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another external address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL + 1, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another port of the block",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) + 1 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another subscriber's port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 3) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another protocol",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 53, OUT_PORT(6304, 2), .flags = 0x10 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another outside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL + 1, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "multicast as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(224, 0, 0, 9),
		    .dst = POOL,
		    UDP,
		    53,
		    OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "an inside address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a link-local address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(169, 254, 7, 7),
		    .dst = POOL,
		    UDP,
		    53,
		    OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "port below 1024",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, 1023 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "echo request to a session's identifier",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, ICMP, OUT_PORT(6305, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "fragment",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_fragment },
		{ "GRE", XDP_OUTSIDE, { FROM_ROUTER, 47, .payload = 8 }, DROP_XDP, {}, REASON_drop_protocol },
		{ "straight to an inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 6304 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "to the gateway's inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = ADDR(10, 0, 0, 1), UDP, 53, 6304 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "to the gateway itself",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = ADDR(198, 51, 100, 1),
		    TCP,
		    5000,
		    22,
		    .flags = 2 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "to somewhere else",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = ADDR(192, 0, 2, 1), UDP, 1, 2 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "for another station",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = NOBODY, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

/* Translated for the kernel to deliver: TTL and the frame's addresses are the kernel's. */
Test(out2in, forwarding_kernel)
{
	static const struct row rows[] = {
		{ "in2out waits for tc",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "tc opens",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 6304, 53 },
		  PASS_TC,
		  { .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL, UDP, OUT_PORT(6304, 2), 53 },
		  REASON_in2out_translated },
		{ "out2in goes up",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .payload = 4 },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    6304,
		    .payload = 4 },
		  REASON_out2in_translated },
	};

	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
}

Test(out2in, an_expired_session_is_none)
{
	static const struct row open[] = { OPEN(UDP, 6304, 53) };
	static const struct row in[] = {
		{ "reply",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304 },
		  REASON_out2in_translated },
	};
	static const struct row late[] = {
		{ "late reply",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ROWS(open);
	age_sessions(SUBSCRIBER, 290);
	RUN_ROWS(in);
	age_sessions(SUBSCRIBER, 15);
	RUN_ROWS(late);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0, "the reply before did not refresh it");
	RUN_ROWS(open);
	RUN_ROWS(in);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

Test(out2in, ttl_and_mtu_are_answered_with_what_the_sender_sent)
{
	static const struct row open[] = { OPEN(UDP, 6304, 53), OPEN(UDP, 6306, 53) };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame ttl = { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2), .ttl = 1, .payload = 31 };
	struct frame big = { FROM_ROUTER, UDP, 53, OUT_PORT(6306, 2), .payload = 1300, .options = DONT_FRAGMENT };
	size_t size, out_size;

	RUN_ROWS(open);
	size = frame_build(&ttl, in);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP);
	expect_error("TTL", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
	cr_expect_eq(counted(REASON_sent_icmp_ttl), 1);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), DROP_XDP, "not more than ten a second");
	cr_expect_eq(counted(REASON_drop_ttl), 2, "%lu", counted(REASON_drop_ttl));

	mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
	datapath.device[inside_ifindex].mtu = 1280;
	datapath_raise_epoch(&datapath);
	if (staged_wanted())
		tell_routes();
	size = frame_build(&big, in);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP);
	expect_error("MTU", out, out_size, in, 548, EXTERNAL, ADDR(198, 51, 100, 1), 3, 4, 1280);
	cr_expect_eq(counted(REASON_drop_too_big), 1);
	cr_expect_eq(counted(REASON_sent_icmp_too_big), 1);
}

Test(out2in, quota_is_refused_with_the_subscribers_own_packet)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;
	uint64_t refused = 0;

	for (uint16_t port = 1025; port < 2025; port++) {
		struct frame f = { FROM_HOST, UDP, port, port, .payload = 4 };

		size = frame_build(&f, in);
		cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP, "session %u", port - 1024);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 1000);
	for (unsigned payload = 0; payload < 1400; payload += 77) {
		for (enum hook hook = XDP_INSIDE; hook <= TC_OUTSIDE; hook += TC_OUTSIDE) {
			struct frame f = { FROM_HOST, UDP, 3001, 3002, .payload = (uint16_t)payload };

			mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
			size = frame_build(&f, in);

			cr_expect(run_answered(hook, in, size, out, &out_size), "hook %d", hook);
			if (hook == TC_OUTSIDE) {
				/* The kernel has lowered the TTL before tc; the quote is as before that. */
				f.ttl = 65;
				frame_build(&f, in);
			}
			expect_error("quota", out, out_size, in, ip_length(in) < 548 ? ip_length(in) : 548, SUBSCRIBER,
				     ADDR(10, 0, 0, 1), 3, 1, 0);
			refused++;
		}
	}
	cr_expect_eq(counted(REASON_drop_quota), refused);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), refused);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1000);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->refused, refused);

	/* Another subscriber is none the worse for it, and after they expired there is room without any agent. */
	struct frame other = { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = EXTERNAL, UDP, 3001, 3002 };
	struct frame again = { FROM_HOST, UDP, 3001, 3002 };

	size = frame_build(&other, in);
	cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	age_sessions(SUBSCRIBER, 301);
	mappings_subscriber(mappings, 0, 2)->quota_pass = QUOTA_NOT_BEGUN;
	size = frame_build(&again, in);
	cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP, "no refusal for want of a sweep");
}

/* A block of 1008 ports to one destination endpoint: the 1009th flow finds none, by its own reason. */
Test(out2in, a_block_without_a_free_port_is_refused_by_its_own_reason)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], used[65536] = { 0 };
	struct mapping *m = &datapath.mapping[0];
	size_t size, out_size;

	m->sessions_per_user = 5000;
	for (unsigned i = 0; i < PORTS + 5; i++) {
		struct frame f = { FROM_HOST, UDP, (uint16_t)(2000 + i * 3), 53 };

		size = frame_build(&f, in);

		int verdict = run_frame(XDP_INSIDE, in, size, out, &out_size);

		if (i >= PORTS) {
			cr_expect_neq(counted(REASON_drop_ports_exhausted), 0);
			continue;
		}
		cr_assert_eq(verdict, REDIRECT_XDP, "flow %u", i);

		unsigned port = (unsigned)out[34] << 8 | out[35];

		cr_assert(port >= PORT_LO && port < PORT_LO + PORTS, "port %u", port);
		cr_assert_eq(used[port]++, 0, "port %u given twice", port);
	}
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 5);
	cr_expect_gt(counted(REASON_sessions_overflowed), 0, "some were beyond the slots");
	cr_expect_eq(sessions_of(SUBSCRIBER), PORTS);

	/* Replies find them wherever they are. */
	for (unsigned i = 0; i < PORTS; i++) {
		struct frame f = { FROM_ROUTER, UDP, 53, (uint16_t)(PORT_LO + i) };

		size = frame_build(&f, in);
		cr_assert_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP, "port %u", PORT_LO + i);
	}
}

/* All ports of the block towards one endpoint are held by sessions in time-wait or expired: each makes way for a new
 * one. */
Test(out2in, ports_of_what_is_no_session_any_more_are_given_up)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	datapath.mapping[0].sessions_per_user = 5000;
	for (unsigned i = 0; i < PORTS; i++) {
		uint16_t in_port = (uint16_t)(2000 + i);
		int out_port = open_flow(TCP, in_port, 80, 0x02);
		struct frame fin = { FROM_ROUTER, TCP, 80, (uint16_t)out_port, .flags = 0x11 };

		cr_assert_geq(out_port, 0, "connection %u", i);
		cr_assert_geq(open_flow(TCP, in_port, 80, 0x11), 0);
		run_frame(XDP_OUTSIDE, in, frame_build(&fin, in), out, &out_size);
		cr_assert_eq(open_flow(TCP, in_port, 80, 0x10), out_port, "the last ACK");
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 0, "all are in time-wait");
	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(20000 + 5 * i), 80, 0x02), 0, "new connection %u", i);
	cr_expect_eq(sessions_of(SUBSCRIBER), PORTS);

	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(20000 + 5 * i), 53, 0), 0, "UDP session %u", i);
	cr_expect_gt(counted(REASON_sessions_overflowed), 0);
	age_sessions(SUBSCRIBER, 1000);
	age_beyond(ticks_of_seconds(1000, datapath.hz));
	/* Other first choices, so that ports of other groups and of sessions beyond the slots have to serve. */
	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(40000 + i % (PORTS / 2) + i / (PORTS / 2) * PORTS), 53, 0), 0,
			      "in the place of an expired one: %u", i);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 0);
}

/* Each has 8 buckets, so that together they fill two chunks. */
static int add_large_mapping(void)
{
	struct mapping_spec spec = { .in = { ADDR(10, 64, 0, 0), 18 },
				     .out = { ADDR(203, 0, 114, 0), 26 },
				     .sessions_per_user = 60,
				     .session_slots = 64 };

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	return mappings_find_any(mappings, ADDR(10, 64, 0, 0));
}

/* The slow path finds what the fast path has opened, and the other way round. */
Test(out2in, sessions_in_every_chunk_of_slots)
{
	static const uint32_t some[] = { 0, 8191, 8192, 16383 };
	const struct mapping *m;
	int number;

	cr_assert_eq(system("ip route add 10.64.0.0/10 via 10.0.0.2 dev tin"), 0);
	number = add_large_mapping();
	m = mappings_get(mappings, number);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		uint32_t inside = ADDR(10, 64, 0, 0) + some[i], pool = mapping_out_addr(&m->geo, some[i]);
		uint16_t port = (uint16_t)(mapping_port_lo(&m->geo, some[i]) + mapping_first_choice(&m->geo, 5000));
		struct frame out = { .from = HOST, .to = GATEWAY_IN, inside, EXTERNAL, UDP, 5000, 53, .payload = 20 },
			     back = { .from = ROUTER, .to = GATEWAY_OUT, EXTERNAL, pool, UDP, 53, port, .payload = 20 },
			     sent = { .from = GATEWAY_OUT,
				      .to = ROUTER,
				      pool,
				      EXTERNAL,
				      UDP,
				      port,
				      53,
				      .ttl = 63,
				      .payload = 20 },
			     got = { .from = GATEWAY_IN,
				     .to = HOST,
				     EXTERNAL,
				     inside,
				     UDP,
				     53,
				     5000,
				     .ttl = 63,
				     .payload = 20 };
		const struct row rows[] = {
			{ "opens", XDP_INSIDE, out, REDIRECT_XDP, sent, REASON_in2out_translated },
			{ "slow", XDP_INSIDE_SLOW, out, REDIRECT_XDP, sent, REASON_in2out_translated },
			{ "is answered", XDP_OUTSIDE, back, REDIRECT_XDP, got, REASON_out2in_translated },
			{ "slow", XDP_OUTSIDE_SLOW, back, REDIRECT_XDP, got, REASON_out2in_translated },
		};

		RUN_ROWS(rows);
		cr_expect_eq(sessions_of(inside), 1);
		cr_expect_eq(mappings_subscriber(mappings, number, some[i])->sessions, 1, "opened once");
	}
}
