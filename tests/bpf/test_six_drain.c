// SPDX-License-Identifier: BSD-2-Clause
/* Mappings of IPv6 subscribers that drain: their sessions go on both ways, and new ones are the new mapping's. */
#include <criterion/criterion.h>

#include "prefix_fixture.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"

static void set_up_drain(void)
{
	settings.drains = 1;
	set_up_six();
}

TestSuite(six_drain, .init = set_up_drain, .fini = tear_down);

#define NEW6   ADDR(203, 0, 113, 72)
#define N      0x12
#define FIRST  HOST_OF(N, 3, 0x1234)
#define SECOND HOST_OF(N, 4, 0x5678)

static const struct prefix inside = { VIRTUAL, 24 }, old_pool = { POOL6, 30 }, new_pool = { NEW6, 30 };

static void replace(void)
{
	struct mapping_spec spec = six_spec(new_pool);

	make_mapping(&spec, &(struct mapping_handover){ true, old_pool, 600 });
}

static void delete (void)
{
	cr_assert_eq(mappings_retire(mappings, inside, old_pool, 600), 0);
}

/* A packet of a session whose outside port is known, both ways. */
static void expect_both_ways(const char *name, struct frame6 out, uint32_t pool, int port)
{
	struct frame translated = six_out_translated(&out, (uint16_t)port), answer;
	struct frame6 in;

	cr_assert_geq(port, 0, "%s: not opened", name);
	translated.src = pool + N / 64;
	answer = six_answer(&translated);
	in = six_answer_translated(&answer, &out);
	expect_4(name, &out, &translated);
	expect_6(name, &answer, &in);
	expect_4(name, &out, &translated);
}

static void expect_udp(const char *name, struct address6 host, uint16_t in_port, uint32_t pool, int port)
{
	expect_both_ways(name, six_out(host, UDP, in_port, 53, 0), pool, port);
}

Test(six_drain, leaves_sessions_their_outside_endpoints_both_ways)
{
	struct frame6 tcp = six_out(FIRST, TCP, 5001, 443, 2), established = six_out(FIRST, TCP, 5001, 443, 0x10);
	struct frame6 echo = six_out(FIRST, ICMP6, 77, 0, 0);
	struct frame answer;
	struct frame6 in;
	int udp = open_6(FIRST, UDP, 5000, 53, 0), port = open_6(FIRST, TCP, 5001, 443, 2);
	int ident = open_6(FIRST, ICMP6, 77, 0, 0);

	answer = six_out_translated(&tcp, (uint16_t)port);
	answer = six_answer(&answer);
	in = six_answer_translated(&answer, &tcp);
	expect_6("SYN, ACK", &answer, &in);
	for (unsigned without = 0; without < 2; without++) {
		if (without)
			cr_assert_eq(mappings_retire(mappings, inside, new_pool, 600), 0);
		else
			replace();
		expect_udp("UDP", FIRST, 5000, POOL6, udp);
		expect_both_ways("TCP", established, POOL6, port);
		expect_both_ways("echo", echo, POOL6, ident);
	}
	cr_expect_eq(counted(REASON_sessions_opened), 3);
}

/* Hosts have other numbers in the new mapping, and the same inside port there is another session. */
Test(six_drain, new_sessions_are_those_of_the_new_mapping)
{
	int first = open_6(FIRST, UDP, 5000, 53, 0), other = open_6(SECOND, UDP, 5000, 53, 0), new_first, new_other;

	replace();
	new_other = open_6(SECOND, UDP, 5001, 53, 0);
	new_first = open_6(FIRST, UDP, 5001, 53, 0);
	cr_assert_neq(new_first, new_other);
	for (unsigned i = 0; i < 2; i++) {
		expect_udp("old, first", FIRST, 5000, POOL6, first);
		expect_udp("old, other", SECOND, 5000, POOL6, other);
		expect_udp("new, first", FIRST, 5001, NEW6, new_first);
		expect_udp("new, other", SECOND, 5001, NEW6, new_other);
	}
	cr_expect_eq(counted(REASON_sessions_opened), 4);
	cr_expect_eq(host_line(N, 0).hi, 4, "the other one came first");
	cr_expect_eq(host_line(N, 1).hi, 3);
}

Test(six_drain, a_host_has_no_part_in_the_sessions_of_others)
{
	int first = open_6(FIRST, UDP, 5000, 53, 0), new_one;

	replace();
	new_one = open_6(SECOND, UDP, 5000, 53, 0);
	expect_udp("of another host", SECOND, 5000, NEW6, new_one);
	expect_udp("the old one", FIRST, 5000, POOL6, first);
	cr_expect_eq(counted(REASON_sessions_opened), 2);
}

Test(six_drain, nothing_is_opened_where_the_mapping_was_deleted)
{
	struct frame6 out = six_out(FIRST, UDP, 5001, 53, 0), stranger = six_out(SECOND, UDP, 5000, 53, 0);
	int udp = open_6(FIRST, UDP, 5000, 53, 0);

	delete ();
	expect_dropped_6("another session", XDP_INSIDE, &out, REASON_drop_no_mapping);
	expect_dropped_6("another host", XDP_INSIDE, &stranger, REASON_drop_no_mapping);
	expect_udp("the old one", FIRST, 5000, POOL6, udp);
	cr_expect_eq(counted(REASON_sessions_opened), 1);
}

Test(six_drain, ends_when_the_mapping_is_taken_into_use_again)
{
	int udp = open_6(FIRST, UDP, 5000, 53, 0), again;

	delete ();
	cr_assert_eq(mappings_revive(mappings, inside, old_pool, NULL), 0);
	expect_udp("the old one", FIRST, 5000, POOL6, udp);
	again = open_6(SECOND, UDP, 5000, 53, 0);
	expect_udp("another one", SECOND, 5000, POOL6, again);
}

/* The sessions of an exception within: the subscriber's own address, a single prefix. */
Test(six_drain, an_exception_and_its_end_leave_sessions_as_they_are)
{
	const struct prefix one = { VIRTUAL + N, 32 }, address = { NEW6, 32 };
	struct mapping_spec spec = six_spec(address);
	struct frame6 out = six_out(FIRST, UDP, 5001, 53, 0);
	struct frame translated;
	int old = open_6(FIRST, UDP, 5000, 53, 0), port, back;

	spec.in = one;
	spec.six.in_hi += (uint64_t)N << 8;
	make_mapping(&spec, &(struct mapping_handover){ .drain_s = 600 });
	port = open_6(FIRST, UDP, 5001, 53, 0);
	translated = six_out_translated(&out, (uint16_t)port);
	translated.src = NEW6;
	expect_udp("from before", FIRST, 5000, POOL6, old);
	expect_4("in the exception", &out, &translated);
	cr_assert_eq(mappings_retire(mappings, one, address, 600), 0);
	back = open_6(FIRST, UDP, 5002, 53, 0);
	expect_4("still", &out, &translated);
	expect_udp("its own mapping again", FIRST, 5002, POOL6, back);
	expect_udp("from before", FIRST, 5000, POOL6, old);
	cr_expect_eq(counted(REASON_sessions_opened), 3);
}

Test(six_drain, sessions_of_both_count_against_the_quota)
{
	struct mapping_spec spec = six_spec(new_pool);

	for (uint16_t port = 1; port <= 5; port++)
		cr_assert_geq(open_6(FIRST, UDP, port, 53, 0), 0);
	spec.sessions_per_user = 8;
	make_mapping(&spec, &(struct mapping_handover){ true, old_pool, 600 });
	for (uint16_t port = 6; port <= 8; port++)
		cr_assert_geq(open_6(FIRST, UDP, port, 53, 0), 0);
	cr_expect_lt(open_6(FIRST, UDP, 9, 53, 0), 0);
	cr_expect_eq(counted(REASON_drop_quota), 1);
}

/* Where no other mapping has the subscriber, the fast path knows its sessions; else those from inside are left. */
Test(six_drain, the_fast_path_has_sessions_that_drain)
{
	struct frame6 out = six_out(FIRST, UDP, 5000, 53, 0), in;
	struct frame translated, answer;
	int udp = open_6(FIRST, UDP, 5000, 53, 0);

	translated = six_out_translated(&out, (uint16_t)udp);
	answer = six_answer(&translated);
	in = six_answer_translated(&answer, &out);
	delete ();
	fast_path_alone();
	expect_4("out", &out, &translated);
	expect_6("in", &answer, &in);
	cr_assert_eq(mappings_revive(mappings, inside, old_pool, NULL), 0);
	replace();
	expect_left_6("out, of another mapping now", &out);
	expect_6("in", &answer, &in);
}

Test(six_drain, survives_the_agent)
{
	int udp = open_6(FIRST, UDP, 5000, 53, 0);
	const struct mapping_drain *drain;
	struct error err;

	delete ();
	mappings_close(mappings);
	datapath.reused = true;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	cr_assert_eq(mappings_drains(mappings, &drain), 1);
	cr_assert(mappings_have_ipv6(mappings) && mappings_index6_right(mappings));
	expect_udp("after it", FIRST, 5000, POOL6, udp);
}
