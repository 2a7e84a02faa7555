// SPDX-License-Identifier: BSD-2-Clause
/* Hairpins between IPv6 subscribers, and between them and IPv4 ones. */
#include <string.h>

#include <criterion/criterion.h>

#include "prefix_fixture.h"

TestSuite(six_hairpin, .init = set_up_six, .fini = tear_down);

/*
 * A host of subscriber 1 has a session with the outside endpoint that another subscriber's flow gets, so that this
 * one's packets reach it.
 */
static struct frame6 towards(struct address6 host, uint32_t addr, uint16_t sport, uint16_t dport)
{
	struct frame6 f = six_out(host, UDP, sport, dport, 0);

	f.dst = NAT64(addr);
	return f;
}

static void expect_frame(const char *name, int verdict, const uint8_t *got, size_t size, const uint8_t *want,
			 size_t want_size)
{
	cr_expect_eq(verdict, REDIRECT_XDP, "%s: verdict %d", name, verdict);
	cr_expect(frame_equal(name, got, size, want, want_size), "%s: another packet", name);
}

Test(six_hairpin, between_ipv6_subscribers)
{
	const struct address6 one = HOST_OF(1, 0, 0x11), two = HOST_OF(2, 0, 0x22);
	struct frame6 there = towards(one, POOL6, 4000, OUT_PORT6(5000, 2)), in, back;
	uint8_t got[FRAME_MAX], want[FRAME_MAX];
	size_t size, want_size;
	int verdict;

	/* Opens the one's, and finds none of the other's. */
	expect_dropped_6("no session yet", XDP_INSIDE, &there, REASON_drop_no_session);
	cr_assert_eq(counted(REASON_sessions_opened), 1);
	back = towards(two, POOL6, 5000, OUT_PORT6(4000, 1));
	in = (struct frame6){ .from = GATEWAY_IN,
			      .to = HOST,
			      .src = NAT64(POOL6),
			      .dst = one,
			      .proto = UDP,
			      .sport = OUT_PORT6(5000, 2),
			      .dport = 4000,
			      .hops = 63,
			      .payload = 30 };
	verdict = run_6(XDP_INSIDE, &back, got, &size);
	want_size = frame6_build(&in, want);
	expect_frame("back", verdict, got, size, want, want_size);
	cr_expect_eq(counted(REASON_hairpin_translated), 1);
	in.src = NAT64(POOL6);
	in.dst = two;
	in.sport = OUT_PORT6(4000, 1);
	in.dport = 5000;
	verdict = run_6(XDP_INSIDE, &there, got, &size);
	want_size = frame6_build(&in, want);
	expect_frame("there", verdict, got, size, want, want_size);
}

Test(six_hairpin, between_both_kinds)
{
	const struct address6 one = HOST_OF(1, 0, 0x11);
	struct frame6 there = towards(one, POOL, 4000, OUT_PORT(5000, 2)), in6;
	struct frame back = { .from = HOST,
			      .to = GATEWAY_IN,
			      .src = SUBSCRIBER,
			      .dst = POOL6,
			      .proto = UDP,
			      .sport = 5000,
			      .dport = OUT_PORT6(4000, 1),
			      .payload = 30 };
	struct frame in4 = { .from = GATEWAY_IN,
			     .to = HOST,
			     .src = POOL6,
			     .dst = SUBSCRIBER,
			     .proto = UDP,
			     .sport = OUT_PORT6(4000, 1),
			     .dport = 5000,
			     .ttl = 63,
			     .payload = 30 };
	uint8_t frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size, want_size;
	int verdict;

	expect_dropped_6("no session yet", XDP_INSIDE, &there, REASON_drop_no_session);
	in6 = (struct frame6){ .from = GATEWAY_IN,
			       .to = HOST,
			       .src = NAT64(POOL),
			       .dst = one,
			       .proto = UDP,
			       .sport = OUT_PORT(5000, 2),
			       .dport = 4000,
			       .hops = 63,
			       .payload = 30 };
	size = frame_build(&back, frame);
	verdict = run_frame(XDP_INSIDE, frame, size, got, &size);
	want_size = frame6_build(&in6, want);
	expect_frame("from IPv4 to IPv6", verdict, got, size, want, want_size);
	verdict = run_6(XDP_INSIDE, &there, got, &size);
	want_size = frame_build(&in4, want);
	made_of_six(want, got);
	expect_frame("from IPv6 to IPv4", verdict, got, size, want, want_size);
	cr_expect_eq(counted(REASON_hairpin_translated), 2);
}
