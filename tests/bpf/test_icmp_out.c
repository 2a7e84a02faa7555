// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors from inside, of the gateway itself, and through hairpins. Whole packets are compared. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

TestSuite(icmp_out, .init = set_up, .fini = tear_down);

#define GATEWAY	  ADDR(198, 51, 100, 1)
#define UDP_PORT  OUT_PORT(6304, 2)
#define ECHO_PORT OUT_PORT(6305, 2)
#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .dst = EXTERNAL
#define TO_ROUTER .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .dst = EXTERNAL
/* The quote as the inside saw it, and as it was sent. */
#define GRE  47
#define SEEN .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER
#define SENT .ttl = 9, .src = EXTERNAL, .dst = POOL

#define OPEN(proto_, port_, ext_)                                                                                    \
	{                                                                                                            \
		"opens", XDP_INSIDE,                                                                                 \
			{ .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, proto_, port_, ext_ }, \
			REDIRECT_XDP, { .src = POOL, TO_ROUTER, proto_, OUT_PORT(port_, 2), ext_ },                  \
			REASON_in2out_translated                                                                     \
	}
#define DROPPED(reason) DROP_XDP, {}, REASON_##reason
#define UP		PASS_XDP, {}, REASON_passed_untranslated

static const struct row open[] = { OPEN(UDP, 6304, 53), OPEN(ICMP, 6305, 0) };

Test(icmp_out, reaches_the_sender_as_if_about_its_own_packet)
{
	static const struct icmp_row rows[] = {
		{ "port unreachable from the subscriber",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304, .payload = 33 } },
		  REDIRECT_XDP,
		  { .src = POOL, TO_ROUTER, 3, 3, .quote = { SENT, UDP, 53, UDP_PORT, .payload = 33 } },
		  REASON_icmp_error_translated },
		{ "fragmentation needed from another subscriber: by its own mapping",
		  XDP_INSIDE,
		  { .src = ADDR(10, 0, 0, 100), FROM_HOST, 3, 4, .mtu = 1280, .quote = { SEEN, UDP, 53, 6304 } },
		  REDIRECT_XDP,
		  { .src = POOL + 1, TO_ROUTER, 3, 4, .mtu = 1280, .quote = { SENT, UDP, 53, UDP_PORT } },
		  REASON_icmp_error_translated },
		{ "time exceeded from a router in no mapping: from the gateway",
		  XDP_INSIDE,
		  { .src = UNMAPPED, FROM_HOST, 11, 0, .quote_length = 28, .quote = { SEEN, UDP, 53, 6304 } },
		  REDIRECT_XDP,
		  { .src = GATEWAY, TO_ROUTER, 11, 0, .quote_length = 28, .quote = { SENT, UDP, 53, UDP_PORT } },
		  REASON_icmp_error_translated },
		{ "about an echo reply",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    FROM_HOST,
		    3,
		    1,
		    .quote = { SEEN, ICMP, .dport = 6305, .icmp_type = ECHO_REPLY_TYPE } },
		  REDIRECT_XDP,
		  { .src = POOL,
		    TO_ROUTER,
		    3,
		    1,
		    .quote = { SENT, ICMP, .dport = ECHO_PORT, .icmp_type = ECHO_REPLY_TYPE } },
		  REASON_icmp_error_translated },
		{ "about no session",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 54, 6304 } },
		  DROPPED(drop_no_session) },
		{ "to another than the quote's sender",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    .from = HOST,
		    .to = GATEWAY_IN,
		    .dst = ADDR(192, 0, 2, 77),
		    3,
		    3,
		    .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_no_session) },
		{ "about what it sent itself",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    FROM_HOST,
		    3,
		    3,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, 53 } },
		  DROPPED(drop_no_session) },
		{ "a private router about what is no subscriber's",
		  XDP_INSIDE,
		  { .src = UNMAPPED, FROM_HOST, 3, 3, .quote = { .src = EXTERNAL, .dst = UNMAPPED, UDP, 53, 6304 } },
		  DROPPED(drop_no_mapping) },
		{ "a public router about what is no subscriber's",
		  XDP_INSIDE,
		  { .src = ADDR(192, 0, 2, 1),
		    FROM_HOST,
		    3,
		    3,
		    .quote = { .src = EXTERNAL, .dst = ADDR(192, 0, 2, 2), UDP, 53, 6304 } },
		  UP },
		{ "a pool address as source",
		  XDP_INSIDE,
		  { .src = POOL, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_martian) },
		{ "a quote that is cut within its header",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, FROM_HOST, 3, 3, .quote_length = 19, .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_malformed) },
		{ "a wrong checksum",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, FROM_HOST, 3, 3, .options = WRONG_CHECKSUM, .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_malformed) },
		{ "TTL of 1: the kernel's",
		  XDP_INSIDE,
		  { .ttl = 1, .src = SUBSCRIBER, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304 } },
		  UP },
		{ "to the gateway itself",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    .from = HOST,
		    .to = GATEWAY_IN,
		    .dst = ADDR(10, 0, 0, 1),
		    3,
		    3,
		    .quote = { .src = ADDR(10, 0, 0, 1), .dst = SUBSCRIBER, UDP, 53, 6304 } },
		  UP },
	};

	RUN_ROWS(open);
	age_sessions(SUBSCRIBER, 20);
	RUN_ICMP_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2, "nothing of it opens a session");
	age_sessions(SUBSCRIBER, 50);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1, "nor refreshes one");
}

/* What the kernel has routed out, its TTL lowered already, and what the kernel says itself. */
/* Its source is checked as that of any packet. */
Test(icmp_out, from_an_address_that_none_may_have)
{
	static const struct icmp_row rows[] = {
		{ "the gateway's own",
		  XDP_INSIDE,
		  { .src = ADDR(10, 0, 0, 1), FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_martian) },
		{ "in no mapping, with a malformed quote",
		  XDP_INSIDE,
		  { .src = UNMAPPED, FROM_HOST, 3, 3, .quote_length = 20, .quote = { SEEN, UDP, 53, 6304 } },
		  DROPPED(drop_malformed) },
	};
	static const struct icmp_row other_interface[] = {
		{ "one that is behind another interface",
		  XDP_INSIDE,
		  { .src = OTHER, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304 } },
		  UP },
	};

	RUN_ROWS(open);
	RUN_ICMP_ROWS(rows);
	cr_assert_eq(system("ip link add tin2 type veth peer name pin2; ip link set tin2 up; ip link set pin2 up;"
			    "ip route add 10.0.0.3/32 dev tin2"),
		     0);
	datapath.device[inside_ifindex].rp_filter = 1;
	settings.source_check = SOURCES_STRICT;
	reload_settings();
	datapath_raise_epoch(&datapath);
	RUN_ICMP_ROWS(other_interface);
}

Test(icmp_out, tc_translates_what_the_kernel_routed)
{
#define OUT	  .from = GATEWAY_OUT, .to = ROUTER, .dst = EXTERNAL
#define UNCHANGED PASS_TC, {}, REASON_passed_untranslated
	static const struct icmp_row rows[] = {
		{ "from the subscriber",
		  TC_OUTSIDE,
		  { .src = SUBSCRIBER, OUT, 3, 3, .quote = { SEEN, UDP, 53, 6304, .payload = 33 } },
		  PASS_TC,
		  { .src = POOL, OUT, 3, 3, .quote = { SENT, UDP, 53, UDP_PORT, .payload = 33 } },
		  REASON_icmp_error_translated },
		{ "from a router in no mapping",
		  TC_OUTSIDE,
		  { .src = UNMAPPED, OUT, 11, 0, .ip_options = 40, .quote = { SEEN, UDP, 53, 6304, .ip_options = 40 } },
		  PASS_TC,
		  { .src = GATEWAY,
		    OUT,
		    11,
		    0,
		    .ip_options = 40,
		    .quote = { SENT, UDP, 53, UDP_PORT, .ip_options = 40 } },
		  REASON_icmp_error_translated },
		{ "about no session",
		  TC_OUTSIDE,
		  { .src = SUBSCRIBER, OUT, 3, 3, .quote = { SEEN, UDP, 54, 6304 } },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
		{ "malformed",
		  TC_OUTSIDE,
		  { .src = SUBSCRIBER, OUT, 3, 3, .quote_length = 27, .quote = { SEEN, UDP, 53, 6304 } },
		  DROP_TC,
		  {},
		  REASON_drop_malformed },
		{ "the kernel's own, about what was translated on its way in",
		  TC_OWN,
		  { .src = GATEWAY, OUT, 3, 4, .mtu = 1000, .quote = { SEEN, UDP, 53, 6304, .payload = 500 } },
		  PASS_TC,
		  { .src = GATEWAY, OUT, 3, 4, .mtu = 1000, .quote = { SENT, UDP, 53, UDP_PORT, .payload = 500 } },
		  REASON_icmp_error_translated },
		{ "the kernel's own, about the gateway's own traffic",
		  TC_OWN,
		  { .src = GATEWAY, OUT, 3, 3, .quote = { .src = EXTERNAL, .dst = GATEWAY, UDP, 53, 6304 } },
		  UNCHANGED },
	};

	RUN_ROWS(open);
	RUN_ICMP_ROWS(rows);
}

/* What the kernel says itself shows no inside address: neither in its quote nor as its source. */
/* A redirect of the gateway's own traffic to a router, which it names. */
static void run_own_redirect(uint32_t router, int verdict, enum reason reason)
{
	struct icmp_error e = {
		.src = GATEWAY, OUT, 5, 1, .quote = { .src = EXTERNAL, .dst = ADDR(192, 0, 2, 9), UDP, 53, 6304 }
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	for (int i = 0; i < 4; i++)
		in[38 + i] = (uint8_t)(router >> (24 - 8 * i));
	run_frame_counted("a redirect", TC_OWN, in, size, out, &out_size, verdict, reason);
}

Test(icmp_out, the_kernels_own_errors_show_no_inside_address)
{
#define OWN(name_, src_, type_, ...)                            \
	{                                                       \
		name_, TC_OWN,                                  \
		{                                               \
			.src = src_, OUT, type_, 1, __VA_ARGS__ \
		}
#define LEFT      \
	UNCHANGED \
	}
#define WITHHELD                           \
	DROP_TC, {}, REASON_drop_own_error \
	}
	static const struct icmp_row rows[] = {
		OWN("about a session that is gone", GATEWAY, 3, .quote = { SEEN, UDP, 54, 6304, .payload = 20 }),
		WITHHELD,
		OWN("about a port of no session", GATEWAY, 11, .quote = { SEEN, TCP, 53, 6304 }),
		WITHHELD,
		OWN("about a packet too short for a port", GATEWAY, 3, .quote_length = 24,
		    .quote = { SEEN, GRE, .payload = 4 }),
		WITHHELD,
		OWN("about a protocol without ports", GATEWAY, 3, .quote = { SEEN, GRE, .payload = 8 }),
		WITHHELD,
		OWN("with options of its own", GATEWAY, 3, .ip_options = 8, .quote = { SEEN, UDP, 54, 6304 }),
		WITHHELD,
		OWN("about an inside address of the gateway", GATEWAY, 3,
		    .quote = { .src = EXTERNAL, .dst = ADDR(10, 0, 0, 1), UDP, 53, 6304 }),
		WITHHELD,
		OWN("from an inside address of the gateway", ADDR(10, 0, 0, 1), 3,
		    .quote = { .src = EXTERNAL, .dst = GATEWAY, UDP, 53, 6304 }),
		WITHHELD,
		OWN("quoting an inside source", GATEWAY, 3, .quote = { .src = OTHER, .dst = GATEWAY, UDP, 53, 6304 }),
		WITHHELD,
		OWN("a redirect of a subscriber's packet", GATEWAY, 5, .quote = { SEEN, UDP, 53, 6304 }),
		WITHHELD,
		OWN("a redirect of the gateway's own", GATEWAY, 5,
		    .quote = { .src = EXTERNAL, .dst = ADDR(192, 0, 2, 9), UDP, 53, 6304 }),
		LEFT,
		OWN("about the gateway's own traffic", GATEWAY, 3,
		    .quote = { .src = EXTERNAL, .dst = GATEWAY, UDP, 53, 6304 }),
		LEFT,
		OWN("about the gateway's own traffic, short", GATEWAY, 3, .quote_length = 24,
		    .quote = { .src = EXTERNAL, .dst = GATEWAY, GRE, .payload = 4 }),
		LEFT,
		OWN("no error at all", ADDR(10, 0, 0, 1), 14, .quote = { SEEN, UDP, 53, 6304 }),
		LEFT,
		{ "about a session, from an inside address of the gateway: by that of the interface",
		  TC_OWN,
		  { .src = ADDR(10, 0, 0, 1), OUT, 3, 1, .quote = { SEEN, UDP, 53, 6304 } },
		  PASS_TC,
		  { .src = GATEWAY, OUT, 3, 1, .quote = { SENT, UDP, 53, UDP_PORT } },
		  REASON_icmp_error_translated },
	};

	RUN_ROWS(open);
	RUN_ICMP_ROWS(rows);
	run_own_redirect(ADDR(10, 0, 0, 9), DROP_TC, REASON_drop_own_error);
	run_own_redirect(ADDR(198, 51, 100, 9), PASS_TC, REASON_passed_untranslated);
}

/* Where nothing is translated there is nothing to hide; nor from subscribers, on a stick. */
Test(icmp_out, the_kernels_own_errors_to_those_who_know_inside_addresses)
{
	static const struct icmp_row rows[] = {
		OWN("to a bypassed destination", ADDR(10, 0, 0, 1), 3, .quote = { SEEN, UDP, 54, 6304 }),
		LEFT,
	};
	static const struct icmp_row stick[] = {
		{ "to a subscriber",
		  TC_OWN,
		  { .from = GATEWAY_OUT,
		    .to = HOST,
		    .src = ADDR(10, 0, 0, 1),
		    .dst = SUBSCRIBER,
		    3,
		    1,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, 53 } },
		  UNCHANGED },
	};

	datapath.device[outside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	RUN_ICMP_ROWS(stick);
	datapath.device[outside_ifindex].roles = DEVICE_OUTSIDE;
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		settings.bypass[i] =
			(struct address_range){ .first = i ? UINT32_MAX : EXTERNAL, .last = i ? 0 : EXTERNAL };
	settings.n_bypass = 1;
	reload_settings();
	RUN_ICMP_ROWS(rows);
}

#define A_PORT OUT_PORT(7000, 2)
#define B_PORT OUT_PORT(8000, 3)

static const struct row hairpin[] = {
	{ "A calls B, who has no session",
	  XDP_INSIDE,
	  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
	  DROPPED(drop_no_session) },
	{ "B calls A, who has one by now",
	  XDP_INSIDE,
	  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT },
	  REDIRECT_XDP,
	  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 },
	  REASON_hairpin_translated },
};

static void run_hairpin_errors(void)
{
#define TO_POOL .from = HOST, .to = GATEWAY_IN, .dst = POOL
#define TO_B	.ttl = 63, .from = GATEWAY_IN, .to = HOST, .dst = OTHER
	static const struct icmp_row rows[] = {
		{ "A refuses what B sent",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, TO_POOL, 3, 3, .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  REDIRECT_XDP,
		  { .src = POOL, TO_B, 3, 3, .quote = { .src = OTHER, .dst = POOL, UDP, 8000, A_PORT } },
		  REASON_icmp_error_translated },
		{ "a router in no mapping, from the gateway",
		  XDP_INSIDE,
		  { .src = UNMAPPED, TO_POOL, 11, 0, .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  REDIRECT_XDP,
		  { .src = ADDR(10, 0, 0, 1), TO_B, 11, 0, .quote = { .src = OTHER, .dst = POOL, UDP, 8000, A_PORT } },
		  REASON_icmp_error_translated },
		{ "of a flow that is not B's",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    TO_POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT + 1, 7000 } },
		  DROPPED(drop_no_session) },
		{ "from a martian",
		  XDP_INSIDE,
		  { .src = ADDR(127, 0, 0, 1),
		    TO_POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  DROPPED(drop_martian) },
		{ "a quote without ports",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    TO_POOL,
		    3,
		    3,
		    .quote_length = 20,
		    .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  DROPPED(drop_malformed) },
		{ "TTL ran out",
		  XDP_INSIDE,
		  { .ttl = 1,
		    .src = SUBSCRIBER,
		    TO_POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  DROPPED(drop_ttl) },
		{ "from outside nobody tells of hairpins",
		  XDP_OUTSIDE,
		  { .src = EXTERNAL,
		    .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { .src = POOL, .dst = POOL, UDP, B_PORT, A_PORT } },
		  DROPPED(drop_no_session) },
	};

	RUN_ICMP_ROWS(rows);
}

Test(icmp_out, through_a_hairpin)
{
	RUN_ROWS(hairpin);
	run_hairpin_errors();
}

Test(icmp_out, through_no_hairpin_where_there_are_none)
{
	static const struct icmp_row rows[] = {
		{ "hairpins are off",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER, TO_POOL, 3, 3, .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } },
		  DROPPED(drop_no_session) },
	};

	RUN_ROWS(hairpin);
	settings.hairpin = 0;
	reload_settings();
	RUN_ICMP_ROWS(rows);
}

Test(icmp_out, through_a_hairpin_where_the_kernel_forwards)
{
	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(hairpin);
	run_hairpin_errors();
}

Test(icmp_out, options_with_addresses_are_refused_in_quotes)
{
	static const struct icmp_error e = {
		.src = SUBSCRIBER, FROM_HOST, 3, 3, .quote = { SEEN, UDP, 53, 6304, .ip_options = 8 }
	};
	static const struct icmp_error through = {
		.from = HOST,
		.to = GATEWAY_IN,
		.src = SUBSCRIBER,
		.dst = POOL,
		3,
		3,
		.quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000, .ip_options = 8 }
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	RUN_ROWS(open);
	RUN_ROWS(hairpin);
	run_frame_counted("kept", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_icmp_error_translated);
	icmp_error_quote_option(in, 7);
	run_frame_counted("XDP", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_address_option);
	run_frame_counted("tc", TC_OUTSIDE, in, size, out, &out_size, DROP_TC, REASON_drop_address_option);
	icmp_error_quote_option(in, 68);
	run_frame_counted("timestamp", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_address_option);
	size = icmp_error_build(&through, in);
	icmp_error_quote_option(in, 7);
	run_frame_counted("hairpin", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_address_option);
}

Test(icmp_out, source_routes_are_refused)
{
	static const struct icmp_error own = {
		.src = SUBSCRIBER, FROM_HOST, 3, 3, .ip_options = 8, .quote = { SEEN, UDP, 53, 6304 }
	};
	static const struct icmp_error router = {
		.src = UNMAPPED, FROM_HOST, 11, 0, .ip_options = 8, .quote = { SEEN, UDP, 53, 6304 }
	};
	static const struct icmp_error other = { .from = HOST,
						 .to = GATEWAY_IN,
						 .src = SUBSCRIBER,
						 .dst = POOL,
						 3,
						 3,
						 .ip_options = 8,
						 .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, B_PORT, 7000 } };
	static const struct icmp_error *const errors[] = { &own, &router, &other };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	RUN_ROWS(open);
	RUN_ROWS(hairpin);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		size_t size = icmp_error_build(errors[i], in);

		frame_source_route(in);
		run_frame_counted("XDP", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_source_route);
		if (errors[i] != &other)
			run_frame_counted("tc", TC_OUTSIDE, in, size, out, &out_size, DROP_TC,
					  REASON_drop_source_route);
	}
}
