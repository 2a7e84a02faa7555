// SPDX-License-Identifier: BSD-2-Clause
/* The fast path of IPv6 subscribers: what it handles comes out as from the slow path, which is not there. */
#include <criterion/criterion.h>

#include "prefix_fixture.h"

TestSuite(six_fast, .init = set_up_six, .fini = tear_down);

/* A flow, both ways, as its packets are once its session is established. */
struct flow6 {
	struct frame6 out, in;
	struct frame translated, answer;
};

static struct flow6 flow_of(struct address6 host, uint8_t proto, uint16_t sport, uint16_t dport, uint32_t n)
{
	struct flow6 f = { .out = six_out(host, proto, sport, dport, 0x10) };

	f.translated = six_out_translated(&f.out, OUT_PORT6(sport, n));
	f.answer = six_answer(&f.translated);
	f.in = six_answer_translated(&f.answer, &f.out);
	return f;
}

static void establish(const struct flow6 *f)
{
	struct frame6 syn = f->out;
	struct frame answer = f->answer;
	struct frame6 in = f->in;

	syn.flags = 2;
	answer.flags = in.flags = 0x12;
	cr_assert_geq(open_6(syn.src, syn.proto, syn.sport, syn.dport, syn.flags), 0);
	expect_6("the answer", &answer, &in);
	expect_4("established", &f->out, &f->translated);
}

Test(six_fast, established_sessions_need_nothing_else)
{
	struct flow6 udp = flow_of(HOST_OF(0x12, 3, 0x1234), UDP, 5000, 53, 0x12);
	struct flow6 tcp = flow_of(HOST_OF(0x13, 0xff, 0xfeedULL << 48 | 1), TCP, 5001, 443, 0x13);

	establish(&udp);
	establish(&tcp);
	fast_path_alone();
	for (int i = 0; i < 3; i++) {
		expect_4("UDP out", &udp.out, &udp.translated);
		expect_6("UDP in", &udp.answer, &udp.in);
		expect_4("TCP out", &tcp.out, &tcp.translated);
		expect_6("TCP in", &tcp.answer, &tcp.in);
		next_tick();
	}
	cr_expect_eq(counted(REASON_no_program), 0);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
}

/* Each host's session is its own, also with the same inside port. */
Test(six_fast, hosts_are_compared)
{
	struct flow6 one = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12), other = one;

	establish(&one);
	fast_path_alone();
	other.out.src.lo = 0x12;
	expect_left_6("another host", &other.out);
	other.out.src = HOST_OF(0x12, 1, 0x11);
	expect_left_6("another network", &other.out);
	expect_4("the host", &one.out, &one.translated);
}

/* A refresh changes last seen alone: the host stays. */
Test(six_fast, a_refresh_keeps_the_host)
{
	struct flow6 first = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);
	struct flow6 second = flow_of(HOST_OF(0x12, 0, 0x22), UDP, 5001, 53, 0x12);

	establish(&first);
	establish(&second);
	fast_path_alone();
	age_6(0x12, 100);
	expect_4("refreshed", &second.out, &second.translated);
	expect_6("its host is known", &second.answer, &second.in);
	cr_expect_lt(age_of_6(0x12, OUT_PORT6(5001, 0x12)), 3);
	cr_expect_geq(age_of_6(0x12, OUT_PORT6(5000, 0x12)), (int)ticks_of_seconds(100, datapath.hz));
}

/* What the fast path does not know at once it leaves as it was. */
Test(six_fast, others_are_left)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);
	struct frame6 other;
	struct frame answer;

	establish(&f);
	fast_path_alone();
	other = f.out;
	other.hops = 1;
	expect_left_6("hop limit", &other);
	other = f.out;
	other.options = NO_UDP_CHECKSUM;
	expect_left_6("no checksum", &other);
	other = f.out;
	other.dst.hi ^= 1;
	expect_left_6("another prefix", &other);
	other = f.out;
	other.payload = 1480;
	expect_left_6("too long", &other);
	answer = f.answer;
	answer.options = NO_UDP_CHECKSUM;
	expect_left_4("an answer without checksum", &answer);
	answer = f.answer;
	answer.ttl = 1;
	expect_left_4("TTL", &answer);
	answer = f.answer;
	answer.payload = 1250;
	expect_left_4("to be cut", &answer);
}

/* A wrong header checksum is seen, as nothing behind would see it. */
Test(six_fast, a_wrong_header_checksum_is_left)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);
	uint8_t frame[FRAME_MAX], got[FRAME_MAX];
	size_t size;

	establish(&f);
	fast_path_alone();
	size = frame_build(&f.answer, frame);
	frame[24]++;
	cr_expect_eq(run_frame(XDP_OUTSIDE, frame, size, got, &size), PASS_XDP);
	cr_expect_eq(counted(REASON_no_program), 1);
}

/* A wrong checksum of the transport header stays wrong. */
Test(six_fast, wrong_sums_stay_wrong)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), TCP, 5000, 443, 0x12);

	establish(&f);
	fast_path_alone();
	f.out.options = f.translated.options = WRONG_CHECKSUM;
	expect_4("out", &f.out, &f.translated);
	f.answer.options = f.in.options = WRONG_CHECKSUM;
	expect_6("in", &f.answer, &f.in);
}

/* Closing segments change the session's state. */
Test(six_fast, segments_that_open_close_or_reset_are_left)
{
	static const uint8_t flags[] = { 0x02, 0x11, 0x14, 0x18 | 0x01 };
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), TCP, 5000, 443, 0x12);

	establish(&f);
	fast_path_alone();
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct frame6 out = f.out;
		struct frame answer = f.answer;

		out.flags = answer.flags = flags[i];
		expect_left_6("out", &out);
		expect_left_4("in", &answer);
	}
}

Test(six_fast, a_refresh_needs_a_source_that_the_agent_vouches_for)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);

	establish(&f);
	fast_path_alone();
	datapath.global->sources_until = datapath_ticks(&datapath) - 1;
	age_6(0x12, 100);
	expect_left_6("not vouched for", &f.out);
	cr_expect_geq(age_of_6(0x12, OUT_PORT6(5000, 0x12)), (int)ticks_of_seconds(100, datapath.hz));
}

Test(six_fast, an_expired_session_is_left)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);

	establish(&f);
	fast_path_alone();
	age_6(0x12, 4000);
	expect_left_6("out", &f.out);
	expect_left_4("in", &f.answer);
}

Test(six_fast, answers_that_refresh_are_left_where_they_may)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);

	settings.udp_inbound_refresh = 1;
	reload_settings();
	establish(&f);
	fast_path_alone();
	age_6(0x12, 100);
	expect_left_4("in", &f.answer);
}

/* What a router could not have cut has DF, and no identification. */
Test(six_fast, df_is_set_above_1260_octets)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);

	establish(&f);
	fast_path_alone();
	for (uint16_t payload = 1260 - 28 - 2; payload < 1260 - 28 + 3; payload++) {
		f.out.payload = f.translated.payload = payload;
		expect_4("out", &f.out, &f.translated);
	}
}

/* Of all ports of servers, one makes the checksum come out as 0. */
Test(six_fast, a_checksum_of_0_is_sent_as_ffff)
{
	uint8_t frame[FRAME_MAX] = { 0 };
	uint16_t dport = 0;
	struct flow6 f;

	do {
		f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, ++dport, 0x12);
		frame_build(&f.translated, frame);
	} while (dport < 0xffff && (frame[40] != 0xff || frame[41] != 0xff));
	cr_assert_eq(frame[40] << 8 | frame[41], 0xffff);
	establish(&f);
	fast_path_alone();
	expect_4("out", &f.out, &f.translated);
}

/* The flow of a host by a prefix of another length, which the record has from now on. */
static struct flow6 flow_by(unsigned plen)
{
	const struct mapping *m = mappings_get(mappings, mappings_find_any(mappings, VIRTUAL));
	const struct address6 prefix = { 0x20010db800000000ULL, 0 };
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, (uint16_t)(5000 + plen), 53, 0x12);

	record6_set_prefix(&datapath.record6[m->record6], &prefix, plen);
	f.out.dst = f.in.src = nat64_embed(&prefix, plen, EXTERNAL);
	f.translated.dst = f.answer.src = EXTERNAL;
	return f;
}

/* IPv4 addresses are around octet u. */
Test(six_fast, prefixes_are_of_any_length)
{
	struct flow6 f;

	for (unsigned plen = 32; plen <= 64; plen += 8) {
		f = flow_by(plen);
		expect_4("opens", &f.out, &f.translated);
	}
	fast_path_alone();
	for (unsigned plen = 32; plen <= 64; plen += 8) {
		f = flow_by(plen);
		expect_4("out", &f.out, &f.translated);
		expect_6("in", &f.answer, &f.in);
		f.out.dst.lo |= NAT64_U_OCTET;
		expect_left_6("octet u", &f.out);
	}
}

Test(six_fast, each_source_is_checked_where_it_must_be)
{
	struct flow6 f = flow_of(HOST_OF(0x12, 0, 0x11), UDP, 5000, 53, 0x12);

	establish(&f);
	settings.source_check = SOURCES_STRICT_EACH;
	reload_settings();
	fast_path_alone();
	expect_left_6("out", &f.out);
}
