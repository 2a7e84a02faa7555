// SPDX-License-Identifier: BSD-2-Clause
/* Sessions of IPv6 subscribers that open, go on and end by the fast path alone, once their host has a line. */
#include <criterion/criterion.h>

#include "prefix_fixture.h"
#include "tables/mapping_drains.h"

#define N      0x12
#define FIRST  HOST_OF(N, 3, 0x1234)
#define SECOND HOST_OF(N, 4, 0x5678)
#define SYN    2

/* Each has a line, and a session to port 9 of the server. */
static void set_up_opens(void)
{
	settings.drains = 1;
	set_up_six();
	cr_assert_geq(open_6(FIRST, UDP, 4000, 9, 0), 0);
	cr_assert_geq(open_6(SECOND, UDP, 4001, 9, 0), 0);
	fast_path_and_beyond();
}

TestSuite(six_opens, .init = set_up_opens, .fini = tear_down);

/* A segment, and another with these flags that answers it. */
static void expect_both_ways(const char *name, struct address6 host, uint8_t proto, uint16_t port, uint8_t flags,
			     uint8_t answer_flags)
{
	struct frame6 out = six_out(host, proto, port, 443, flags), in;
	struct frame translated = six_out_translated(&out, OUT_PORT6(port, N)), answer = six_answer(&translated);

	answer.flags = answer_flags;
	in = six_answer_translated(&answer, &out);
	expect_4(name, &out, &translated);
	expect_6(name, &answer, &in);
}

Test(six_opens, where_the_host_is_known)
{
	uint64_t opened = counted(REASON_sessions_opened);

	expect_both_ways("UDP", FIRST, UDP, 5000, 0, 0);
	expect_both_ways("of another host", SECOND, UDP, 5001, 0, 0);
	expect_both_ways("TCP", SECOND, TCP, 5002, SYN, 0x12);
	cr_expect_eq(counted(REASON_sessions_opened), opened + 3);
	cr_expect_eq(sessions_6(N), 5);
	cr_expect_lt(age_of_6(N, OUT_PORT6(5000, N)), 3);
	/* They are hits from now on. */
	expect_both_ways("UDP", FIRST, UDP, 5000, 0, 0);
	expect_both_ways("TCP", SECOND, TCP, 5002, 0x10, 0x10);
	cr_expect_eq(counted(REASON_sessions_opened), opened + 3);
	cr_expect_eq(counted(REASON_no_program), 0);
}

/* What is in one host's sessions is never another's. */
Test(six_opens, only_what_no_other_host_has)
{
	struct frame6 same = six_out(SECOND, UDP, 5000, 443, 0), close = six_out(SECOND, UDP, 5000 + PORTS, 443, 0);

	expect_both_ways("the first one", FIRST, UDP, 5000, 0, 0);
	expect_left_beyond_6("the same inside port", &same);
	expect_left_beyond_6("the same outside port", &close);
	cr_expect_eq(sessions_6(N), 3);
}

Test(six_opens, a_host_without_a_line_is_left)
{
	struct frame6 out = six_out(HOST_OF(N, 3, 0x99), UDP, 5000, 443, 0),
		      anycast = six_out(FIRST, UDP, 5000, 443, 0);

	expect_left_beyond_6("another host", &out);
	anycast.src.lo = 0;
	expect_dropped_6("nobody's address", XDP_INSIDE, &anycast, REASON_drop_martian);
	cr_expect_eq(sessions_6(N), 2);
}

Test(six_opens, tcp_ends)
{
	struct frame6 out = six_out(FIRST, TCP, 5000, 443, 0x11);
	struct frame translated = six_out_translated(&out, OUT_PORT6(5000, N));

	expect_both_ways("opens", FIRST, TCP, 5000, SYN, 0x12);
	expect_both_ways("goes on", FIRST, TCP, 5000, 0x10, 0x10);
	cr_expect_eq(sessions_6(N), 3);
	out.flags = translated.flags = 0x14;
	expect_4("RST", &out, &translated);
	age_port_6(N, OUT_PORT6(5000, N), 300);
	/* An expired session is replaced by the slow path. */
	out.flags = SYN;
	expect_left_beyond_6("its port again", &out);
}

/* The slow path clamps the MSS of a SYN. */
Test(six_opens, a_syn_is_left_where_its_mss_is_clamped)
{
	struct frame6 out = six_out(FIRST, TCP, 5000, 443, SYN);

	settings.tcp_mss_clamp = MSS_CLAMP_MTU;
	reload_settings();
	fast_path_and_beyond();
	expect_left_beyond_6("SYN", &out);
	expect_both_ways("UDP", FIRST, UDP, 5000, 0, 0);
}

/* The copy has the way to the server for a private address, too, which ends in the same octets. */
static uint32_t private_like_the_server(void)
{
	struct fib *fib = datapath.fib;
	uint32_t entry = fib->first.entry[EXTERNAL >> 24];

	fib->second[10] = fib->second[EXTERNAL >> 24];
	fib->first.entry[10] = entry & FIB_NODE ? FIB_NODE | 10 : entry;
	return 10U << 24 | (EXTERNAL & 0xffffff);
}

Test(six_opens, nothing_to_a_private_address_in_the_well_known_prefix)
{
	struct frame6 out = six_out(FIRST, UDP, 5000, 443, 0);

	out.dst = NAT64(private_like_the_server());
	expect_dropped_6("private", XDP_INSIDE, &out, REASON_drop_martian);
	cr_expect_eq(sessions_6(N), 2);
}

Test(six_opens, nothing_where_the_mapping_drains)
{
	const struct prefix inside = { VIRTUAL, 24 }, pool = { POOL6, 30 };
	struct frame6 out = six_out(FIRST, UDP, 5001, 443, 0);

	expect_both_ways("opens", FIRST, UDP, 5000, 0, 0);
	cr_assert_eq(mappings_retire(mappings, inside, pool, 600), 0);
	expect_left_beyond_6("drains", &out);
	expect_both_ways("goes on", FIRST, UDP, 5000, 0, 0);
	cr_expect_eq(counted(REASON_sessions_opened), 3);
}

/* The quota holds, and who is refused is told so by the slow path. */
Test(six_opens, up_to_the_quota)
{
	struct frame6 out = six_out(FIRST, UDP, 999, 443, 0);
	uint16_t port;

	for (port = 0; sessions_6(N) < 1000 && port < 4000; port++) {
		struct frame6 one = six_out(FIRST, UDP, (uint16_t)(6000 + port), (uint16_t)(100 + port), 0);
		uint8_t got[FRAME_MAX];
		size_t size;

		run_6(XDP_INSIDE, &one, got, &size);
	}
	cr_assert_eq(sessions_6(N), 1000);
	expect_left_beyond_6("one more", &out);
	cr_expect_eq(sessions_6(N), 1000);
}
