// SPDX-License-Identifier: BSD-2-Clause
/* Inside to outside: the XDP program of the inside, and tc at egress of the outside. Whole packets are compared. */
#include <errno.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "fixture.h"
#include "late_tc.h"

TestSuite(in2out, .init = set_up, .fini = tear_down);

#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define LEFT	  REDIRECT_XDP
#define UP	  PASS_XDP, {}, REASON_passed_untranslated
/* The row of a packet of the subscriber at egress: its source is translated, its stations stay. */
#define TRANSLATED .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL
#define AT_TC(name_, proto_, port_, to_, ...)                                                                  \
	{                                                                                                      \
		name_, TC_OUTSIDE, { FROM_HOST, proto_, port_, to_, __VA_ARGS__ }, PASS_TC,                    \
			{ TRANSLATED, proto_, OUT_PORT(port_, 2), to_, __VA_ARGS__ }, REASON_in2out_translated \
	}

Test(in2out, translates)
{
	static const struct row rows[] = {
		{ "TCP SYN",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6303, 443, .flags = 2 },
		  LEFT,
		  { TO_ROUTER, TCP, OUT_PORT(6303, 2), 443, .flags = 2 },
		  REASON_in2out_translated },
		{ "the same flow again, with data",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6303, 443, .flags = 0x18, .payload = 100 },
		  LEFT,
		  { TO_ROUTER, TCP, OUT_PORT(6303, 2), 443, .flags = 0x18, .payload = 100 },
		  REASON_in2out_translated },
		{ "UDP of odd length",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53, .payload = 37 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2), 53, .payload = 37 },
		  REASON_in2out_translated },
		{ "UDP without payload",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 1, 65535 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(1, 2), 65535 },
		  REASON_in2out_translated },
		{ "UDP checksum 0 stays 0",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6305, 53, .options = NO_UDP_CHECKSUM },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(6305, 2), 53, .options = NO_UDP_CHECKSUM },
		  REASON_in2out_translated },
		{ "ICMP echo request",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 6305, .payload = 56 },
		  LEFT,
		  { TO_ROUTER, ICMP, OUT_PORT(6305, 2), .payload = 56 },
		  REASON_in2out_translated },
		{ "IP options are kept",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6306, 80, .flags = 2, .ip_options = 40 },
		  LEFT,
		  { TO_ROUTER, TCP, OUT_PORT(6306, 2), 80, .flags = 2, .ip_options = 40 },
		  REASON_in2out_translated },
		{ "Ethernet padding is no part of the packet",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6307, 53, .options = PADDED },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(6307, 2), 53, .options = PADDED },
		  REASON_in2out_translated },
		{ "a wrong checksum stays as wrong",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6308, 80, .flags = 2, .options = WRONG_CHECKSUM },
		  LEFT,
		  { TO_ROUTER, TCP, OUT_PORT(6308, 2), 80, .flags = 2, .options = WRONG_CHECKSUM },
		  REASON_in2out_translated },
		{ "the lowest TTL that can be forwarded",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6309, 53, .ttl = 2 },
		  LEFT,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(6309, 2),
		    53,
		    .ttl = 1 },
		  REASON_in2out_translated },
		{ "the biggest packet that fits",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6310, 53, .payload = 1472, .options = DONT_FRAGMENT },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(6310, 2), 53, .payload = 1472, .options = DONT_FRAGMENT },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 10);
	cr_expect_eq(counted(REASON_sessions_opened), 10);
}

/* 65536 flows whose checksums take every value on their way: none becomes 0, all are right. */
Test(in2out, udp_checksum_never_becomes_0)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	unsigned ffff = 0;

	for (uint32_t i = 0; i < 65536; i += 1) {
		struct frame f = { FROM_HOST, UDP, 5000, 53, .payload = 2 };
		struct frame g = { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53, .payload = 2 };
		size_t size = frame_build(&f, in), out_size;
		uint8_t *udp = in + 34;

		frame_build(&g, want);
		/* Another payload, and with it another checksum: both sums are built anew. */
		for (uint8_t *p = in; p; p = p == in ? want : NULL) {
			uint8_t pseudo[12];

			p[42] = (uint8_t)(i >> 8);
			p[43] = (uint8_t)i;
			p[40] = p[41] = 0;
			for (int k = 0; k < 8; k++)
				pseudo[k] = p[26 + k];
			pseudo[8] = 0;
			pseudo[9] = 17;
			pseudo[10] = p[38];
			pseudo[11] = p[39];

			uint16_t sum = sum_finish(sum_octets(p + 34, 10, sum_octets(pseudo, 12, 0)));

			if (!sum)
				sum = 0xffff;
			p[40] = (uint8_t)(sum >> 8);
			p[41] = (uint8_t)sum;
		}
		(void)udp;
		run_frame(XDP_INSIDE, in, size, out, &out_size);
		cr_assert(frame_equal("payload", out, out_size, want, size), "payload %u", i);
		ffff += out[40] == 0xff && out[41] == 0xff;
	}
	cr_expect_geq(ffff, 1, "the case was among them");
}

Test(in2out, hands_up_what_is_not_for_translation)
{
	static const struct row rows[] = {
		{ "to the gateway's inside address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(10, 0, 0, 1), UDP, 5000, 53 },
		  UP },
		{ "to the gateway's outside address",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SUBSCRIBER,
		    .dst = ADDR(198, 51, 100, 1),
		    TCP,
		    5000,
		    22,
		    .flags = 2 },
		  UP },
		{ "to another inside address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = OTHER, TCP, 5000, 22, .flags = 2 },
		  UP },
		{ "broadcast",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(255, 255, 255, 255), UDP, 68, 67 },
		  UP },
		{ "multicast",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = ADDR(224, 0, 0, 251), UDP, 5353, 5353 },
		  UP },
		{ "for another station",
		  XDP_INSIDE,
		  { .from = HOST, .to = NOBODY, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 5000, 53 },
		  UP },
		{ "TTL 1: the kernel answers", XDP_INSIDE, { FROM_HOST, UDP, 5000, 53, .ttl = 1 }, UP },
		{ "too long: the kernel answers",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 1473, .options = DONT_FRAGMENT },
		  UP },
		{ "VLAN tag", XDP_INSIDE, { FROM_HOST, UDP, 5000, 53, .options = VLAN }, UP },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0, "nothing of it opens a session");
}

Test(in2out, drops_by_reason)
{
	static const struct row rows[] = {
		{ "private source in no mapping",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "100.64/10 in no mapping",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(100, 127, 0, 1), .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "public source in no mapping is routed",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(192, 0, 2, 9), .dst = EXTERNAL, UDP, 5000, 53 },
		  UP },
		{ "172.32/11 is public",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(172, 32, 0, 1), .dst = EXTERNAL, UDP, 5000, 53 },
		  UP },
		{ "loopback as source",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(127, 0, 0, 1), .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "multicast as source",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(224, 0, 0, 9), .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "class E as source",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(240, 0, 0, 9), .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_martian },
		{ "a pool address as source",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = POOL + 1, .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "DHCP request",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = 0, .dst = ADDR(255, 255, 255, 255), UDP, 68, 67 },
		  UP },
		{ "later fragment",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .options = LATER_FRAGMENT },
		  DROP_XDP,
		  {},
		  REASON_drop_fragment },
		{ "echo reply without a question",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, .dport = 7, .icmp_type = ECHO_REPLY_TYPE },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "cut short",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 100, .options = CUT_SHORT },
		  DROP_XDP,
		  {},
		  REASON_drop_malformed },
	};

	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

/* Every way to lie about lengths, at every place. */
Test(in2out, malformed_headers_are_dropped)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		uint8_t proto;
	} cases[] = {
		{ "version 5", 14, 0x55, UDP },
		{ "header of 4 words", 14, 0x44, UDP },
		{ "header of no words", 14, 0x40, UDP },
		{ "header beyond the packet", 14, 0x4f, UDP },
		{ "total length below header", 17, 19, UDP },
		{ "total length of no UDP header", 17, 27, UDP },
		{ "UDP length 7", 39, 7, UDP },
		{ "UDP length beyond the packet", 39, 29, UDP },
		{ "total length of no TCP header", 17, 39, TCP },
		{ "TCP header of 4 words", 46, 0x40, TCP },
		{ "TCP header beyond the packet", 46, 0xf0, TCP },
		{ "echo with a code", 35, 1, ICMP },
		{ "total length of no ICMP header", 17, 27, ICMP },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (enum hook hook = XDP_INSIDE; hook <= TC_OUTSIDE; hook += TC_OUTSIDE) {
			struct frame f = { FROM_HOST, cases[i].proto, 5000, 53, .flags = 2, .payload = 20 };
			size_t size = frame_build(&f, in), out_size;
			uint64_t before = counted(REASON_drop_malformed);

			in[cases[i].at] = cases[i].value;
			cr_expect_eq(run_frame(hook, in, size, out, &out_size), hook == TC_OUTSIDE ? DROP_TC : DROP_XDP,
				     "%s", cases[i].name);
			cr_expect_eq(counted(REASON_drop_malformed), before + 1, "%s", cases[i].name);
			in[cases[i].at] ^= 0;
		}
	/*
	 * Frames cut at every octet: dropped or handed up, never rewritten. BPF_PROG_TEST_RUN takes none for tc that
	 * ends before its IPv4 header does.
	 */
	for (size_t cut = redirect_tc_wanted() ? 34 : 14; cut < 54; cut++) {
		struct frame f = { FROM_HOST, TCP, 5000, 53, .flags = 2 };
		size_t out_size;

		frame_build(&f, in);
		cr_expect_eq(run_frame(XDP_INSIDE, in, cut, out, &out_size), DROP_XDP, "cut at %zu", cut);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

Test(in2out, tc_translates_what_the_kernel_routed)
{
	static const struct row rows[] = {
		/* By then the kernel has lowered the TTL and written the addresses of the frame. */
		AT_TC("TCP", TCP, 6303, 443, .flags = 2, .ttl = 1),
		AT_TC("TCP of that session", TCP, 6303, 443, .flags = 0x10, .payload = 11),
		AT_TC("UDP", UDP, 6304, 53, .payload = 5),
		AT_TC("UDP without checksum", UDP, 6304, 53, .options = NO_UDP_CHECKSUM),
		AT_TC("ICMP echo", ICMP, 6305, 0, .payload = 56),
		AT_TC("IP options", TCP, 6306, 443, .flags = 2, .ip_options = 12),
		{ "source in no mapping",
		  TC_OUTSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = UNMAPPED, .dst = EXTERNAL, UDP, 5000, 53 },
		  DROP_TC,
		  {},
		  REASON_drop_no_mapping },
		{ "fragment",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 5000, 53, .options = LATER_FRAGMENT },
		  DROP_TC,
		  {},
		  REASON_drop_fragment },
	};

	RUN_ROWS(rows);
}

/* Two inside ports of one first choice towards one external endpoint; towards another both keep it. */
Test(in2out, a_taken_port_gives_way_to_another_of_the_block)
{
	static const struct row rows[] = {
		{ "first",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53 },
		  REASON_in2out_translated },
		{ "another endpoint",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000 + PORTS, 54 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 54 },
		  REASON_in2out_translated },
		{ "another protocol",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 5000 + PORTS, 53, .flags = 2 },
		  LEFT,
		  { TO_ROUTER, TCP, OUT_PORT(5000, 2), 53, .flags = 2 },
		  REASON_in2out_translated },
		{ "the same endpoint",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000 + PORTS, 53 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2) + 1, 53 },
		  REASON_in2out_translated },
		{ "and again",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000 + PORTS, 53 },
		  LEFT,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2) + 1, 53 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(rows);
}

/* Untranslated it would show an inside address. */
/* The first packet goes by the slow path, later ones of the same tick by the fast path. */
Test(in2out, at_egress_a_session_goes_on_as_it_began)
{
	static const struct row rows[] = {
		AT_TC("opens", UDP, 6300, 53),
		AT_TC("goes on", UDP, 6300, 53),
		AT_TC("goes on with a payload", UDP, 6300, 53, .payload = 100),
		AT_TC("goes on without a checksum", UDP, 6300, 53, .options = NO_UDP_CHECKSUM),
		AT_TC("a TCP connection opens", TCP, 6301, 80, .flags = 2),
		AT_TC("and goes on", TCP, 6301, 80, .flags = 16, .payload = 40),
		AT_TC("and still goes on", TCP, 6301, 80, .flags = 16),
	};

	tc_program();
	RUN_ROWS(rows);
}

/* The payload is so long that options could be taken for the header of a datagram. */
Test(in2out, at_egress_options_of_ip_are_no_ports)
{
	static const struct row rows[] = {
		AT_TC("opens", UDP, 6302, 53, .payload = 400, .ip_options = 8),
		AT_TC("goes on", UDP, 6302, 53, .payload = 400, .ip_options = 8),
		AT_TC("goes on without options", UDP, 6302, 53, .payload = 400),
	};

	datapath.global->sources_until = datapath_ticks(&datapath) + ticks_of_seconds(60, datapath.hz);
	tc_program();
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

Test(in2out, at_egress_nothing_leaves_without_its_program)
{
	static const struct row rows[] = {
		{ "a subscriber's", TC_OUTSIDE, { FROM_HOST, UDP, 6303, 53 }, DROP_TC, {}, REASON_no_program },
		{ "the gateway's own",
		  TC_OWN,
		  { .from = GATEWAY_OUT, .to = ROUTER, .src = ADDR(198, 51, 100, 1), .dst = EXTERNAL, ICMP, 7 },
		  PASS_TC,
		  {},
		  REASON_no_program },
	};

	tc_program();
	for (uint32_t prog = 0; prog < N_PROGS; prog++)
		cr_assert(!bpf_map_delete_elem(datapath.build->arrays[TC_PROGS], &prog) || errno == ENOENT);
	RUN_ROWS(rows);
}
