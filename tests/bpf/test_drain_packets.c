// SPDX-License-Identifier: BSD-2-Clause
/* Drains and what is not a packet of a slot's session: sessions beyond the slots, hairpins, ICMP errors, fragments. */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "drain_fixture.h"

TestSuite(drain_packets, .init = drain_set_up, .fini = tear_down);

/* The ninth flow of a group of 8 ports towards one endpoint stands beyond the slots. */
#define FLOWS 9

static uint16_t beyond(unsigned flow)
{
	return (uint16_t)(6304 + flow * PORTS);
}

Test(drain_packets, keeps_sessions_beyond_the_slots)
{
	const struct endpoint in = { SUBSCRIBER, beyond(FLOWS - 1) }, ext = { EXTERNAL, 53 };
	int port[FLOWS];

	for (unsigned i = 0; i < FLOWS; i++)
		port[i] = open_flow(UDP, beyond(i), 53, 0);
	cr_assert_eq(sessions_overflowed(), 1);
	renumber();
	/* The new mapping's subscriber has one there as well, so that the map is asked for it, too. */
	for (unsigned i = 0; i < FLOWS; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(6305 + i * NEW_PORTS), 53, 0), 0);
	cr_assert_eq(sessions_overflowed(), 2);
	for (unsigned i = 0; i < FLOWS; i++)
		cr_expect_eq(open_flow(UDP, beyond(i), 53, 0), port[i], "session %u", i);

	const struct icmp_row error[] = {
		{ "an error about the one beyond",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, in.port } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)port[FLOWS - 1] } },
		  REASON_icmp_error_translated },
	};

	RUN_ICMP_ROWS(error);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2 * FLOWS);
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 1);
	cr_expect_eq(sessions_overflowed(), 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2 * FLOWS - 1);
}

#define A_PORT OUT_PORT(7000, 2)
#define B_PORT OUT_PORT(8000, 3)
#define HAIRPIN(name_, from_, to_, in_port_, dst_, dst_port_, src_, src_port_, to_port_)                         \
	{                                                                                                        \
		name_, XDP_INSIDE,                                                                               \
			{ .from = HOST, .to = GATEWAY_IN, .src = from_, .dst = dst_, UDP, in_port_, dst_port_ }, \
			REDIRECT_XDP,                                                                            \
			{ .from = GATEWAY_IN,                                                                    \
			  .to = HOST,                                                                            \
			  .src = src_,                                                                           \
			  .dst = to_,                                                                            \
			  UDP,                                                                                   \
			  src_port_,                                                                             \
			  to_port_,                                                                              \
			  .ttl = 63 },                                                                           \
			REASON_hairpin_translated                                                                \
	}

static void open_hairpin(void)
{
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(
		&(struct frame){ .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
		frame);

	run_frame(XDP_INSIDE, frame, size, out, &size);
}

Test(drain_packets, keeps_hairpins_with_both_endpoints)
{
	const struct row before[] = { HAIRPIN("B calls A", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000) };
	const struct row rows[] = {
		HAIRPIN("A to B as before", SUBSCRIBER, OTHER, 7000, POOL, B_PORT, POOL, A_PORT, 8000),
		HAIRPIN("B to A as before", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000),
		{ "a new session's peer has none",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = NEW_POOL, UDP, 7001, NEW_PORT(8001, 3) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		HAIRPIN("by the new addresses", OTHER, SUBSCRIBER, 8001, NEW_POOL, NEW_PORT(7001, 2), NEW_POOL,
			NEW_PORT(8001, 3), 7001),
	};

	open_hairpin();
	RUN_ROWS(before);
	renumber();
	RUN_ROWS(rows);
}

Test(drain_packets, the_drain_of_a_deleted_mapping_keeps_hairpins)
{
	const struct row before[] = { HAIRPIN("B calls A", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000) };
	const struct row rows[] = {
		HAIRPIN("A to B as before", SUBSCRIBER, OTHER, 7000, POOL, B_PORT, POOL, A_PORT, 8000),
		HAIRPIN("B to A as before", OTHER, SUBSCRIBER, 8000, POOL, A_PORT, POOL, B_PORT, 7000),
		{ "another is none",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 7002, B_PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
	};

	open_hairpin();
	RUN_ROWS(before);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	RUN_ROWS(rows);
}

#define UDP_PORT       OUT_PORT(6304, 2)
#define SEEN	       .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER
#define SENT(out_addr) .ttl = 9, .src = EXTERNAL, .dst = out_addr

static const struct icmp_row errors[] = {
	{ "port unreachable from the subscriber, by the address of the session",
	  XDP_INSIDE,
	  { .src = SUBSCRIBER,
	    .from = HOST,
	    .to = GATEWAY_IN,
	    .dst = EXTERNAL,
	    3,
	    3,
	    .quote = { SEEN, UDP, 53, 6304, .payload = 33 } },
	  REDIRECT_XDP,
	  { .src = POOL, TO_ROUTER, 3, 3, .quote = { SENT(POOL), UDP, 53, UDP_PORT, .payload = 33 } },
	  REASON_icmp_error_translated },
	{ "time exceeded from outside",
	  XDP_OUTSIDE,
	  { .from = ROUTER,
	    .to = GATEWAY_OUT,
	    .src = ADDR(192, 0, 2, 9),
	    .dst = POOL,
	    11,
	    0,
	    .quote = { .ttl = 1, .src = POOL, .dst = EXTERNAL, UDP, UDP_PORT, 53, .payload = 20 } },
	  REDIRECT_XDP,
	  { .ttl = 63,
	    .from = GATEWAY_IN,
	    .to = HOST,
	    .src = ADDR(192, 0, 2, 9),
	    .dst = SUBSCRIBER,
	    11,
	    0,
	    .quote = { .ttl = 1, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 6304, 53, .payload = 20 } },
	  REASON_icmp_error_translated },
	{ "about no session",
	  XDP_INSIDE,
	  { .src = SUBSCRIBER,
	    .from = HOST,
	    .to = GATEWAY_IN,
	    .dst = EXTERNAL,
	    3,
	    3,
	    .quote = { SEEN, UDP, 54, 6304 } },
	  DROP_XDP,
	  {},
	  REASON_drop_no_session },
};

Test(drain_packets, translates_icmp_errors_about_its_sessions)
{
	const struct icmp_row fresh[] = {
		{ "about the old one, from a neighbour, whose address is new",
		  XDP_INSIDE,
		  { .src = OTHER,
		    .from = HOST,
		    .to = GATEWAY_IN,
		    .dst = EXTERNAL,
		    11,
		    0,
		    .quote = { SEEN, UDP, 53, 6304, .payload = 33 } },
		  REDIRECT_XDP,
		  { .src = NEW_POOL, TO_ROUTER, 11, 0, .quote = { SENT(POOL), UDP, 53, UDP_PORT, .payload = 33 } },
		  REASON_icmp_error_translated },
		{ "about a new session, by the new address",
		  XDP_INSIDE,
		  { .src = SUBSCRIBER,
		    .from = HOST,
		    .to = GATEWAY_IN,
		    .dst = EXTERNAL,
		    3,
		    3,
		    .quote = { SEEN, UDP, 53, 6305, .payload = 33 } },
		  REDIRECT_XDP,
		  { .src = NEW_POOL,
		    TO_ROUTER,
		    3,
		    3,
		    .quote = { SENT(NEW_POOL), UDP, 53, NEW_PORT(6305, 2), .payload = 33 } },
		  REASON_icmp_error_translated },
	};

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	renumber();
	cr_assert_eq(open_flow(UDP, 6305, 53, 0), NEW_PORT(6305, 2));
	RUN_ICMP_ROWS(errors);
	RUN_ICMP_ROWS(fresh);
}

Test(drain_packets, the_drain_of_a_deleted_mapping_translates_icmp_errors_about_its_sessions)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	run_icmp_rows(errors, 2);
	run_icmp_rows(&(struct icmp_row){ "about no session it is as any packet of its sender",
					  XDP_INSIDE,
					  { .src = SUBSCRIBER,
					    .from = HOST,
					    .to = GATEWAY_IN,
					    .dst = EXTERNAL,
					    3,
					    3,
					    .quote = { SEEN, UDP, 54, 6304 } },
					  DROP_XDP,
					  {},
					  REASON_drop_no_mapping },
		      1);
}

/* The timeout is 300 seconds. */
Test(drain_packets, packets_of_an_error_refresh_nothing)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	renumber();
	age_sessions(SUBSCRIBER, 200);
	run_icmp_rows(errors, 2);
	age_sessions(SUBSCRIBER, 200);
	cr_expect_eq(open_flow(UDP, 6304, 53, 0), NEW_PORT(6304, 2));
}

/* Of an address that is in no mapping any more. What may be of a session waits for its first fragment. */
Test(drain_packets, the_drain_of_a_deleted_mapping_drops_packets_of_no_session_where_unmatched_says_so)
{
	static const struct row rows[] = {
		{ "an echo reply",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, .dport = 77, .icmp_type = ECHO_REPLY_TYPE },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "a later fragment",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 7000, 53, .payload = 64, .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_fragment },
	};

	settings.unmatched = UNMATCHED_DROP;
	reload_settings();
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), UDP_PORT);
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	RUN_ROWS(rows);
}

/* A piece of a datagram comes out as the same piece of the translated one. */
static void expect_piece(const struct frame *in, const struct frame *out, enum hook hook, unsigned start, unsigned end,
			 bool more)
{
	uint8_t whole[FRAME_MAX], frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size, got_size, want_size;

	frame_build(in, whole);
	size = frame_fragment(whole, 5, start, end, more, frame);
	cr_expect_eq(run_frame(hook, frame, size, got, &got_size), REDIRECT_XDP, "octets %u to %u", start, end);
	frame_build(out, whole);
	want_size = frame_fragment(whole, 5, start, end, more, want);
	cr_expect(frame_equal("fragment", got, got_size, want, want_size), "octets %u to %u", start, end);
}

static void expect_datagrams(void)
{
	const struct frame out = { FROM_HOST, UDP, 7000, 53, .payload = 1600 };
	const struct frame translated = { LEAVES(POOL), UDP, OUT_PORT(7000, 2), 53, .payload = 1600 };
	const struct frame in = { FROM_ROUTER, .dst = POOL, UDP, 53, OUT_PORT(7000, 2), .payload = 1600 };
	const struct frame received = { TO_HOST, UDP, 53, 7000, .payload = 1600 };

	expect_piece(&out, &translated, XDP_INSIDE, 0, 800, true);
	expect_piece(&out, &translated, XDP_INSIDE, 800, 1608, false);
	expect_piece(&in, &received, XDP_OUTSIDE, 0, 800, true);
	expect_piece(&in, &received, XDP_OUTSIDE, 800, 1608, false);
}

Test(drain_packets, keeps_fragments_together)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	renumber();
	expect_datagrams();
}

Test(drain_packets, the_drain_of_a_deleted_mapping_keeps_fragments_together)
{
	cr_assert_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	cr_assert_eq(mappings_retire(mappings, all, old_out, 600), 0);
	expect_datagrams();
}
