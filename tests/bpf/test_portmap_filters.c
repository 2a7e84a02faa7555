// SPDX-License-Identifier: BSD-2-Clause
/* Filters of portmaps (RFC 6887 section 13.3): who gets in, and what they leave alone. Whole packets are compared. */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "portmap_fixture.h"

TestSuite(portmap_filters, .init = portmap_set_up, .fini = portmap_tear_down);

#define FRIEND	 ADDR(192, 0, 2, 77)
#define STRANGER ADDR(192, 0, 3, 77)

/* From an address and port to a portmap, and what the subscriber gets. */
#define SENT(src_, sport_, proto_, out_port_)                                                                      \
	{                                                                                                          \
		.from = ROUTER, .to = GATEWAY_OUT, .src = src_, .dst = POOL, proto_, sport_, out_port_, .flags = 2 \
	}
#define GOT(src_, sport_, proto_, in_port_)                                                                          \
	{                                                                                                            \
		.ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = src_, .dst = SUBSCRIBER, proto_, sport_, in_port_, \
		.flags = 2                                                                                           \
	}
#define PASSES(name_, src_, sport_, proto_, out_port_, in_port_)                         \
	{                                                                                \
		name_, XDP_OUTSIDE, SENT(src_, sport_, proto_, out_port_), REDIRECT_XDP, \
			GOT(src_, sport_, proto_, in_port_), REASON_out2in_translated    \
	}
#define STOPS(name_, src_, sport_, proto_, out_port_)                                                   \
	{                                                                                               \
		name_, XDP_OUTSIDE, SENT(src_, sport_, proto_, out_port_), DROPPED(drop_portmap_filter) \
	}

Test(portmap_filters, only_senders_that_one_of_them_matches_get_in)
{
	static const struct row rows[] = {
		PASSES("the first address of the prefix", ADDR(192, 0, 2, 0), 5555, TCP, WEB, 8443),
		PASSES("the last one", ADDR(192, 0, 2, 255), 1, TCP, WEB, 8443),
		STOPS("the address before it", ADDR(192, 0, 1, 255), 5555, TCP, WEB),
		STOPS("the address after it", ADDR(192, 0, 3, 0), 5555, TCP, WEB),
		PASSES("an address by its port", EXTERNAL, 5060, TCP, WEB, 8443),
		STOPS("by another port", EXTERNAL, 5061, TCP, WEB),
		STOPS("its neighbour by the port", EXTERNAL + 1, 5060, TCP, WEB),
		PASSES("any address, by the only port", STRANGER, 123, UDP, CAM, 3074),
		STOPS("and by another", STRANGER, 124, UDP, CAM),
		PASSES("to a portmap without filters", STRANGER, 124, TCP, CAM, 3075),
		{ "to a port that is none", XDP_OUTSIDE, SENT(STRANGER, 1, TCP, CAM + 1), DROPPED(drop_no_session) },
		{ "a martian", XDP_OUTSIDE, SENT(ADDR(127, 0, 0, 1), 5060, TCP, WEB), DROPPED(drop_martian) },
	};
	struct portmap_traffic traffic;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	map_port(TCP, SUBSCRIBER, 3075, CAM);
	filter_port(TCP, WEB, FRIEND, 24, 0);
	filter_port(TCP, WEB, EXTERNAL, 32, 5060);
	filter_port(UDP, CAM, 0, 0, 123);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
	cr_expect_eq(counted(REASON_portmap_in), 5, "those that got in, alone");
	portmaps_traffic(portmaps, portmaps_by_out(portmaps, TCP, (struct endpoint){ POOL, WEB }), &traffic);
	cr_expect_eq(traffic.packets_in, 3);
}

Test(portmap_filters, the_last_of_eight_counts_too)
{
	static const struct row rows[] = {
		PASSES("the first", ADDR(16, 0, 0, 0), 9, UDP, CAM, 3074),
		PASSES("the last", ADDR(16, 0, 0, 7), 9, UDP, CAM, 3074),
		STOPS("none", ADDR(16, 0, 0, 8), 9, UDP, CAM),
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	for (unsigned i = 0; i < MAX_PORTMAP_FILTERS; i++)
		filter_port(UDP, CAM, ADDR(16, 0, 0, 0) + i, 32, 0);
	RUN_ROWS(rows);
}

Test(portmap_filters, also_where_the_kernel_forwards)
{
	static const struct row rows[] = {
		{ "one that matches",
		  XDP_OUTSIDE,
		  SENT(FRIEND, 5555, TCP, WEB),
		  PASS_XDP,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = FRIEND, .dst = SUBSCRIBER, TCP, 5555, 8443, .flags = 2 },
		  REASON_out2in_translated },
		STOPS("another one", STRANGER, 5555, TCP, WEB),
	};

	settings.redirect = 0;
	reload_settings();
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	filter_port(TCP, WEB, FRIEND, 24, 0);
	RUN_ROWS(rows);
}

Test(portmap_filters, also_at_tc)
{
	static const struct row rows[] = {
		{ "one that matches",
		  INGRESS_OUTSIDE,
		  SENT(FRIEND, 5555, TCP, WEB),
		  PASS_TC,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = FRIEND, .dst = SUBSCRIBER, TCP, 5555, 8443, .flags = 2 },
		  REASON_out2in_translated },
		{ "another one",
		  INGRESS_OUTSIDE,
		  SENT(STRANGER, 5555, TCP, WEB),
		  DROP_TC,
		  {},
		  REASON_drop_portmap_filter },
	};

	settings.tc = TC_ALONE;
	reload_settings();
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	filter_port(TCP, WEB, FRIEND, 24, 0);
	RUN_ROWS(rows);
}

/* Dropped before anything is looked up for it, and in silence: a TTL of 1 gets no answer either. */
Test(portmap_filters, a_sender_that_is_left_out_is_not_answered)
{
	static const struct row rows[] = {
		{ "a SYN", XDP_OUTSIDE, SENT(STRANGER, 5555, TCP, CAM), DROPPED(drop_portmap_filter) },
		{ "on its last hop",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = STRANGER,
		    .dst = POOL,
		    TCP,
		    5555,
		    CAM,
		    .flags = 2,
		    .ttl = 1 },
		  DROPPED(drop_portmap_filter) },
	};

	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	reload_settings();
	map_port(TCP, SUBSCRIBER, 8443, CAM);
	filter_port(TCP, CAM, FRIEND, 32, 0);
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_tcp_reset) + counted(REASON_sent_icmp_ttl), 0);
}

Test(portmap_filters, a_packet_from_inside_leaves_by_the_portmap_whoever_it_is_for)
{
	static const struct row rows[] = {
		{ "to one whom no filter matches",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 3074, 5555 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, CAM, 5555 },
		  REASON_in2out_translated },
		STOPS("whose answer does not get in", EXTERNAL, 5555, UDP, CAM),
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	filter_port(UDP, CAM, FRIEND, 32, 0);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

Test(portmap_filters, sessions_are_left_alone)
{
	static const struct row rows[] = {
		{ "one of another inside port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(7000, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 7000 },
		  REASON_out2in_translated },
		{ "one that was there before the portmap, on its port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 5555, OUT_PORT(3074, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 5555, 3074 },
		  REASON_out2in_translated },
		STOPS("a stranger to that port", STRANGER, 5555, UDP, OUT_PORT(3074, 2)),
	};

	cr_expect_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	cr_expect_eq(open_flow(UDP, 3074, 5555, 0), OUT_PORT(3074, 2));
	map_port(UDP, SUBSCRIBER, 3074, OUT_PORT(3074, 2));
	filter_port(UDP, OUT_PORT(3074, 2), FRIEND, 32, 0);
	RUN_ROWS(rows);
}

/* Who calls is seen from outside: POOL and the port of its session. */
Test(portmap_filters, a_hairpins_sender_is_its_outside_endpoint)
{
	static const struct row stopped[] = {
		{ "whose inside address alone matches",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, CAM },
		  DROPPED(drop_portmap_filter) },
	};
	static const struct row by_address[] = {
		{ "by its outside address",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, UDP, 7000, CAM },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    UDP,
		    OUT_PORT(7000, 3),
		    3074,
		    .ttl = 63 },
		  REASON_hairpin_translated },
	};
	static const struct row by_port[] = {
		{ "from portmap to portmap, by its outside port",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, TCP, 3075, WEB, .flags = 2 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = POOL,
		    .dst = SUBSCRIBER,
		    TCP,
		    80,
		    8443,
		    .flags = 2,
		    .ttl = 63 },
		  REASON_hairpin_translated },
		{ "by another port",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = OTHER, .dst = POOL, TCP, 3076, WEB, .flags = 2 },
		  DROPPED(drop_portmap_filter) },
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(TCP, OTHER, 3075, 80);
	filter_port(UDP, CAM, OTHER, 32, 0);
	filter_port(TCP, WEB, POOL, 32, 80);
	RUN_ROWS(stopped);
	filter_port(UDP, CAM, POOL, 30, 0);
	RUN_ROWS(by_address);
	RUN_ROWS(by_port);
	cr_expect_eq(counted(REASON_portmap_in), 2);
}

#define FAR ADDR(192, 0, 4, 200)

Test(portmap_filters, icmp_errors_about_what_left_come_from_anywhere)
{
	static const struct icmp_row rows[] = {
		{ "from a router on the way to one whom no filter matches",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = FAR,
		    .dst = POOL,
		    3,
		    4,
		    .mtu = 1300,
		    .quote = { .ttl = 9, .src = POOL, .dst = EXTERNAL, UDP, CAM, 5555, .payload = 1000 } },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = SUBSCRIBER,
		    3,
		    4,
		    .mtu = 1300,
		    .quote = { .ttl = 9, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 3074, 5555, .payload = 1000 } },
		  REASON_icmp_error_translated },
		{ "from inside, about what came",
		  XDP_INSIDE,
		  { FROM_HOST, 3, 3, .quote = { .ttl = 9, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 5555, 3074 } },
		  REDIRECT_XDP,
		  { TO_ROUTER, 3, 3, .quote = { .ttl = 9, .src = EXTERNAL, .dst = POOL, UDP, 5555, CAM } },
		  REASON_icmp_error_translated },
	};

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	filter_port(UDP, CAM, FRIEND, 32, 0);
	RUN_ICMP_ROWS(rows);
}

Test(portmap_filters, one_whose_filters_are_missing_takes_nothing)
{
	static const struct row rows[] = { STOPS("one that matched", FRIEND, 5555, TCP, WEB) };
	struct portmap_key key = { POOL, WEB, TCP, PORTMAP_OUT2IN };

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	filter_port(TCP, WEB, FRIEND, 32, 0);
	cr_assert_eq(bpf_map_delete_elem(datapath.portmap_filters, &key), 0);
	RUN_ROWS(rows);
}

static unsigned filter_entries(void)
{
	struct portmap_key key, *before = NULL;
	unsigned n = 0;

	for (; !bpf_map_get_next_key(datapath.portmap_filters, before, &key); before = &key)
		n++;
	return n;
}

Test(portmap_filters, they_come_and_go_with_what_the_agent_says)
{
	static const struct row first[] = {
		PASSES("the first", FRIEND, 9, TCP, WEB, 8443),
		STOPS("the second", EXTERNAL, 9, TCP, WEB),
	};
	static const struct row second[] = {
		STOPS("the first", FRIEND, 9, TCP, WEB),
		PASSES("the second", EXTERNAL, 9, TCP, WEB, 8443),
	};
	static const struct row all[] = {
		PASSES("the first", FRIEND, 9, TCP, WEB, 8443),
		PASSES("anyone", STRANGER, 9, TCP, WEB, 8443),
	};
	struct endpoint out = { POOL, WEB };
	struct portmap m;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	cr_expect_eq(filter_entries(), 0);
	filter_port(TCP, WEB, FRIEND, 32, 0);
	cr_expect_eq(filter_entries(), 1);
	RUN_ROWS(first);
	m = *portmaps_by_out(portmaps, TCP, out);
	m.filters = (struct portmap_filters){ 0 };
	portmap_filters_add(&m.filters, EXTERNAL, 32, 0);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	RUN_ROWS(second);
	m.filters = (struct portmap_filters){ 0 };
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	cr_expect_eq(filter_entries(), 0);
	RUN_ROWS(all);
	filter_port(TCP, WEB, FRIEND, 32, 0);
	cr_assert_eq(portmaps_del(portmaps, TCP, out), 0);
	cr_expect_eq(filter_entries(), 0);
}

Test(portmap_filters, the_next_agent_takes_them_over_and_removes_what_no_portmap_has)
{
	static const struct row rows[] = {
		PASSES("one that matches", FRIEND, 9, TCP, WEB, 8443),
		STOPS("another one", STRANGER, 9, TCP, WEB),
		{ "to one whose filters are lost", XDP_OUTSIDE, SENT(FRIEND, 9, UDP, CAM), DROPPED(drop_no_session) },
	};
	struct portmap_key stray = { POOL, 81, TCP, PORTMAP_OUT2IN }, lost = { POOL, CAM, UDP, PORTMAP_OUT2IN };
	struct portmap_filters f = { .n = 1, .filter = { { .addr = FRIEND, .plen = 32 } } };
	const struct portmap *m;
	struct error err;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	filter_port(TCP, WEB, FRIEND, 24, 443);
	filter_port(TCP, WEB, FRIEND, 32, 0);
	filter_port(UDP, CAM, FRIEND, 32, 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmap_filters, &stray, &f, BPF_ANY), 0);
	f.filter[0].plen = 33;
	cr_assert_eq(bpf_map_update_elem(datapath.portmap_filters, &lost, &f, BPF_ANY), 0);
	portmaps_close(portmaps);
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	m = portmaps_by_out(portmaps, TCP, (struct endpoint){ POOL, WEB });
	cr_assert_not_null(m);
	cr_expect_eq(m->filters.n, 2);
	cr_expect_eq(m->filters.filter[0].addr, ADDR(192, 0, 2, 0));
	cr_expect_eq(m->filters.filter[0].port, 443);
	cr_expect_null(portmaps_by_out(portmaps, UDP, (struct endpoint){ POOL, CAM }));
	cr_expect_eq(filter_entries(), 1);
	RUN_ROWS(rows);
}

Test(portmap_filters, check_finds_and_repairs_those_that_are_not_as_the_agent_knows)
{
	static const struct row rows[] = {
		PASSES("one that matches", FRIEND, 9, TCP, WEB, 8443),
		STOPS("another one", STRANGER, 9, TCP, WEB),
		PASSES("to the portmap without", STRANGER, 9, UDP, CAM, 3074),
	};
	struct portmap_key stray = { POOL, 81, TCP, PORTMAP_OUT2IN }, web = { POOL, WEB, TCP, PORTMAP_OUT2IN },
			   cam = { POOL, CAM, UDP, PORTMAP_OUT2IN };
	struct portmap_filters f = { .n = 1, .filter = { { .addr = STRANGER, .plen = 32 } } };
	struct findings findings = { 0 }, after = { 0 };
	struct portmap_value value;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	filter_port(TCP, WEB, FRIEND, 32, 0);
	cr_expect_eq(portmaps_audit(portmaps, false, &findings), 2);
	cr_expect_eq(findings.total, 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmap_filters, &stray, &f, BPF_ANY), 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmap_filters, &web, &f, BPF_ANY), 0);
	cr_assert_eq(bpf_map_lookup_elem(datapath.portmaps, &cam, &value), 0);
	value.filtered = 1;
	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &cam, &value, BPF_ANY), 0);
	portmaps_audit(portmaps, true, &findings);
	cr_expect_eq(findings.total, 3);
	cr_expect_eq(findings.repaired, 3);
	portmaps_audit(portmaps, false, &after);
	cr_expect_eq(after.total, 0);
	RUN_ROWS(rows);
	findings_free(&findings);
	findings_free(&after);
}
