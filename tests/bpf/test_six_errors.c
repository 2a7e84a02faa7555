// SPDX-License-Identifier: BSD-2-Clause
/*
 * ICMP errors about the packets of IPv6 subscribers: whose they are, through all programs. What becomes of their octets
 * is in test_six_model.c.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "six_error_frame.h"

TestSuite(six_errors, .init = set_up_six, .fini = tear_down);

static void set_up_beyond(void);

/* The same about packets of sessions in extents. */
TestSuite(six_errors_beyond, .init = set_up_beyond, .fini = tear_down);

#define IP	   14
#define N	   0x12 /* the subscriber */
#define PORT	   5000
#define HOST_ONE   HOST_OF(N, 3, 0x1234)
#define HOST_OTHER HOST_OF(N, 3, 0x9999)
#define PEER	   HOST_OF(0x13, 3, 0x1234)
#define ROUTER_IN  ((struct address6){ 0x20010db800000000ULL, 0x77 })
#define ROUTER_OUT ADDR(198, 51, 100, 99)
#define OUTSIDE	   (POOL6 + N / 64)

static void set_up_beyond(void)
{
	set_up_six_crowded();
	crowd_6(N);
}

static void run_error(const char *name, enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size,
		      enum reason reason)
{
	uint64_t before = counted(reason);
	int verdict = run_frame(hook, in, size, out, ret_size);

	cr_expect_eq(verdict, reason == REASON_icmp_error_translated ? REDIRECT_XDP : DROP_XDP, "%s: verdict %d", name,
		     verdict);
	cr_expect_eq(counted(reason), before + 1, "%s: counted otherwise", name);
	for (int i = 0; counted(reason) != before + 1 && i < N_REASONS; i++)
		if (counted(i))
			cr_log_warn("reason %d: %lu", i, counted(i));
}

/* What came in to a host by its session: a datagram from port 53 outside. */
static struct frame6 came_in(struct address6 host, uint16_t port)
{
	return (struct frame6){ .from = GATEWAY_IN,
				.to = HOST,
				.src = NAT64(EXTERNAL),
				.dst = host,
				.proto = UDP,
				.sport = 53,
				.dport = port,
				.payload = 30 };
}

/* A host's error left as one of IPv4, and its quote is the packet as it came in. */
static void expect_left(const char *name, struct address6 from, int out_port)
{
	const struct message e = { .from = from, .type = 1, .code = 4 };
	struct frame6 quote = came_in(HOST_ONE, PORT);
	struct frame came = { .from = ROUTER,
			      .to = GATEWAY_OUT,
			      .src = EXTERNAL,
			      .dst = OUTSIDE,
			      .proto = UDP,
			      .sport = 53,
			      .dport = (uint16_t)out_port,
			      .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = error_6(&e, &quote, in), got = 0, want_size = frame_build(&came, want) - IP;

	run_error(name, XDP_INSIDE, in, size, out, &got, REASON_icmp_error_translated);
	cr_assert_eq(got, IP + 28 + want_size, "%s: %zu octets", name, got);
	cr_expect_eq(out[5], ROUTER);
	cr_expect_eq(get32(out + IP + 12), OUTSIDE, "%s: source", name);
	cr_expect_eq(get32(out + IP + 16), EXTERNAL, "%s: destination", name);
	cr_expect_eq(out[IP + 8], 63);
	cr_expect_eq(sum_finish(sum_octets(out + IP, 20, 0)), 0);
	cr_expect_eq(out[IP + 20], 3);
	cr_expect_eq(out[IP + 21], 3);
	cr_expect_eq(sum_finish(sum_octets(out + IP + 20, got - IP - 20, 0)), 0);
	/* Traffic class and identification are as the translator made them. */
	cr_expect_eq(sum_finish(sum_octets(out + IP + 28, 20, 0)), 0, "%s: quoted header", name);
	cr_expect_arr_eq(out + IP + 28 + 12, want + IP + 12, want_size - 12, "%s: quote", name);
}

static void leave_from_the_subscribers_address(void)
{
	int out_port = open_6(HOST_ONE, UDP, PORT, 53, 0);

	cr_assert_geq(out_port, 0);
	expect_left("of the host", HOST_ONE, out_port);
	expect_left("of a router in its prefix", HOST_OF(N, 0, 1), out_port);
	expect_left("of a router in no mapping", ROUTER_IN, out_port);
}

Test(six_errors, of_a_host_and_of_routers_inside_leave_from_the_subscribers_address)
{
	leave_from_the_subscribers_address();
}

Test(six_errors_beyond, of_a_host_and_of_routers_inside_leave_from_the_subscribers_address)
{
	leave_from_the_subscribers_address();
	cr_expect_eq(counted(REASON_sessions_overflowed), 1);
}

static void expect_lost(const char *name, const struct message *e, const struct frame6 *quote, enum reason reason)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = error_6(e, quote, in), got;

	run_error(name, XDP_INSIDE, in, size, out, &got, reason);
}

Test(six_errors, about_anothers_session_or_none_are_dropped)
{
	struct frame6 quote = came_in(HOST_ONE, PORT), none = came_in(HOST_ONE, PORT + 1);
	struct frame6 others = came_in(HOST_OTHER, PORT), native = came_in(ROUTER_IN, PORT);

	cr_assert_geq(open_6(HOST_ONE, UDP, PORT, 53, 0), 0);
	expect_lost("of another subscriber", &(struct message){ .from = PEER, .type = 1, .code = 4 }, &quote,
		    REASON_drop_no_session);
	expect_lost("about no session", &(struct message){ .from = HOST_ONE, .type = 1, .code = 4 }, &none,
		    REASON_drop_no_session);
	expect_lost("about a packet to another host", &(struct message){ .from = HOST_OTHER, .type = 1, .code = 4 },
		    &others, REASON_drop_no_session);
	expect_lost("about a packet to nobody", &(struct message){ .from = ROUTER_IN, .type = 1, .code = 4 }, &native,
		    REASON_drop_no_session);
	expect_lost("that IPv4 does not have", &(struct message){ .from = HOST_ONE, .type = 4, .code = 2 }, &quote,
		    REASON_drop_no_session);
	expect_lost("of a type that nobody knows", &(struct message){ .from = HOST_ONE, .type = 100 }, &quote,
		    REASON_drop_no_session);
}

Test(six_errors, packet_too_big_tells_20_octets_less_outside)
{
	const struct message e = { .from = ROUTER_IN, .type = 2, .field = 1400 };
	struct frame6 quote = came_in(HOST_ONE, PORT);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = error_6(&e, &quote, in), got;

	cr_assert_geq(open_6(HOST_ONE, UDP, PORT, 53, 0), 0);
	run_error("too big", XDP_INSIDE, in, size, out, &got, REASON_icmp_error_translated);
	cr_expect_eq(out[IP + 20], 3);
	cr_expect_eq(out[IP + 21], 4);
	cr_expect_eq(get32(out + IP + 24), 1380);
	/* No more than the ways have. */
	size = error_6(&(struct message){ .from = ROUTER_IN, .type = 2, .field = 0xffffffff }, &quote, in);
	run_error("endless", XDP_INSIDE, in, size, out, &got, REASON_icmp_error_translated);
	cr_expect_eq(get32(out + IP + 24), 1480);
}

/* A router's error comes from its address in the prefix, about the packet as the host sent it. */
static void go_to_the_host_that_sent_the_packet(void)
{
	struct frame6 sent = six_out(HOST_ONE, UDP, PORT, 53, 0);
	int out_port = open_6(HOST_ONE, UDP, PORT, 53, 0), other = open_6(HOST_OTHER, UDP, PORT, 53, 0);
	const struct message e = { .router = ROUTER_OUT, .type = 11, .code = 0 };
	struct frame quote = six_out_translated(&sent, (uint16_t)out_port);
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX], address[16];
	size_t size = error_4(&e, &quote, in), got, want_size = frame6_build(&sent, want) - IP;

	cr_assert(out_port >= 0 && other >= 0 && out_port != other);
	run_error("expired", XDP_OUTSIDE, in, size, out, &got, REASON_icmp_error_translated);
	cr_assert_eq(got, IP + 48 + want_size, "%zu octets", got);
	cr_expect_eq(out[5], HOST);
	put_address(address, NAT64(ROUTER_OUT));
	cr_expect_arr_eq(out + IP + 8, address, 16, "source");
	put_address(address, HOST_ONE);
	cr_expect_arr_eq(out + IP + 24, address, 16, "destination");
	cr_expect_eq(out[IP + 7], 63);
	cr_expect_eq(out[IP + 40], 3);
	cr_expect_eq(sum_6(out + IP, got - IP - 40), 0, "checksum");
	cr_expect_arr_eq(out + IP + 48 + 8, want + IP + 8, want_size - 8, "quote");

	quote.sport = (uint16_t)other;
	size = error_4(&e, &quote, in);
	run_error("of the other host", XDP_OUTSIDE, in, size, out, &got, REASON_icmp_error_translated);
	put_address(address, HOST_OTHER);
	cr_expect_arr_eq(out + IP + 24, address, 16, "destination");
}

Test(six_errors, of_routers_outside_go_to_the_host_that_sent_the_packet)
{
	go_to_the_host_that_sent_the_packet();
}

Test(six_errors_beyond, of_routers_outside_go_to_the_host_that_sent_the_packet)
{
	go_to_the_host_that_sent_the_packet();
	cr_expect_eq(counted(REASON_sessions_overflowed), 2);
}

/* The checksum of ICMPv6 covers the length of the whole, which fragments do not show (RFC 7915 section 1.2). */
Test(six_errors, of_routers_outside_in_fragments_are_dropped)
{
	struct frame6 sent = six_out(HOST_ONE, UDP, PORT, 53, 0);
	const struct message e = { .router = ROUTER_OUT, .type = 11, .code = 0 };
	struct frame quote = six_out_translated(&sent, (uint16_t)open_6(HOST_ONE, UDP, PORT, 53, 0));
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX];
	size_t end = error_4(&e, &quote, whole) - IP - 20, size = frame_fragment(whole, 7, 0, 40, true, in), got;

	run_error("the first", XDP_OUTSIDE, in, size, out, &got, REASON_drop_fragment);
	cr_expect_eq(mappings_subscriber(mappings, mappings_find_any(mappings, VIRTUAL + N), N)->datagrams, 0);
	size = frame_fragment(whole, 7, 40, (unsigned)end, false, in);
	run_error("the last", XDP_OUTSIDE, in, size, out, &got, REASON_drop_fragment);
}

Test(six_errors, of_routers_outside_about_no_session_are_dropped)
{
	struct frame6 sent = six_out(HOST_ONE, UDP, PORT, 53, 0);
	struct frame quote = six_out_translated(&sent, OUT_PORT6(PORT, N));
	const struct message e = { .router = ROUTER_OUT, .type = 11, .code = 0 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = error_4(&e, &quote, in), got;

	run_error("no session", XDP_OUTSIDE, in, size, out, &got, REASON_drop_no_session);
}

Test(six_errors, fragmentation_needed_tells_20_octets_more_inside)
{
	static const struct {
		uint32_t told, want;
	} rows[] = { { 1400, 1420 }, { 68, 1280 }, { 1500, 1500 }, { 0, 1280 } };
	struct frame6 sent = six_out(HOST_ONE, UDP, PORT, 53, 0);
	int out_port = open_6(HOST_ONE, UDP, PORT, 53, 0);
	struct frame quote = six_out_translated(&sent, (uint16_t)out_port);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	cr_assert_geq(out_port, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t got, size = error_4(&(struct message){ ROUTER_IN, ROUTER_OUT, 3, 4, rows[i].told }, &quote, in);

		run_error("too big", XDP_OUTSIDE, in, size, out, &got, REASON_icmp_error_translated);
		cr_expect_eq(out[IP + 40], 2);
		cr_expect_eq(get32(out + IP + 44), rows[i].want, "%u: %u", rows[i].told, get32(out + IP + 44));
	}
}

/* They do not end sessions, nor refresh them. */
Test(six_errors, sessions_go_on)
{
	struct frame6 sent = six_out(HOST_ONE, TCP, PORT, 443, 2);
	int out_port = open_6(HOST_ONE, TCP, PORT, 443, 2);
	struct frame quote = six_out_translated(&sent, (uint16_t)out_port), answer = six_answer(&quote);
	struct frame6 in = six_answer_translated(&answer, &sent);
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t got, size = error_4(&(struct message){ .router = EXTERNAL, .type = 3, .code = 3 }, &quote, frame);

	cr_assert_geq(out_port, 0);
	run_error("refused", XDP_OUTSIDE, frame, size, out, &got, REASON_icmp_error_translated);
	expect_6("and answered", &answer, &in);
}

/* No more than the way that the error came by takes. */
Test(six_errors, fragmentation_needed_tells_no_more_than_the_link_outside_takes)
{
	struct frame6 sent = six_out(HOST_ONE, UDP, PORT, 53, 0);
	int out_port = open_6(HOST_ONE, UDP, PORT, 53, 0);
	struct frame quote = six_out_translated(&sent, (uint16_t)out_port);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t got, size = error_4(&(struct message){ ROUTER_IN, ROUTER_OUT, 3, 4, 1450 }, &quote, in);

	cr_assert_geq(out_port, 0);
	datapath.device[outside_ifindex].mtu = 1400;
	run_error("too big", XDP_OUTSIDE, in, size, out, &got, REASON_icmp_error_translated);
	cr_expect_eq(get32(out + IP + 44), 1420, "%u", get32(out + IP + 44));
}

/* A router inside that speaks to another prefix speaks to nobody, whatever it quotes. */
Test(six_errors, to_another_prefix_are_dropped)
{
	const struct message e = { .from = ROUTER_IN, .type = 1, .code = 4 };
	const struct address6 other = { 0x20010db800640000ULL, 0 };
	struct frame6 quote = came_in(HOST_ONE, PORT);
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = error_6(&e, &quote, in), got;

	cr_assert_geq(open_6(HOST_ONE, UDP, PORT, 53, 0), 0);
	enter_prefix6(other, 96);
	put_address(in + IP + 24, (struct address6){ other.hi, EXTERNAL });
	put16(in + IP + 42, 0);
	put16(in + IP + 42, sum_6(in + IP, size - IP - 40));
	run_error("to another prefix", XDP_INSIDE, in, size, out, &got, REASON_drop_no_session);
}
