// SPDX-License-Identifier: BSD-2-Clause
/*
 * An exception whose inbound is open, within the fixture's mapping, and addresses that are not translated: at every
 * hook, whole packets.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

static void set_up_inbound(void);

TestSuite(exceptions, .init = set_up_inbound, .fini = tear_down);

/* SUBSCRIBER has an address of its own; its block in the fixture's mapping is kept. */
#define OWN_OUT ADDR(203, 0, 113, 66)
#define LOOSE	ADDR(10, 0, 0, 200) /* not translated */

#define SENDS  .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define LEAVES .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = OWN_OUT, .dst = EXTERNAL
#define TO_OWN .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN_OUT
#define GETS   .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define UP     PASS_XDP, {}, REASON_passed_untranslated

static void add(struct mapping_spec spec)
{
	spec.sessions_per_user = 1000;
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
}

static void set_up_inbound(void)
{
	settings.open_mappings = 1;
	settings.unmatched = UNMATCHED_DROP;
	set_up();
	add((struct mapping_spec){ .in = { SUBSCRIBER, 32 }, .out = { OWN_OUT, 32 }, .open = true });
	add((struct mapping_spec){ .in = { LOOSE, 32 }, .out = PREFIX_NONE });
}

// clang-format off
#define OUT_ROW(name_, proto_, ...)                                                    \
	{ name_ " out", XDP_INSIDE, { SENDS, proto_, __VA_ARGS__ }, REDIRECT_XDP,      \
	  { LEAVES, proto_, __VA_ARGS__ }, REASON_in2out_translated }
#define IN_ROW(name_, proto_, ...)                                                     \
	{ name_ " in", XDP_OUTSIDE, { TO_OWN, proto_, __VA_ARGS__ }, REDIRECT_XDP,     \
	  { GETS, proto_, __VA_ARGS__ }, REASON_out2in_translated }
/* At tc the frame stays as the kernel has written it, but for the source. */
#define TC_ROW(name_, proto_, ...)                                                     \
	{ name_ " by tc", TC_OUTSIDE, { SENDS, proto_, __VA_ARGS__ }, PASS_TC,         \
	  { .from = HOST, .to = GATEWAY_IN, .src = OWN_OUT, .dst = EXTERNAL, proto_, __VA_ARGS__ }, \
	  REASON_in2out_translated }
#define BOTH_WAYS(name_, proto_, ...)        \
	OUT_ROW(name_, proto_, __VA_ARGS__), \
	IN_ROW(name_, proto_, __VA_ARGS__),  \
	TC_ROW(name_, proto_, __VA_ARGS__)
// clang-format on

Test(exceptions, traffic_of_an_open_mapping_passes_both_ways_without_sessions)
{
	static const struct row rows[] = {
		BOTH_WAYS("UDP", UDP, 5000, 53, .payload = 21),
		BOTH_WAYS("UDP to a low port", UDP, 53, 53, .payload = 20),
		BOTH_WAYS("UDP of port 0", UDP, 0, 7, .payload = 4),
		BOTH_WAYS("UDP without checksum", UDP, 1024, 65535, .payload = 9, .options = NO_UDP_CHECKSUM),
		BOTH_WAYS("UDP with a wrong checksum", UDP, 1024, 1025, .payload = 9, .options = WRONG_CHECKSUM),
		BOTH_WAYS("SYN", TCP, 40000, 22, .flags = 2),
		BOTH_WAYS("SYN with IP options", TCP, 40000, 22, .flags = 2, .ip_options = 8),
		BOTH_WAYS("segment in the middle", TCP, 443, 40000, .flags = 0x18, .payload = 33),
		BOTH_WAYS("RST", TCP, 443, 40001, .flags = 4),
		BOTH_WAYS("echo", ICMP, 7, 0, .payload = 30),
		BOTH_WAYS("echo with identifier 0", ICMP, 0, 0, .payload = 30),
		BOTH_WAYS("echo reply", ICMP, 0, 7, .icmp_type = ECHO_REPLY_TYPE, .payload = 30),
		BOTH_WAYS("timestamp request", ICMP, 7, 0, .icmp_type = 13, .payload = 12),
		BOTH_WAYS("first fragment", UDP, 5000, 53, .payload = 200, .options = MORE_FRAGMENTS),
		BOTH_WAYS("later fragment", UDP, 5000, 53, .payload = 200, .options = LATER_FRAGMENT | NO_UDP_CHECKSUM),
		BOTH_WAYS("first fragment of TCP", TCP, 5000, 53, .flags = 16, .payload = 204,
			  .options = MORE_FRAGMENTS),
		BOTH_WAYS("GRE as before", 47, 1, 2, .payload = 20),
		{ "the lowest TTL goes up, to be answered", XDP_INSIDE, { SENDS, UDP, 5000, 53, .ttl = 1 }, UP },
	};

	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sessions_opened), 0);
}

Test(exceptions, an_open_mapping_lets_no_stray_source_in)
{
	static const struct row rows[] = {
		{ "an inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = OWN_OUT, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a pool address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = OWN_OUT, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "loopback",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(127, 0, 0, 1), .dst = OWN_OUT, TCP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "the block in the mapping around it",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, PORT_LO },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "another address of the pool",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL + 1, ICMP, 7 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ROWS(rows);
}

Test(exceptions, an_address_of_an_open_mapping_is_reached_through_a_hairpin)
{
	const uint16_t out = OUT_PORT(5000, 3), id = OUT_PORT(9, 3);
	const struct row rows[] = {
		{ "to it opens a session of the sender",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = OWN_OUT, UDP, 5000, 22, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    out,
		    22,
		    .payload = 5 },
		  REASON_hairpin_translated },
		{ "back",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 22, out, .payload = 6 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = OWN_OUT,
		    .dst = OTHER,
		    UDP,
		    22,
		    5000,
		    .payload = 6 },
		  REASON_hairpin_translated },
		{ "an echo",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = OWN_OUT, ICMP, 9, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .ttl = 63, .src = POOL, .dst = SUBSCRIBER, ICMP, id, .payload = 5 },
		  REASON_hairpin_translated },
		{ "its reply",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = POOL,
		    ICMP,
		    0,
		    id,
		    .icmp_type = ECHO_REPLY_TYPE,
		    .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = OWN_OUT,
		    .dst = OTHER,
		    ICMP,
		    0,
		    9,
		    .icmp_type = ECHO_REPLY_TYPE,
		    .payload = 5 },
		  REASON_hairpin_translated },
		{ "to a subscriber who has not asked",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 23, out, .payload = 6 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "to itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = OWN_OUT, TCP, 5000, 22, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = OWN_OUT,
		    .dst = SUBSCRIBER,
		    TCP,
		    5000,
		    22,
		    .flags = 2 },
		  REASON_hairpin_translated },
	};

	RUN_ROWS(rows);
}

#define FAR ADDR(192, 0, 2, 200) /* a router on the way */

Test(exceptions, icmp_errors_about_an_open_mapping_are_translated_with_their_quotes)
{
	static const struct icmp_row rows[] = {
		{ "fragmentation needed for UDP",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = OWN_OUT,
		    3,
		    4,
		    .mtu = 1400,
		    .quote = { .src = OWN_OUT, .dst = EXTERNAL, UDP, 22, 53, .ttl = 9, .payload = 40 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = SUBSCRIBER,
		    3,
		    4,
		    .ttl = 63,
		    .mtu = 1400,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 22, 53, .ttl = 9, .payload = 40 } },
		  REASON_icmp_error_translated },
		{ "time exceeded for an echo with identifier 0",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = OWN_OUT,
		    11,
		    0,
		    .quote = { .src = OWN_OUT, .dst = EXTERNAL, ICMP, 0, .ttl = 1, .payload = 40 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = SUBSCRIBER,
		    11,
		    0,
		    .ttl = 63,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, ICMP, 0, .ttl = 1, .payload = 40 } },
		  REASON_icmp_error_translated },
		{ "port unreachable to the outside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 22, .payload = 4 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OWN_OUT,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .ttl = 63,
		    .quote = { .src = EXTERNAL, .dst = OWN_OUT, UDP, 53, 22, .payload = 4 } },
		  REASON_icmp_error_translated },
	};

	RUN_ICMP_ROWS(rows);
}

Test(exceptions, an_untranslated_address_is_left_to_the_kernel_both_ways)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LOOSE, .dst = EXTERNAL, UDP, 5000, 53 },
		  UP },
		{ "in",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = LOOSE, TCP, 53, 22 },
		  UP },
		{ "by tc",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = LOOSE, .dst = EXTERNAL, UDP, 5000, 53 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "a neighbour of it in no mapping is dropped, as unmatched says",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "its neighbour in the mapping may not be reached directly",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = LOOSE + 1, TCP, 53, 22 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};

	RUN_ROWS(rows);
}

/* Traffic of sessions of another mapping, from which a prefix has been taken out, goes on. */
Test(exceptions, others_in_the_enclosing_mapping_are_translated_as_before)
{
	cr_expect_eq(open_flow_of(OTHER, UDP, 5001, 53, 0), OUT_PORT(5001, 3));
	cr_expect_eq(sessions_of(OTHER), 1);
}

/* One interface for both sides: what comes from outside to such an address has a source in no mapping. */
Test(exceptions, an_untranslated_address_is_reached_on_a_stick_too)
{
	static const struct row rows[] = {
		{ "in",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = LOOSE, TCP, 53, 22 },
		  UP },
		{ "to another address in no mapping",
		  XDP_BOTH,
		  { .from = ROUTER, .to = GATEWAY_IN, .src = EXTERNAL, .dst = UNMAPPED, TCP, 53, 22 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
	};

	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	RUN_ROWS(rows);
}

/* An answer to what expires on its way is sent as for any subscriber. */
Test(exceptions, a_packet_that_expires_on_its_way_in_is_answered)
{
	struct frame f = { TO_OWN, TCP, 53, 22, .flags = 2, .ttl = 1 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	cr_expect(run_answered(XDP_OUTSIDE, in, size, out, &out_size));
	expect_error("TTL", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
	cr_expect_eq(counted(REASON_drop_ttl), 1);
}

Test(exceptions, source_routes_to_an_open_mapping_are_refused)
{
	const struct frame frames[] = {
		{ TO_OWN, UDP, 53, 5000, .ip_options = 8 },
		{ TO_OWN, TCP, 53, 22, .flags = 2, .ip_options = 8 },
		{ TO_OWN, ICMP, 7, .ip_options = 8 },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		size_t size = frame_build(&frames[i], in), out_size;

		frame_source_route(in);
		run_frame_counted("a source route", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP,
				  REASON_drop_source_route);
	}
}

/* Where inbound is open no session tells that the sender may be there. */
Test(exceptions, open_inbound_takes_nothing_from_link_local_addresses_or_by_source_routes)
{
	static const struct row rows[] = {
		{ "link-local",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(169, 254, 7, 7),
		    .dst = OWN_OUT,
		    UDP,
		    53,
		    5000,
		    .payload = 30 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};
	static const struct icmp_row errors[] = {
		{ "an error about a message that is no request",
		  XDP_OUTSIDE,
		  { TO_OWN, 3, 3, .quote = { .src = OWN_OUT, .dst = EXTERNAL, ICMP, 77, .icmp_type = 13 } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	struct frame f = { TO_OWN, UDP, 53, 5000, .ip_options = 8 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	RUN_ROWS(rows);
	RUN_ICMP_ROWS(errors);
	frame_source_route(in);
	run_frame_counted("a source route", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_source_route);
}
