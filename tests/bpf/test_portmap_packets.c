// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of portmaps that are not plain: hairpins, ICMP errors, fragments, those that cannot go on, and floods. Whole
 * packets are compared.
 */
#include <stdlib.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "portmap_fixture.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(portmap_packets, .init = portmap_set_up, .fini = portmap_tear_down);

#define CALLER_PORT OUT_PORT(7000, 3)

Test(portmap_packets, a_hairpin_needs_nothing_from_the_other_side)
{
	static const struct row rows[] = {
		{ "another subscriber calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, TCP, 7000, WEB, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    TCP,
		    CALLER_PORT,
		    8443,
		    .flags = 2,
		    .ttl = 63 },
		  REASON_hairpin_translated },
		{ "the answer",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = POOL,
		    TCP,
		    8443,
		    CALLER_PORT,
		    .flags = 0x12 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = OTHER,
		    TCP,
		    WEB,
		    7000,
		    .flags = 0x12,
		    .ttl = 63 },
		  REASON_hairpin_translated },
		{ "from portmap to portmap",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 3075, CAM },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = POOL, .dst = SUBSCRIBER, UDP, 80, 3074, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "to itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, TCP, 9000, WEB, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    TCP,
		    OUT_PORT(9000, 2),
		    8443,
		    .flags = 2,
		    .ttl = 63 },
		  REASON_hairpin_translated },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	map_port(UDP, OTHER, 3075, 80);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(OTHER), 1, "only the caller's");
	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
}

#define FAR ADDR(192, 0, 2, 200)

Test(portmap_packets, icmp_errors_about_it_are_translated_with_their_quotes)
{
	static const struct icmp_row rows[] = {
		{ "from outside, about what left",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = POOL,
		    3,
		    4,
		    .mtu = 1300,
		    .quote = { .ttl = 9, .src = POOL, .dst = EXTERNAL, TCP, WEB, 5555, .payload = 1000 } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = SUBSCRIBER,
		    3,
		    4,
		    .mtu = 1300,
		    .quote = { .ttl = 9, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, 8443, 5555, .payload = 1000 } },
		  REASON_icmp_error_translated },
		{ "from inside, about what came",
		  XDP_INSIDE,
		  { FROM_HOST, 3, 3, .quote = { .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 5555, 3074 } },
		  REDIRECT_XDP,
		  { TO_ROUTER, 3, 3, .quote = { .ttl = 9, .src = EXTERNAL, .dst = POOL, UDP, 5555, CAM } },
		  REASON_icmp_error_translated },
		{ "about another protocol",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = POOL, .dst = EXTERNAL, UDP, WEB, 5555 } },
		  DROPPED(drop_no_session) },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	RUN_ICMP_ROWS(rows);
	cr_expect_eq(counted(REASON_portmap_in), 0, "an error is none of its packets");
}

Test(portmap_packets, icmp_errors_about_a_hairpin_are_translated_on_both_sides)
{
	static const struct row call[] = {
		{ "another subscriber calls",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, CAM },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = POOL, .dst = SUBSCRIBER, UDP, CALLER_PORT, 3074, .ttl = 63 },
		  REASON_hairpin_translated },
	};
	static const struct icmp_row rows[] = {
		{ "the receiver refuses",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = POOL, .dst = SUBSCRIBER, UDP, CALLER_PORT, 3074 } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = OTHER,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = OTHER, .dst = POOL, UDP, 7000, CAM } },
		  REASON_icmp_error_translated },
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	RUN_ROWS(call);
	RUN_ICMP_ROWS(rows);
}

static void fragments_pass(enum hook hook, const struct frame *in, const struct frame *want)
{
	uint8_t whole[FRAME_MAX], piece[FRAME_MAX], out[FRAME_MAX], expected[FRAME_MAX];
	static const struct {
		unsigned start, end;
		bool more;
	} pieces[] = { { 0, 600, true }, { 600, 1008, false } };

	for (unsigned i = 0; i < 2; i++) {
		size_t size, out_size, want_size;

		frame_build(in, whole);
		size = frame_fragment(whole, 77, pieces[i].start, pieces[i].end, pieces[i].more, piece);
		cr_expect_eq(run_frame(hook, piece, size, out, &out_size), REDIRECT_XDP);
		frame_build(want, whole);
		want_size = frame_fragment(whole, 77, pieces[i].start, pieces[i].end, pieces[i].more, expected);
		cr_expect(frame_equal("fragment", out, out_size, expected, want_size), "piece %u of hook %d", i, hook);
	}
}

Test(portmap_packets, fragments_follow_their_first_one)
{
	static const struct frame in = { FROM_ROUTER, UDP, 5555, CAM, .payload = 1000 };
	static const struct frame in_want = { TO_HOST, UDP, 5555, 3074, .payload = 1000 };
	static const struct frame out = { FROM_HOST, UDP, 3074, 5555, .payload = 1000 };
	static const struct frame out_want = { TO_ROUTER, UDP, CAM, 5555, .payload = 1000 };

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	fragments_pass(XDP_OUTSIDE, &in, &in_want);
	fragments_pass(XDP_INSIDE, &out, &out_want);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

Test(portmap_packets, ttl_and_mtu_are_answered_as_for_sessions)
{
	static const struct frame last_hop = { FROM_ROUTER, TCP, 5555, WEB, .flags = 2, .ttl = 1 };
	static const struct frame long_one = { FROM_ROUTER, UDP, 5555, CAM, .payload = 1400, .options = DONT_FRAGMENT };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	size = frame_build(&last_hop, in);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP);
	expect_error("TTL", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
	mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
	datapath.device[inside_ifindex].mtu = 1280;
	if (staged_wanted())
		tell_routes();
	size = frame_build(&long_one, in);
	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP);
	expect_error("MTU", out, out_size, in, 548, EXTERNAL, ADDR(198, 51, 100, 1), 3, 4, 1280);
	cr_expect_eq(counted(REASON_portmap_in), 0, "neither got through");
}

/* Outside the blocks and within one. */
Test(portmap_packets, source_routes_are_refused)
{
	static const uint16_t ports[] = { WEB, CAM };

	for (unsigned i = 0; i < 2; i++) {
		struct frame f = { FROM_ROUTER, TCP, 5555, ports[i], .flags = 2, .ip_options = 8 };
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size = frame_build(&f, in), out_size;

		map_port(TCP, SUBSCRIBER, (uint16_t)(8443 + i), ports[i]);
		frame_source_route(in);
		run_frame_counted("with a source route", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP,
				  REASON_drop_source_route);
	}
	cr_expect_eq(counted(REASON_portmap_in), 0);
}

/* Of what it is left to send it refuses the gateway's own address as source itself. */
Test(portmap_packets, the_kernel_checks_the_source_of_what_it_sends)
{
	static const struct row rows[] = {
		{ "the subscriber's neighbour is not resolved",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(198, 51, 100, 1), .dst = POOL, UDP, 5555, CAM },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(198, 51, 100, 1),
		    .dst = SUBSCRIBER,
		    UDP,
		    5555,
		    3074 },
		  REASON_out2in_translated },
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	cr_assert_eq(system("ip neigh del 10.0.0.2 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

/* A million with FLOOD=1000000 in the environment, which takes minutes. */
static unsigned flood_size(void)
{
	const char *wanted = getenv("FLOOD");

	return wanted ? (unsigned)strtoul(wanted, NULL, 10) : 20000;
}

static void flood_one(unsigned number)
{
	struct frame f = { FROM_ROUTER, TCP, (uint16_t)(1024 + number), WEB, .flags = 2 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	/* From addresses all over the internet, none of them a subscriber's, the gateway's or a martian. */
	f.src = ADDR(16, 0, 0, 1) + number * 2654435U % ADDR(64, 0, 0, 0);
	size = frame_build(&f, in);
	cr_assert_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP, "SYN %u", number);
}

static unsigned portmap_entries(void)
{
	struct portmap_key key, *before = NULL;
	unsigned n = 0;

	for (; !bpf_map_get_next_key(datapath.portmaps, before, &key); before = &key)
		n++;
	return n;
}

Test(portmap_packets, a_flood_of_syns_takes_nothing_from_anyone, .timeout = 1200)
{
	static const struct row others[] = {
		{ "a session of its subscriber is answered",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 7000 },
		  REASON_out2in_translated },
		{ "and so is one of a neighbour",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 3) },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = OTHER, UDP, 53, 7000 },
		  REASON_out2in_translated },
		{ "its subscriber opens another",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7001, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(7001, 2), 53 },
		  REASON_in2out_translated },
	};
	const unsigned n = flood_size();
	struct session before, after;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	cr_expect_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	cr_expect_eq(open_flow_of(OTHER, UDP, 7000, 53, 0), OUT_PORT(7000, 3));
	before = only_session(SUBSCRIBER);
	for (unsigned i = 0; i < n; i++)
		flood_one(i);
	after = only_session(SUBSCRIBER);
	cr_expect_eq(after.out_port, before.out_port);
	cr_expect_eq(sessions_of(OTHER), 1);
	cr_expect_eq(portmap_entries(), 2, "no table grows");
	cr_expect_eq(counted(REASON_portmap_in), n);
	RUN_ROWS(others);
}
