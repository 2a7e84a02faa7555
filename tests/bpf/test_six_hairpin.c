// SPDX-License-Identifier: BSD-2-Clause
/* Hairpins between IPv6 subscribers, and between them and IPv4 ones. */
#include <string.h>

#include <criterion/criterion.h>

#include <detnat/binding.h>

#include "prefix_fixture.h"

TestSuite(six_hairpin, .init = set_up_six, .fini = tear_down);

static void set_up_bound(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 1 };
	set_up_six();
}

/* Ports of IPv4 subscribers that anyone may send to. */
TestSuite(six_bound, .init = set_up_bound, .fini = tear_down);

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

/* What an IPv6 subscriber sends to port `at`, as it arrives at SUBSCRIBER's port 6304. */
static void expect_arrives(const char *name, struct frame6 sent, uint16_t from)
{
	struct frame in = { .from = GATEWAY_IN,
			    .to = HOST,
			    .src = POOL6,
			    .dst = SUBSCRIBER,
			    .proto = UDP,
			    .sport = from,
			    .dport = 6304,
			    .ttl = 63,
			    .payload = 30 };
	uint8_t got[FRAME_MAX] = { 0 }, want[FRAME_MAX];
	size_t size, want_size = frame_build(&in, want);
	int verdict = run_6(XDP_INSIDE, &sent, got, &size);

	made_of_six(want, got);
	expect_frame(name, verdict, got, size, want, want_size);
}

Test(six_bound, a_hairpin_of_ipv6_needs_no_hole_punched_first)
{
	const struct address6 one = HOST_OF(1, 0, 0x11);
	struct frame6 back = { .from = GATEWAY_IN,
			       .to = HOST,
			       .src = NAT64(POOL),
			       .dst = one,
			       .proto = UDP,
			       .sport = OUT_PORT(6304, 2),
			       .dport = 4000,
			       .hops = 63,
			       .payload = 30 };
	struct frame answer = { .from = HOST,
				.to = GATEWAY_IN,
				.src = SUBSCRIBER,
				.dst = POOL6,
				.proto = UDP,
				.sport = 6304,
				.dport = OUT_PORT6(4000, 1),
				.payload = 30 };
	struct frame6 call = towards(one, POOL, 4000, OUT_PORT(6304, 2));
	struct frame6 unbound = towards(one, POOL, 4000, OUT_PORT(6305, 2));
	uint8_t frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size, want_size;
	int verdict;

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	expect_dropped_6("to a port that is not bound", XDP_INSIDE, &unbound, REASON_drop_no_session);
	expect_arrives("the first", call, OUT_PORT6(4000, 1));
	cr_expect_eq(counted(REASON_sessions_inbound), 1);
	expect_arrives("another", call, OUT_PORT6(4000, 1));
	cr_expect_eq(counted(REASON_sessions_inbound), 1);
	size = frame_build(&answer, frame);
	verdict = run_frame(XDP_INSIDE, frame, size, got, &size);
	want_size = frame6_build(&back, want);
	expect_frame("the answer", verdict, got, size, want, want_size);
	cr_expect_eq(counted(REASON_hairpin_translated), 3);
}

/* The outside opens no more than its share, and IPv6 subscribers are outside here. */
Test(six_bound, hairpins_of_ipv6_open_no_more_than_the_outside_may)
{
	const uint32_t limit = inbound_limit(1, 1000, mappings_get(mappings, 0)->bucket_shift);
	struct frame6 call;

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	for (uint32_t i = 0; i < limit; i++) {
		call = towards(HOST_OF(1, 0, 0x11), POOL, (uint16_t)(4000 + i), OUT_PORT(6304, 2));
		expect_arrives("within it", call, (uint16_t)(OUT_PORT6(4000, 1) + i));
	}
	call = towards(HOST_OF(1, 0, 0x11), POOL, (uint16_t)(4000 + limit), OUT_PORT(6304, 2));
	expect_dropped_6("one more", XDP_INSIDE, &call, REASON_drop_inbound_limit);
}
