// SPDX-License-Identifier: BSD-2-Clause
/* What ICMP errors the gateway sends, about what, and how many. */
#include <criterion/criterion.h>
#include <time.h>

#include "icmp_frame.h"

TestSuite(icmp_sent, .init = set_up, .fini = tear_down);

#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

/* Runs a frame that is refused; whether it was answered. */
static int answered(const struct frame *f, enum hook hook, enum reason reason, uint8_t *in, uint8_t *out, size_t *size)
{
	uint64_t before = counted(reason);
	size_t in_size = frame_build(f, in);
	int sent = run_answered(hook, in, in_size, out, size);

	cr_expect_eq(counted(reason), before + 1);
	return sent;
}

Test(icmp_sent, protocol_unreachable_for_what_is_not_translated)
{
	static const uint8_t protocols[] = { 47, 50, 51, 132, 136, 253 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct frame f = { FROM_HOST, protocols[i], .payload = 20 };

		subscriber()->icmp_next = 0;
		cr_expect(answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size), "%u", protocols[i]);
		expect_error("XDP", out, size, in, ip_length(in), SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 2, 0);
		cr_expect(!answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size), "ten a second, no more");

		subscriber()->icmp_next = 0;
		cr_expect(answered(&f, TC_OUTSIDE, REASON_drop_protocol, in, out, &size), "%u", protocols[i]);
		f.ttl = 65;
		frame_build(&f, in);
		expect_error("tc", out, size, in, ip_length(in), SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 2, 0);
	}
	cr_expect_eq(counted(REASON_sent_icmp_protocol), 2 * sizeof(protocols));
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

/* The first fragment is. */
Test(icmp_sent, not_about_later_fragments)
{
	struct frame f = { FROM_HOST, 47, .payload = 24, .options = LATER_FRAGMENT };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	cr_expect(!answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	subscriber()->icmp_next = 0;
	cr_expect(!answered(&f, TC_OUTSIDE, REASON_drop_protocol, in, out, &size));
	subscriber()->icmp_next = 0;
	f.options = MORE_FRAGMENTS;
	cr_expect(answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	expect_error("the first", out, size, in, ip_length(in), SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 2, 0);
}

Test(icmp_sent, about_echo_replies_too)
{
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = POOL,
			   ICMP,
			   .dport = OUT_PORT(77, 2),
			   .icmp_type = ECHO_REPLY_TYPE,
			   .ttl = 1,
			   .payload = 20 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	open_flow(ICMP, 77, 0, 0);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	cr_expect(answered(&f, XDP_OUTSIDE, REASON_drop_ttl, in, out, &size));
	expect_error("TTL", out, size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
}

/* The clock of the limit has 32 bits. What was noted before it wrapped is far ahead then. */
Test(icmp_sent, goes_on_where_the_clock_has_wrapped)
{
	struct frame f = { FROM_HOST, 47, .payload = 20 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	cr_expect(answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	subscriber()->icmp_next += 1000 * datapath.hz;
	cr_expect(answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	expect_error("XDP", out, size, in, ip_length(in), SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 2, 0);
}

/* A frame to all stations of the link is not answered, nor is one from none. */
Test(icmp_sent, not_about_frames_to_many)
{
	struct frame f = { FROM_HOST, 47, .payload = 20 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	in[6] = 3;
	cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), DROP_XDP);
	in[6] = 2;
	in[0] = 3;
	subscriber()->icmp_next = 0;
	cr_expect(!run_answered(TC_OUTSIDE, in, size, out, &out_size));
	in[0] = 2;
	subscriber()->icmp_next = 0;
	cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect_eq(counted(REASON_sent_icmp_protocol), 1);
}

Test(icmp_sent, none_is_sent_by_an_interface_without_an_address)
{
	struct frame f = { FROM_HOST, 47, .payload = 20 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	datapath.device[inside_ifindex].addr = 0;
	cr_expect(!answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	subscriber()->icmp_next = 0;
	cr_expect(!answered(&f, TC_OUTSIDE, REASON_drop_protocol, in, out, &size));
	cr_expect_eq(counted(REASON_sent_icmp_protocol), 0);
}

/* All subscribers and cores together: the table says when the next may be sent. */
Test(icmp_sent, all_errors_together_have_a_limit)
{
	struct frame f = { FROM_HOST, 47, .payload = 20 };
	struct shared_limits *limits = &datapath.table->limits;
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct timespec now;
	size_t size;

	clock_gettime(CLOCK_MONOTONIC, &now);
	limits->icmp_due_ns = (uint64_t)(now.tv_sec + 1000) * 1000000000;
	cr_expect(!answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size), "the limit is reached");
	cr_expect_eq(counted(REASON_icmp_withheld), 1);
	cr_expect_eq(counted(REASON_sent_icmp_protocol), 0);

	limits->icmp_due_ns = 0;
	subscriber()->icmp_next = 0;
	cr_expect(answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size));
	clock_gettime(CLOCK_MONOTONIC, &now);
	cr_expect_leq(limits->icmp_due_ns, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + 100000);
	cr_expect_gt(limits->icmp_due_ns, 0);

	/* A burst after a pause, and then no more: each is of another subscriber. */
	int sent = 0;

	for (unsigned i = 0; i < 3000; i++) {
		f.src = ADDR(10, 0, 0, 2 + i % 50);
		mappings_subscriber(mappings, 0, 2 + i % 50)->icmp_next = 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
		limits->icmp_due_ns += 10000000; /* as other cores that send a hundred each time */
		sent += answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size);
	}
	cr_expect_gt(sent, 0);
	cr_expect_lt(sent, 300, "%d", sent);
}

#define INTERVAL_NS 100000ULL /* 10,000 a second */

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Whether one more is sent where those that were are due so far ahead of the clock, less than an interval later. */
static int answered_ahead(uint64_t ahead_ns)
{
	const struct frame f = { FROM_HOST, 47, .payload = 20 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	/* The machine may be too slow for an interval now and then. */
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t before;
		size_t size;
		int sent;

		subscriber()->icmp_next = 0;
		before = monotonic_ns();
		datapath.table->limits.icmp_due_ns = before + ahead_ns;
		sent = answered(&f, XDP_INSIDE, REASON_drop_protocol, in, out, &size);
		if (monotonic_ns() - before < INTERVAL_NS)
			return sent;
	}
	cr_assert(0, "no packet took less than an interval");
	return 0;
}

/* A thousand at once after a pause, and not one more. */
Test(icmp_sent, burst_is_of_a_thousand)
{
	cr_expect(answered_ahead(999 * INTERVAL_NS), "the thousandth");
	cr_expect(!answered_ahead(1000 * INTERVAL_NS), "the next");
}
