// SPDX-License-Identifier: BSD-2-Clause
/* IPv6 subscribers: packets outwards and inwards, and what opens. */
#include <criterion/criterion.h>

#include "prefix_fixture.h"

TestSuite(six_paths, .init = set_up_six, .fini = tear_down);

/* A session of each protocol: its packet outwards, twice, and the answer, twice. */
static void there_and_back(uint8_t proto, uint16_t dport, uint8_t flags)
{
	struct frame6 out = six_out(HOST_OF(0x12, 3, 0x1234), proto, 5000, dport, flags), in;
	struct frame translated = six_out_translated(&out, OUT_PORT6(5000, 0x12)), answer = six_answer(&translated);

	in = six_answer_translated(&answer, &out);
	expect_4("opens", &out, &translated);
	expect_6("answer", &answer, &in);
	expect_4("again", &out, &translated);
	expect_6("answered again", &answer, &in);
	cr_expect_eq(counted(REASON_sessions_opened), 1);
}

Test(six_paths, udp_goes_there_and_back)
{
	there_and_back(UDP, 53, 0);
}

Test(six_paths, tcp_goes_there_and_back)
{
	there_and_back(TCP, 443, 2);
}

Test(six_paths, echo_goes_there_and_back)
{
	there_and_back(ICMP6, 0, 0);
}

/* Two hosts of a subscriber have the same inside port. */
Test(six_paths, hosts_share_a_port)
{
	const struct address6 first = HOST_OF(7, 0, 0x11), second = HOST_OF(7, 1, 0x11);
	struct frame6 a = six_out(first, UDP, 4000, 53, 0), b = six_out(second, UDP, 4000, 53, 0), in;
	struct frame out_a = six_out_translated(&a, OUT_PORT6(4000, 7)), out_b, back;
	int port;

	expect_4("the first", &a, &out_a);
	port = open_6(second, UDP, 4000, 53, 0);
	cr_assert_eq(port, OUT_PORT6(4000, 7) + 1, "outside port %d", port);
	out_b = six_out_translated(&b, (uint16_t)port);
	expect_4("the second again", &b, &out_b);
	expect_4("the first again", &a, &out_a);
	back = six_answer(&out_a);
	in = six_answer_translated(&back, &a);
	expect_6("answer to the first", &back, &in);
	back = six_answer(&out_b);
	in = six_answer_translated(&back, &b);
	expect_6("answer to the second", &back, &in);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
	cr_expect_eq(host_line(7, 0).hi, 0);
	cr_expect_eq(host_line(7, 1).hi, 1);
	cr_expect_eq(be64_number(host_line(7, 1).lo), 0x11);
}

/* A host has one line for all its sessions, and one number per subscriber. */
Test(six_paths, a_host_has_one_line)
{
	for (uint16_t port = 1; port < 20; port++)
		cr_assert_geq(open_6(HOST_OF(7, 0, 0x11), UDP, port, 53, 0), 0);
	cr_expect_eq(be64_number(host_line(7, 0).lo), 0x11);
	cr_expect_eq(host_line(7, 1).lo, 0);
	cr_assert_geq(open_6(HOST_OF(8, 0, 0x12), UDP, 1, 53, 0), 0);
	cr_expect_eq(be64_number(host_line(8, 0).lo), 0x12);
}

static void open_all_hosts(uint32_t n, uint64_t first)
{
	for (uint64_t i = 0; i < HOSTS6; i++)
		cr_assert_geq(open_6(HOST_OF(n, 0, first + i), UDP, 4000, 53, 0), 0, "host %lu", (unsigned long)i);
}

/* The table of hosts is full: another one is refused, until one is silent for a minute. */
Test(six_paths, a_full_table_refuses_then_gives_way)
{
	const struct address6 late = HOST_OF(9, 0, 0x99);
	struct frame6 f = six_out(late, UDP, 4000, 53, 0);
	uint64_t before;

	open_all_hosts(9, 0x10);
	expect_dropped_6("no line", XDP_INSIDE, &f, REASON_drop_hosts);
	cr_expect_eq(counted(REASON_sessions_opened), HOSTS6);
	next_tick();
	age_6(9, 61);
	/* One has gone on: its neighbours are older. */
	cr_assert_geq(open_6(HOST_OF(9, 0, 0x10), UDP, 4000, 53, 0), 0);
	next_tick();
	before = counted(REASON_sessions_opened);
	cr_assert_geq(open_6(late, UDP, 4000, 53, 0), 0);
	cr_expect_eq(counted(REASON_sessions_opened), before + 1);
	cr_expect_eq(be64_number(host_line(9, 1).lo), 0x99, "of those silent for longest, the first gives way");
	cr_expect_eq(be64_number(host_line(9, 0).lo), 0x10);
	cr_expect_eq(sessions_6(9), HOSTS6);
}

/* A host with a session that goes on is not silent, in whichever order its sessions are looked at. */
Test(six_paths, a_host_is_as_silent_as_its_youngest_session)
{
	const struct address6 host = HOST_OF(9, 0, 0x10), late = HOST_OF(9, 0, 0x99);
	struct frame6 f = six_out(late, UDP, 4000, 53, 0);
	int other;

	open_all_hosts(9, 0x10);
	other = open_6(host, UDP, 4100, 53, 0);
	cr_assert_geq(other, 0);
	age_port_6(9, OUT_PORT6(4000, 9), 61);
	next_tick();
	expect_dropped_6("one of its sessions is young", XDP_INSIDE, &f, REASON_drop_hosts);
	cr_assert_eq(open_6(host, UDP, 4000, 53, 0), OUT_PORT6(4000, 9));
	age_port_6(9, other, 61);
	next_tick();
	expect_dropped_6("the other one is", XDP_INSIDE, &f, REASON_drop_hosts);
	age_port_6(9, OUT_PORT6(4000, 9), 61);
	next_tick();
	cr_assert_geq(open_6(late, UDP, 4000, 53, 0), 0);
	cr_expect_eq(be64_number(host_line(9, 0).lo), 0x99);
	cr_expect_eq(sessions_6(9), HOSTS6, "both of its sessions have ended");
}

/* Hosts whose sessions have expired leave their lines to others, the lowest first. */
Test(six_paths, expired_hosts_make_room)
{
	open_all_hosts(9, 0x10);
	age_6(9, 301);
	next_tick();
	cr_assert_geq(open_6(HOST_OF(9, 0, 0x99), UDP, 4000, 53, 0), 0);
	cr_expect_eq(be64_number(host_line(9, 0).lo), 0x99);
	cr_expect_eq(host_line(9, 1).lo, 0);
}

/* An address of a line that is another host's by now finds no session. */
Test(six_paths, a_session_is_of_its_host_alone)
{
	struct frame6 sent = six_out(HOST_OF(9, 0, 0x10), TCP, 4000, 443, 2);

	cr_assert_geq(open_6(sent.src, TCP, 4000, 443, 2), 0);
	sent.src.lo = 0x11;
	cr_assert_eq(open_6(sent.src, TCP, 4000, 443, 0x10), OUT_PORT6(4000, 9) + 1);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
}

/* The states of TCP are those of IPv4. */
Test(six_paths, tcp_is_followed)
{
	static const struct {
		bool out;
		uint8_t flags, state;
	} steps[] = {
		{ true, 0x02, SESSION_SYN_SENT },    { false, 0x12, SESSION_SYN_ANSWERED },
		{ true, 0x10, SESSION_ESTABLISHED }, { false, 0x18, SESSION_ESTABLISHED },
		{ true, 0x11, SESSION_FIN_WAIT },    { false, 0x11, SESSION_LAST_ACK_IN },
		{ true, 0x10, SESSION_TIME_WAIT },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct frame6 out = six_out(HOST_OF(5, 0, 1), TCP, 4000, 443, steps[i].flags), in;
		struct frame translated = six_out_translated(&out, OUT_PORT6(4000, 5)), back;

		back = six_answer(&translated);
		back.flags = steps[i].flags;
		in = six_answer_translated(&back, &out);
		if (steps[i].out)
			expect_4("out", &out, &translated);
		else
			expect_6("in", &back, &in);
		cr_expect_eq(only_session(VIRTUAL + 5).state, steps[i].state, "after step %zu", i);
	}
}

/* DF is set above 1260 octets of IPv4, and the identification is none; below there is one that nobody can guess. */
Test(six_paths, lengths_decide_about_df)
{
	struct frame6 f = six_out(HOST_OF(5, 0, 1), UDP, 4000, 53, 0);
	struct frame out;

	for (f.payload = 1230; f.payload < 1236; f.payload++) {
		out = six_out_translated(&f, OUT_PORT6(4000, 5));
		expect_4("length", &f, &out);
	}
}

/* Packets from the mapping's own prefix to a subscriber are the gateway's alone. */
Test(six_paths, forged_packets_are_dropped)
{
	struct frame6 f = { .from = ROUTER,
			    .to = GATEWAY_OUT,
			    .src = NAT64(EXTERNAL),
			    .dst = HOST_OF(5, 0, 1),
			    .proto = UDP,
			    .sport = 53,
			    .dport = 4000,
			    .payload = 30 };

	expect_dropped_6("from outside", XDP_OUTSIDE, &f, REASON_drop_spoofed);
	f.from = HOST;
	f.to = GATEWAY_IN;
	expect_dropped_6("from inside", XDP_INSIDE, &f, REASON_drop_spoofed);
	f.src = (struct address6){ 0x20010db8ffff0000ULL, 1 };
	f.dst = NAT64(EXTERNAL);
	expect_dropped_6("a stranger to the prefix, from inside", XDP_INSIDE, &f, REASON_drop_no_mapping);
	f.from = ROUTER;
	f.to = GATEWAY_OUT;
	expect_dropped_6("and from outside", XDP_OUTSIDE, &f, REASON_drop_martian);
	f.src = HOST_OF(5, 0, 1);
	expect_dropped_6("with a subscriber's address, from outside", XDP_OUTSIDE, &f, REASON_drop_martian);
}

/* Native packets of IPv6 are the kernel's, as they came. */
Test(six_paths, native_packets_pass)
{
	struct frame6 f = six_out(HOST_OF(5, 0, 1), UDP, 4000, 53, 0);
	uint8_t got[FRAME_MAX], want[FRAME_MAX];
	size_t size, want_size;

	f.dst = (struct address6){ 0x20010db8ffff0000ULL, 1 };
	want_size = frame6_build(&f, want);
	cr_expect_eq(run_6(XDP_INSIDE, &f, got, &size), PASS_XDP);
	cr_expect(frame_equal("native", got, size, want, want_size));
	cr_expect_eq(counted(REASON_passed_untranslated), 1);
}

static void expect_native(const char *name, const struct frame6 *f)
{
	uint8_t got[FRAME_MAX], want[FRAME_MAX];
	size_t size, want_size = frame6_build(f, want);
	uint64_t before = counted(REASON_passed_untranslated);

	cr_expect_eq(run_6(XDP_INSIDE, f, got, &size), PASS_XDP, "%s", name);
	cr_expect(frame_equal(name, got, size, want, want_size));
	cr_expect_eq(counted(REASON_passed_untranslated), before + 1, "%s", name);
}

/* Of a subscriber, whose prefix is another one; not of others, who have no address outside. */
Test(six_paths, a_subscriber_to_anothers_prefix_is_native)
{
	const struct address6 other = { 0x20010db800640000ULL, 0 };
	struct frame6 f = six_out(HOST_OF(5, 0, 1), UDP, 4000, 53, 0);

	f.dst = (struct address6){ other.hi, EXTERNAL };
	expect_native("before there is such a prefix", &f);
	enter_prefix6(other, 96);
	expect_native("a subscriber", &f);
	f.src = (struct address6){ 0x20010db8ffff0000ULL, 1 };
	expect_dropped_6("a stranger", XDP_INSIDE, &f, REASON_drop_no_mapping);
	cr_expect_eq(counted(REASON_sessions_opened), 0);
}

/* Frames for another station, which a card hears that is promiscuous, are not the gateway's to translate. */
Test(six_paths, frames_for_other_stations_are_not_translated)
{
	struct frame6 f = six_out(HOST_OF(5, 0, 1), UDP, 4000, 53, 0);

	f.to = NOBODY;
	expect_native("another station's", &f);
	cr_expect_eq(counted(REASON_sessions_opened), 0);
}
