// SPDX-License-Identifier: BSD-2-Clause
/*
 * What has no ports, what carries IP options, and what must not come from where it does. Whole packets are compared, at
 * every hook.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "protocols.h"
#include "told_routes.h"

static void set_up_protocols(void);

TestSuite(protocols, .init = set_up_protocols, .fini = tear_down);

static void set_up_protocols(void)
{
	struct mapping_spec spec = { .in = { ADDR(10, 0, 1, 0), 29 },
				     .out = { ADDR(203, 0, 113, 64), 29 },
				     .sessions_per_user = 1000,
				     .session_slots = 8 };

	set_up();
	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
	cr_assert_eq(system("ip route add 10.0.1.0/29 via 10.0.0.3"), 0);
	datapath_raise_epoch(&datapath);
}

// clang-format off
#define OUT_ROW(name_, proto_, ...)                                                        \
	{ name_ " out", XDP_INSIDE, { OWN_SENDS, proto_, 1, 2, __VA_ARGS__ }, REDIRECT_XDP, \
	  { OWN_LEAVES, proto_, 1, 2, __VA_ARGS__ }, REASON_in2out_translated }
#define IN_ROW(name_, proto_, ...)                                                         \
	{ name_ " in", XDP_OUTSIDE, { TO_OWN, proto_, 3, 4, __VA_ARGS__ }, REDIRECT_XDP,   \
	  { OWN_GETS, proto_, 3, 4, __VA_ARGS__ }, REASON_out2in_translated }
/* At tc the frame stays as the kernel has written it, but for the source. */
#define TC_ROW(name_, proto_, ...)                                                         \
	{ name_ " by tc", TC_OUTSIDE, { OWN_SENDS, proto_, 1, 2, __VA_ARGS__ }, PASS_TC,   \
	  { .from = HOST, .to = GATEWAY_IN, .src = OWN_OUT, .dst = EXTERNAL, proto_, 1, 2, __VA_ARGS__ }, \
	  REASON_in2out_translated }
#define BOTH_WAYS(name_, proto_, ...)        \
	OUT_ROW(name_, proto_, __VA_ARGS__), \
	IN_ROW(name_, proto_, __VA_ARGS__),  \
	TC_ROW(name_, proto_, __VA_ARGS__)
// clang-format on

Test(protocols, pass_where_an_address_is_the_subscribers_own)
{
	static const struct row rows[] = {
		BOTH_WAYS("GRE", GRE, .payload = 20),
		BOTH_WAYS("GRE without payload", GRE),
		BOTH_WAYS("ESP of odd length", ESP, .payload = 33, .options = DONT_FRAGMENT),
		BOTH_WAYS("SCTP with IP options", SCTP, .payload = 16, .ip_options = 8),
		BOTH_WAYS("IP in IP", IPIP, .payload = 30),
		BOTH_WAYS("a protocol of no name", 253, .payload = 1),
		BOTH_WAYS("first fragment of ESP", ESP, .payload = 200, .options = MORE_FRAGMENTS),
		BOTH_WAYS("later fragment of ESP", ESP, .payload = 200, .options = LATER_FRAGMENT),
		BOTH_WAYS("later fragment of DCCP", DCCP, .payload = 200, .options = LATER_FRAGMENT),
		BOTH_WAYS("later fragment of UDP-Lite", UDP_LITE, .payload = 200, .options = LATER_FRAGMENT),
		{ "the lowest TTL goes up, to be answered", XDP_INSIDE, { OWN_SENDS, GRE, .ttl = 1 }, UP },
		{ "hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = SECOND_OUT, GRE, 1, 2, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .ttl = 63, .src = OWN_OUT, .dst = SECOND, GRE, 1, 2, .payload = 5 },
		  REASON_hairpin_translated },
		{ "to itself",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = OWN_OUT, GRE, 1, 2, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .ttl = 63, .src = OWN_OUT, .dst = OWN, GRE, 1, 2, .payload = 5 },
		  REASON_hairpin_translated },
		{ "hairpin to one who shares its address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = POOL, GRE },
		  DROP_XDP,
		  {},
		  REASON_drop_protocol },
		{ "a martian from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(127, 0, 0, 1), .dst = OWN_OUT, GRE },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a pool address from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = SECOND_OUT, .dst = OWN_OUT, GRE },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "an inside address from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = SECOND, .dst = OWN_OUT, GRE },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "UDP still needs a session",
		  XDP_OUTSIDE,
		  { TO_OWN, UDP, 53, 5000 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "an address that is shared, in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, ESP },
		  DROP_XDP,
		  {},
		  REASON_drop_protocol },
		{ "a fragment of ESP, too",
		  XDP_INSIDE,
		  { FROM_HOST, ESP, .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_protocol },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(OWN), 0);
}

#define QUOTED(proto) proto, 1, 2, .ttl = 9, .payload = 40

Test(protocols, icmp_errors_about_them_are_translated)
{
	static const struct icmp_row rows[] = {
		{ "fragmentation needed for GRE",
		  XDP_OUTSIDE,
		  { FROM_FAR, .dst = OWN_OUT, 3, 4, .mtu = 1400,
		    .quote = { .src = OWN_OUT, .dst = EXTERNAL, QUOTED(GRE) } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = OWN,
		    3,
		    4,
		    .ttl = 63,
		    .mtu = 1400,
		    .quote = { .src = OWN, .dst = EXTERNAL, QUOTED(GRE) } },
		  REASON_icmp_error_translated },
		{ "time exceeded for ESP, cut after 8 octets",
		  XDP_OUTSIDE,
		  { FROM_FAR, .dst = OWN_OUT, 11, 0, .quote_length = 28,
		    .quote = { .src = OWN_OUT, .dst = EXTERNAL, QUOTED(ESP) } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = OWN,
		    11,
		    0,
		    .ttl = 63,
		    .quote_length = 28,
		    .quote = { .src = OWN, .dst = EXTERNAL, QUOTED(ESP) } },
		  REASON_icmp_error_translated },
		{ "to the outside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = OWN,
		    .dst = EXTERNAL,
		    3,
		    2,
		    .quote = { .src = EXTERNAL, .dst = OWN, QUOTED(SCTP) } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OWN_OUT,
		    .dst = EXTERNAL,
		    3,
		    2,
		    .ttl = 63,
		    .quote = { .src = EXTERNAL, .dst = OWN_OUT, QUOTED(SCTP) } },
		  REASON_icmp_error_translated },
		{ "the gateway's own quotes no inside address",
		  TC_OWN,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = ADDR(198, 51, 100, 1),
		    .dst = EXTERNAL,
		    3,
		    1,
		    .quote = { .src = EXTERNAL, .dst = OWN, QUOTED(GRE) } },
		  PASS_TC,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = ADDR(198, 51, 100, 1),
		    .dst = EXTERNAL,
		    3,
		    1,
		    .quote = { .src = EXTERNAL, .dst = OWN_OUT, QUOTED(GRE) } },
		  REASON_icmp_error_translated },
		{ "about a hairpin",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SECOND,
		    .dst = OWN_OUT,
		    3,
		    2,
		    .quote = { .src = OWN_OUT, .dst = SECOND, QUOTED(GRE) } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = SECOND_OUT,
		    .dst = OWN,
		    3,
		    2,
		    .ttl = 63,
		    .quote = { .src = OWN, .dst = SECOND_OUT, QUOTED(GRE) } },
		  REASON_icmp_error_translated },
		{ "about a shared address",
		  XDP_OUTSIDE,
		  { FROM_FAR, .dst = POOL, 3, 4, .quote = { .src = POOL, .dst = EXTERNAL, QUOTED(GRE) } },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ICMP_ROWS(rows);
}

Test(protocols, where_the_kernel_forwards)
{
	static const struct row rows[] = {
		{ "out: up", XDP_INSIDE, { OWN_SENDS, GRE, 1, 2, .payload = 8 }, UP },
		{ "in: translated for the kernel to deliver",
		  XDP_OUTSIDE,
		  { TO_OWN, GRE, 1, 2, .payload = 8 },
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN, GRE, 1, 2, .payload = 8 },
		  REASON_out2in_translated },
		{ "hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = SECOND_OUT, GRE, 1, 2, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .ttl = 63, .src = OWN_OUT, .dst = SECOND, GRE, 1, 2, .payload = 5 },
		  REASON_hairpin_translated },
	};
	static const struct row no_hairpins[] = {
		{ "hairpin",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = SECOND_OUT, GRE, 1, 2, .payload = 5 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	settings.redirect = 0;
	reload_settings();
	RUN_ROWS(rows);
	settings.hairpin = 0;
	reload_settings();
	RUN_ROWS(no_hairpins);
}

static const struct {
	const char *name;
	uint8_t octet[12]; /* the rest is the end of the list */
	enum reason reason;
} ip_options[] = {
	{ "router alert", { 148, 4, 0, 0 }, REASON_in2out_translated },
	{ "an option of the highest number", { 255, 4, 7, 68 }, REASON_in2out_translated },
	{ "stream identifier", { 136, 4, 7, 68 }, REASON_in2out_translated },
	{ "record route", { 7, 11, 4 }, REASON_drop_address_option },
	{ "record route, full", { 7, 7, 8, 10, 0, 0, 2 }, REASON_drop_address_option },
	{ "record route behind another", { 148, 4, 0, 0, 1, 7, 7, 4 }, REASON_drop_address_option },
	{ "record route at the very end", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 7, 3, 4 }, REASON_drop_address_option },
	{ "record route behind the end", { 0, 7, 7, 4 }, REASON_in2out_translated },
	{ "timestamp", { 68, 12, 5 }, REASON_drop_address_option },
	{ "timestamp with addresses", { 68, 12, 5, 1, 10, 0, 0, 2 }, REASON_drop_address_option },
	{ "traceroute", { 82, 12, 0, 1, 0, 0, 0, 0, 10, 0, 0, 2 }, REASON_drop_address_option },
	{ "extended internet protocol", { 145, 4 }, REASON_drop_address_option },
	{ "address extension", { 147, 10 }, REASON_drop_address_option },
	{ "directed broadcast", { 149, 6, 10, 0, 0, 2 }, REASON_drop_address_option },
	{ "no operation", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, REASON_in2out_translated },
	{ "a source route behind the end", { 0, 131, 7, 4 }, REASON_in2out_translated },
	{ "a source route in another's value", { 148, 11, 131, 7, 4 }, REASON_in2out_translated },
	{ "loose source route", { 131, 7, 4, 192, 0, 2, 1 }, REASON_drop_source_route },
	{ "strict source route", { 137, 7, 4, 192, 0, 2, 1 }, REASON_drop_source_route },
	{ "one that is used up", { 137, 7, 8, 192, 0, 2, 1 }, REASON_drop_source_route },
	{ "one behind others", { 1, 148, 4, 0, 0, 131, 3, 4 }, REASON_drop_source_route },
	{ "one at the very end", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 131, 3, 4 }, REASON_drop_source_route },
	{ "an option longer than the header", { 148, 13 }, REASON_drop_malformed },
	{ "an option of no length", { 148, 0 }, REASON_drop_malformed },
	{ "an option of length 1", { 1, 148, 1 }, REASON_drop_malformed },
	{ "an option cut off", { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 148 }, REASON_drop_malformed },
};

static void expect_by_options(enum hook hook, const struct frame *f, size_t k, enum reason translated)
{
	enum reason reason = ip_options[k].reason == REASON_in2out_translated ? translated : ip_options[k].reason;
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame with = *f;
	uint64_t before = counted(reason);
	size_t size;
	uint16_t sum;

	with.ip_options = 12;
	size = frame_build(&with, in);
	memcpy(in + 34, ip_options[k].octet, 12);
	in[24] = in[25] = 0;
	sum = sum_finish(sum_octets(in + 14, 32, 0));
	in[24] = (uint8_t)(sum >> 8);
	in[25] = (uint8_t)sum;

	int verdict = run_frame(hook, in, size, out, &size);
	int dropped = reason != translated;

	cr_expect_eq(counted(reason), before + 1, "%s: hook %d, verdict %d", ip_options[k].name, hook, verdict);
	cr_expect_eq(verdict, hook == TC_OUTSIDE ? (dropped ? DROP_TC : PASS_TC) : dropped ? DROP_XDP : REDIRECT_XDP);
	cr_expect_arr_eq(out + 34, ip_options[k].octet, 12, "%s: kept", ip_options[k].name);
	cr_expect_eq(sum_finish(sum_octets(out + 14, 32, 0)), 0, "%s: header checksum", ip_options[k].name);
	/* DSCP, ECN, identification and DF are the sender's (RFC 6864). */
	cr_expect_arr_eq(out + 15, in + 15, 7, "%s: header", ip_options[k].name);
}

Test(protocols, ip_options_are_kept_but_for_those_with_addresses)
{
	static const struct frame opens = { FROM_HOST, UDP, 5000, 53 };
	static const struct frame answer = { FROM_ROUTER, UDP, 53, OUT_PORT(5000, 2), .options = DONT_FRAGMENT };
	static const struct frame gre = { OWN_SENDS, GRE, .payload = 4 };
	static const struct frame gre_in = { TO_OWN, GRE, .payload = 4, .options = DONT_FRAGMENT };
	static const struct row own[] = {
		{ "what is for the gateway itself is the kernel's",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = ADDR(10, 0, 0, 1),
		    UDP,
		    1,
		    2,
		    .ip_options = 4 },
		  UP },
	};
	static const struct row open[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(open);
	for (size_t k = 0; k < sizeof(ip_options) / sizeof(*ip_options); k++) {
		expect_by_options(XDP_INSIDE, &opens, k, REASON_in2out_translated);
		expect_by_options(TC_OUTSIDE, &opens, k, REASON_in2out_translated);
		expect_by_options(XDP_OUTSIDE, &answer, k, REASON_out2in_translated);
		expect_by_options(XDP_INSIDE, &gre, k, REASON_in2out_translated);
		expect_by_options(TC_OUTSIDE, &gre, k, REASON_in2out_translated);
		expect_by_options(XDP_OUTSIDE, &gre_in, k, REASON_out2in_translated);
	}
	RUN_ROWS(own);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* Of those options that are not to be copied into later fragments, either, whoever does it all the same. */
Test(protocols, options_with_addresses_are_refused_in_fragments)
{
	static const struct frame first = { FROM_HOST, UDP, 5000, 53, .payload = 16, .options = MORE_FRAGMENTS };
	static const struct frame later = { FROM_HOST, UDP, .payload = 16, .options = LATER_FRAGMENT };
	static const struct frame first_in = { FROM_ROUTER,	  UDP,		 53,
					       OUT_PORT(5000, 2), .payload = 16, .options = MORE_FRAGMENTS };
	static const struct frame later_in = { FROM_ROUTER, UDP, .payload = 16, .options = LATER_FRAGMENT };

	for (size_t k = 0; k < sizeof(ip_options) / sizeof(*ip_options); k++) {
		if (ip_options[k].reason != REASON_drop_address_option)
			continue;
		expect_by_options(XDP_INSIDE, &first, k, REASON_in2out_translated);
		expect_by_options(XDP_INSIDE, &later, k, REASON_in2out_translated);
		expect_by_options(TC_OUTSIDE, &first, k, REASON_in2out_translated);
		expect_by_options(TC_OUTSIDE, &later, k, REASON_in2out_translated);
		expect_by_options(XDP_OUTSIDE, &first_in, k, REASON_out2in_translated);
		expect_by_options(XDP_OUTSIDE, &later_in, k, REASON_out2in_translated);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

Test(protocols, inside_addresses_from_outside_are_dropped)
{
	static const struct row rows[] = {
		{ "an inside source from outside, to a pool address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, UDP, 53, OUT_PORT(5000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "an inside source from outside, to an inside address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = SUBSCRIBER, TCP, 53, 22, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "an inside source from outside, to anywhere",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = ADDR(192, 0, 2, 1), UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "an inside source from outside, to the gateway itself: the kernel's",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = ADDR(198, 51, 100, 1), UDP, 1, 2 },
		  UP },
		{ "an inside source from outside, broadcast",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = ADDR(255, 255, 255, 255), UDP, 68, 67 },
		  UP },
		{ "straight to an inside address, without ports",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, GRE, .payload = 4 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "straight to an inside address, a fragment",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "a TCP segment of no session",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 443, OUT_PORT(5000, 2), .flags = 0x10 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "an unsolicited SYN",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 443, OUT_PORT(5000, 2), .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ROWS(rows);
}
