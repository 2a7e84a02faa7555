// SPDX-License-Identifier: BSD-2-Clause
/*
 * ICMP errors in fragments, piece by piece: what comes out must be the pieces of the translated error. Their checksum
 * is of the whole, so no program can check it: a wrong one stays wrong.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/fragments.h>

#include "icmp_frame.h"
#include "reach_fixture.h"

TestSuite(icmp_fragments, .init = set_up, .fini = tear_down);

#define FAR	    ADDR(192, 0, 2, 200) /* a router on the way */
#define GATEWAY	    ADDR(198, 51, 100, 1)
#define PORT	    OUT_PORT(6304, 2)
#define FROM_FAR    .from = ROUTER, .to = GATEWAY_OUT, .src = FAR, .dst = POOL
#define TO_INSIDE   .ttl = 63, .from = GATEWAY_IN, .to = HOST
#define FROM_INSIDE .from = HOST, .to = GATEWAY_IN
#define TO_OUTSIDE  .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER
/* What left, as each side knows it, and what came in. */
#define LEFT	   .src = POOL, .dst = EXTERNAL, UDP, PORT, 53, .payload = 200
#define LEFT_HERE  .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, 53, .payload = 200
#define CAME	   .src = EXTERNAL, .dst = POOL, UDP, 53, PORT, .payload = 200
#define CAME_HERE  .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 6304, .payload = 200
#define ERROR_SIZE (8 + 28 + 200) /* octets of ICMP of each of these */

/* An error that is cut at an octet of its ICMP message. */
struct way {
	const char *name;
	enum hook hook;
	int verdict;
	enum reason rest; /* counted for the second piece; the first is icmp_error_translated */
	struct icmp_error in, out;
};

static const struct way inwards = { "inwards",
				    XDP_OUTSIDE,
				    REDIRECT_XDP,
				    REASON_out2in_translated,
				    { FROM_FAR, 3, 4, .mtu = 1280, .quote = { LEFT } },
				    { TO_INSIDE, FAR, SUBSCRIBER, 3, 4, .mtu = 1280, .quote = { LEFT_HERE } } };
static const struct way outwards = { "outwards",
				     XDP_INSIDE,
				     REDIRECT_XDP,
				     REASON_in2out_translated,
				     { FROM_INSIDE, SUBSCRIBER, EXTERNAL, 3, 3, .quote = { CAME_HERE } },
				     { TO_OUTSIDE, POOL, EXTERNAL, 3, 3, .quote = { CAME } } };

static bool passes(enum reason reason)
{
	return reason == REASON_icmp_error_translated || reason == REASON_out2in_translated ||
	       reason == REASON_in2out_translated || reason == REASON_hairpin_translated ||
	       reason == REASON_passed_untranslated;
}

/* Octets start..end of the ICMP message go in; they come out as those of the other message, or not at all. */
static void piece(const struct way *w, const char *name, uint16_t id, unsigned start, unsigned end, enum reason reason)
{
	bool tc = w->hook == TC_OUTSIDE || w->hook == TC_OWN;
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size, out_size, want_size;

	cr_assert_eq(icmp_error_build(&w->in, whole), 34 + ERROR_SIZE);
	size = frame_fragment(whole, id, start, end, end != ERROR_SIZE, in);
	run_frame_counted(name, w->hook, in, size, out, &out_size,
			  passes(reason) ? w->verdict
			  : tc		 ? DROP_TC
					 : DROP_XDP,
			  reason);
	if (!passes(reason))
		return;
	icmp_error_build(&w->out, whole);
	want_size = frame_fragment(whole, id, start, end, end != ERROR_SIZE, want);
	cr_expect(frame_equal(name, out, out_size, want, want_size), "%s, %s: another packet", w->name, name);
}

static void pieces(const struct way *w, uint16_t id)
{
	piece(w, "the first", id, 0, 72, REASON_icmp_error_translated);
	cr_expect_eq(datagrams_remembered(), 1, "%s", w->name);
	piece(w, "the last", id, 144, ERROR_SIZE, w->rest);
	piece(w, "the middle", id, 72, 144, w->rest);
	cr_expect_eq(datagrams_remembered(), 0, "%s: it is complete", w->name);
}

Test(icmp_fragments, pass_both_ways)
{
	static const struct way other = { "of another subscriber about it",
					  XDP_INSIDE,
					  REDIRECT_XDP,
					  REASON_in2out_translated,
					  { FROM_INSIDE, ADDR(10, 0, 0, 100), EXTERNAL, 3, 4, .mtu = 1280,
					    .quote = { CAME_HERE } },
					  { TO_OUTSIDE, POOL + 1, EXTERNAL, 3, 4, .mtu = 1280, .quote = { CAME } } };

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	pieces(&inwards, 1);
	pieces(&outwards, 1);
	pieces(&other, 2);
	cr_expect_eq(mappings_subscriber(mappings, 0, 2)->datagrams, 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

Test(icmp_fragments, pass_at_egress)
{
	struct way w = outwards;

	w.hook = TC_OUTSIDE;
	w.verdict = PASS_TC;
	w.out.ttl = 64;
	w.out.from = HOST;
	w.out.to = GATEWAY_IN;
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	pieces(&w, 1);
}

/* The quoted TCP header may be in two of them: its checksum stays as it is, and that of the error right. */
Test(icmp_fragments, of_which_the_first_ends_within_the_quoted_header)
{
	struct way w = inwards;
	struct frame quoted = { .src = POOL, .dst = EXTERNAL, TCP, OUT_PORT(6303, 2), 443, .payload = 188 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], whole[FRAME_MAX], first[FRAME_MAX], last[FRAME_MAX];
	size_t size, out_size;
	uint32_t sum;

	w.in.quote = quoted;
	cr_assert_eq(open_flow(TCP, 6303, 443, 2), OUT_PORT(6303, 2));
	cr_assert_eq(icmp_error_build(&w.in, whole), 34 + ERROR_SIZE);
	size = frame_fragment(whole, 1, 0, 40, true, in);
	run_frame_counted("the first", w.hook, in, size, first, &out_size, REDIRECT_XDP, REASON_icmp_error_translated);
	cr_assert_eq(out_size, 34 + 40);
	size = frame_fragment(whole, 1, 40, ERROR_SIZE, false, in);
	run_frame_counted("the last", w.hook, in, size, last, &out_size, REDIRECT_XDP, REASON_out2in_translated);
	cr_assert_eq(out_size, 34 + ERROR_SIZE - 40);
	sum = sum_octets(first + 34, 40, 0);
	cr_expect_eq(sum_finish(sum_octets(last + 34, ERROR_SIZE - 40, sum)), 0, "its checksum");
	cr_expect_arr_eq(last + 34, in + 34, ERROR_SIZE - 40);
	memcpy(out, first + 34 + 8 + 12, 4);
	cr_expect_arr_eq(out, ((uint8_t[]){ 10, 0, 0, 2 }), 4, "its quote's source");
}

Test(icmp_fragments, without_the_quoted_headers_are_too_small)
{
	struct way to_pool = outwards;

	to_pool.in.quote.src = to_pool.in.dst = POOL;
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	piece(&inwards, "inwards", 1, 0, 32, REASON_drop_fragment_tiny);
	piece(&outwards, "outwards", 1, 0, 32, REASON_drop_fragment_tiny);
	piece(&to_pool, "to another subscriber", 1, 0, 32, REASON_drop_fragment_tiny);
	piece(&inwards, "the header alone", 1, 0, 8, REASON_drop_fragment_tiny);
	piece(&inwards, "its rest", 1, 32, ERROR_SIZE, REASON_drop_fragment);
	cr_expect_eq(datagrams_remembered(), 0);
}

Test(icmp_fragments, with_a_wrong_checksum_keep_it_wrong)
{
	struct way w = inwards;

	w.in.options = w.out.options = WRONG_CHECKSUM;
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	pieces(&w, 1);
}

Test(icmp_fragments, about_no_session_are_dropped)
{
	piece(&inwards, "inwards", 1, 0, 72, REASON_drop_no_session);
	piece(&inwards, "its rest", 1, 72, ERROR_SIZE, REASON_drop_fragment);
	piece(&outwards, "outwards", 1, 0, 72, REASON_drop_no_session);
	cr_expect_eq(datagrams_remembered(), 0);
}

Test(icmp_fragments, wait_for_their_first)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	datapath.global->fragments_until = datapath_ticks(&datapath) + 1000;
	piece(&inwards, "inwards", 1, 72, ERROR_SIZE, REASON_fragments_parked);
	piece(&outwards, "outwards", 1, 72, ERROR_SIZE, REASON_fragments_parked);
}

/* Its later ones look like any packet of a source that is in no mapping. */
Test(icmp_fragments, of_a_router_inside_are_dropped)
{
	struct way w = outwards;

	w.in.src = UNMAPPED;
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	piece(&w, "the first", 1, 0, 72, REASON_drop_fragment);
	cr_expect_eq(datagrams_remembered(), 0);
}

/* What the gateway sends keeps its addresses; only the quote is translated. */
Test(icmp_fragments, of_the_gateway_itself_pass)
{
	const struct way own = {
		"its own",
		TC_OWN,
		PASS_TC,
		REASON_passed_untranslated,
		{ .from = GATEWAY_OUT, .to = ROUTER, .src = GATEWAY, .dst = EXTERNAL, 3, 1, .quote = { CAME_HERE } },
		{ .from = GATEWAY_OUT, .to = ROUTER, .src = GATEWAY, .dst = EXTERNAL, 3, 1, .quote = { CAME } }
	};

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	piece(&own, "the first", 1, 0, 72, REASON_icmp_error_translated);
	piece(&own, "the last", 1, 72, ERROR_SIZE, REASON_passed_untranslated);
	cr_expect_eq(datagrams_remembered(), 0);
}

Test(icmp_fragments, through_a_hairpin)
{
	static const struct row open[] = {
		{ "A calls B, who has no session",
		  XDP_INSIDE,
		  { FROM_INSIDE, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, OUT_PORT(8000, 3) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "B calls A, who has one by now",
		  XDP_INSIDE,
		  { FROM_INSIDE, .src = OTHER, .dst = POOL, UDP, 8000, OUT_PORT(7000, 2) },
		  REDIRECT_XDP,
		  { TO_INSIDE, .src = POOL, .dst = SUBSCRIBER, UDP, OUT_PORT(8000, 3), 7000 },
		  REASON_hairpin_translated },
	};
	struct way w = { "of A about B's packet",
			 XDP_INSIDE,
			 REDIRECT_XDP,
			 REASON_hairpin_translated,
			 { FROM_INSIDE, SUBSCRIBER, POOL, 3, 3,
			   .quote = { .src = POOL, .dst = SUBSCRIBER, UDP, OUT_PORT(8000, 3), 7000, .payload = 200 } },
			 { TO_INSIDE, POOL, OTHER, 3, 3,
			   .quote = { .src = OTHER, .dst = POOL, UDP, 8000, OUT_PORT(7000, 2), .payload = 200 } } };

	RUN_ROWS(open);
	pieces(&w, 1);
	w.in.src = UNMAPPED;
	piece(&w, "of a router", 2, 0, 72, REASON_drop_fragment);
	cr_expect_eq(datagrams_remembered(), 0);
}

/* Each sender may have so many on their way to one subscriber, as of other datagrams. */
Test(icmp_fragments, are_limited)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), PORT);
	for (uint16_t id = 0; id < FRAGMENTS_PER_PEER; id++)
		piece(&inwards, "within the limit", id, 0, 72, REASON_icmp_error_translated);
	piece(&inwards, "one more", FRAGMENTS_PER_PEER, 0, 72, REASON_drop_fragment_limit);
}

#define ROUTED_FLOW .src = ROUTED, .dst = SUBSCRIBER, UDP, 5000, 6304, .payload = 200

/* Reach: an open mapping, a bound port, a routed host. */
TestSuite(icmp_fragments_reach, .init = reach_set_up, .fini = portmap_tear_down);

/* As later fragments of an open mapping pass by their address, nothing is kept for them. */
Test(icmp_fragments_reach, of_an_open_mapping_need_no_entry)
{
	const struct way ways[] = {
		{ "inwards",
		  XDP_OUTSIDE,
		  REDIRECT_XDP,
		  REASON_out2in_translated,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = OPEN_OUT,
		    3,
		    4,
		    .quote = { .src = OPEN_OUT, .dst = EXTERNAL, UDP, 53, 5000, .payload = 200 } },
		  { TO_INSIDE, FAR, OPEN_IN, 3, 4,
		    .quote = { .src = OPEN_IN, .dst = EXTERNAL, UDP, 53, 5000, .payload = 200 } } },
		{ "outwards",
		  XDP_INSIDE,
		  REDIRECT_XDP,
		  REASON_in2out_translated,
		  { FROM_INSIDE, OPEN_IN, EXTERNAL, 3, 3,
		    .quote = { .src = EXTERNAL, .dst = OPEN_IN, UDP, 5000, 53, .payload = 200 } },
		  { TO_OUTSIDE, OPEN_OUT, EXTERNAL, 3, 3,
		    .quote = { .src = EXTERNAL, .dst = OPEN_OUT, UDP, 5000, 53, .payload = 200 } } },
	};

	for (unsigned i = 0; i < 2; i++) {
		piece(&ways[i], "the first", 1, 0, 72, REASON_icmp_error_translated);
		cr_expect_eq(datagrams_remembered(), 0, "%s", ways[i].name);
		piece(&ways[i], "the last", 1, 72, ERROR_SIZE, ways[i].rest);
	}
}

Test(icmp_fragments_reach, to_a_routed_host_and_from_it)
{
	static const struct row asks[] = {
		{ "asks",
		  XDP_INSIDE,
		  { FROM_INSIDE, .src = ROUTED, .dst = POOL, UDP, 5000, BOUND, .payload = 20 },
		  REDIRECT_XDP,
		  { TO_INSIDE, .src = ROUTED, .dst = SUBSCRIBER, UDP, 5000, 6304, .payload = 20 },
		  REASON_hairpin_translated },
	};
	const struct way to = { "the subscriber's",
				XDP_INSIDE,
				REDIRECT_XDP,
				REASON_hairpin_translated,
				{ FROM_INSIDE, SUBSCRIBER, ROUTED, 3, 3, .quote = { ROUTED_FLOW } },
				{ TO_INSIDE, POOL, ROUTED, 3, 3,
				  .quote = { .src = ROUTED, .dst = POOL, UDP, 5000, BOUND, .payload = 200 } } };
	const struct way from = { "the host's",
				  XDP_INSIDE,
				  REDIRECT_XDP,
				  REASON_hairpin_translated,
				  { FROM_INSIDE, ROUTED, POOL, 3, 3,
				    .quote = { .src = POOL, .dst = ROUTED, UDP, BOUND, 5000, .payload = 200 } },
				  { TO_INSIDE, ROUTED, SUBSCRIBER, 3, 3,
				    .quote = { .src = SUBSCRIBER, .dst = ROUTED, UDP, 6304, 5000, .payload = 200 } } };

	RUN_ROWS(asks);
	pieces(&to, 1);
	pieces(&from, 2);
}
