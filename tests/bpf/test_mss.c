// SPDX-License-Identifier: BSD-2-Clause
/* The MSS of SYNs, lowered to a limit or to what the MTUs allow, at every hook. Whole packets are compared. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"
#include "told_routes.h"

TestSuite(mss, .init = set_up, .fini = tear_down);

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

static void expect_sent(const char *name, enum hook hook, int verdict, const struct frame *f,
			const struct tcp_options *in, const struct frame *g, const struct tcp_options *out,
			unsigned wrong)
{
	uint8_t sent[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t size = build_segment(f, in, wrong, sent), want_size = build_segment(g, out, wrong, want), got_size;
	int got_verdict;

	refresh_followed_routes();
	got_verdict = run_frame(hook, sent, size, got, &got_size);
	cr_expect_eq(got_verdict, verdict, "%s: verdict %d", name, got_verdict);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s at hook %d", name, hook);
}

static void expect_segment(const char *name, enum hook hook, const struct frame *f, const struct tcp_options *in,
			   const struct frame *g, const struct tcp_options *out, unsigned wrong)
{
	expect_sent(name, hook, hook == TC_OUTSIDE ? PASS_TC : REDIRECT_XDP, f, in, g, out, wrong);
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

Test(mss, is_clamped_wherever_it_stands)
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

Test(mss, the_mss_of_a_portmaps_packets_is_clamped_in_both_directions)
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

static const struct tcp_options of_1460 = { 4, { MSS(1460) } }, of_1360 = { 4, { MSS(1360) } };

static const struct frame answer = { FROM_ROUTER, TCP, 443, OUT_PORT(700, 2), .flags = SYN | ACK };
/* As the kernel gets it, to forward it. */
static const struct frame answer_handed_up = {
	.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = SUBSCRIBER, TCP, 443, 700, .flags = SYN | ACK
};

/* That of the interface by which the kernel will send is not known. */
Test(mss, by_the_mtu_that_is_known_where_the_kernel_finds_the_way)
{
	if (redirect_tc_wanted())
		cr_skip_test("tc sends to next hops that are not resolved");

	cr_assert_eq(open_flow(TCP, 700, 443, SYN), OUT_PORT(700, 2));
	settings.tcp_mss_clamp = MSS_CLAMP_MTU;
	reload_settings();
	datapath.device[outside_ifindex].mtu = 1400;
	cr_assert_eq(system("ip link set tout mtu 1400; ip neigh del 10.0.0.2 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	expect_sent("unresolved", XDP_OUTSIDE, PASS_XDP, &answer, &of_1460, &answer_handed_up, &of_1360, 0);
}

static void set_up_ingress(void)
{
	settings.tc = TC_ALONE;
	settings.tcp_mss_clamp = MSS_CLAMP_MTU;
	set_up();
}

Test(mss, by_the_mtu_of_the_way_in_at_tc, .init = set_up_ingress)
{
	static const uint8_t flags[] = { DEVICE_REDIRECT | DEVICE_NATIVE, DEVICE_REDIRECT, 0 };

	cr_assert_eq(open_flow(TCP, 700, 443, SYN), OUT_PORT(700, 2));
	datapath.device[inside_ifindex].mtu = 1400;
	for (size_t i = 0; i < sizeof(flags); i++) {
		datapath.device[inside_ifindex].flags = flags[i];
		datapath_raise_epoch(&datapath);
		expect_sent("in", INGRESS_OUTSIDE, PASS_TC, &answer, &of_1460, &answer_handed_up, &of_1360, 0);
	}
	datapath.device[inside_ifindex].mtu = 1500;
	datapath.device[outside_ifindex].mtu = 1400;
	expect_sent("by the other", INGRESS_OUTSIDE, PASS_TC, &answer, &of_1460, &answer_handed_up, &of_1360, 0);
	datapath.device[outside_ifindex].mtu = 1500;
	settings.route_mtus = 1;
	reload_settings();
	cr_assert_eq(system("ip route add 10.0.0.2/32 dev tin mtu lock 1400"), 0);
	datapath_raise_epoch(&datapath);
	expect_sent("by the route", INGRESS_OUTSIDE, PASS_TC, &answer, &of_1460, &answer_handed_up, &of_1360, 0);
}

/* Where inbound is open there are no sessions. */
Test(mss, the_mss_of_an_open_mappings_packets_is_clamped)
{
#define OWN_OUT ADDR(203, 0, 113, 66)
	static const struct frame out = { FROM_HOST, TCP, 700, 443, .flags = SYN };
	static const struct frame out_after = { .ttl = 63,
						.from = GATEWAY_OUT,
						.to = ROUTER,
						.src = OWN_OUT,
						.dst = EXTERNAL,
						TCP,
						700,
						443,
						.flags = SYN };
	static const struct frame left = {
		.from = HOST, .to = GATEWAY_IN, .src = OWN_OUT, .dst = EXTERNAL, TCP, 700, 443, .flags = SYN
	};
	static const struct frame in = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN_OUT, TCP, 443, 700, .flags = SYN
	};
	static const struct frame in_after = { TO_HOST, TCP, 443, 700, .flags = SYN };
	struct mapping_spec spec = {
		.in = { SUBSCRIBER, 32 }, .out = { OWN_OUT, 32 }, .open = true, .sessions_per_user = 1000
	};

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
	settings.open_mappings = 1;
	settings.tcp_mss_clamp = 1360;
	reload_settings();
	expect_segment("out", XDP_INSIDE, &out, &of_1460, &out_after, &of_1360, 0);
	expect_segment("out by the kernel", TC_OUTSIDE, &out, &of_1460, &left, &of_1360, 0);
	expect_segment("in", XDP_OUTSIDE, &in, &of_1460, &in_after, &of_1360, 0);
}
