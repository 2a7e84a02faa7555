// SPDX-License-Identifier: BSD-2-Clause
/* Tenants: packets of one use neither the mappings nor the inside interfaces of another, by any program. */
#include <netinet/in.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "icmp_frame.h"
#include "staged.h"

static void set_up_tenants(void)
{
	settings.tenants = 1;
	settings.tc = TC_ALONE;
	set_up();
	mappings_set_tenant(mappings, 0, 1);
	datapath.device[inside_ifindex].tenant = 1;
}

TestSuite(tenants, .init = set_up_tenants, .fini = tear_down);

#define OUTWARDS(proto, sport, dport)                                                                         \
	{                                                                                                     \
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, (proto), (sport), (dport) \
	}
#define INWARDS(proto, dport)                                                                         \
	{                                                                                             \
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, (proto), 53, (dport) \
	}

Test(tenants, a_packet_of_the_mappings_tenant_is_translated)
{
	cr_expect_eq(open_flow(IPPROTO_UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	/* Again, in its slot. */
	cr_expect_eq(open_flow(IPPROTO_UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	cr_expect_eq(counted(REASON_drop_tenant), 0);
}

Test(tenants, a_packet_of_another_tenant_is_dropped)
{
	struct row rows[] = {
		{ "of a session in its slot",
		  XDP_INSIDE,
		  OUTWARDS(IPPROTO_UDP, 5000, 53),
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "that would open one",
		  XDP_INSIDE,
		  OUTWARDS(IPPROTO_UDP, 6000, 53),
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "on the slow path",
		  XDP_INSIDE_SLOW,
		  OUTWARDS(IPPROTO_UDP, 5000, 53),
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "an echo", XDP_INSIDE, OUTWARDS(IPPROTO_ICMP, 7, 0), DROP_XDP, {}, REASON_drop_tenant },
		{ "at tc", TC_OUTSIDE, OUTWARDS(IPPROTO_UDP, 5000, 53), DROP_TC, {}, REASON_drop_tenant },
		{ "to a pool address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, IPPROTO_UDP, 5000, PORT_LO },
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "to a pool address, without XDP",
		  INGRESS_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, IPPROTO_UDP, 5000, PORT_LO },
		  DROP_TC,
		  {},
		  REASON_drop_tenant },
	};

	cr_assert_eq(open_flow(IPPROTO_UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	datapath.device[inside_ifindex].tenant = 2;
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* An exception in the mapping, of its tenant alone. */
Test(tenants, what_one_leaves_untranslated_is_no_exception_for_another)
{
	const struct mapping_spec spec = { .in = { ADDR(10, 0, 0, 64), 26 }, .out = PREFIX_NONE, .tenant = 1 };
	const struct row own[] = {
		{ "its own",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(10, 0, 0, 70), .dst = EXTERNAL, IPPROTO_UDP, 5000, 53 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};
	const struct row others[] = {
		{ "another's",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = ADDR(10, 0, 0, 70), .dst = EXTERNAL, IPPROTO_UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
	};

	make_mapping(&spec, NULL);
	RUN_ROWS(own);
	datapath.device[inside_ifindex].tenant = 2;
	RUN_ROWS(others);
}

Test(tenants, an_answer_does_not_leave_by_the_interface_of_another)
{
	struct row rows[] = {
		{ "in its slot",
		  XDP_OUTSIDE,
		  INWARDS(IPPROTO_UDP, OUT_PORT(5000, 2)),
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "on the slow path",
		  XDP_OUTSIDE_SLOW,
		  INWARDS(IPPROTO_UDP, OUT_PORT(5000, 2)),
		  DROP_XDP,
		  {},
		  REASON_drop_tenant },
		{ "without XDP",
		  INGRESS_OUTSIDE,
		  INWARDS(IPPROTO_UDP, OUT_PORT(5000, 2)),
		  DROP_TC,
		  {},
		  REASON_drop_tenant },
	};

	cr_assert_eq(open_flow(IPPROTO_UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	mappings_set_tenant(mappings, 0, 2);
	RUN_ROWS(rows);
}

/* An inside host of the second tenant that has no mapping, like a router. */
#define ROUTER_INSIDE ADDR(10, 9, 9, 9)

/* An error from an interface of the second tenant. */
#define ERROR(name_, src_, dst_, quote_)                                                                         \
	{                                                                                                        \
		name_, XDP_INSIDE,                                                                               \
			{ .from = HOST, .to = GATEWAY_IN, .src = (src_), .dst = (dst_), 3, 3, .quote = quote_ }, \
			DROP_XDP, {}, REASON_drop_tenant                                                         \
	}
#define QUOTE(...)                                   \
	{                                            \
		.ttl = 9, __VA_ARGS__, .payload = 33 \
	}

Test(tenants, errors_from_another_tenant_are_dropped_whoever_sends_them)
{
	static const struct icmp_row rows[] = {
		ERROR("about a session, by a host without a mapping", ROUTER_INSIDE, EXTERNAL,
		      QUOTE(.src = EXTERNAL, .dst = SUBSCRIBER, IPPROTO_UDP, 53, 5000)),
		ERROR("by the subscriber, about a host without a mapping", SUBSCRIBER, EXTERNAL,
		      QUOTE(.src = EXTERNAL, .dst = ROUTER_INSIDE, IPPROTO_UDP, 53, 5000)),
		ERROR("about a hairpin, by a host without a mapping", ROUTER_INSIDE, POOL,
		      QUOTE(.src = POOL, .dst = SUBSCRIBER, IPPROTO_UDP, OUT_PORT(6000, 3), 5000)),
		ERROR("by the subscriber, about the hairpin of a host without a mapping", SUBSCRIBER, POOL,
		      QUOTE(.src = POOL, .dst = ROUTER_INSIDE, IPPROTO_UDP, OUT_PORT(6000, 3), 5000)),
	};

	cr_assert_eq(open_flow(IPPROTO_UDP, 5000, 53, 0), OUT_PORT(5000, 2));
	datapath.device[inside_ifindex].tenant = 2;
	RUN_ICMP_ROWS(rows);
}
