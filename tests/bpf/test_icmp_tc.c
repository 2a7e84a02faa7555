// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tc answers quotes what the sender's card would have sent: checksums that were left to the card are finished, and
 * of a segment of several the first is quoted. Whole ICMP packets are compared.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"

TestSuite(icmp_tc, .init = set_up, .fini = tear_down);

#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL

#define TO(to_) .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = to_

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16 };

static size_t check_offset(const struct frame *f)
{
	return 34 + f->ip_options + (f->proto == TCP ? 16 : 6);
}

/* Leaves the checksum to the card: in its place the sum of the pseudo header, plus `more`. */
static void make_partial(const struct frame *f, uint8_t *frame, uint16_t more)
{
	size_t length = ip_length(frame) - 20 - f->ip_options;
	uint8_t pseudo[12] = { 0 }, *check = frame + check_offset(f);
	uint16_t sum;

	memcpy(pseudo, frame + 26, 8);
	pseudo[9] = f->proto;
	pseudo[10] = (uint8_t)(length >> 8);
	pseudo[11] = (uint8_t)length;
	sum = (uint16_t)(~sum_finish(sum_octets(pseudo, sizeof(pseudo), 0)) + more);
	check[0] = (uint8_t)(sum >> 8);
	check[1] = (uint8_t)sum;
}

/* Makes so many octets of a segment's payload options of the TCP header; the checksum is whole. */
static void make_options(const struct frame *f, uint8_t octets, uint8_t *frame)
{
	uint8_t *tcp = frame + 34 + f->ip_options, pseudo[12] = { 0 };
	size_t length = ip_length(frame) - 20 - f->ip_options;
	uint16_t sum;

	memset(tcp + 20, 1, octets);
	tcp[12] = (uint8_t)((20 + octets) / 4 << 4);
	memcpy(pseudo, frame + 26, 8);
	pseudo[9] = TCP;
	pseudo[10] = (uint8_t)(length >> 8);
	pseudo[11] = (uint8_t)length;
	tcp[16] = tcp[17] = 0;
	sum = sum_finish(sum_octets(tcp, length, sum_octets(pseudo, sizeof(pseudo), 0)));
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
}

/* LOOKS_PARTIAL: as PARTIAL, but it is not for the card to finish. */
enum checksum { WHOLE, PARTIAL, ALMOST_PARTIAL, LOOKS_PARTIAL };

static const struct tc_row {
	const char *name; /* a sentence */
	struct frame f;
	enum checksum checksum;
	uint16_t segment; /* octets of payload that the card puts into each packet; 0: it sends one */
	uint8_t options;  /* of the TCP header: so many of the first octets of the payload */
} rows[] = {
	{ "UDP", { FROM_HOST, UDP, 3001, 3002, .payload = 18 }, PARTIAL, 0 },
	{ "UDP of an odd length", { FROM_HOST, UDP, 3001, 3002, .payload = 19 }, PARTIAL, 0 },
	{ "UDP without payload", { FROM_HOST, UDP, 3001, 3002 }, PARTIAL, 0 },
	{ "UDP, longer than the quote", { FROM_HOST, UDP, 3001, 3002, .payload = 1401 }, PARTIAL, 0 },
	{ "UDP that fills the quote", { FROM_HOST, UDP, 3001, 3002, .payload = 520 }, PARTIAL, 0 },
	{ "UDP without checksum", { FROM_HOST, UDP, 3001, 3002, .payload = 18, .options = NO_UDP_CHECKSUM }, WHOLE, 0 },
	{ "UDP behind IP options", { FROM_HOST, UDP, 3001, 3002, .payload = 18, .ip_options = 40 }, PARTIAL, 0 },
	{ "UDP of a whole checksum", { FROM_HOST, UDP, 3001, 3002, .payload = 18 }, WHOLE, 0 },
	{ "UDP of a wrong checksum",
	  { FROM_HOST, UDP, 3001, 3002, .payload = 18, .options = WRONG_CHECKSUM },
	  WHOLE,
	  0 },
	{ "a checksum next to the pseudo header's", { FROM_HOST, UDP, 3001, 3002, .payload = 18 }, ALMOST_PARTIAL, 0 },
	{ "a SYN", { FROM_HOST, TCP, 3001, 3002, .flags = SYN }, PARTIAL, 0 },
	{ "a segment", { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH, .payload = 1001 }, PARTIAL, 0 },
	{ "a SYN of a whole checksum", { FROM_HOST, TCP, 3001, 3002, .flags = SYN }, WHOLE, 0 },
	{ "two segments", { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH | FIN, .payload = 1000 }, PARTIAL, 999 },
	{ "many short segments", { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH, .payload = 100 }, PARTIAL, 7 },
	{ "segments behind IP options",
	  { FROM_HOST, TCP, 3001, 3002, .flags = ACK, .payload = 100, .ip_options = 8 },
	  PARTIAL,
	  40 },
	{ "segments that turn out one",
	  { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH, .payload = 100 },
	  PARTIAL,
	  100 },
	{ "one segment, shorter than others may be",
	  { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH, .payload = 50 },
	  PARTIAL,
	  100 },
	{ "segments with options",
	  { FROM_HOST, TCP, 3001, 3002, .flags = ACK | PSH, .payload = 1012 },
	  PARTIAL,
	  500,
	  12 },
	{ "segments with all options that there can be",
	  { FROM_HOST, TCP, 3001, 3002, .flags = ACK | FIN, .payload = 240, .ip_options = 40 },
	  PARTIAL,
	  100,
	  40 },
	{ "datagrams", { FROM_HOST, UDP, 3001, 3002, .payload = 1200 }, PARTIAL, 500 },
	{ "short datagrams", { FROM_HOST, UDP, 3001, 3002, .payload = 33 }, PARTIAL, 16 },
	/* The pseudo headers of the next two sum to 0xffff, in which a sum and none look alike. */
	{ "UDP without checksum, as if for the card",
	  { TO(ADDR(198, 51, 47, 159)), UDP, 3001, 3002, .payload = 18, .options = NO_UDP_CHECKSUM },
	  WHOLE,
	  0 },
	{ "a SYN whose pseudo header sums to nothing",
	  { TO(ADDR(198, 51, 47, 176)), TCP, 3001, 3002, .flags = SYN },
	  PARTIAL,
	  0 },
	{ "UDP whose checksum would be 0", { FROM_HOST, UDP, 49799, 3002, .payload = 18 }, PARTIAL, 0 },
	{ "a first fragment, whose checksum covers more",
	  { FROM_HOST, UDP, 3001, 3002, .payload = 24, .options = MORE_FRAGMENTS },
	  LOOKS_PARTIAL,
	  0 },
	{ "echo request", { FROM_HOST, ICMP, 3001, .payload = 56 }, WHOLE, 0 },
};

Test(icmp_tc, quotes_what_the_card_would_have_sent)
{
	uint8_t in[FRAME_MAX], quoted[FRAME_MAX], out[FRAME_MAX];

	datapath.mapping[0].sessions_per_user = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct tc_row *r = &rows[i];
		/* As the subscriber sent it: the kernel has lowered the TTL before tc. */
		struct frame before = r->f;
		size_t size = frame_build(&r->f, in), out_size, quote;

		before.ttl = 65;
		if (r->segment && r->segment + r->options < r->f.payload) {
			before.payload = (uint16_t)(r->segment + r->options);
			before.flags &= (uint8_t) ~(FIN | PSH);
		}
		frame_build(&before, quoted);
		if (r->options) {
			make_options(&r->f, r->options, in);
			make_options(&before, r->options, quoted);
		}
		if (r->checksum != WHOLE)
			make_partial(&r->f, in, r->checksum == ALMOST_PARTIAL);
		if (r->checksum == ALMOST_PARTIAL || r->checksum == LOOKS_PARTIAL)
			memcpy(quoted + check_offset(&r->f), in + check_offset(&r->f), 2);
		quote = ip_length(quoted) < 548 ? ip_length(quoted) : 548;
		gso_size = r->segment;
		mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
		cr_expect(run_answered(TC_OUTSIDE, in, size, out, &out_size), "%s: answered", r->name);
		expect_error(r->name, out, out_size, quoted, quote, SUBSCRIBER, ADDR(10, 0, 0, 1), 3, 1, 0);
	}
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), sizeof(rows) / sizeof(*rows));
	cr_expect_eq(counted(REASON_drop_quota), sizeof(rows) / sizeof(*rows));
}

/* Nothing is counted as sent that the agent has no room for. */
Test(icmp_tc, answers_without_an_agent_are_lost_and_counted)
{
	struct frame f = { FROM_HOST, UDP, 3001, 3002, .payload = 600 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	unsigned n;

	datapath.mapping[0].sessions_per_user = 0;
	for (n = 0; n < 3000 && !counted(REASON_redirect_errors); n++) {
		mappings_subscriber(mappings, 0, 2)->icmp_next = 0;
		datapath.table->limits.icmp_due_ns = 0;
		cr_assert_eq(run_frame(TC_OUTSIDE, in, size, out, &out_size), DROP_TC);
	}
	cr_expect_eq(counted(REASON_redirect_errors), 1);
	cr_expect_eq(counted(REASON_sent_icmp_unreachable), n - 1);
	cr_expect_eq(counted(REASON_drop_quota), n);
}

/* The total length is 0, and the header checksum as it is then. */
static size_t build_big(const struct frame *f, uint8_t *frame)
{
	size_t size = frame_build(f, frame), header = 20 + f->ip_options;
	uint16_t sum;

	memset(frame + 16, 0, 2);
	memset(frame + 24, 0, 2);
	sum = sum_finish(sum_octets(frame + 14, header, 0));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	return size;
}

static const struct big_row {
	const char *name;
	struct frame f;
	uint16_t segment;
	int verdict;
	enum reason reason;
} big[] = {
	{ "a SYN",
	  { FROM_HOST, TCP, 9000, 443, .flags = SYN, .payload = 1000 },
	  500,
	  PASS_TC,
	  REASON_in2out_translated },
	{ "a segment",
	  { FROM_HOST, TCP, 9000, 443, .flags = ACK, .payload = 1400 },
	  500,
	  PASS_TC,
	  REASON_in2out_translated },
	{ "behind IP options",
	  { FROM_HOST, TCP, 9000, 443, .flags = ACK, .payload = 99, .ip_options = 8 },
	  50,
	  PASS_TC,
	  REASON_in2out_translated },
	{ "one that stays one packet",
	  { FROM_HOST, TCP, 9000, 443, .flags = ACK, .payload = 1400 },
	  0,
	  DROP_TC,
	  REASON_drop_malformed },
	{ "no TCP", { FROM_HOST, UDP, 9000, 443, .payload = 1400 }, 500, DROP_TC, REASON_drop_malformed },
};

Test(icmp_tc, a_total_length_of_0_is_that_of_the_segment)
{
	static const struct frame left = { .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	uint64_t octets = 0;

	for (size_t i = 0; i < sizeof(big) / sizeof(*big); i++) {
		struct frame translated = big[i].f;
		size_t size = build_big(&big[i].f, in), out_size, want_size;

		if (big[i].reason == REASON_in2out_translated) {
			translated.src = left.src;
			translated.sport = OUT_PORT(9000, 2);
			octets += size - 14;
		}
		want_size = build_big(&translated, want);
		gso_size = big[i].segment;
		run_frame_counted(big[i].name, TC_OUTSIDE, in, size, out, &out_size, big[i].verdict, big[i].reason);
		cr_expect(frame_equal(big[i].name, out, out_size, want, want_size), "%s", big[i].name);
	}
	cr_expect_eq(counted(REASON_in2out_octets), octets, "the whole segments are counted");
}

/* Nobody sends such a frame over a wire. */
Test(icmp_tc, from_a_wire_a_total_length_of_0_is_malformed)
{
	struct frame f = { FROM_HOST, TCP, 9000, 443, .flags = SYN, .payload = 1000 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = build_big(&f, in), out_size;

	run_frame_counted("from inside", XDP_INSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_malformed);
	run_frame_counted("from outside", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP, REASON_drop_malformed);
}
