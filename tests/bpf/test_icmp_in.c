// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors from outside about subscribers' packets. Whole packets are compared. */
#include <criterion/criterion.h>

#include "icmp_frame.h"

TestSuite(icmp_in, .init = set_up, .fini = tear_down);

#define FAR	  ADDR(192, 0, 2, 200) /* a router on the way */
#define FROM_FAR  .from = ROUTER, .to = GATEWAY_OUT, .src = FAR, .dst = POOL
#define TO_HOST	  .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = FAR, .dst = SUBSCRIBER
#define OUTSIDE	  .ttl = 9, .src = POOL, .dst = EXTERNAL
#define INSIDE	  .ttl = 9, .src = SUBSCRIBER, .dst = EXTERNAL
#define UDP_PORT  OUT_PORT(6304, 2)
#define TCP_PORT  OUT_PORT(6303, 2)
#define ECHO_PORT OUT_PORT(6305, 2)

static void open_sessions(void)
{
	static const struct row rows[] = {
#define OPEN(proto_, port_, ext_)                                                                                  \
	{ "opens",                                                                                                 \
	  XDP_INSIDE,                                                                                              \
	  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, proto_, port_, ext_, .flags = 2 }, \
	  REDIRECT_XDP,                                                                                            \
	  { .ttl = 63,                                                                                             \
	    .from = GATEWAY_OUT,                                                                                   \
	    .to = ROUTER,                                                                                          \
	    .src = POOL,                                                                                           \
	    .dst = EXTERNAL,                                                                                       \
	    proto_,                                                                                                \
	    OUT_PORT(port_, 2),                                                                                    \
	    ext_,                                                                                                  \
	    .flags = 2 },                                                                                          \
	  REASON_in2out_translated }
		OPEN(TCP, 6303, 443),
		OPEN(UDP, 6304, 53),
		OPEN(ICMP, 6305, 0),
	};

	RUN_ROWS(rows);
}

Test(icmp_in, reaches_the_subscriber_as_if_about_its_own_packet)
{
	static const struct icmp_row rows[] = {
		{ "port unreachable, UDP",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = 33 } },
		  REDIRECT_XDP,
		  { TO_HOST, 3, 3, .quote = { INSIDE, UDP, 6304, 53, .payload = 33 } },
		  REASON_icmp_error_translated },
		{ "UDP without a checksum has none afterwards",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 13, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .options = NO_UDP_CHECKSUM } },
		  REDIRECT_XDP,
		  { TO_HOST, 3, 13, .quote = { INSIDE, UDP, 6304, 53, .options = NO_UDP_CHECKSUM } },
		  REASON_icmp_error_translated },
		{ "fragmentation needed, a whole TCP segment: the MTU is kept",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 4, .mtu = 1300, .quote = { OUTSIDE, TCP, TCP_PORT, 443, .payload = 1400 } },
		  REDIRECT_XDP,
		  { TO_HOST, 3, 4, .mtu = 1300, .quote = { INSIDE, TCP, 6303, 443, .payload = 1400 } },
		  REASON_icmp_error_translated },
		{ "time exceeded, TCP cut after 8 octets",
		  XDP_OUTSIDE,
		  { FROM_FAR, 11, 0, .quote_length = 28, .quote = { OUTSIDE, TCP, TCP_PORT, 443, .flags = 2 } },
		  REDIRECT_XDP,
		  { TO_HOST, 11, 0, .quote_length = 28, .quote = { INSIDE, TCP, 6303, 443, .flags = 2 } },
		  REASON_icmp_error_translated },
		{ "TCP cut before its checksum",
		  XDP_OUTSIDE,
		  { FROM_FAR, 11, 0, .quote_length = 36, .quote = { OUTSIDE, TCP, TCP_PORT, 443 } },
		  REDIRECT_XDP,
		  { TO_HOST, 11, 0, .quote_length = 36, .quote = { INSIDE, TCP, 6303, 443 } },
		  REASON_icmp_error_translated },
		{ "TCP cut behind its checksum",
		  XDP_OUTSIDE,
		  { FROM_FAR, 11, 0, .quote_length = 38, .quote = { OUTSIDE, TCP, TCP_PORT, 443 } },
		  REDIRECT_XDP,
		  { TO_HOST, 11, 0, .quote_length = 38, .quote = { INSIDE, TCP, 6303, 443 } },
		  REASON_icmp_error_translated },
		{ "echo: the identifier is translated",
		  XDP_OUTSIDE,
		  { FROM_FAR, 11, 0, .quote = { OUTSIDE, ICMP, ECHO_PORT, .payload = 56 } },
		  REDIRECT_XDP,
		  { TO_HOST, 11, 0, .quote = { INSIDE, ICMP, 6305, .payload = 56 } },
		  REASON_icmp_error_translated },
		{ "IP options in the quote and around it, odd length",
		  XDP_OUTSIDE,
		  { FROM_FAR, 12, 0, .ip_options = 40,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53, .ip_options = 40, .payload = 7 } },
		  REDIRECT_XDP,
		  { TO_HOST, 12, 0, .ip_options = 40,
		    .quote = { INSIDE, UDP, 6304, 53, .ip_options = 40, .payload = 7 } },
		  REASON_icmp_error_translated },
		{ "extensions of RFC 4884 are left as they are",
		  XDP_OUTSIDE,
		  { FROM_FAR, 11, 0, .rfc4884 = 32, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = 32 } },
		  REDIRECT_XDP,
		  { TO_HOST, 11, 0, .rfc4884 = 32, .quote = { INSIDE, UDP, 6304, 53, .payload = 32 } },
		  REASON_icmp_error_translated },
		{ "the first fragment of a packet",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 1, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = 8, .options = MORE_FRAGMENTS } },
		  REDIRECT_XDP,
		  { TO_HOST, 3, 1, .quote = { INSIDE, UDP, 6304, 53, .payload = 8, .options = MORE_FRAGMENTS } },
		  REASON_icmp_error_translated },
		{ "source quench",
		  XDP_OUTSIDE,
		  { FROM_FAR, 4, 0, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  REDIRECT_XDP,
		  { TO_HOST, 4, 0, .quote = { INSIDE, UDP, 6304, 53 } },
		  REASON_icmp_error_translated },
	};

	open_sessions();
	RUN_ICMP_ROWS(rows);
	for (uint8_t code = 0; code < 16; code++) {
		struct icmp_row row = { "any code of destination unreachable",
					XDP_OUTSIDE,
					{ FROM_FAR, 3, code, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
					REDIRECT_XDP,
					{ TO_HOST, 3, code, .quote = { INSIDE, UDP, 6304, 53 } },
					REASON_icmp_error_translated };

		run_icmp_rows(&row, 1);
	}
}

#define DROPPED(reason) DROP_XDP, {}, REASON_##reason

Test(icmp_in, an_error_about_no_session_is_dropped)
{
	static const struct icmp_row rows[] = {
		{ "another external port",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 54 } },
		  DROPPED(drop_no_session) },
		{ "another protocol",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, TCP, UDP_PORT, 53 } },
		  DROPPED(drop_no_session) },
		{ "sent to another than it quotes",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = POOL + 1,
		    3,
		    3,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_no_session) },
		{ "quotes a packet to the subscriber",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { .src = EXTERNAL, .dst = POOL, UDP, 53, UDP_PORT } },
		  DROPPED(drop_no_session) },
		{ "quotes an echo reply",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, ICMP, .dport = ECHO_PORT, .icmp_type = ECHO_REPLY_TYPE } },
		  DROPPED(drop_no_session) },
		{ "quotes an ICMP error",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, ICMP, ECHO_PORT, .icmp_type = 3 } },
		  DROPPED(drop_no_session) },
		{ "quotes GRE",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 2, .quote = { OUTSIDE, 47, .payload = 20 } },
		  DROPPED(drop_no_session) },
		{ "port below 1024",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, 1023, 53 } },
		  DROPPED(drop_no_session) },
		{ "a redirect is no error",
		  XDP_OUTSIDE,
		  { FROM_FAR, 5, 1, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_no_session) },
		{ "multicast as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(224, 0, 0, 1),
		    .dst = POOL,
		    3,
		    3,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_martian) },
		{ "a pool address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = POOL + 1,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_martian) },
		{ "an inside address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = OTHER,
		    .dst = POOL,
		    3,
		    3,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_martian) },
		{ "TTL ran out, not answered",
		  XDP_OUTSIDE,
		  { .ttl = 1, FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_ttl) },
	};

	open_sessions();
	RUN_ICMP_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_icmp_ttl), 0);
}

/* Makes the checksum of an ICMP message right. */
static void sum_icmp(uint8_t *frame)
{
	uint16_t check;

	frame[36] = frame[37] = 0;
	check = sum_finish(sum_octets(frame + 34, ip_length(frame) - 20, 0));
	frame[36] = (uint8_t)(check >> 8);
	frame[37] = (uint8_t)check;
}

/* One octet of the frame is another; offsets are from the start of the quote. */
Test(icmp_in, malformed_quotes_are_dropped)
{
	static const struct {
		const char *name;
		uint16_t quote_length;
		int at;
		uint8_t value;
		enum reason reason;
	} cases[] = {
		{ "as it should be", 0, -1, 0, REASON_icmp_error_translated },
		{ "no quote", 1, -1, 0, REASON_drop_malformed },
		{ "cut within the IP header", 19, -1, 0, REASON_drop_malformed },
		{ "cut behind the IP header", 20, -1, 0, REASON_drop_malformed },
		{ "cut within the first 8 octets", 27, -1, 0, REASON_drop_malformed },
		{ "IPv6", 0, 0, 0x65, REASON_drop_malformed },
		{ "header length of 16", 0, 0, 0x44, REASON_drop_malformed },
		{ "header longer than the quote", 0, 0, 0x4f, REASON_drop_malformed },
		{ "total length within the header", 0, 3, 19, REASON_drop_malformed },
		{ "total length within the ports", 0, 3, 27, REASON_drop_malformed },
		{ "a later fragment", 0, 7, 1, REASON_drop_malformed },
		{ "a later fragment by its high octet", 0, 6, 0x10, REASON_drop_malformed },
		{ "another TTL without another checksum", 0, 8, 1, REASON_icmp_error_translated },
	};

	open_sessions();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct icmp_error e = { FROM_FAR, 3, 3, .quote_length = cases[i].quote_length,
					.quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = 12 } };
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size = icmp_error_build(&e, in), out_size;

		if (cases[i].at >= 0) {
			in[42 + cases[i].at] = cases[i].value;
			sum_icmp(in);
		}
		run_frame_counted(cases[i].name, XDP_OUTSIDE, in, size, out, &out_size,
				  cases[i].reason == REASON_drop_malformed ? DROP_XDP : REDIRECT_XDP, cases[i].reason);
		if (cases[i].reason == REASON_icmp_error_translated)
			cr_expect_eq(sum_finish(sum_octets(out + 34, ip_length(out) - 20, 0)), 0, "%s: checksum",
				     cases[i].name);
	}
}

/* What stands behind the error is no part of the quote. */
Test(icmp_in, a_quote_ends_with_the_error)
{
	struct icmp_error e = { FROM_FAR, 3, 3, .quote_length = 24, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	open_sessions();
	memset(in + size, 0, 16);
	run_frame_counted("with octets behind it", XDP_OUTSIDE, in, size + 16, out, &out_size, DROP_XDP,
			  REASON_drop_malformed);
}

/* Nor is what stands behind the quoted packet within the error: here, where a checksum of TCP would be. */
Test(icmp_in, octets_after_the_quoted_packet_are_left_alone)
{
	struct icmp_error e = { FROM_FAR, 3, 3, .quote = { OUTSIDE, TCP, TCP_PORT, 443 } };
	struct icmp_error to = { TO_HOST, 3, 3, .quote = { INSIDE, TCP, 6303, 443 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	open_sessions();
	cr_assert_eq(icmp_error_build(&to, want), size);
	in[42 + 3] = want[42 + 3] = 28;
	memcpy(want + 42 + 20 + 16, in + 42 + 20 + 16, 2);
	sum_icmp(in);
	sum_icmp(want);
	run_frame_counted("28 octets of TCP", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP,
			  REASON_icmp_error_translated);
	cr_expect(frame_equal("28 octets of TCP", out, out_size, want, size));
}

/* An echo request has the code 0. */
Test(icmp_in, about_an_echo_request_with_a_code_is_about_no_session)
{
	struct icmp_error e = { FROM_FAR, 11, 0, .quote = { OUTSIDE, ICMP, ECHO_PORT, .payload = 56 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	open_sessions();
	in[42 + 21] = 1;
	sum_icmp(in);
	run_frame_counted("a code", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_no_session);
}

Test(icmp_in, a_wrong_checksum_is_not_made_into_another)
{
	static const struct icmp_row rows[] = {
		{ "dropped, whatever its length",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .options = WRONG_CHECKSUM, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  DROPPED(drop_malformed) },
		{ "longer",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .options = WRONG_CHECKSUM,
		    .quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = 1401 } },
		  DROPPED(drop_malformed) },
	};

	open_sessions();
	RUN_ICMP_ROWS(rows);
	for (uint16_t payload = 0; payload < 150; payload++) {
		struct icmp_row row = { "right, of any length",
					XDP_OUTSIDE,
					{ FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .payload = payload } },
					REDIRECT_XDP,
					{ TO_HOST, 3, 3, .quote = { INSIDE, UDP, 6304, 53, .payload = payload } },
					REASON_icmp_error_translated };

		run_icmp_rows(&row, 1);
	}
}

Test(icmp_in, changes_nothing_of_the_session)
{
	static const struct icmp_row rows[] = {
		{ "port unreachable",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, TCP, TCP_PORT, 443 } },
		  REDIRECT_XDP,
		  { TO_HOST, 3, 3, .quote = { INSIDE, TCP, 6303, 443 } },
		  REASON_icmp_error_translated },
	};
	static const struct icmp_row expired[] = {
		{ "an expired session is none",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, TCP, TCP_PORT, 443 } },
		  DROPPED(drop_no_session) },
	};
	static const struct row open[] = {
		{ "opens",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, TCP, 6303, 443, .flags = 2 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    TCP,
		    TCP_PORT,
		    443,
		    .flags = 2 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(open);
	age_sessions(SUBSCRIBER, 100);

	struct session before = only_session(SUBSCRIBER), after;

	RUN_ICMP_ROWS(rows);
	after = only_session(SUBSCRIBER);
	cr_expect_eq(after.state, before.state);
	cr_expect_eq(after.counts, before.counts);
	cr_expect_eq(after.out_port, before.out_port);
	/* A second may have gone by; a refresh would add a hundred. */
	cr_expect(after.expires <= before.expires && after.expires + 5 > before.expires, "not refreshed");
	age_sessions(SUBSCRIBER, 150);
	RUN_ICMP_ROWS(expired);
}

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
Test(icmp_in, about_a_session_beyond_the_slots)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	uint16_t out_port = 0, in_port = 0;
	size_t size, out_size;

	for (int i = 0; i < 9; i++) {
		struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 0, 53 };

		f.sport = in_port = (uint16_t)(6304 + i * PORTS);
		size = frame_build(&f, in);
		cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		out_port = (uint16_t)(out[34] << 8 | out[35]);
	}
	cr_assert_eq(counted(REASON_sessions_overflowed), 1);

	struct icmp_row row = { "port unreachable",
				XDP_OUTSIDE,
				{ FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, out_port, 53 } },
				REDIRECT_XDP,
				{ TO_HOST, 3, 3, .quote = { INSIDE, UDP, in_port, 53 } },
				REASON_icmp_error_translated };

	run_icmp_rows(&row, 1);
}

Test(icmp_in, where_the_kernel_forwards)
{
	static const struct icmp_row rows[] = {
		{ "handed up translated, the TTL is the kernel's to lower",
		  XDP_OUTSIDE,
		  { FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = SUBSCRIBER,
		    3,
		    3,
		    .quote = { INSIDE, UDP, 6304, 53 } },
		  REASON_icmp_error_translated },
	};

	open_sessions();
	settings.redirect = 0;
	reload_settings();
	RUN_ICMP_ROWS(rows);
}

/* They are set in the quote after it was built, so its checksum has to follow. */
Test(icmp_in, options_with_addresses_are_refused_in_quotes)
{
	static const struct icmp_error e = { FROM_FAR, 3, 3, .quote = { OUTSIDE, UDP, UDP_PORT, 53, .ip_options = 8 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	open_sessions();
	run_frame_counted("no operation", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP,
			  REASON_icmp_error_translated);
	icmp_error_quote_option(in, 7);
	run_frame_counted("record route", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_address_option);
	icmp_error_quote_option(in, 131);
	run_frame_counted("source route", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_source_route);
}

Test(icmp_in, source_routes_are_refused)
{
	static const struct icmp_error e = { FROM_FAR, 3, 3, .ip_options = 8, .quote = { OUTSIDE, UDP, UDP_PORT, 53 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = icmp_error_build(&e, in), out_size;

	open_sessions();
	frame_source_route(in);
	run_frame_counted("from outside", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_source_route);
}
