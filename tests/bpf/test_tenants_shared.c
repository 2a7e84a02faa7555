// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two tenants with one inside prefix, 10.0.0.0/24, as the tables have it: the datapath finds mapping, sessions,
 * portmaps and datagrams of an inside address by the tenant of the interface. The one interface inside is of the one
 * tenant or of the other.
 */
#include <arpa/inet.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include <detnat/drains.h>
#include <detnat/fragments.h>

#include "icmp_frame.h"
#include "portmap_fixture.h"
#include "tenants_fixture.h"

TestSuite(tenants_shared, .init = set_up_shared, .fini = portmap_tear_down);

#define OUTWARDS(proto_, sport_, dport_)                                                                         \
	{                                                                                                        \
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, (proto_), (sport_), (dport_) \
	}
#define LEAVES(pool_, proto_, sport_, dport_)                                                                      \
	{                                                                                                          \
		.ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = (pool_), .dst = EXTERNAL, (proto_), (sport_), \
		(dport_)                                                                                           \
	}
#define ANSWER(pool_, dport_)                                                                         \
	{                                                                                             \
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = (pool_), UDP, 53, (dport_) \
	}
#define ARRIVES(dport_)                                                                                          \
	{                                                                                                        \
		.ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, (dport_) \
	}
#define SENT(hook_, pool_, in_port_)                                                            \
	{                                                                                       \
		"out", hook_, OUTWARDS(UDP, in_port_, 53), REDIRECT_XDP,                        \
			LEAVES(pool_, UDP, OUT_PORT(in_port_, 2), 53), REASON_in2out_translated \
	}
#define RECEIVED(hook_, pool_, in_port_)                                                            \
	{                                                                                           \
		"in", hook_, ANSWER(pool_, OUT_PORT(in_port_, 2)), REDIRECT_XDP, ARRIVES(in_port_), \
			REASON_out2in_translated                                                    \
	}
#define REFUSED(hook_, frame_, verdict_)                                   \
	{                                                                  \
		"refused", hook_, frame_, verdict_, {}, REASON_drop_tenant \
	}

static void open_both(void)
{
	be(FIRST);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	be(SECOND);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
}

Test(tenants_shared, each_has_the_outside_addresses_of_its_own_mapping_both_ways)
{
	static const struct row first[] = {
		SENT(XDP_INSIDE, POOL, 5000),	   SENT(XDP_INSIDE, POOL, 5000),
		SENT(XDP_INSIDE_SLOW, POOL, 5000), SENT(XDP_INSIDE_SLOW, POOL, 5001),
		RECEIVED(XDP_OUTSIDE, POOL, 5000), RECEIVED(XDP_OUTSIDE_SLOW, POOL, 5001),
	};
	static const struct row other[] = {
		SENT(XDP_INSIDE, POOL_B, 5000),	     SENT(XDP_INSIDE, POOL_B, 5000),
		SENT(XDP_INSIDE_SLOW, POOL_B, 5000), SENT(XDP_INSIDE_SLOW, POOL_B, 5001),
		RECEIVED(XDP_OUTSIDE, POOL_B, 5000), RECEIVED(XDP_OUTSIDE_SLOW, POOL_B, 5001),
	};

	RUN_ROWS(first);
	be(SECOND);
	RUN_ROWS(other);
	be(FIRST);
	RUN_ROWS(first);
}

Test(tenants_shared, tc_tells_them_apart_as_well)
{
	struct row row = { "at tc",
			   TC_OUTSIDE,
			   OUTWARDS(TCP, 5000, 80),
			   PASS_TC,
			   OUTWARDS(TCP, OUT_PORT(5000, 2), 80),
			   REASON_in2out_translated };

	row.in.flags = row.out.flags = 2;
	for (unsigned i = 0; i < 2; i++) {
		be(i ? SECOND : FIRST);
		row.out.src = i ? POOL_B : POOL;
		run_rows(&row, 1);
		/* In its slot. */
		run_rows(&row, 1);
	}
}

Test(tenants_shared, a_third_tenant_has_neither)
{
	static const struct row rows[] = {
		REFUSED(XDP_INSIDE, OUTWARDS(UDP, 5000, 53), DROP_XDP),
		REFUSED(XDP_INSIDE_SLOW, OUTWARDS(UDP, 5000, 53), DROP_XDP),
		REFUSED(XDP_INSIDE, OUTWARDS(ICMP, 7, 0), DROP_XDP),
		REFUSED(TC_OUTSIDE, OUTWARDS(UDP, 5000, 53), DROP_TC),
	};

	open_both();
	be(THIRD);
	RUN_ROWS(rows);
	be(0);
	RUN_ROWS(rows);
}

Test(tenants_shared, answers_leave_by_no_other_tenants_interface)
{
	static const struct row for_second[] = {
		REFUSED(XDP_OUTSIDE, ANSWER(POOL_B, OUT_PORT(5000, 2)), DROP_XDP),
		REFUSED(XDP_OUTSIDE_SLOW, ANSWER(POOL_B, OUT_PORT(5000, 2)), DROP_XDP),
		REFUSED(INGRESS_OUTSIDE, ANSWER(POOL_B, OUT_PORT(5000, 2)), DROP_TC),
	};
	static const struct row for_first[] = {
		REFUSED(XDP_OUTSIDE, ANSWER(POOL, OUT_PORT(5000, 2)), DROP_XDP),
		REFUSED(XDP_OUTSIDE_SLOW, ANSWER(POOL, OUT_PORT(5000, 2)), DROP_XDP),
	};

	open_both();
	be(FIRST);
	RUN_ROWS(for_second);
	be(SECOND);
	RUN_ROWS(for_first);
}

#define ERROR(pool_, reason_)                                                                                  \
	{                                                                                                      \
		{ "port unreachable",                                                                          \
		  XDP_INSIDE,                                                                                  \
		  { .src = SUBSCRIBER,                                                                         \
		    .from = HOST,                                                                              \
		    .to = GATEWAY_IN,                                                                          \
		    .dst = EXTERNAL,                                                                           \
		    3,                                                                                         \
		    3,                                                                                         \
		    .quote = { .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, 5000, .payload = 33 } }, \
		  REDIRECT_XDP,                                                                                \
		  { .src = (pool_),                                                                            \
		    .ttl = 63,                                                                                 \
		    .from = GATEWAY_OUT,                                                                       \
		    .to = ROUTER,                                                                              \
		    .dst = EXTERNAL,                                                                           \
		    3,                                                                                         \
		    3,                                                                                         \
		    .quote = { .ttl = 9,                                                                       \
			       .src = EXTERNAL,                                                                \
			       .dst = (pool_),                                                                 \
			       UDP,                                                                            \
			       53,                                                                             \
			       OUT_PORT(5000, 2),                                                              \
			       .payload = 33 } },                                                              \
		  reason_ },                                                                                   \
	}

Test(tenants_shared, icmp_errors_are_about_the_own_tenants_sessions)
{
	static const struct icmp_row first[] = ERROR(POOL, REASON_icmp_error_translated);
	static const struct icmp_row other[] = ERROR(POOL_B, REASON_icmp_error_translated);

	open_both();
	RUN_ICMP_ROWS(other);
	be(FIRST);
	RUN_ICMP_ROWS(first);
}

/* A piece of a datagram that all tenants send alike. */
static void piece(uint32_t pool, unsigned start, unsigned end, bool more)
{
	const struct frame in = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 7000, 53, .payload = 1600
	};
	const struct frame leaves = { .ttl = 63,
				      .from = GATEWAY_OUT,
				      .to = ROUTER,
				      .src = pool,
				      .dst = EXTERNAL,
				      UDP,
				      OUT_PORT(7000, 2),
				      53,
				      .payload = 1600 };
	uint8_t whole[FRAME_MAX], part[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size, out_size, want_size;

	frame_build(&in, whole);
	size = frame_fragment(whole, 9, start, end, more, part);
	frame_build(&leaves, whole);
	want_size = frame_fragment(whole, 9, start, end, more, want);
	cr_expect_eq(run_frame(XDP_INSIDE, part, size, out, &out_size), REDIRECT_XDP);
	cr_expect(frame_equal("a piece", out, out_size, want, want_size), "another packet");
}

Test(tenants_shared, datagrams_with_one_identification_are_each_its_own_tenants)
{
	struct fragment_key key;

	piece(POOL, 0, 800, true);
	be(SECOND);
	piece(POOL_B, 0, 800, true);
	be(FIRST);
	piece(POOL, 800, 1608, false);
	be(SECOND);
	piece(POOL_B, 800, 1608, false);
	cr_expect_neq(bpf_map_get_next_key(datapath.fragments, NULL, &key), 0, "they are complete");
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(mappings_subscriber(mappings, i ? second : 0, 2)->datagrams, 0);
}

Test(tenants_shared, a_portmap_is_its_own_tenants)
{
	static const struct row first[] = {
		{ "by the portmap", XDP_INSIDE, OUTWARDS(UDP, 3074, 5555), REDIRECT_XDP, LEAVES(POOL, UDP, CAM, 5555),
		  REASON_in2out_translated },
	};
	static const struct row other[] = {
		{ "by a session", XDP_INSIDE, OUTWARDS(UDP, 3074, 5555), REDIRECT_XDP,
		  LEAVES(POOL_B, UDP, OUT_PORT(3074, 2), 5555), REASON_in2out_translated },
	};
	/* Of the fixture's table, which does not know of the shared prefix. */
	*entry_of_prefix() = INDEX_LEAF;
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	share();
	mappings_subscriber(mappings, second, 2)->beyond = SUBSCRIBER_PORTMAPS;
	mappings_subscriber(mappings, second, 2)->portmap_in = 0xffff;
	be(SECOND);
	RUN_ROWS(other);
	be(FIRST);
	RUN_ROWS(first);
}

/* Neither has its mapping any more, but for its sessions. */
Test(tenants_shared, sessions_of_a_mapping_that_drains_are_its_tenants)
{
	const struct drain_key key = { .plen = 24, .addr = htonl(ADDR(10, 0, 0, 0)) };
	const struct drain_entry drained = { .n = 2,
					     .from = { { .mapping = (uint16_t)second, .plen = 24, .whole = 1 },
						       { .mapping = 0, .plen = 24, .whole = 1 } } };
	static const struct row first[] = { SENT(XDP_INSIDE, POOL, 5000), RECEIVED(XDP_OUTSIDE, POOL, 5000) };
	static const struct row other[] = { SENT(XDP_INSIDE, POOL_B, 5000), RECEIVED(XDP_OUTSIDE, POOL_B, 5000) };
	static const struct row third[] = {
		{ "of none", XDP_INSIDE, OUTWARDS(UDP, 5000, 53), DROP_XDP, {}, REASON_drop_no_mapping },
	};

	open_both();
	*entry_of_prefix() = 0;
	cr_assert_eq(bpf_map_update_elem(datapath.drains, &key, &drained, BPF_ANY), 0);
	RUN_ROWS(other);
	be(FIRST);
	RUN_ROWS(first);
	be(THIRD);
	RUN_ROWS(third);
}

/* The one has its mapping, the other sessions of a mapping that drains. */
Test(tenants_shared, what_drains_of_the_other_is_not_found_and_does_not_count)
{
	const struct drain_key key = { .plen = 24, .addr = htonl(ADDR(10, 0, 0, 0)) };
	const struct drain_entry drained = { .n = 1,
					     .from = { { .mapping = (uint16_t)second, .plen = 24, .whole = 1 } } };
	static const struct row own[] = { SENT(XDP_INSIDE, POOL, 5000), RECEIVED(XDP_OUTSIDE, POOL, 5000) };
	static const struct row others[] = { SENT(XDP_INSIDE, POOL_B, 5000), RECEIVED(XDP_OUTSIDE, POOL_B, 5000) };

	be(SECOND);
	cr_assert_eq(open_flow(UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	datapath.in_nodes[INDEX_NODES - 1].entry[SECOND] = 0;
	cr_assert_eq(bpf_map_update_elem(datapath.drains, &key, &drained, BPF_ANY), 0);
	datapath.mapping[0].sessions_per_user = 2;
	be(FIRST);
	RUN_ROWS(own);
	cr_expect_eq(open_flow(UDP, 5001, 53, 0), OUT_PORT(5001, 2), "a second session, as the quota allows");
	cr_expect_eq(open_flow(UDP, 5002, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	be(SECOND);
	RUN_ROWS(others);
}
