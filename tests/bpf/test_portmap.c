// SPDX-License-Identifier: BSD-2-Clause
/* Portmaps: outside endpoints that lead to an inside endpoint without a session. Whole packets are compared. */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "portmap_fixture.h"

TestSuite(portmap, .init = portmap_set_up, .fini = portmap_tear_down);

/* A packet of a portmap: in by the outside, and the answer. */
#define COMES(name_, proto_, out_port_, in_port_)                                                                     \
	{                                                                                                             \
		name_, XDP_OUTSIDE, { FROM_ROUTER, proto_, 5555, out_port_, .flags = 2, .payload = 7 }, REDIRECT_XDP, \
			{ TO_HOST, proto_, 5555, in_port_, .flags = 2, .payload = 7 }, REASON_out2in_translated       \
	}
#define LEAVES(name_, proto_, in_port_, out_port_)                                                                    \
	{                                                                                                             \
		name_, XDP_INSIDE, { FROM_HOST, proto_, in_port_, 5555, .flags = 0x12, .payload = 9 }, REDIRECT_XDP,  \
			{ TO_ROUTER, proto_, out_port_, 5555, .flags = 0x12, .payload = 9 }, REASON_in2out_translated \
	}

Test(portmap, anyone_reaches_the_inside_endpoint_and_is_answered_by_the_outside_one)
{
	static const struct row rows[] = {
		COMES("TCP below the blocks", TCP, WEB, 8443),
		LEAVES("the answer", TCP, 8443, WEB),
		COMES("UDP in the block", UDP, CAM, 3074),
		LEAVES("the answer", UDP, 3074, CAM),
		{ "another sender",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = ADDR(192, 0, 2, 1),
		    .dst = POOL,
		    TCP,
		    1,
		    WEB,
		    .flags = 16 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = ADDR(192, 0, 2, 1),
		    .dst = SUBSCRIBER,
		    TCP,
		    1,
		    8443,
		    .flags = 16 },
		  REASON_out2in_translated },
		{ "without a checksum",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 5555, CAM, .options = NO_UDP_CHECKSUM },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 5555, 3074, .options = NO_UDP_CHECKSUM },
		  REASON_out2in_translated },
		{ "with IP options",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 5555, CAM, .ip_options = 8, .payload = 3 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 5555, 3074, .ip_options = 8, .payload = 3 },
		  REASON_out2in_translated },
	};
	struct portmap_traffic traffic;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0, "a portmap needs no session");
	cr_expect_eq(counted(REASON_portmap_in), 5);
	cr_expect_eq(counted(REASON_portmap_out), 2);
	portmaps_traffic(portmaps, portmaps_by_out(portmaps, TCP, (struct endpoint){ POOL, WEB }), &traffic);
	cr_expect_eq(traffic.packets_in, 2);
	cr_expect_eq(traffic.packets_out, 1);
}

Test(portmap, other_protocols_ports_and_addresses_are_strangers)
{
	static const struct row rows[] = {
		{ "the other protocol", XDP_OUTSIDE, { FROM_ROUTER, UDP, 5555, WEB }, DROPPED(drop_no_session) },
		{ "the next port", XDP_OUTSIDE, { FROM_ROUTER, TCP, 5555, WEB + 1 }, DROPPED(drop_no_session) },
		{ "an echo request to that port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, ICMP, .sport = WEB },
		  DROPPED(drop_no_session) },
		{ "the next pool address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL + 1, TCP, 5555, WEB },
		  DROPPED(drop_no_session) },
		{ "a subscriber's source from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OTHER, .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "a pool address as source from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "the gateway's own address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(198, 51, 100, 1), .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "a loopback source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(127, 0, 0, 1), .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "the inside port to anywhere else opens a session by the first choice",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 8443, 5555 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(8443, 2), 5555 },
		  REASON_in2out_translated },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	RUN_ROWS(rows);
}

/* A strict reverse-path filter of the outside drops what pretends to come from behind the inside. */
Test(portmap, the_reverse_path_filter_is_asked_about_senders)
{
	static const struct row rows[] = {
		{ "a host behind the inside that no mapping covers",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = UNMAPPED, .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "the gateway's own address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = ADDR(198, 51, 100, 1), .dst = POOL, TCP, 5555, WEB },
		  DROPPED(drop_martian) },
		{ "the same to a port of the block",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = UNMAPPED, .dst = POOL, TCP, 5555, CAM },
		  DROPPED(drop_martian) },
		COMES("a host outside", TCP, WEB, 8443),
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	map_port(TCP, SUBSCRIBER, 8444, CAM);
	cr_assert_eq(system("ip route add 10.0.9.0/24 dev tin"), 0);
	datapath.device[outside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

Test(portmap, a_session_goes_first_and_runs_on)
{
	static const struct row before[] = {
		{ "opens by its first choice",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 3074, 5555 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(3074, 2), 5555 },
		  REASON_in2out_translated },
	};
	static const struct row after[] = {
		{ "the session's packets leave as before",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 3074, 5555 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(3074, 2), 5555 },
		  REASON_in2out_translated },
		{ "and are answered",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 5555, OUT_PORT(3074, 2) },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 5555, 3074 },
		  REASON_out2in_translated },
		{ "to another port the inside endpoint leaves by the portmap",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 3074, 5556 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, CAM, 5556 },
		  REASON_in2out_translated },
	};

	RUN_ROWS(before);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	RUN_ROWS(after);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
	/* Once it has ended, nothing opens it again. */
	age_sessions(SUBSCRIBER, 301);
	cr_expect_eq(open_flow(UDP, 3074, 5555, 0), CAM);
	cr_expect_eq(sessions_of(SUBSCRIBER), 0);
}

static int count_closed(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;

	*(unsigned *)arg += e->type == EVENT_SESSION_CLOSED;
	return 0;
}

/* Sessions whose end the datapath has told. */
static unsigned told_closed(void)
{
	unsigned n = 0;
	struct ring_buffer *ring = ring_buffer__new(datapath.events, count_closed, &n, NULL);

	cr_assert_not_null(ring);
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return n;
}

Test(portmap, a_connection_in_time_wait_gives_way_to_it)
{
	static const struct row closed[] = {
#define OUTWARD(flags_)                                               \
	{ "outward",                                                  \
	  XDP_INSIDE,                                                 \
	  { FROM_HOST, TCP, 8443, 80, .flags = flags_ },              \
	  REDIRECT_XDP,                                               \
	  { TO_ROUTER, TCP, OUT_PORT(8443, 2), 80, .flags = flags_ }, \
	  REASON_in2out_translated }
#define INWARD(flags_)                                                                                             \
	{                                                                                                          \
		"inward", XDP_OUTSIDE, { FROM_ROUTER, TCP, 80, OUT_PORT(8443, 2), .flags = flags_ }, REDIRECT_XDP, \
			{ TO_HOST, TCP, 80, 8443, .flags = flags_ }, REASON_out2in_translated                      \
	}
		OUTWARD(2), INWARD(0x12), OUTWARD(0x10), OUTWARD(0x11), INWARD(0x11), OUTWARD(0x10),
	};
	static const struct row again[] = {
		{ "a SYN",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 8443, 80, .flags = 2 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, WEB, 80, .flags = 2 },
		  REASON_in2out_translated },
		{ "its answer",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 80, WEB, .flags = 0x12 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 80, 8443, .flags = 0x12 },
		  REASON_out2in_translated },
		{ "the acknowledgement leaves by the same port",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 8443, 80, .flags = 0x10 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, WEB, 80, .flags = 0x10 },
		  REASON_in2out_translated },
	};

	settings.session_events = 1;
	reload_settings();
	RUN_ROWS(closed);
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	RUN_ROWS(again);
	cr_expect_eq(told_closed(), 1, "its end is told");
}

Test(portmap, its_port_is_given_to_no_session_of_another_inside_port)
{
	uint16_t in_port = 7000, out_port = OUT_PORT(7000, 2);

	cr_expect_eq(open_flow(UDP, in_port, 53, 0), out_port);
	map_port(UDP, SUBSCRIBER, 3074, out_port);
	cr_expect_eq(open_flow(UDP, in_port, 53, 0), out_port, "what holds it keeps it");
	cr_expect_neq(open_flow(UDP, in_port, 54, 0), out_port, "a session that opens later does not get it");
	cr_expect_eq(open_flow(TCP, in_port, 54, 2), out_port, "of another protocol it does");
	age_sessions(SUBSCRIBER, 301);
	cr_expect_neq(open_flow(UDP, in_port, 53, 0), out_port, "nor once the holder has ended");
	cr_assert_eq(portmaps_del(portmaps, UDP, (struct endpoint){ POOL, out_port }), 0);
	cr_expect_eq(open_flow(UDP, in_port, 55, 0), out_port, "without the portmap it does");
}

/* All other ports of the group are held, so the search goes on to other groups. */
Test(portmap, nor_where_the_group_has_no_other_port)
{
	uint16_t first = OUT_PORT(8000 & ~7, 2);

	first = (uint16_t)(PORT_LO + ((first - PORT_LO) & ~7));
	for (uint16_t i = 0; i < 8; i++)
		map_port(UDP, SUBSCRIBER, (uint16_t)(100 + i), (uint16_t)(first + i));
	for (uint16_t i = 0; i < 8; i++) {
		uint16_t in_port = (uint16_t)(first - PORT_LO + i);
		int got = open_flow(UDP, in_port, 53, 0);

		cr_expect_geq(got, PORT_LO, "a port outside the group");
		cr_expect_lt(got, PORT_LO + PORTS);
		cr_expect(got < first || got > first + 7);
	}
}

Test(portmap, takes_no_quota_and_passes_at_the_quota)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 }, .out = { POOL, 30 }, .sessions_per_user = 1, .session_slots = 1024
	};

	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	cr_expect_eq(open_flow(UDP, 7000, 53, 0), OUT_PORT(7000, 2));
	for (uint16_t i = 0; i < 50; i++)
		cr_expect_eq(open_flow(UDP, 3074, (uint16_t)(1000 + i), 0), CAM);
	cr_expect_eq(open_flow(UDP, 7001, 53, 0), -1, "a session would be beyond it");
	cr_expect_eq(open_flow(UDP, 3074, 53, 0), CAM);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

Test(portmap, also_where_the_kernel_forwards)
{
	static const struct row rows[] = {
		{ "in: translated, the kernel forwards",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 5555, WEB, .flags = 2 },
		  PASS_XDP,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    TCP,
		    5555,
		    8443,
		    .flags = 2 },
		  REASON_out2in_translated },
		{ "out: translated at egress",
		  TC_OUTSIDE,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = SUBSCRIBER,
		    .dst = EXTERNAL,
		    TCP,
		    8443,
		    5555,
		    .flags = 0x12 },
		  PASS_TC,
		  { TO_ROUTER, TCP, WEB, 5555, .flags = 0x12 },
		  REASON_in2out_translated },
	};

	settings.redirect = 0;
	reload_settings();
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	RUN_ROWS(rows);
}

/* The pool address may be the gateway's own as well: what a portmap takes is not the gateway's. */
Test(portmap, goes_before_the_gateways_own_address)
{
	static const struct row rows[] = {
		COMES("to the portmap", TCP, WEB, 8443),
		{ "to another port",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 5555, WEB + 1, .flags = 2 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	cr_assert_eq(system("ip addr add 203.0.113.0/32 dev tout"), 0);
	RUN_ROWS(rows);
}

Test(portmap, a_packet_that_a_portmap_takes_is_not_unsolicited)
{
	static const struct row rows[] = { COMES("a SYN", TCP, CAM, 8443) };

	settings.unsolicited_tcp = UNSOLICITED_ANSWER;
	reload_settings();
	map_port(TCP, SUBSCRIBER, 8443, CAM);
	RUN_ROWS(rows);
	cr_expect_eq(counted(REASON_sent_tcp_reset), 0);
}

/* What an agent that was killed in the middle of a change leaves behind leads nowhere. */
Test(portmap, one_whose_subscriber_has_another_outside_address_takes_nothing)
{
	static const struct row rows[] = {
		{ "from outside", XDP_OUTSIDE, { FROM_ROUTER, TCP, 5555, WEB, .flags = 2 }, DROPPED(drop_no_session) },
		{ "from inside",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 8443, 5555, .flags = 2 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, OUT_PORT(8443, 2), 5555, .flags = 2 },
		  REASON_in2out_translated },
	};
	struct portmap_key in = { SUBSCRIBER, 8443, TCP, PORTMAP_IN2OUT }, out = { POOL, WEB, TCP, PORTMAP_OUT2IN };
	struct portmap_value to_out = { .addr = POOL + 1, .port = WEB },
			     to_in = { .addr = ADDR(10, 0, 0, 200), .port = 8443 };

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &in, &to_out, BPF_ANY), 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &out, &to_in, BPF_ANY), 0);
	RUN_ROWS(rows);
}

Test(portmap, unconfigured_it_is_not_there)
{
	static const struct row rows[] = {
		{ "from outside", XDP_OUTSIDE, { FROM_ROUTER, TCP, 5555, WEB, .flags = 2 }, DROPPED(drop_no_session) },
	};

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	settings.portmaps = 0;
	reload_settings();
	RUN_ROWS(rows);
	cr_expect_eq(open_flow(TCP, 8443, 5555, 2), OUT_PORT(8443, 2));
}

Test(portmap, the_agent_takes_over_what_is_pinned)
{
	struct portmap_key half = { POOL, 81, TCP, PORTMAP_OUT2IN };
	struct portmap_value value = { .addr = SUBSCRIBER, .port = 81 };
	struct portmap lease = { .in = { OTHER, 5000 },
				 .out = { POOL, OUT_PORT(5000, 3) },
				 .proto = UDP,
				 .origin = PORTMAP_PCP,
				 .expires_s = 12345,
				 .nonce = { 1, 2, 3 } };
	const struct portmap *m;
	struct error err;

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	cr_assert_eq(portmaps_put(portmaps, &lease), 0);
	cr_assert_eq(bpf_map_update_elem(datapath.portmaps, &half, &value, BPF_ANY), 0);
	portmaps_close(portmaps);
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	cr_expect_eq(portmaps_count(portmaps, PORTMAP_STATIC), 1);
	cr_expect_eq(portmaps_count(portmaps, PORTMAP_PCP), 1);
	m = portmaps_by_in(portmaps, 0, UDP, lease.in);
	cr_assert_not_null(m);
	cr_expect_eq(m->expires_s, 12345);
	cr_expect_eq(memcmp(m->nonce, lease.nonce, sizeof(m->nonce)), 0);
	cr_expect_neq(bpf_map_lookup_elem(datapath.portmaps, &half, &value), 0, "the half is gone");
}

/* The record of SUBSCRIBER. */
static const struct subscriber *its_record(void)
{
	return mappings_subscriber(mappings, 0, 2);
}

static void expect_bits(uint16_t in, uint16_t out)
{
	cr_expect_eq(its_record()->portmap_in, in);
	cr_expect_eq(its_record()->portmap_out, out);
}

Test(portmap, its_subscribers_record_has_the_bits_of_its_ports)
{
	map_port(TCP, SUBSCRIBER, 8443, WEB);
	expect_bits(portmap_bit(TCP, 8443), portmap_bit(TCP, WEB));
	map_port(UDP, SUBSCRIBER, 3074, CAM);
	expect_bits(portmap_bit(TCP, 8443) | portmap_bit(UDP, 3074), portmap_bit(TCP, WEB) | portmap_bit(UDP, CAM));
	cr_assert_neq(portmap_bit(UDP, 3074), portmap_bit(TCP, 8443));
	cr_assert_eq(portmaps_del(portmaps, TCP, (struct endpoint){ POOL, WEB }), 0);
	expect_bits(portmap_bit(UDP, 3074), portmap_bit(UDP, CAM));
	cr_assert_eq(portmaps_del(portmaps, UDP, (struct endpoint){ POOL, CAM }), 0);
	expect_bits(0, 0);
	cr_expect_eq(its_record()->beyond & SUBSCRIBER_PORTMAPS, 0);
}

Test(portmap, a_record_of_very_many_has_all_bits)
{
	uint16_t port = 0;

	/* All ports have the same bit. */
	for (int n = 0; n < 129; n++) {
		expect_bits(!!n, !!n);
		do
			port++;
		while (portmap_bit(UDP, port) != 1);
		map_port(UDP, SUBSCRIBER, port, port);
	}
	expect_bits(0xffff, 0xffff);
}

Test(portmap, a_record_that_lacks_bits_is_found_and_mended)
{
	struct findings findings = {};
	struct subscriber *s = mappings_subscriber(mappings, 0, 2);

	map_port(TCP, SUBSCRIBER, 8443, WEB);
	for (int lacks_in = 0; lacks_in < 2; lacks_in++) {
		*(lacks_in ? &s->portmap_in : &s->portmap_out) = 0;
		portmaps_audit(portmaps, false, &findings);
		cr_expect_eq(findings.total, 1U + 2U * (uint32_t)lacks_in);
		portmaps_audit(portmaps, true, &findings);
		expect_bits(portmap_bit(TCP, 8443), portmap_bit(TCP, WEB));
	}
	cr_expect_eq(findings.repaired, 2);
	findings_free(&findings);
}

/* Whatever the number of the tenant, and after a change of it. */
Test(portmap, it_is_found_by_the_tenant_of_its_mapping)
{
	static const uint8_t tenants[] = { 1, 127, 128, 255, 0 };
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 }, .out = { POOL, 30 }, .sessions_per_user = 1000, .session_slots = 1024
	};
	static const struct row rows[] = { COMES("in", UDP, CAM, 3074), LEAVES("out", UDP, 3074, CAM) };

	map_port(UDP, SUBSCRIBER, 3074, CAM);
	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	for (unsigned i = 0; i < sizeof(tenants); i++) {
		struct findings f = { 0 };
		struct portmap_key key = portmap_key_inside(tenants[i], SUBSCRIBER, 3074, UDP);
		struct portmap_value value;
		struct error err;

		spec.tenant = tenants[i];
		cr_assert_eq(mappings_update(mappings, &spec), 0);
		portmaps_settle_tenants(portmaps);
		datapath.device[inside_ifindex].tenant = tenants[i];
		RUN_ROWS(rows);
		cr_expect_eq(portmap_key_tenant(&key), tenants[i]);
		cr_expect_eq(portmap_key_proto(&key), UDP);
		cr_expect_eq(portmap_key_direction(&key), PORTMAP_IN2OUT);
		cr_expect_eq(bpf_map_lookup_elem(datapath.portmaps, &key, &value), 0);
		/* An agent that starts finds it whole. */
		portmaps_close(portmaps);
		cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
		portmaps_audit(portmaps, false, &f);
		cr_expect_eq(f.total, 0);
		findings_free(&f);
		RUN_ROWS(rows);
	}
}
