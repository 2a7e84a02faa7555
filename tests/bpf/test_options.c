// SPDX-License-Identifier: BSD-2-Clause
/* What the configuration adds: MSS clamp, bypass, refresh from outside. Whole packets are compared, at every hook. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "tables/portmap_table.h"
#include "told_routes.h"

TestSuite(options, .init = set_up, .fini = tear_down);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define TC_LEFT	    .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL

enum { SYN = 2, ACK = 16 };

#define MAX_TCP_OPTIONS 40

/* Options of a TCP header: a multiple of 4 octets. */
struct tcp_options {
	size_t size;
	uint8_t octet[MAX_TCP_OPTIONS];
};

/* A segment with these options, its checksum from scratch; wrong is added to that. */
static size_t build_segment(const struct frame *f, const struct tcp_options *o, unsigned wrong, uint8_t *buffer)
{
	struct frame with = *f;
	uint8_t *tcp = buffer + 34, pseudo[12] = { 0 };
	size_t size, length = 20 + o->size + f->payload;
	uint16_t sum;

	with.payload = (uint16_t)(o->size + f->payload);
	size = frame_build(&with, buffer);
	tcp[12] = (uint8_t)((20 + o->size) / 4 << 4);
	memcpy(tcp + 20, o->octet, o->size);
	memcpy(pseudo, buffer + 26, 8);
	pseudo[9] = TCP;
	pseudo[10] = (uint8_t)(length >> 8);
	pseudo[11] = (uint8_t)length;
	tcp[16] = tcp[17] = 0;
	sum = sum_finish(sum_octets(tcp, length, sum_octets(pseudo, sizeof(pseudo), 0)));
	sum = (uint16_t)(sum + wrong);
	tcp[16] = (uint8_t)(sum >> 8);
	tcp[17] = (uint8_t)sum;
	return size;
}

static void expect_segment(const char *name, enum hook hook, const struct frame *f, const struct tcp_options *in,
			   const struct frame *g, const struct tcp_options *out, unsigned wrong)
{
	uint8_t sent[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size = build_segment(f, in, wrong, sent), want_size = build_segment(g, out, wrong, want), got_size;
	int verdict;

	refresh_followed_routes();
	verdict = run_frame(hook, sent, size, got, &got_size);
	cr_expect_eq(verdict, hook == TC_OUTSIDE ? PASS_TC : REDIRECT_XDP, "%s: verdict %d", name, verdict);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s at hook %d", name, hook);
}

struct mss_case {
	const char *name;
	struct tcp_options sent;
	struct tcp_options seen; /* .size 0: what was sent */
};

#define MSS(n) 2, 4, (n) >> 8, (n)&255

/* With a limit of 1300. */
static const struct mss_case cases[] = {
	{ "alone", { 4, { MSS(1460) } }, { 4, { MSS(1300) } } },
	{ "the highest", { 4, { MSS(65535) } }, { 4, { MSS(1300) } } },
	{ "one more than the limit", { 4, { MSS(1301) } }, { 4, { MSS(1300) } } },
	{ "the limit", { 4, { MSS(1300) } }, { 0 } },
	{ "lower is not raised", { 4, { MSS(536) } }, { 0 } },
	{ "zero is not raised", { 4, { MSS(0) } }, { 0 } },
	{ "behind others",
	  { 12, { 1, 3, 3, 7, 4, 2, MSS(1460), 1, 1 } },
	  { 12, { 1, 3, 3, 7, 4, 2, MSS(1300), 1, 1 } } },
	{ "at an odd offset", { 8, { 1, MSS(1460), 1, 1, 1 } }, { 8, { 1, MSS(1300), 1, 1, 1 } } },
	{ "at an odd offset, both halves change", { 8, { 1, MSS(0xff14) } }, { 8, { 1, MSS(1300) } } },
	{ "at the very end of the longest header",
	  { 40, { 8, 10, [10] = 19, 18, [28] = 1, 1, 1, 1, 1, 1, 1, 1, MSS(9000) } },
	  { 40, { 8, 10, [10] = 19, 18, [28] = 1, 1, 1, 1, 1, 1, 1, 1, MSS(1300) } } },
	{ "behind 36 of no operation",
	  { 40, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,	       1,
		  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, MSS(1460) } },
	  { 40, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,	       1,
		  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, MSS(1300) } } },
	{ "no options", { 0 }, { 0 } },
	{ "other options", { 4, { 1, 3, 3, 7 } }, { 0 } },
	{ "behind the end of the list", { 8, { 0, 1, 1, 1, MSS(1460) } }, { 0 } },
	{ "length 3", { 4, { 2, 3, 9, 0 } }, { 0 } },
	{ "length 0", { 4, { 2, 0, 9, 9 } }, { 0 } },
	{ "length 1", { 8, { 2, 1, MSS(1460) } }, { 0 } },
	{ "longer than the list", { 4, { 1, 2, 4, 9 } }, { 0 } },
	{ "length beyond everything", { 4, { 2, 255, 9, 9 } }, { 0 } },
	{ "cut off behind its kind", { 4, { 1, 1, 1, 2 } }, { 0 } },
	{ "behind a malformed one", { 8, { 3, 0, 1, 1, MSS(1460) } }, { 0 } },
	{ "in the value of another", { 8, { 8, 6, MSS(1460) } }, { 0 } },
};

static const struct tcp_options *seen(const struct mss_case *c)
{
	return c->seen.size ? &c->seen : &c->sent;
}

/* A connection's SYN and SYN/ACK, by every hook that they can cross. */
static void expect_clamped(const struct mss_case *c, uint16_t port)
{
	struct frame syn = { FROM_HOST, TCP, port, 443, .flags = SYN, .payload = 3 };
	struct frame left = { TO_ROUTER, TCP, OUT_PORT(port, 2), 443, .flags = SYN, .payload = 3 };
	struct frame answer = { FROM_ROUTER, TCP, 443, OUT_PORT(port, 2), .flags = SYN | ACK };
	struct frame came = { TO_HOST, TCP, 443, port, .flags = SYN | ACK };
	struct frame again = { FROM_HOST, TCP, (uint16_t)(port + 1), 443, .flags = SYN };
	struct frame again_left = { TC_LEFT, TCP, OUT_PORT(port + 1, 2), 443, .flags = SYN };
	struct frame ack = { FROM_HOST, TCP, port, 443, .flags = ACK };
	struct frame ack_left = { TO_ROUTER, TCP, OUT_PORT(port, 2), 443, .flags = ACK };

	expect_segment(c->name, XDP_INSIDE, &syn, &c->sent, &left, seen(c), 0);
	expect_segment(c->name, XDP_INSIDE, &syn, &c->sent, &left, seen(c), 0);
	expect_segment(c->name, XDP_OUTSIDE, &answer, &c->sent, &came, seen(c), 0);
	expect_segment(c->name, TC_OUTSIDE, &again, &c->sent, &again_left, seen(c), 0);
	expect_segment("a wrong checksum stays wrong", XDP_INSIDE, &syn, &c->sent, &left, seen(c), 1);
	/* Of no other segment is it changed. */
	expect_segment("no SYN", XDP_INSIDE, &ack, &c->sent, &ack_left, &c->sent, 0);
	expect_segment("no SYN, slow path", XDP_INSIDE_SLOW, &ack, &c->sent, &ack_left, &c->sent, 0);
}

Test(options, mss_is_clamped_wherever_it_stands)
{
	const struct mss_case *first = &cases[0];
	struct frame caller = {
		.from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, TCP, 8000, OUT_PORT(50, 2), .flags = SYN
	};
	struct frame callee = { .from = GATEWAY_IN,
				.to = HOST,
				.src = POOL,
				.dst = SUBSCRIBER,
				TCP,
				OUT_PORT(8000, 3),
				50,
				.flags = SYN,
				.ttl = 63 };
	struct frame opens = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, TCP, 50, OUT_PORT(8000, 3), .flags = SYN
	};
	static const struct mss_case by_mtu = { "MTU", { 4, { MSS(1460) } }, { 4, { MSS(1360) } } };
	static const struct mss_case by_mtu_lower = { "MTU, lower", { 4, { MSS(1359) } }, { 0 } };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	/* Off, nothing happens. */
	expect_clamped(&(struct mss_case){ "off", { 4, { MSS(65535) } }, { 0 } }, 10);

	settings.tcp_mss_clamp = 1300;
	reload_settings();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_clamped(&cases[i], (uint16_t)(100 + 2 * i));
	size = build_segment(&opens, &first->sent, 0, in);
	cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &size), DROP_XDP, "nobody answers the hairpin yet");
	expect_segment("hairpin", XDP_INSIDE, &caller, &first->sent, &callee, &first->seen, 0);

	/* The lower one of both ways' MTUs, in either direction. */
	settings.tcp_mss_clamp = MSS_CLAMP_MTU;
	reload_settings();
	datapath.device[outside_ifindex].mtu = 1400;
	cr_assert_eq(system("ip link set tout mtu 1400"), 0);
	datapath_raise_epoch(&datapath);
	expect_clamped(&by_mtu, 600);
	expect_clamped(&by_mtu_lower, 610);
	datapath.device[outside_ifindex].mtu = 1500;
	cr_assert_eq(system("ip link set tout mtu 1500"), 0);
	datapath.device[inside_ifindex].mtu = 1400;
	datapath_raise_epoch(&datapath);
	expect_clamped(&by_mtu, 620);
}

Test(options, mss_of_a_portmaps_packets_is_clamped_in_both_directions)
{
	static const struct tcp_options sent = { 4, { MSS(1460) } }, seen_after = { 4, { MSS(1300) } };
	static const struct frame in = { FROM_ROUTER, TCP, 5555, 443, .flags = SYN, .payload = 3 };
	static const struct frame in_after = { TO_HOST, TCP, 5555, 8443, .flags = SYN, .payload = 3 };
	static const struct frame out = { FROM_HOST, TCP, 8443, 5555, .flags = SYN | ACK };
	static const struct frame out_after = { TO_ROUTER, TCP, 443, 5555, .flags = SYN | ACK };
	static const struct frame left = { TC_LEFT, TCP, 443, 5555, .flags = SYN | ACK };
	struct portmap m = { .in = { SUBSCRIBER, 8443 }, .out = { POOL, 443 }, .proto = TCP };
	struct portmaps *portmaps;
	struct error err;

	settings.portmaps = 1;
	settings.tcp_mss_clamp = 1300;
	reload_settings();
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	expect_segment("in", XDP_OUTSIDE, &in, &sent, &in_after, &seen_after, 0);
	expect_segment("in, with a wrong checksum", XDP_OUTSIDE, &in, &sent, &in_after, &seen_after, 1);
	expect_segment("out", XDP_INSIDE, &out, &sent, &out_after, &seen_after, 0);
	expect_segment("out by the kernel", TC_OUTSIDE, &out, &sent, &left, &seen_after, 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	portmaps_close(portmaps);
}

#define TO(address)   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = address
#define FROM(address) .from = ROUTER, .to = GATEWAY_OUT, .src = address
#define UP	      PASS_XDP, {}, REASON_passed_untranslated

static void set_bypass(const struct address_range *ranges, uint32_t n)
{
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		settings.bypass[i] = i < n ? ranges[i] : (struct address_range){ .first = UINT32_MAX };
	settings.n_bypass = n;
	reload_settings();
}

Test(options, bypassed_destinations_are_not_translated)
{
	static const struct row rows[] = {
		{ "to the first of a range", XDP_INSIDE, { TO(ADDR(192, 0, 2, 0)), UDP, 5000, 53 }, UP },
		{ "to the last of a range", XDP_INSIDE, { TO(ADDR(192, 0, 2, 255)), TCP, 5000, 80, .flags = 2 }, UP },
		{ "once more, from the cache", XDP_INSIDE, { TO(ADDR(192, 0, 2, 0)), UDP, 5000, 53 }, UP },
		{ "what has no ports", XDP_INSIDE, { TO(ADDR(192, 0, 2, 9)), 47, .payload = 8 }, UP },
		{ "a fragment", XDP_INSIDE, { TO(ADDR(192, 0, 2, 9)), UDP, 1, 2, .options = LATER_FRAGMENT }, UP },
		{ "to a single address", XDP_INSIDE, { TO(ADDR(203, 0, 113, 77)), ICMP, 5 }, UP },
		{ "from no mapping",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = ADDR(192, 0, 2, 9), UDP, 5000, 53 },
		  UP },
		{ "a martian source",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = ADDR(127, 0, 0, 1),
		    .dst = ADDR(192, 0, 2, 9),
		    UDP,
		    5000,
		    53 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "tc: as it is",
		  TC_OUTSIDE,
		  { TO(ADDR(192, 0, 2, 9)), UDP, 5000, 53 },
		  PASS_TC,
		  {},
		  REASON_passed_untranslated },
		{ "tc: a martian source",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = ADDR(192, 0, 2, 9), UDP, 5000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "before a range",
		  XDP_INSIDE,
		  { TO(ADDR(192, 0, 1, 255)), UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = ADDR(192, 0, 1, 255),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "behind a range",
		  XDP_INSIDE,
		  { TO(ADDR(192, 0, 3, 0)), UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = ADDR(192, 0, 3, 0),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "tc: behind a range",
		  TC_OUTSIDE,
		  { TO(ADDR(203, 0, 113, 78)), UDP, 5000, 53 },
		  PASS_TC,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = POOL,
		    .dst = ADDR(203, 0, 113, 78),
		    UDP,
		    OUT_PORT(5000, 2),
		    53 },
		  REASON_in2out_translated },
		{ "hairpins are no matter of it",
		  XDP_INSIDE,
		  { TO(POOL + 1), UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "in from there",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  UP },
		{ "in from there, without ports",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, 50, .payload = 8 },
		  UP },
		{ "in from elsewhere",
		  XDP_OUTSIDE,
		  { FROM(EXTERNAL), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "in with an inside source, though that is in it",
		  XDP_OUTSIDE,
		  { FROM(OTHER), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
		{ "from there to a pool address",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = POOL, UDP, 53, OUT_PORT(5000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	static const struct row everything[] = {
		{ "0.0.0.0/0", XDP_INSIDE, { FROM_HOST, UDP, 5000, 53 }, UP },
		{ "and tc", TC_OUTSIDE, { FROM_HOST, UDP, 5000, 53 }, PASS_TC, {}, REASON_passed_untranslated },
		{ "but martians",
		  XDP_OUTSIDE,
		  { FROM(ADDR(240, 0, 0, 1)), .dst = SUBSCRIBER, UDP, 1, 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};
	static const struct row nothing[] = {
		{ "translated again",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
		{ "direct to inside",
		  XDP_OUTSIDE,
		  { FROM(ADDR(192, 0, 2, 9)), .dst = SUBSCRIBER, TCP, 80, 5000, .flags = 2 },
		  DROP_XDP,
		  {},
		  REASON_drop_direct_to_inside },
	};
	const struct address_range ranges[] = {
		{ ADDR(10, 0, 0, 0), ADDR(10, 255, 255, 255) },
		{ ADDR(192, 0, 2, 0), ADDR(192, 0, 2, 255) },
		{ ADDR(203, 0, 113, 0), ADDR(203, 0, 113, 3) },
		{ ADDR(203, 0, 113, 77), ADDR(203, 0, 113, 77) },
	};
	const struct address_range all = { 0, UINT32_MAX };
	struct address_range many[MAX_BYPASS];
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size;

	set_bypass(ranges, 4);
	RUN_ROWS(rows);
	set_bypass(&all, 1);
	RUN_ROWS(everything);
	/* As many as there can be: odd third octets are bypassed, even ones are not, nor is what is around them. */
	for (uint32_t i = 0; i < MAX_BYPASS; i++)
		many[i] = (struct address_range){ ADDR(100, 0, i, 128), ADDR(100, 0, i, 191) };
	set_bypass(many, MAX_BYPASS);
	for (uint32_t i = 0; i < MAX_BYPASS; i++) {
		const uint8_t last[] = { 127, 128, 191, 192 };

		for (unsigned k = 0; k < 4; k++) {
			struct frame f = { TO(ADDR(100, 0, i, last[k])), UDP, 7, 9 };

			size = frame_build(&f, in);
			cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &size),
				     k == 1 || k == 2 ? PASS_XDP : REDIRECT_XDP, "100.0.%u.%u", i, last[k]);
		}
	}
	set_bypass(NULL, 0);
	RUN_ROWS(nothing);
}

/* With a payload, so that they are long enough for the fast path even without padding. */
#define OPEN(proto_, port_)                                                                                     \
	{                                                                                                       \
		"opens", XDP_INSIDE, { FROM_HOST, proto_, port_, 53, .flags = 2, .payload = 20 }, REDIRECT_XDP, \
			{ TO_ROUTER, proto_, OUT_PORT(port_, 2), 53, .flags = 2, .payload = 20 },               \
			REASON_in2out_translated                                                                \
	}
#define ANSWER(proto_, port_)                                                                                       \
	{                                                                                                           \
		"answer", XDP_OUTSIDE, { FROM_ROUTER, proto_, 53, OUT_PORT(port_, 2), .flags = 16, .payload = 20 }, \
			REDIRECT_XDP, { TO_HOST, proto_, 53, port_, .flags = 16, .payload = 20 },                   \
			REASON_out2in_translated                                                                    \
	}
#define LATE(proto_, port_)                                                                                        \
	{                                                                                                          \
		"late answer", XDP_OUTSIDE,                                                                        \
			{ FROM_ROUTER, proto_, 53, OUT_PORT(port_, 2), .flags = 16, .payload = 20 }, DROP_XDP, {}, \
			REASON_drop_no_session                                                                     \
	}

Test(options, udp_is_refreshed_from_outside_where_the_configuration_says_so)
{
	static const struct row open[] = { OPEN(UDP, 6304), OPEN(TCP, 6304) };
	static const struct row answer[] = { ANSWER(UDP, 6304) };
	static const struct row tcp[] = { ANSWER(TCP, 6304) };
	static const struct row late[] = { LATE(UDP, 6304), LATE(TCP, 6304) };
	static const struct row dead_tcp[] = { LATE(TCP, 6304) };
	static const struct row late_tcp[] = { ANSWER(UDP, 6304), LATE(TCP, 6304) };

	RUN_ROWS(open);
	age_sessions(SUBSCRIBER, 200);
	RUN_ROWS(answer);
	RUN_ROWS(tcp);
	age_sessions(SUBSCRIBER, 150);
	RUN_ROWS(late);

	settings.udp_inbound_refresh = 1;
	reload_settings();
	RUN_ROWS(open);
	for (int i = 0; i < 5; i++) {
		age_sessions(SUBSCRIBER, 200);
		RUN_ROWS(answer);
		if (!i)
			RUN_ROWS(tcp);
		if (i == 1)
			RUN_ROWS(dead_tcp);
	}
	RUN_ROWS(late_tcp);
}
