// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hairpins of IPv6 subscribers: to another, to one of IPv4 and from one, with fragments and errors. Each side sees the
 * other's outside endpoint.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "six_error_frame.h"
#include "tables/portmap_table.h"

static void set_up_hairpins(void)
{
	settings.hairpin = 1;
	set_up_six();
}

TestSuite(six_hairpins, .init = set_up_hairpins, .fini = tear_down);

static void set_up_beyond(void);

/* The same of sessions in extents. */
TestSuite(six_hairpins_beyond, .init = set_up_beyond, .fini = tear_down);

#define IP	 14
#define N_A	 0x12
#define N_B	 0x23
#define HOST_A	 HOST_OF(N_A, 3, 0x1234)
#define HOST_B	 HOST_OF(N_B, 1, 0x77)
#define OUT_A	 (POOL6 + N_A / 64)
#define OUT_B	 (POOL6 + N_B / 64)
#define PORT_A	 5000
#define PORT_B	 6000
#define PORT_4	 7000 /* of SUBSCRIBER, an IPv4 one */
#define OUT_4	 POOL
#define AT_A	 OUT_PORT6(PORT_A, N_A)
#define AT_B	 OUT_PORT6(PORT_B, N_B)
#define AT_4	 OUT_PORT(PORT_4, 2)
#define GATEWAY6 ((struct address6){ 0x20010db800000000ULL, 1 })
#define PAYLOAD	 30
#define FROM_4	 .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER

static void set_up_beyond(void)
{
	settings.hairpin = 1;
	set_up_six_crowded();
	crowd_6(N_A);
	crowd_6(N_B);
}

/* A datagram of a host to an outside endpoint, and what arrives of one at a host. */
static struct frame6 sent_6(struct address6 host, uint16_t port, uint32_t to, uint16_t at)
{
	struct frame6 f = six_out(host, UDP, port, at, 0);

	f.dst = NAT64(to);
	f.payload = PAYLOAD;
	return f;
}

static struct frame6 arrives_6(struct address6 host, uint16_t port, uint32_t from, uint16_t at)
{
	return (struct frame6){ .from = GATEWAY_IN,
				.to = HOST,
				.src = NAT64(from),
				.dst = host,
				.proto = UDP,
				.sport = at,
				.dport = port,
				.hops = 63,
				.payload = PAYLOAD };
}

static struct frame sent_4(uint32_t to, uint16_t at)
{
	return (struct frame){ FROM_4, .dst = to, .proto = UDP, .sport = PORT_4, .dport = at, .payload = PAYLOAD };
}

static struct frame arrives_4(uint32_t src, uint16_t sport, uint16_t dport)
{
	return (struct frame){ .from = GATEWAY_IN,
			       .to = HOST,
			       .src = src,
			       .dst = SUBSCRIBER,
			       .proto = UDP,
			       .sport = sport,
			       .dport = dport,
			       .ttl = 63,
			       .payload = PAYLOAD };
}

/* Shows all counters that are not 0 if one is not what it should be. */
static void expect_counted(const char *name, enum reason reason, uint64_t wanted)
{
	cr_expect_eq(counted(reason), wanted, "%s: counted otherwise", name);
	for (int i = 0; counted(reason) != wanted && i < N_REASONS; i++)
		if (counted(i))
			cr_log_warn("reason %d: %lu", i, counted(i));
}

static void run_hairpin(const char *name, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size,
			enum reason reason)
{
	uint64_t before = counted(reason);
	int passes = reason == REASON_hairpin_translated || reason == REASON_icmp_error_translated;
	int verdict = run_frame(XDP_INSIDE, in, size, out, ret_size);

	cr_expect_eq(verdict, passes ? REDIRECT_XDP : DROP_XDP, "%s: verdict %d", name, verdict);
	expect_counted(name, reason, before + 1);
}

/* The traffic class is the sender's: frame.h knows none. */
static void same_class(uint8_t *want, const uint8_t *got)
{
	memcpy(want + IP, got + IP, 2);
	if (want[12] == 8) {
		memset(want + IP + 10, 0, 2);
		uint16_t sum;

		memcpy(want + IP + 4, got + IP + 4, 4); /* identification, DF */
		sum = sum_finish(sum_octets(want + IP, 20, 0));
		want[IP + 10] = (uint8_t)(sum >> 8);
		want[IP + 11] = (uint8_t)sum;
	}
}

static void from_6(const char *name, struct frame6 in, const struct frame6 *out6, const struct frame *out4)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t got_size, size = frame6_build(&in, frame), want_size;
	enum reason reason = out6 || out4 ? REASON_hairpin_translated : REASON_drop_no_session;

	run_hairpin(name, frame, size, got, &got_size, reason);
	if (reason != REASON_hairpin_translated)
		return;
	want_size = out6 ? frame6_build(out6, want) : frame_build(out4, want);
	same_class(want, got);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

static void from_4(const char *name, struct frame in, const struct frame6 *out6)
{
	uint8_t frame[FRAME_MAX], got[FRAME_MAX], want[FRAME_MAX];
	size_t got_size, size = frame_build(&in, frame), want_size;

	run_hairpin(name, frame, size, got, &got_size, out6 ? REASON_hairpin_translated : REASON_drop_no_session);
	if (!out6)
		return;
	want_size = frame6_build(out6, want);
	same_class(want, got);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

static void pass_between_two_of_ipv6(void)
{
	struct frame6 at_a = arrives_6(HOST_A, PORT_A, OUT_B, AT_B), at_b = arrives_6(HOST_B, PORT_B, OUT_A, AT_A);

	from_6("the first one opens its own session", sent_6(HOST_A, PORT_A, OUT_B, AT_B), NULL, NULL);
	from_6("the other's arrives", sent_6(HOST_B, PORT_B, OUT_A, AT_A), &at_a, NULL);
	from_6("and the first one's", sent_6(HOST_A, PORT_A, OUT_B, AT_B), &at_b, NULL);
}

Test(six_hairpins, between_two_of_ipv6)
{
	pass_between_two_of_ipv6();
}

Test(six_hairpins_beyond, between_two_of_ipv6)
{
	pass_between_two_of_ipv6();
	cr_expect_eq(counted(REASON_sessions_overflowed), 2);
}

Test(six_hairpins, between_hosts_of_one_subscriber)
{
	struct address6 other = HOST_OF(N_A, 3, 0x9999);
	struct frame6 at_a = arrives_6(HOST_A, PORT_A, OUT_A, AT_A + 1);

	from_6("one", sent_6(HOST_A, PORT_A, OUT_A, AT_A + 1), NULL, NULL);
	from_6("the other", sent_6(other, PORT_A + 1, OUT_A, AT_A), &at_a, NULL);
}

static void pass_between_both_families(void)
{
	struct frame6 at_a = arrives_6(HOST_A, PORT_A, OUT_4, AT_4);
	struct frame at_4 = arrives_4(OUT_A, AT_A, PORT_4);

	from_6("of IPv6", sent_6(HOST_A, PORT_A, OUT_4, AT_4), NULL, NULL);
	from_4("of IPv4", sent_4(OUT_A, AT_A), &at_a);
	from_6("of IPv6 again", sent_6(HOST_A, PORT_A, OUT_4, AT_4), NULL, &at_4);
}

Test(six_hairpins, between_one_of_ipv6_and_one_of_ipv4)
{
	pass_between_both_families();
}

Test(six_hairpins_beyond, between_one_of_ipv6_and_one_of_ipv4)
{
	pass_between_both_families();
	cr_expect_eq(counted(REASON_sessions_overflowed), 1);
}

Test(six_hairpins, of_ipv4_first)
{
	struct frame6 at_a = arrives_6(HOST_A, PORT_A, OUT_4, AT_4);
	struct frame at_4 = arrives_4(OUT_A, AT_A, PORT_4);

	from_4("of IPv4", sent_4(OUT_A, AT_A), NULL);
	from_6("to a port of nobody", sent_6(HOST_A, PORT_A, OUT_4, AT_4 + 1), NULL, NULL);
	from_4("from another port than the session's", sent_4(OUT_A, AT_A), NULL);
	from_6("of IPv6 opens a session with it", sent_6(HOST_A, PORT_A, OUT_4, AT_4), NULL, &at_4);
	from_4("of IPv4", sent_4(OUT_A, AT_A), &at_a);
}

Test(six_hairpins, only_where_they_are_allowed)
{
	settings.hairpin = 0;
	reload_settings();
	from_6("to one of IPv6", sent_6(HOST_A, PORT_A, OUT_B, AT_B), NULL, NULL);
	from_6("to one of IPv4", sent_6(HOST_A, PORT_A, OUT_4, AT_4), NULL, NULL);
	cr_expect_eq(counted(REASON_sessions_opened), 0);
}

/* A first or last piece of a datagram of IPv6, of two. */
static size_t piece_6(struct frame6 whole, bool last, uint8_t *ret)
{
	uint8_t octets[FRAME_MAX];
	unsigned start = last ? 16 : 0, end = last ? 8 + PAYLOAD : 16;

	frame6_build(&whole, octets);
	memset(ret, 0, FRAME_MAX);
	memcpy(ret, octets, IP + 40);
	put16(ret + IP + 4, 8 + end - start);
	ret[IP + 6] = 44;
	ret[IP + 40] = octets[IP + 6];
	put16(ret + IP + 42, start | !last);
	put16(ret + IP + 46, 0x77);
	memcpy(ret + IP + 48, octets + IP + 40 + start, end - start);
	return IP + 48 + end - start;
}

static size_t piece_4(struct frame whole, bool last, uint8_t *ret)
{
	uint8_t octets[FRAME_MAX];

	frame_build(&whole, octets);
	return frame_fragment(octets, 0x77, last ? 16 : 0, last ? 8 + PAYLOAD : 16, !last, ret);
}

static void expect_piece(const char *name, const uint8_t *in, size_t size, uint8_t *want, size_t want_size)
{
	uint8_t got[FRAME_MAX];
	size_t got_size;

	run_hairpin(name, in, size, got, &got_size, REASON_hairpin_translated);
	same_class(want, got);
	cr_expect(frame_equal(name, got, got_size, want, want_size), "%s: another packet", name);
}

static void pass_in_fragments(void)
{
	struct frame6 a_to_b = sent_6(HOST_A, PORT_A, OUT_B, AT_B), at_b = arrives_6(HOST_B, PORT_B, OUT_A, AT_A);
	struct frame6 a_to_4 = sent_6(HOST_A, PORT_A, OUT_4, AT_4), at_a = arrives_6(HOST_A, PORT_A, OUT_4, AT_4);
	struct frame6 b_at_a = arrives_6(HOST_A, PORT_A, OUT_B, AT_B);
	struct frame at_4 = arrives_4(OUT_A, AT_A, PORT_4);
	uint8_t in[FRAME_MAX], want[FRAME_MAX];
	size_t size;

	from_6("A's session with B", a_to_b, NULL, NULL);
	from_6("B's session with A", sent_6(HOST_B, PORT_B, OUT_A, AT_A), &b_at_a, NULL);
	for (int last = 0; last < 2; last++) {
		size = piece_6(a_to_b, last, in);
		expect_piece(last ? "last, to one of IPv6" : "first, to one of IPv6", in, size, want,
			     piece_6(at_b, last, want));
	}
	from_4("the session of IPv4", sent_4(OUT_A, AT_A), NULL);
	for (int last = 0; last < 2; last++) {
		size = piece_6(a_to_4, last, in);
		expect_piece(last ? "last, to one of IPv4" : "first, to one of IPv4", in, size, want,
			     piece_4(at_4, last, want));
	}
	for (int last = 0; last < 2; last++) {
		size = piece_4(sent_4(OUT_A, AT_A), last, in);
		expect_piece(last ? "last, of one of IPv4" : "first, of one of IPv4", in, size, want,
			     piece_6(at_a, last, want));
	}
}

Test(six_hairpins, in_fragments)
{
	pass_in_fragments();
}

Test(six_hairpins_beyond, in_fragments)
{
	pass_in_fragments();
	cr_expect_eq(counted(REASON_sessions_overflowed), 3);
}

/* Sessions of A with B and with the one of IPv4, and theirs with A. */
static void open_all(void)
{
	struct frame6 b_at_a = arrives_6(HOST_A, PORT_A, OUT_B, AT_B), at_a = arrives_6(HOST_A, PORT_A, OUT_4, AT_4);

	from_6("A's session with B", sent_6(HOST_A, PORT_A, OUT_B, AT_B), NULL, NULL);
	from_6("B's session with A", sent_6(HOST_B, PORT_B, OUT_A, AT_A), &b_at_a, NULL);
	from_6("A's session with one of IPv4", sent_6(HOST_A, PORT_A, OUT_4, AT_4), NULL, NULL);
	from_4("and its with A", sent_4(OUT_A, AT_A), &at_a);
}

/* An error that arrives at a host of IPv6 is of this type, with this field, and about what it has sent. */
static void expect_about_6(const char *name, const uint8_t *got, size_t size, uint8_t type, uint32_t field,
			   struct frame6 sent)
{
	uint8_t want[FRAME_MAX], host[16];
	size_t quoted = frame6_build(&sent, want) - IP;

	put_address(host, sent.src);
	quoted = quoted < size - IP - 48 ? quoted : size - IP - 48;
	cr_expect_eq(got[5], HOST, "%s: station", name);
	cr_expect_arr_eq(got + IP + 24, host, 16, "%s: destination", name);
	cr_expect_eq(got[IP + 40], type, "%s: type %u", name, got[IP + 40]);
	cr_expect_eq(get32(got + IP + 44), field, "%s: field %u", name, get32(got + IP + 44));
	cr_expect_eq(sum_6(got + IP, size - IP - 40), 0, "%s: checksum", name);
	/* Traffic class, flow label and hop limit may be others. */
	cr_expect_arr_eq(got + IP + 48 + 8, want + IP + 8, quoted - 8, "%s: quote", name);
}

/* The same of IPv4. */
static void expect_about_4(const char *name, const uint8_t *got, size_t size, uint8_t type, uint32_t field,
			   struct frame sent)
{
	uint8_t want[FRAME_MAX];
	size_t quoted = frame_build(&sent, want) - IP;

	quoted = quoted < size - IP - 28 ? quoted : size - IP - 28;
	cr_expect_eq(got[5], HOST, "%s: station", name);
	cr_expect_eq(get32(got + IP + 16), SUBSCRIBER, "%s: destination", name);
	cr_expect_eq(got[IP + 20], type, "%s: type %u", name, got[IP + 20]);
	cr_expect_eq(get32(got + IP + 24), field, "%s: field %u", name, get32(got + IP + 24));
	cr_expect_eq(sum_finish(sum_octets(got + IP + 20, size - IP - 20, 0)), 0, "%s: checksum", name);
	cr_expect_arr_eq(got + IP + 28 + 12, want + IP + 12, quoted - 12, "%s: quote", name);
}

static void errors_reach_their_senders(void)
{
	const struct message unreachable = { .from = HOST_A, .type = 1, .code = 4 };
	const struct message by_4 = { .router = SUBSCRIBER, .type = 3, .code = 3 };
	struct frame6 from_b = arrives_6(HOST_A, PORT_A, OUT_B, AT_B), of_4 = arrives_6(HOST_A, PORT_A, OUT_4, AT_4);
	struct frame of_a = arrives_4(OUT_A, AT_A, PORT_4);
	uint8_t in[FRAME_MAX], got[FRAME_MAX];
	size_t size, got_size;

	open_all();
	size = error_6(&unreachable, &from_b, in);
	run_hairpin("of IPv6 to IPv6", in, size, got, &got_size, REASON_icmp_error_translated);
	expect_about_6("of IPv6 to IPv6", got, got_size, 1, 0, sent_6(HOST_B, PORT_B, OUT_A, AT_A));
	size = error_6(&unreachable, &of_4, in);
	run_hairpin("of IPv6 to IPv4", in, size, got, &got_size, REASON_icmp_error_translated);
	expect_about_4("of IPv6 to IPv4", got, got_size, 3, 0, sent_4(OUT_A, AT_A));
	size = error_4(&by_4, &of_a, in);
	in[5] = GATEWAY_IN;
	in[11] = HOST;
	run_hairpin("of IPv4 to IPv6", in, size, got, &got_size, REASON_icmp_error_translated);
	expect_about_6("of IPv4 to IPv6", got, got_size, 1, 0, sent_6(HOST_A, PORT_A, OUT_4, AT_4));
	/* IPv6 has none in fragments (RFC 7915 section 1.2). */
	size = frame_fragment(in, 1, 0, 40, true, got);
	run_hairpin("of IPv4 to IPv6, the first fragment", got, size, in, &got_size, REASON_drop_fragment);
}

Test(six_hairpins, errors_reach_the_sender_of_either_family)
{
	errors_reach_their_senders();
}

Test(six_hairpins_beyond, errors_reach_the_sender_of_either_family)
{
	errors_reach_their_senders();
	cr_expect_eq(counted(REASON_sessions_overflowed), 3);
}

/* The same MTU after both translations: what the receiver's link has. */
Test(six_hairpins, packet_too_big_reaches_the_sender_of_either_family)
{
	struct frame6 to_4 = sent_6(HOST_A, PORT_A, OUT_4, AT_4);
	struct frame to_a = sent_4(OUT_A, AT_A);
	uint8_t in[FRAME_MAX], got[FRAME_MAX];
	size_t size, got_size;

	open_all();
	/* tc tells the sender from the gateway's own address, XDP from that of IPv4. */
	put_address(datapath.address6[inside_ifindex].octet, GATEWAY6);
	datapath.device[inside_ifindex].mtu = 1400;
	to_4.payload = 1430;
	size = frame6_build(&to_4, in);
	run_frame(XDP_INSIDE, in, size, got, &got_size);
	cr_expect_eq(counted(REASON_drop_too_big), 1);
	expect_about_6("to one of IPv4", got, got_size, 2, 1400, to_4);
	cr_expect_leq(got_size, IP + 1280);
	to_a.payload = 1430;
	to_a.options = DONT_FRAGMENT;
	size = frame_build(&to_a, in);
	run_frame(XDP_INSIDE, in, size, got, &got_size);
	expect_counted("too long", REASON_drop_too_big, 2);
	expect_about_4("to one of IPv6", got, got_size, 3, 1380, to_a);
	cr_expect_leq(got_size, IP + 576);
}

/* What claims outside to come from the other one's endpoint is forged: the fast path leaves it, and it is dropped. */
Test(six_hairpins, are_not_entered_from_outside)
{
	struct frame forged = { .from = ROUTER,
				.to = GATEWAY_OUT,
				.src = OUT_B,
				.dst = OUT_A,
				.proto = UDP,
				.sport = AT_B,
				.dport = AT_A,
				.payload = PAYLOAD };
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t size = frame_build(&forged, frame), got_size;

	open_all();
	cr_expect_eq(run_frame(XDP_OUTSIDE, frame, size, got, &got_size), DROP_XDP);
	expect_counted("forged", REASON_drop_martian, 1);
	fast_path_alone();
	expect_left_4("forged", &forged);
}

/* A portmap of IPv4 says who gets in, also of IPv6 subscribers, by their outside endpoint. */
Test(six_hairpins, to_a_portmap_pass_its_filters)
{
	struct portmap m = { .in = { SUBSCRIBER, 8080 }, .out = { POOL, 443 }, .proto = UDP };
	struct frame at_4 = arrives_4(OUT_A, AT_A, 8080);
	struct portmaps *portmaps;
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	struct frame6 sent = sent_6(HOST_A, PORT_A, POOL, 443);
	size_t size = frame6_build(&sent, frame), got_size;
	struct error err;

	settings.portmaps = 1;
	reload_settings();
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	cr_assert(portmap_filters_add(&m.filters, OUT_A, 32, AT_A + 1));
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	run_hairpin("another port", frame, size, got, &got_size, REASON_drop_portmap_filter);
	cr_assert(portmap_filters_add(&m.filters, OUT_A, 32, AT_A));
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	from_6("its own", sent, NULL, &at_4);
	portmaps_close(portmaps);
}
