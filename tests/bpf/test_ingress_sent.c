// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tc at ingress sends itself, past the kernel's routing, or hands to the agent: hairpins of several segments, and
 * those that have to be fragmented, among them fragments. Whole packets are compared.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	set_up();
}

TestSuite(ingress_sent, .init = set_up_ingress, .fini = tear_down);

#define A_PORT	  OUT_PORT(7000, 2)
#define B_PORT	  OUT_PORT(8000, 3)
#define FROM_HOST .from = HOST, .to = GATEWAY_IN
#define TO_B	  FROM_HOST, .src = SUBSCRIBER, .dst = POOL
#define AT_B	  FROM_HOST, .src = POOL, .dst = OTHER
#define SYN	  2
#define ACK	  16

static void open_hairpin(uint8_t proto)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	const struct frame calls[] = { { TO_B, proto, 7000, B_PORT, .flags = SYN },
				       { FROM_HOST, .src = OTHER, .dst = POOL, proto, 8000, A_PORT, .flags = SYN } };
	size_t size;

	for (unsigned i = 0; i < 2; i++)
		run_frame(INGRESS_INSIDE, in, frame_build(&calls[i], in), out, &size);
	cr_assert_eq(counted(REASON_hairpin_translated), 1);
}

/* The card, or the kernel, cuts it up: the length of a segment counts, not that of the frame. */
Test(ingress_sent, a_hairpin_of_several_segments_is_redirected_if_each_fits)
{
	static const struct row fitting[] = {
		{ "segments that fit",
		  INGRESS_INSIDE,
		  { TO_B, TCP, 7000, B_PORT, .flags = ACK, .payload = 1900 },
		  REDIRECT_TC,
		  { AT_B, TCP, A_PORT, 8000, .flags = ACK, .payload = 1900, .ttl = 63 },
		  REASON_hairpin_translated },
	};
	static const struct row longer[] = {
		{ "segments that do not",
		  INGRESS_INSIDE,
		  { TO_B, TCP, 7000, B_PORT, .flags = ACK, .payload = 1900 },
		  DROP_TC,
		  {},
		  REASON_drop_too_big },
	};

	open_hairpin(TCP);
	gso_size = 1460;
	RUN_ROWS(fitting);
	gso_size = 1461;
	RUN_ROWS(longer);
}

static uint16_t get_check(const uint8_t *frame, size_t at)
{
	return (uint16_t)(frame[at] << 8 | frame[at + 1]);
}

static void put_check(uint8_t *frame, size_t at, uint16_t check)
{
	frame[at] = (uint8_t)(check >> 8);
	frame[at + 1] = (uint8_t)check;
}

/* Sum of the pseudo header of a frame's packet, folded: what a sender leaves in a checksum for its card. */
static uint16_t pseudo_header(const uint8_t *frame, uint8_t proto)
{
	size_t length = ip_length(frame) - 20;
	uint8_t pseudo[12] = { [9] = proto, [10] = (uint8_t)(length >> 8), [11] = (uint8_t)length };

	memcpy(pseudo, frame + 26, 8);
	return (uint16_t)~sum_finish(sum_octets(pseudo, sizeof(pseudo), 0));
}

/* A checksum that covers more than the fragment: the agent gets it as it came, whatever it looks like. */
static void expect_fragment_handed_over(uint8_t proto, size_t check)
{
	struct frame f = { TO_B, proto, 7000, B_PORT, .flags = ACK, .payload = 1900 };
	uint8_t whole[FRAME_MAX], translated[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	static struct transmission t;
	size_t size, out_size;
	uint32_t change;
	uint16_t sum;

	frame_build(&f, whole);
	f = (struct frame){ AT_B, proto, A_PORT, 8000, .flags = ACK, .payload = 1900, .ttl = 63 };
	frame_build(&f, translated);
	size = frame_fragment(whole, 7, 0, 1600, true, in);
	cr_assert_eq(frame_fragment(translated, 7, 0, 1600, true, want), size);
	/* One that translation makes the sum of the pseudo header. */
	change = (uint32_t)get_check(in, check) + (uint16_t)~get_check(want, check);
	sum = pseudo_header(want, proto);
	put_check(want, check, sum);
	put_check(in, check, (uint16_t)~sum_finish(change + sum));

	open_hairpin(proto);
	run_frame_counted("a fragment", INGRESS_INSIDE, in, size, out, &out_size, DROP_TC, REASON_hairpin_translated);
	cr_assert(transmitted(&t));
	cr_expect_eq(t.kind, TRANSMISSION_PACKET);
	cr_expect_eq(t.ifindex, inside_ifindex);
	cr_expect_eq(t.mtu, 1500);
	cr_expect(frame_equal("a fragment", t.frame, t.length, want + 14, size - 14), "protocol %u", proto);
}

Test(ingress_sent, the_checksum_of_a_udp_fragment_is_not_finished)
{
	expect_fragment_handed_over(UDP, 40);
}

Test(ingress_sent, the_checksum_of_a_tcp_fragment_is_not_finished)
{
	expect_fragment_handed_over(TCP, 50);
}
