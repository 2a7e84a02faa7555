// SPDX-License-Identifier: BSD-2-Clause
/* tc at the ingress of interfaces without XDP: the kernel forwards what it translates, and hairpins are redirected. */
#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "icmp_frame.h"

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

TestSuite(ingress, .init = set_up_ingress, .fini = tear_down);

#define A_PORT	  OUT_PORT(7000, 2)
#define B_PORT	  OUT_PORT(8000, 3)
#define FROM_HOST .from = HOST, .to = GATEWAY_IN
#define FROM_NET  .from = ROUTER, .to = GATEWAY_OUT
#define SYN	  2

/* MAC addresses and TTL are the kernel's business. */
Test(ingress, answers_are_translated_and_left_to_the_kernel)
{
	int tcp = open_flow(TCP, 1234, 80, SYN), udp = open_flow(UDP, 1234, 53, 0);
	const struct row rows[] = {
		{ "TCP",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, TCP, 80, (uint16_t)tcp, .flags = 0x12, .payload = 5 },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, TCP, 80, 1234, .flags = 0x12, .payload = 5 },
		  REASON_out2in_translated },
		{ "UDP",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp, .ttl = 2, .payload = 700 },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 1234, .ttl = 2, .payload = 700 },
		  REASON_out2in_translated },
		{ "UDP without a checksum",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp, .options = NO_UDP_CHECKSUM },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 1234, .options = NO_UDP_CHECKSUM },
		  REASON_out2in_translated },
		{ "a wrong checksum stays wrong",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp, .options = WRONG_CHECKSUM },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 1234, .options = WRONG_CHECKSUM },
		  REASON_out2in_translated },
		{ "an echo reply",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, ICMP, .dport = OUT_PORT(77, 2),
		    .icmp_type = ECHO_REPLY_TYPE },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, ICMP, .dport = 77, .icmp_type = ECHO_REPLY_TYPE },
		  REASON_out2in_translated },
		{ "behind IP options",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp, .ip_options = 8 },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 1234, .ip_options = 8 },
		  REASON_out2in_translated },
		{ "for another station",
		  INGRESS_OUTSIDE,
		  { .from = ROUTER, .to = NOBODY, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "of no session",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 54, (uint16_t)udp },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
		{ "straight to a subscriber",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 1234 },
		  DROP_TC,
		  {},
		  REASON_drop_direct_to_inside },
		{ "from a subscriber's address",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = OTHER, .dst = POOL, UDP, 53, (uint16_t)udp },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "to the gateway itself",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = ADDR(198, 51, 100, 1), UDP, 53, 1234 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "cut short",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, (uint16_t)udp, .payload = 9,
		    .options = CUT_SHORT },
		  DROP_TC,
		  {},
		  REASON_drop_malformed },
	};

	open_flow(ICMP, 77, 0, 0);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 3);
}

Test(ingress, a_frame_of_several_segments_is_translated_whole)
{
	uint16_t port = (uint16_t)open_flow(TCP, 1234, 80, SYN);
	const struct row rows[] = {
		{ "TCP of three segments",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, TCP, 80, port, .flags = 0x18, .payload = 1400 },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, TCP, 80, 1234, .flags = 0x18, .payload = 1400 },
		  REASON_out2in_translated },
		{ "whose total does not fit the MTU, as its segments do",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = EXTERNAL, .dst = POOL, TCP, 80, port, .flags = 0x18, .payload = 1800,
		    .options = DONT_FRAGMENT },
		  PASS_TC,
		  { FROM_NET, .src = EXTERNAL, .dst = SUBSCRIBER, TCP, 80, 1234, .flags = 0x18, .payload = 1800,
		    .options = DONT_FRAGMENT },
		  REASON_out2in_translated },
	};

	gso_size = 536;
	RUN_ROWS(rows);
}

/* The length of a BIG TCP packet is that of its frame. */
Test(ingress, big_tcp_has_no_length_in_its_header)
{
	uint16_t port = (uint16_t)open_flow(TCP, 1234, 80, SYN);
	struct frame f = { FROM_NET, .src = EXTERNAL, .dst = POOL, TCP, 80, port, .flags = 0x18, .payload = 1800 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	uint16_t sum;

	f.dst = SUBSCRIBER;
	f.dport = 1234;
	cr_assert_eq(frame_build(&f, want), size);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *frame = i ? want : in;

		frame[16] = frame[17] = frame[24] = frame[25] = 0;
		sum = sum_finish(sum_octets(frame + 14, 20, 0));
		frame[24] = (uint8_t)(sum >> 8);
		frame[25] = (uint8_t)sum;
	}
	gso_size = 536;
	run_frame_counted("BIG TCP", INGRESS_OUTSIDE, in, size, out, &out_size, PASS_TC, REASON_out2in_translated);
	cr_expect(frame_equal("BIG TCP", out, out_size, want, size));
}

Test(ingress, a_packet_from_inside_is_left_to_the_egress)
{
	static const struct row rows[] = {
		{ "to a host outside",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "to the gateway",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = SUBSCRIBER, .dst = ADDR(10, 0, 0, 1), UDP, 7000, 53 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "from a pool address",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = POOL, .dst = EXTERNAL, UDP, 7000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "a link-local address that would leave the link",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = ADDR(169, 254, 1, 1), .dst = EXTERNAL, UDP, 7000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

/* The kernel adds the addresses of the frame when it sends it. */
Test(ingress, hairpins_are_redirected)
{
	static const struct row rows[] = {
		{ "A calls B, who has no session",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = SUBSCRIBER, .dst = POOL, TCP, 7000, B_PORT, .flags = SYN },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
		{ "B calls A, who has one by now",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = OTHER, .dst = POOL, TCP, 8000, A_PORT, .flags = SYN },
		  REDIRECT_TC,
		  { FROM_HOST, .src = POOL, .dst = SUBSCRIBER, TCP, B_PORT, 7000, .flags = SYN, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "A answers",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = SUBSCRIBER, .dst = POOL, TCP, 7000, B_PORT, .flags = 0x12, .payload = 5 },
		  REDIRECT_TC,
		  { FROM_HOST, .src = POOL, .dst = OTHER, TCP, A_PORT, 8000, .flags = 0x12, .payload = 5, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "to nobody's port",
		  INGRESS_INSIDE,
		  { FROM_HOST, .src = SUBSCRIBER, .dst = POOL, TCP, 7000, 80, .flags = SYN },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ROWS(rows);
}

static void open_hairpin(void)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	const struct frame calls[] = { { FROM_HOST, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT },
				       { FROM_HOST, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT } };
	size_t size;

	for (unsigned i = 0; i < 2; i++)
		run_frame(INGRESS_INSIDE, in, frame_build(&calls[i], in), out, &size);
	cr_assert_eq(counted(REASON_hairpin_translated), 1);
}

Test(ingress, the_agent_fragments_a_hairpin_longer_than_its_egress)
{
	struct frame f = { FROM_HOST, .src = SUBSCRIBER, .dst = POOL, UDP, 7000, B_PORT, .payload = 1700 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	static struct transmission t;
	size_t size = frame_build(&f, in), out_size;

	open_hairpin();
	run_frame_counted("long", INGRESS_INSIDE, in, size, out, &out_size, DROP_TC, REASON_hairpin_translated);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.kind, TRANSMISSION_PACKET);
	cr_expect_eq(t.mtu, 1500);
	cr_expect_eq(t.ifindex, inside_ifindex);
	f = (struct frame){ FROM_HOST, .src = POOL, .dst = OTHER, UDP, A_PORT, 8000, .payload = 1700, .ttl = 63 };
	cr_expect_eq(frame_build(&f, want), size);
	cr_expect(frame_equal("long", t.frame, t.length, want + 14, size - 14));
}

Test(ingress, errors_are_sent_by_the_agent_and_quote_what_was_received)
{
	struct frame f = { FROM_HOST,	    .src = SUBSCRIBER,	     .dst = POOL, UDP, 7000, B_PORT,
			   .payload = 1700, .options = DONT_FRAGMENT };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	open_hairpin();
	cr_expect(run_answered(INGRESS_INSIDE, in, size, out, &out_size));
	expect_error("too long", out, out_size, in, 548, SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 4, 1500);
	cr_expect_eq(counted(REASON_drop_too_big), 1);
	f = (struct frame){ FROM_HOST, .src = OTHER, .dst = POOL, UDP, 8000, A_PORT, .payload = 9, .ttl = 1 };
	size = frame_build(&f, in);
	cr_expect(run_answered(INGRESS_INSIDE, in, size, out, &out_size));
	expect_error("TTL", out, out_size, in, ip_length(in), OTHER, ADDR(10, 0, 0, 1), 11, 0, 0);
	cr_expect_eq(counted(REASON_drop_ttl), 1);
}

Test(ingress, icmp_errors_are_translated_with_their_quotes)
{
	uint16_t port = (uint16_t)open_flow(UDP, 1234, 53, 0);
	const struct icmp_row rows[] = {
		{ "from a router",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = ADDR(192, 0, 2, 1), .dst = POOL, .type = 3, .code = 1,
		    .quote = { .src = POOL, .dst = EXTERNAL, UDP, port, 53, .payload = 8 } },
		  PASS_TC,
		  { FROM_NET, .src = ADDR(192, 0, 2, 1), .dst = SUBSCRIBER, .type = 3, .code = 1,
		    .quote = { .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 1234, 53, .payload = 8 } },
		  REASON_icmp_error_translated },
		{ "about another port",
		  INGRESS_OUTSIDE,
		  { FROM_NET, .src = ADDR(192, 0, 2, 1), .dst = POOL, .type = 3, .code = 1,
		    .quote = { .src = POOL, .dst = EXTERNAL, UDP, (uint16_t)(port + 1), 53, .payload = 8 } },
		  DROP_TC,
		  {},
		  REASON_drop_no_session },
	};

	RUN_ICMP_ROWS(rows);
}

Test(ingress, later_fragments_follow_the_first)
{
	uint16_t port = (uint16_t)open_flow(UDP, 1234, 53, 0);
	struct frame f = { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, port, .payload = 1000 };
	uint8_t whole[FRAME_MAX], translated[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	const struct {
		unsigned start, end;
		bool more;
	} pieces[] = { { 0, 400, true }, { 400, 800, true }, { 800, 1008, false } };

	frame_build(&f, whole);
	f.dst = SUBSCRIBER;
	f.dport = 1234;
	frame_build(&f, translated);
	for (unsigned i = 0; i < 3; i++) {
		size_t size = frame_fragment(whole, 7, pieces[i].start, pieces[i].end, pieces[i].more, in), out_size;
		size_t want_size = frame_fragment(translated, 7, pieces[i].start, pieces[i].end, pieces[i].more, want);

		run_frame_counted("a fragment", INGRESS_OUTSIDE, in, size, out, &out_size, PASS_TC,
				  REASON_out2in_translated);
		cr_expect(frame_equal("a fragment", out, out_size, want, want_size), "fragment %u", i);
	}
}

Test(ingress, on_a_stick_the_addresses_tell_the_direction)
{
	const struct device record = { .mac = { 2, 0, 0, 0, 0, GATEWAY_OUT },
				       .roles = DEVICE_INSIDE | DEVICE_OUTSIDE,
				       .addr = ADDR(198, 51, 100, 1),
				       .mtu = 1500 };
	uint16_t port = (uint16_t)open_flow(UDP, 1234, 53, 0);
	struct frame answer = { FROM_NET, .src = EXTERNAL, .dst = POOL, UDP, 53, port };
	struct frame request = { .from = HOST, .to = GATEWAY_OUT, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 1234, 53 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	datapath.device[outside_ifindex] = record;
	cr_expect_eq(run_frame_on(outside_ifindex, INGRESS_BOTH, in, frame_build(&answer, in), out, &size), PASS_TC);
	cr_expect_eq(counted(REASON_out2in_translated), 1);
	cr_expect_eq(run_frame_on(outside_ifindex, INGRESS_BOTH, in, frame_build(&request, in), out, &size), PASS_TC);
	cr_expect_eq(counted(REASON_passed_untranslated), 1);
	request.dst = OTHER;
	cr_expect_eq(run_frame_on(outside_ifindex, INGRESS_BOTH, in, frame_build(&request, in), out, &size), PASS_TC);
	cr_expect_eq(counted(REASON_passed_untranslated), 2, "between inside addresses");
	answer.dst = OTHER;
	cr_expect_eq(run_frame_on(outside_ifindex, INGRESS_BOTH, in, frame_build(&answer, in), out, &size), DROP_TC);
	cr_expect_eq(counted(REASON_drop_direct_to_inside), 1, "straight to one");
}

static void set_up_answers(void)
{
	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	set_up_ingress();
}

/* The segment itself cannot become a reset if a card was to finish its checksum. */
Test(ingress_answers, resets_are_sent_by_the_agent, .init = set_up_answers, .fini = tear_down)
{
	const struct frame segment = { FROM_NET, .src = EXTERNAL, .dst = POOL, TCP, 80, PORT_LO, .flags = 0x10 };
	const struct frame reset = { FROM_NET, .src = POOL, .dst = EXTERNAL, TCP, PORT_LO, 80, .flags = 0x04 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	static struct transmission t;
	size_t size = frame_build(&segment, in), out_size, want_size = frame_build(&reset, want);

	run_frame_counted("of no session", INGRESS_OUTSIDE, in, size, out, &out_size, DROP_TC, REASON_drop_no_session);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.kind, TRANSMISSION_PACKET);
	cr_expect_eq(t.ifindex, outside_ifindex);
	cr_expect_eq(t.length, want_size - 14);
	cr_expect_eq(t.frame[33], 0x04, "a reset");
	cr_expect_eq(memcmp(t.frame + 12, want + 26, 8 + 4), 0, "addresses and ports");
	cr_expect_eq(counted(REASON_sent_tcp_reset), 1);

	/* All answers together have a limit. */
	datapath.table->limits.reset_due_ns = INT64_MAX;
	run_frame_counted("at the limit", INGRESS_OUTSIDE, in, size, out, &out_size, DROP_TC, REASON_drop_no_session);
	cr_expect_not(transmitted(&t));
	cr_expect_eq(counted(REASON_sent_tcp_reset), 1);
}
