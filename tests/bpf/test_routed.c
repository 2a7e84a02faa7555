// SPDX-License-Identifier: BSD-2-Clause
/*
 * Routed hosts, whose addresses are not translated, and what they reach by pool addresses: their packets arrive, and
 * the answers come from where those went. What they have not asked for is routed as it is. Whole packets are compared.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/routed.h>

#include "icmp_frame.h"
#include "reach_fixture.h"
#include "told_routes.h"

TestSuite(routed, .init = reach_set_up, .fini = portmap_tear_down);

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	reach_set_up();
}

#define SYN	       2
#define SYN_ACK	       0x12
#define ASKS	       .from = HOST, .to = GATEWAY_IN, .src = ROUTED
#define ASKED	       .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = ROUTED
#define ANSWERS(addr)  .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = ROUTED
#define ANSWERED(addr) .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = (addr), .dst = ROUTED
#define UP	       PASS_XDP, {}, REASON_passed_untranslated
#define TURNS	       REASON_hairpin_translated

/* Rows of XDP, at whichever hook. */
static void run_at(enum hook hook, const struct row *rows, size_t n)
{
	struct row at[20];

	cr_assert_leq(n, 20);
	memcpy(at, rows, n * sizeof(*rows));
	for (size_t i = 0; i < n && hook == INGRESS_INSIDE; i++) {
		at[i].hook = hook;
		at[i].verdict = at[i].verdict == REDIRECT_XDP ? REDIRECT_TC
				: at[i].verdict == PASS_XDP   ? PASS_TC
							      : DROP_TC;
		/* MAC addresses are the kernel's business. */
		at[i].out.from = HOST;
		at[i].out.to = GATEWAY_IN;
	}
	run_rows(at, n);
}

static void run_errors_at(enum hook hook, const struct icmp_row *rows, size_t n)
{
	struct icmp_row at[8];

	cr_assert_leq(n, 8);
	memcpy(at, rows, n * sizeof(*rows));
	for (size_t i = 0; i < n && hook == INGRESS_INSIDE; i++) {
		at[i].hook = hook;
		at[i].verdict = at[i].verdict == REDIRECT_XDP ? REDIRECT_TC : PASS_TC;
		at[i].out.from = HOST;
		at[i].out.to = GATEWAY_IN;
	}
	run_icmp_rows(at, n);
}

#define RUN_AT(hook, rows)    run_at(hook, rows, sizeof(rows) / sizeof(*(rows)))
#define ERRORS_AT(hook, rows) run_errors_at(hook, rows, sizeof(rows) / sizeof(*(rows)))

static void reach_all(enum hook hook)
{
	static const struct row rows[] = {
		{ "an answer to nobody", XDP_INSIDE, { ANSWERS(SUBSCRIBER), TCP, 8080, 5000, .flags = SYN_ACK }, UP },
		{ "to a portmap",
		  XDP_INSIDE,
		  { ASKS, .dst = POOL, TCP, 5000, WEB, .flags = SYN },
		  REDIRECT_XDP,
		  { ASKED, .dst = SUBSCRIBER, TCP, 5000, 8080, .flags = SYN },
		  TURNS },
		{ "its answer",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), TCP, 8080, 5000, .flags = SYN_ACK },
		  REDIRECT_XDP,
		  { ANSWERED(POOL), TCP, WEB, 5000, .flags = SYN_ACK },
		  TURNS },
		{ "to another port of the host",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), TCP, 8080, 5001, .flags = SYN_ACK },
		  UP },
		{ "straight to the subscriber",
		  XDP_INSIDE,
		  { ASKS, .dst = SUBSCRIBER, TCP, 6000, 8080, .flags = SYN },
		  UP },
		{ "its answer", XDP_INSIDE, { ANSWERS(SUBSCRIBER), TCP, 8080, 6000, .flags = SYN_ACK }, UP },
		{ "to a bound port",
		  XDP_INSIDE,
		  { ASKS, .dst = POOL, UDP, 5000, BOUND, .payload = 20 },
		  REDIRECT_XDP,
		  { ASKED, .dst = SUBSCRIBER, UDP, 5000, 6304, .payload = 20 },
		  TURNS },
		{ "its answer",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), UDP, 6304, 5000, .payload = 20 },
		  REDIRECT_XDP,
		  { ANSWERED(POOL), UDP, BOUND, 5000, .payload = 20 },
		  TURNS },
		{ "to an open mapping",
		  XDP_INSIDE,
		  { ASKS, .dst = OPEN_OUT, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { ASKED, .dst = OPEN_IN, UDP, 5000, 53 },
		  TURNS },
		{ "its answer",
		  XDP_INSIDE,
		  { ANSWERS(OPEN_IN), UDP, 53, 5000 },
		  REDIRECT_XDP,
		  { ANSWERED(OPEN_OUT), UDP, 53, 5000 },
		  TURNS },
		{ "echo",
		  XDP_INSIDE,
		  { ASKS, .dst = OPEN_OUT, ICMP, 77, .payload = 9 },
		  REDIRECT_XDP,
		  { ASKED, .dst = OPEN_IN, ICMP, 77, .payload = 9 },
		  TURNS },
		{ "echo reply",
		  XDP_INSIDE,
		  { ANSWERS(OPEN_IN), ICMP, .dport = 77, .icmp_type = ECHO_REPLY_TYPE, .payload = 9 },
		  REDIRECT_XDP,
		  { ANSWERED(OPEN_OUT), ICMP, .dport = 77, .icmp_type = ECHO_REPLY_TYPE, .payload = 9 },
		  TURNS },
		{ "another echo's",
		  XDP_INSIDE,
		  { ANSWERS(OPEN_IN), ICMP, .dport = 78, .icmp_type = ECHO_REPLY_TYPE, .payload = 9 },
		  UP },
		{ "GRE",
		  XDP_INSIDE,
		  { ASKS, .dst = OPEN_OUT, GRE, .payload = 9 },
		  REDIRECT_XDP,
		  { ASKED, .dst = OPEN_IN, GRE, .payload = 9 },
		  TURNS },
		{ "GRE back",
		  XDP_INSIDE,
		  { ANSWERS(OPEN_IN), GRE, .payload = 9 },
		  REDIRECT_XDP,
		  { ANSWERED(OPEN_OUT), GRE, .payload = 9 },
		  TURNS },
		{ "to nobody", XDP_INSIDE, { ASKS, .dst = POOL, UDP, 5000, 1 }, DROP_XDP, {}, REASON_drop_no_session },
		{ "GRE to a shared address",
		  XDP_INSIDE,
		  { ASKS, .dst = POOL, GRE, .payload = 9 },
		  DROP_XDP,
		  {},
		  REASON_drop_protocol },
	};
	static const struct icmp_row errors[] = {
		{ "the subscriber's, about the request",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), 3, 3, .quote = { .src = ROUTED, .dst = SUBSCRIBER, TCP, 5000, 8080 } },
		  REDIRECT_XDP,
		  { ANSWERED(POOL), 3, 3, .quote = { .src = ROUTED, .dst = POOL, TCP, 5000, WEB } },
		  REASON_icmp_error_translated },
		{ "a router's, about the request",
		  XDP_INSIDE,
		  { ANSWERS(ADDR(192, 0, 3, 1)), 11, 0,
		    .quote = { .src = ROUTED, .dst = SUBSCRIBER, TCP, 5000, 8080 } },
		  REDIRECT_XDP,
		  { ANSWERED(ADDR(10, 0, 0, 1)), 11, 0, .quote = { .src = ROUTED, .dst = POOL, TCP, 5000, WEB } },
		  REASON_icmp_error_translated },
		{ "about what was not asked",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), 3, 3, .quote = { .src = ROUTED, .dst = SUBSCRIBER, TCP, 5001, 8080 } },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "the host's, about the answer",
		  XDP_INSIDE,
		  { ASKS, .dst = POOL, 3, 4, .mtu = 600, .quote = { .src = POOL, .dst = ROUTED, TCP, WEB, 5000 } },
		  REDIRECT_XDP,
		  { ASKED, .dst = SUBSCRIBER, 3, 4, .mtu = 600,
		    .quote = { .src = SUBSCRIBER, .dst = ROUTED, TCP, 8080, 5000 } },
		  REASON_icmp_error_translated },
	};

	RUN_AT(hook, rows);
	if (hook == XDP_INSIDE && settings.redirect)
		ERRORS_AT(hook, errors);
	else
		run_errors_at(hook, errors, 3);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

Test(routed, hosts_reach_subscribers_and_are_answered_from_there)
{
	reach_all(XDP_INSIDE);
}

Test(routed, hosts_reach_subscribers_by_the_copy_of_the_routes)
{
	tell_routes();
	reach_all(XDP_INSIDE);
}

Test(routed, hosts_reach_subscribers_where_the_kernel_forwards)
{
	settings.redirect = 0;
	reload_settings();
	reach_all(XDP_INSIDE);
}

Test(routed, hosts_reach_subscribers_without_xdp, .init = set_up_ingress)
{
	reach_all(INGRESS_INSIDE);
}

static const struct row web[] = {
	{ "to a portmap",
	  XDP_INSIDE,
	  { ASKS, .dst = POOL, UDP, 5000, WEB },
	  REDIRECT_XDP,
	  { ASKED, .dst = SUBSCRIBER, UDP, 5000, 8080 },
	  TURNS },
	{ "its answer",
	  XDP_INSIDE,
	  { ANSWERS(SUBSCRIBER), UDP, 8080, 5000 },
	  REDIRECT_XDP,
	  { ANSWERED(POOL), UDP, WEB, 5000 },
	  TURNS },
};
static const struct row web_up[] = {
	{ "what was one", XDP_INSIDE, { ANSWERS(SUBSCRIBER), UDP, 8080, 5000 }, UP },
};

/* A note names no outside endpoint, which another may have by then. */
Test(routed, answers_end_with_the_portmap)
{
	RUN_ROWS(web);
	cr_assert_eq(portmaps_del(portmaps, UDP, (struct endpoint){ POOL, WEB }), 0);
	RUN_ROWS(web_up);
	map_port(UDP, OTHER, 8080, WEB);
	RUN_ROWS(web_up);
}

Test(routed, answers_end_a_while_after_the_last_packet)
{
	const struct routed_flow flow = {
		.in_addr = SUBSCRIBER, .routed_addr = ROUTED, .in_port = 8080, .routed_port = 5000, .proto = UDP
	};
	uint32_t ticks = datapath.mapping[0].timeout_ticks[TIMEOUT_UDP], seen;

	RUN_ROWS(web);
	cr_assert_eq(bpf_map_lookup_elem(datapath.routed_flows, &flow, &seen), 0);
	seen -= ticks - 100;
	cr_assert_eq(bpf_map_update_elem(datapath.routed_flows, &flow, &seen, BPF_ANY), 0);
	run_rows(web + 1, 1);
	cr_assert_eq(bpf_map_lookup_elem(datapath.routed_flows, &flow, &seen), 0);
	seen -= ticks + 1;
	cr_assert_eq(bpf_map_update_elem(datapath.routed_flows, &flow, &seen, BPF_ANY), 0);
	RUN_ROWS(web_up);
}

Test(routed, hosts_reach_nobody_where_hairpins_are_off)
{
	static const struct row rows[] = {
		{ "to a portmap",
		  XDP_INSIDE,
		  { ASKS, .dst = POOL, UDP, 5000, WEB },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};

	settings.hairpin = 0;
	reload_settings();
	RUN_ROWS(rows);
}

/* Both ways, in order; a later fragment of nothing noted is routed. */
static void pass_fragments(const struct frame *in, const struct frame *out, uint16_t id)
{
	uint8_t whole[FRAME_MAX], wanted[FRAME_MAX], sent[FRAME_MAX], want[FRAME_MAX], got[FRAME_MAX];
	size_t size, want_size, got_size;

	frame_build(in, whole);
	frame_build(out, wanted);
	for (unsigned start = 0; start < 192; start += 64) {
		bool more = start < 128;
		unsigned end = more ? start + 64 : 200;

		size = frame_fragment(whole, id, start, end, more, sent);
		want_size = frame_fragment(wanted, id, start, end, more, want);
		run_frame_counted("fragment", XDP_INSIDE, sent, size, got, &got_size, REDIRECT_XDP, TURNS);
		cr_expect(frame_equal("fragment", got, got_size, want, want_size));
	}
}

/* Of a fragment behind the first as well. */
Test(routed, answers_with_a_source_route_are_dropped)
{
	const struct frame asks = { ASKS, .dst = POOL, UDP, 5000, WEB, .payload = 192 },
			   answers = { ANSWERS(SUBSCRIBER), UDP, 8080, 5000, .ip_options = 8, .payload = 192 };
	uint8_t whole[FRAME_MAX], sent[FRAME_MAX], got[FRAME_MAX];
	size_t size, got_size;

	size = frame_build(&asks, whole);
	cr_assert_eq(run_frame(XDP_INSIDE, whole, size, got, &got_size), REDIRECT_XDP);
	frame_build(&answers, whole);
	size = frame_fragment(whole, 11, 0, 64, true, sent);
	cr_assert_eq(run_frame(XDP_INSIDE, sent, size, got, &got_size), REDIRECT_XDP);
	frame_source_route(whole);
	for (unsigned start = 64; start < 192; start += 64) {
		size = frame_fragment(whole, 11, start, start + 64, true, sent);
		run_frame_counted("a later one", XDP_INSIDE, sent, size, got, &got_size, DROP_XDP,
				  REASON_drop_source_route);
	}
	size = frame_fragment(whole, 12, 0, 64, true, sent);
	run_frame_counted("a first one", XDP_INSIDE, sent, size, got, &got_size, DROP_XDP, REASON_drop_source_route);
}

Test(routed, fragments_pass_both_ways)
{
	const struct frame asks = { ASKS, .dst = POOL, UDP, 5000, WEB, .payload = 192 },
			   asked = { ASKED, .dst = SUBSCRIBER, UDP, 5000, 8080, .payload = 192 },
			   answers = { ANSWERS(SUBSCRIBER), UDP, 8080, 5000, .payload = 192 },
			   answered = { ANSWERED(POOL), UDP, WEB, 5000, .payload = 192 },
			   opens = { ASKS, .dst = OPEN_OUT, UDP, 5000, 53, .payload = 192 },
			   opened = { ASKED, .dst = OPEN_IN, UDP, 5000, 53, .payload = 192 },
			   open_answers = { ANSWERS(OPEN_IN), UDP, 53, 5000, .payload = 192 },
			   open_answered = { ANSWERED(OPEN_OUT), UDP, 53, 5000, .payload = 192 };
	static const struct row stray[] = {
		{ "of nothing",
		  XDP_INSIDE,
		  { ANSWERS(SUBSCRIBER), UDP, 8080, 5000, .payload = 64, .options = LATER_FRAGMENT },
		  UP },
	};

	pass_fragments(&asks, &asked, 7);
	pass_fragments(&answers, &answered, 8);
	pass_fragments(&opens, &opened, 9);
	pass_fragments(&open_answers, &open_answered, 10);
	RUN_ROWS(stray);
}

Test(routed, errors_of_the_gateway_quote_what_was_sent)
{
	const struct frame frames[] = { { ASKS, .dst = POOL, UDP, 5000, WEB, .ttl = 1 },
					{ ANSWERS(SUBSCRIBER), UDP, 8080, 5000, .ttl = 1 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t out_size;

	RUN_ROWS(web);
	for (size_t i = 0; i < 2; i++) {
		size_t size = frame_build(&frames[i], in);

		cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		expect_error(i ? "answer" : "request", out, out_size, in, ip_length(in), frames[i].src,
			     ADDR(10, 0, 0, 1), 11, 0, 0);
		mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
	}
	cr_expect_eq(counted(REASON_drop_ttl), 2);
}

/* A source route, or an option of the quoted packet that shows a subscriber's address. */
Test(routed, errors_to_a_host_with_an_option_that_tells_addresses_are_dropped)
{
	static const struct icmp_error routed = { ANSWERS(SUBSCRIBER), 3, 3, .ip_options = 8,
						  .quote = { .src = ROUTED, .dst = SUBSCRIBER, UDP, 5000, 8080 } };
	static const struct icmp_error recorded = {
		ANSWERS(SUBSCRIBER), 3, 3,
		.quote = { .src = ROUTED, .dst = SUBSCRIBER, UDP, 5000, 8080, .ip_options = 8 }
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	RUN_ROWS(web);
	size = icmp_error_build(&routed, in);
	run_frame_counted("kept", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_icmp_error_translated);
	frame_source_route(in);
	run_frame_counted("source route", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_source_route);
	size = icmp_error_build(&recorded, in);
	run_frame_counted("kept in the quote", XDP_INSIDE, in, size, out, &out_size, REDIRECT_XDP,
			  REASON_icmp_error_translated);
	icmp_error_quote_option(in, 7);
	run_frame_counted("quoted", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_address_option);
}

/* Addresses that a mapping leaves untranslated are routed, too, if private. */
Test(routed, hosts_of_a_mapping_without_an_outside_are_routed)
{
	static const struct row rows[] = {
		{ "to a portmap",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(10, 0, 0, 41), .dst = POOL, UDP, 1, WEB },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = ADDR(10, 0, 0, 41),
		    .dst = SUBSCRIBER,
		    UDP,
		    1,
		    8080 },
		  TURNS },
		{ "its answer",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(10, 0, 0, 41), UDP, 8080, 1 },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = POOL, .dst = ADDR(10, 0, 0, 41), UDP, WEB, 1 },
		  TURNS },
	};
	const struct mapping_spec spec = { .in = { ADDR(10, 0, 0, 41), 32 }, .out = PREFIX_NONE };

	settings.unmatched = UNMATCHED_DROP;
	reload_settings();
	make_mapping(&spec, NULL);
	RUN_ROWS(rows);
}
