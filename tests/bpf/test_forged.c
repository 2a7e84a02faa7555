// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets to pool addresses whose source says that they come from elsewhere than they do: from inside with an outside
 * source, from outside with one of the gateway's own. Nothing is translated, and nothing opens.
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "reach_fixture.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(forged, .init = reach_set_up, .fini = portmap_tear_down);

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	reach_set_up();
}

#define OWN	   ADDR(198, 51, 100, 1)
#define FROM(addr) .from = HOST, .to = GATEWAY_IN, .src = (addr)
#define UP	   PASS_XDP, {}, REASON_passed_untranslated

static int verdict_of(enum hook hook)
{
	return hook >= INGRESS_INSIDE ? DROP_TC : DROP_XDP;
}

/* Rows whose packets are all dropped alike. */
static void drop_rows(enum hook hook, const char *when, struct row *rows, size_t n, enum reason reason)
{
	char names[12][100];

	cr_assert_leq(n, 12);
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "%s, %s", when, rows[i].name);
		rows[i].name = names[i];
		rows[i].hook = hook;
		rows[i].verdict = verdict_of(hook);
		rows[i].reason = reason;
	}
	run_rows(rows, n);
}

/* To all that takes packets, from a host outside that a subscriber talks to. */
static void drop_forged(enum hook hook, const char *when)
{
	struct row rows[] = {
		{ .name = "to a session", .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, BOUND } },
		{ .name = "to a bound port", .in = { FROM(EXTERNAL), .dst = POOL, UDP, 54, BOUND } },
		{ .name = "to a portmap", .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, WEB } },
		{ .name = "SYN to a portmap", .in = { FROM(EXTERNAL), .dst = POOL, TCP, 53, WEB, .flags = 2 } },
		{ .name = "first fragment",
		  .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, WEB, .payload = 64, .options = MORE_FRAGMENTS } },
		{ .name = "later fragment",
		  .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, WEB, .payload = 64, .options = LATER_FRAGMENT } },
		{ .name = "to an address that is one subscriber's",
		  .in = { FROM(EXTERNAL), .dst = OPEN_OUT, UDP, 53, 80 } },
		{ .name = "GRE", .in = { FROM(EXTERNAL), .dst = OPEN_OUT, GRE, .payload = 8 } },
		{ .name = "echo", .in = { FROM(EXTERNAL), .dst = OPEN_OUT, ICMP, 9 } },
		{ .name = "from another host", .in = { FROM(STRAY), .dst = POOL, UDP, 53, WEB } },
		{ .name = "to nobody", .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, 1 } },
	};
	struct icmp_row errors[] = {
		{ "an error about a session",
		  hook,
		  { FROM(EXTERNAL), .dst = POOL, 3, 3, .quote = { .src = POOL, .dst = EXTERNAL, UDP, BOUND, 53 } },
		  verdict_of(hook),
		  {},
		  REASON_drop_spoofed },
		{ "an error about a portmap's packet",
		  hook,
		  { FROM(STRAY), .dst = POOL, 3, 4, .quote = { .src = POOL, .dst = STRAY, TCP, WEB, 53 } },
		  verdict_of(hook),
		  {},
		  REASON_drop_spoofed },
	};

	drop_rows(hook, when, rows, sizeof(rows) / sizeof(*rows), REASON_drop_spoofed);
	RUN_ICMP_ROWS(errors);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1, "%s", when);
}

static void drop_forged_whatever_is_set(enum hook hook)
{
	static const struct {
		const char *when;
		enum unmatched unmatched;
		uint8_t rp_filter;
	} cases[] = {
		{ "route", UNMATCHED_ROUTE, 0 },
		{ "strict", UNMATCHED_STRICT, 0 },
		{ "drop-private", UNMATCHED_DROP_PRIVATE, 0 },
		{ "loose filter", UNMATCHED_ROUTE, 2 },
		{ "strict filter", UNMATCHED_ROUTE, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		settings.unmatched = (uint8_t)cases[i].unmatched;
		datapath.device[inside_ifindex].rp_filter = cases[i].rp_filter;
		reload_settings();
		drop_forged(hook, cases[i].when);
	}
}

Test(forged, outside_sources_from_inside_reach_nobody_whatever_is_set)
{
	drop_forged_whatever_is_set(XDP_INSIDE);
	tell_routes();
	drop_forged(XDP_INSIDE, "by the copy of the routes");
}

Test(forged, outside_sources_from_inside_reach_nobody_where_the_kernel_forwards)
{
	settings.redirect = 0;
	drop_forged_whatever_is_set(XDP_INSIDE);
}

Test(forged, outside_sources_from_inside_reach_nobody_without_xdp, .init = set_up_ingress)
{
	drop_forged_whatever_is_set(INGRESS_INSIDE);
}

/* With "drop" it is what any source in no mapping is. */
Test(forged, where_sources_in_no_mapping_are_dropped_these_are)
{
	struct row rows[] = {
		{ .name = "to a session", .in = { FROM(EXTERNAL), .dst = POOL, UDP, 53, BOUND } },
		{ .name = "routed inside", .in = { FROM(ROUTED), .dst = POOL, UDP, 53, WEB } },
	};

	settings.unmatched = UNMATCHED_DROP;
	reload_settings();
	drop_rows(XDP_INSIDE, "drop", rows, 2, REASON_drop_no_mapping);
}

/* Payload of another sender's datagram, of which the first fragment has passed. */
Test(forged, later_fragments_from_inside_join_no_datagram_from_outside)
{
	const struct frame datagram = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, WEB, .payload = 192
	};
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	frame_build(&datagram, whole);
	size = frame_fragment(whole, 77, 0, 64, true, in);
	run_frame_counted("first", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_out2in_translated);
	size = frame_fragment(whole, 77, 64, 128, true, in);
	memcpy(in, "\2\0\0\0\0\1\2\0\0\0\0\3", 12);
	run_frame_counted("forged", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_spoofed);
	size = frame_fragment(whole, 77, 64, 200, false, in);
	run_frame_counted("last", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_out2in_translated);
}

/* What is the gateway's own is the kernel's to judge. */
Test(forged, packets_to_the_gateways_own_pool_address_go_up)
{
	static const struct row rows[] = {
		{ "to the gateway", XDP_INSIDE, { FROM(EXTERNAL), .dst = POOL + 3, UDP, 53, 7 }, UP },
	};

	reach_run("ip addr add 203.0.113.3/32 dev lo");
	RUN_ROWS(rows);
}

/* Behind another inside interface a host may be, unless a filter says otherwise; elsewhere it may not. */
Test(forged, hosts_behind_other_interfaces_are_told_apart)
{
	static const struct row spoofed[] = {
		{ "a filter that is strict",
		  XDP_INSIDE,
		  { FROM(ROUTED), .dst = POOL, UDP, 53, WEB },
		  DROP_XDP,
		  {},
		  REASON_drop_spoofed },
	};
	static const struct row reaches[] = {
		{ "by another inside interface",
		  XDP_INSIDE,
		  { FROM(ROUTED), .dst = POOL, UDP, 53, WEB },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = ROUTED, .dst = SUBSCRIBER, UDP, 53, 8080 },
		  REASON_hairpin_translated },
	};
	uint32_t second = reach_second("192.0.3.0/24", DEVICE_INSIDE);

	RUN_ROWS(reaches);
	settings.unmatched = UNMATCHED_STRICT;
	reload_settings();
	RUN_ROWS(spoofed);
	settings.unmatched = UNMATCHED_DROP_PRIVATE;
	reload_settings();
	datapath.device[inside_ifindex].rp_filter = 1;
	RUN_ROWS(spoofed);
	datapath.device[inside_ifindex].rp_filter = 2;
	RUN_ROWS(reaches);
	datapath.device[second].roles = 0;
	RUN_ROWS(spoofed);
	settings.inside_from = INSIDE_ANY;
	reload_settings();
	RUN_ROWS(reaches);
}

/* No session shows that they are outside; in redirect the kernel is not asked. */
Test(forged, own_addresses_from_outside_reach_nobody)
{
	struct row rows[] = {
		{ .name = "to an address that is one subscriber's",
		  .in = { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN, .dst = OPEN_OUT, UDP, 67, 80 } },
		{ .name = "of the inside interface",
		  .in = { .from = ROUTER,
			  .to = GATEWAY_OUT,
			  .src = ADDR(10, 0, 0, 1),
			  .dst = OPEN_OUT,
			  TCP,
			  67,
			  80,
			  .flags = 2 } },
		{ .name = "GRE",
		  .in = { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN, .dst = OPEN_OUT, GRE, .payload = 4 } },
		{ .name = "a later fragment",
		  .in = { .from = ROUTER,
			  .to = GATEWAY_OUT,
			  .src = OWN,
			  .dst = OPEN_OUT,
			  UDP,
			  67,
			  80,
			  .payload = 16,
			  .options = LATER_FRAGMENT } },
		{ .name = "to a portmap",
		  .in = { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN, .dst = POOL, UDP, 67, WEB } },
		{ .name = "to a bound port",
		  .in = { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN, .dst = POOL, UDP, 67, BOUND } },
	};
	static const struct icmp_row errors[] = {
		{ "an error",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = OWN,
		    .dst = POOL,
		    3,
		    4,
		    .mtu = 600,
		    .quote = { .src = POOL, .dst = EXTERNAL, UDP, BOUND, 53 } },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};
	static const struct row passes[] = {
		{ "a neighbour's address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OWN + 1, .dst = OPEN_OUT, UDP, 67, 80, .payload = 16 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = OWN + 1,
		    .dst = OPEN_IN,
		    UDP,
		    67,
		    80,
		    .payload = 16 },
		  REASON_out2in_translated },
	};
	struct row padded[6];

	memcpy(padded, rows, sizeof(rows));
	drop_rows(XDP_OUTSIDE, "as they are", padded, 6, REASON_drop_martian);
	/* The fast path, and with it two stages, takes what has 12 octets of payload. */
	for (size_t i = 0; i < 6; i++)
		rows[i].in.payload += 16;
	memcpy(padded, rows, sizeof(rows));
	drop_rows(XDP_OUTSIDE, "longer", padded, 6, REASON_drop_martian);
	RUN_ICMP_ROWS(errors);
	RUN_ROWS(passes);
	tell_routes();
	memcpy(padded, rows, sizeof(rows));
	drop_rows(XDP_OUTSIDE, "by the copy of the routes", padded, 6, REASON_drop_martian);
	RUN_ICMP_ROWS(errors);
	RUN_ROWS(passes);
	/* An agent vouches for all addresses but these. */
	datapath.global->own_sources[own_source_bit(OWN) >> 6] |= 1ULL << (own_source_bit(OWN) & 63);
	datapath.global->own_sources[own_source_bit(ADDR(10, 0, 0, 1)) >> 6] |=
		1ULL << (own_source_bit(ADDR(10, 0, 0, 1)) & 63);
	datapath.global->sources_until = datapath_ticks(&datapath) + 1000;
	drop_rows(XDP_OUTSIDE, "vouched for", rows, 6, REASON_drop_martian);
	RUN_ICMP_ROWS(errors);
	RUN_ROWS(passes);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

Test(forged, a_packet_from_outside_to_an_open_mapping_is_asked_for_its_way_back)
{
	static const struct row up[] = {
		{ "routed inside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ROUTED, .dst = OPEN_OUT, UDP, 67, 80, .payload = 16 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};
	static const struct row passes[] = {
		{ "routed outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = STRAY, .dst = OPEN_OUT, UDP, 67, 80, .payload = 16 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = STRAY,
		    .dst = OPEN_IN,
		    UDP,
		    67,
		    80,
		    .payload = 16 },
		  REASON_out2in_translated },
	};

	datapath.device[outside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(up);
	RUN_ROWS(passes);
	tell_routes();
	RUN_ROWS(up);
	RUN_ROWS(passes);
}
