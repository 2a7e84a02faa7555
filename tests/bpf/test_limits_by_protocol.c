// SPDX-License-Identifier: BSD-2-Clause
/*
 * Limits of a subscriber beside the quota: sessions of a protocol, and sessions opened per second. Whatever a test
 * does, the counts are those of the slots and of the sessions beyond them.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <string.h>

#include <criterion/criterion.h>

#include <detnat/events.h>

#include "binding_fixture.h"
#include "sessions/limit_count.h"
#include "told_routes.h"
#include "update_fixture.h"

#define SYN 0x02
#define FIN 0x01
#define RST 0x04
#define ACK 0x10

#define TCP_LIMIT  6
#define UDP_LIMIT  4
#define ICMP_LIMIT 2

static void set_up_limited(void)
{
	user_limits.sessions[LIMIT_TCP] = TCP_LIMIT;
	user_limits.sessions[LIMIT_UDP] = UDP_LIMIT;
	user_limits.sessions[LIMIT_ICMP] = ICMP_LIMIT;
	set_up();
}

static void set_up_filtering(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_PROTOCOLS,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 50 };
	set_up_limited();
}

static void set_up_rate(void)
{
	user_limits = (struct limit_layout){ .interval_ns = limit_interval_ns(20), .burst = 5, .rate = 20 };
	set_up();
}

static void set_up_plain(void)
{
	user_limits = (struct limit_layout){ 0 };
	set_up();
}

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

static struct limit_line *line(void)
{
	return mappings_limit_line(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

/* Adds the subscriber's sessions beyond the slots, of the tests' few. */
static void count_beyond(uint32_t found[static N_LIMITS])
{
	const struct slot *slots = (const struct slot *)&datapath.extent[extent_first(subscriber_extent(subscriber()))];
	uint32_t beyond[N_LIMITS];

	limit_count_slots(slots, extent_buckets(subscriber_extent(subscriber())) * BUCKET_SLOTS, beyond);
	for (unsigned i = 0; i < N_LIMITS; i++)
		found[i] += beyond[i];
}

static void expect_counts(const char *name, uint32_t tcp, uint32_t udp, uint32_t icmp)
{
	const struct slot *slots = (struct slot *)mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	const uint32_t wanted[N_LIMITS] = { tcp, udp, icmp };
	uint32_t found[N_LIMITS];

	limit_count_slots(slots, BUCKET_SLOTS << datapath.mapping[0].bucket_shift, found);
	count_beyond(found);
	for (unsigned i = 0; i < N_LIMITS; i++) {
		cr_expect_eq(line()->sessions[i], wanted[i], "%s: %d of protocol %u, not %u", name,
			     (int)line()->sessions[i], i, wanted[i]);
		cr_expect_eq(found[i], wanted[i], "%s: %u sessions of protocol %u are there", name, found[i], i);
	}
	cr_expect_eq(subscriber()->sessions, tcp + udp + icmp, "%s: %u in all", name, subscriber()->sessions);
}

TestSuite(limits_by_protocol, .init = set_up_limited, .fini = tear_down, .timeout = 120);

#define FROM_HOST .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL

/* So many of a protocol that one more is refused. */
static void open_udp(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(5000 + i), 53, 0), 0, "flow %u", i);
}

static void open_tcp(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(6000 + i), 80, SYN), 0, "flow %u", i);
}

Test(limits_by_protocol, refuse_a_protocol_and_leave_the_others)
{
	open_udp(UDP_LIMIT);
	open_tcp(TCP_LIMIT);
	cr_assert_geq(open_flow(ICMP, 77, 0, 0), 0);
	expect_counts("full", TCP_LIMIT, UDP_LIMIT, 1);
	subscriber()->icmp_next = (datapath_ticks(&datapath) << TICK_SHIFT) + datapath.hz;
	RUN_ROWS(((struct row[]){
		{ "a fifth of UDP",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5100, 53, .payload = 30 },
		  DROP_XDP,
		  {},
		  REASON_drop_quota_protocol },
		{ "and by tc",
		  TC_OUTSIDE,
		  { FROM_HOST, UDP, 5101, 53, .payload = 30 },
		  DROP_TC,
		  {},
		  REASON_drop_quota_protocol },
		{ "a seventh connection",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6100, 80, .flags = SYN },
		  DROP_XDP,
		  {},
		  REASON_drop_quota_protocol },
		{ "a second ping",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 78, .payload = 30 },
		  REDIRECT_XDP,
		  { TO_ROUTER, ICMP, OUT_PORT(78, 2), .payload = 30 },
		  REASON_in2out_translated },
		{ "a third",
		  XDP_INSIDE,
		  { FROM_HOST, ICMP, 79, .payload = 30 },
		  DROP_XDP,
		  {},
		  REASON_drop_quota_protocol },
		{ "a session goes on",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 5000, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(5000, 2), 53, .payload = 30 },
		  REASON_in2out_translated },
	}));
	expect_counts("after", TCP_LIMIT, UDP_LIMIT, 2);
	cr_expect_eq(line()->refused_protocol, 4);
	cr_expect_eq(subscriber()->refused, 4);
	cr_expect_eq(counted(REASON_drop_quota), 0);
	/* Others have limits of their own. */
	cr_expect_geq(open_flow_of(OTHER, UDP, 5000, 53, 0), 0);
}

static struct nat_event last;
static unsigned n_events;

static int keep(void *arg, void *data, size_t size)
{
	last = *(const struct nat_event *)data;
	n_events++;
	return 0;
}

static unsigned consume_events(void)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.events, keep, NULL, NULL);

	n_events = 0;
	cr_assert_not_null(ring);
	cr_assert_geq(ring_buffer__consume(ring), 0);
	ring_buffer__free(ring);
	return n_events;
}

/* A flood is answered and told of ten times and once a second at most. */
Test(limits_by_protocol, are_answered_and_told_of_but_not_each_time)
{
	uint64_t jiffies;

	open_udp(UDP_LIMIT);
	consume_events();
	jiffies = (uint64_t)datapath_ticks(&datapath) << TICK_SHIFT;
	for (unsigned i = 0; i < 300; i++)
		cr_expect_eq(open_flow(UDP, (uint16_t)(7000 + i), 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota_protocol), 300);
	jiffies = ((uint64_t)datapath_ticks(&datapath) << TICK_SHIFT) - jiffies + 2 * (1U << TICK_SHIFT);
	cr_expect_geq(counted(REASON_sent_icmp_unreachable), 1);
	cr_expect_leq(counted(REASON_sent_icmp_unreachable), 1 + jiffies * 10 / datapath.hz);
	cr_expect_leq(consume_events(), 1 + jiffies / datapath.hz);
	cr_expect_geq(n_events, 1);
	cr_expect(last.type == EVENT_QUOTA_PROTOCOL && last.proto == UDP && last.in_addr == SUBSCRIBER &&
		  last.limit == UDP_LIMIT && last.out_addr == POOL && last.ext_addr == EXTERNAL);
}

/* Only what has ended among the sessions of a protocol makes room for it. */
Test(limits_by_protocol, sessions_of_the_protocol_give_way)
{
	open_udp(UDP_LIMIT);
	open_tcp(2);
	age_sessions(SUBSCRIBER, 301); /* all have expired */
	for (unsigned i = 0; i < UDP_LIMIT; i++)
		cr_expect_geq(open_flow(UDP, (uint16_t)(5900 + i), 54, 0), 0, "in place of an expired one, %u", i);
	expect_counts("the others of UDP are gone, those of TCP stay until they are swept", 2, UDP_LIMIT, 0);
	cr_expect_eq(open_flow(UDP, 5800, 55, 0), -1);
	for (unsigned i = 0; i < TCP_LIMIT; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(6900 + i), 443, SYN), 0);
	expect_counts("TCP is full", TCP_LIMIT, UDP_LIMIT, 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(6900 + i), 443, RST), 0);
	next_tick();
	for (unsigned i = 0; i < 3; i++)
		cr_expect_geq(open_flow(TCP, (uint16_t)(6950 + i), 443, SYN), 0, "in place of a reset one, %u", i);
	expect_counts("reset ones are exchanged", TCP_LIMIT, UDP_LIMIT, 0);
	cr_expect_eq(open_flow(TCP, 6990, 443, SYN), -1, "the others are in use");
	cr_expect_eq(open_flow(UDP, 5801, 55, 0), -1);
	expect_counts("refused", TCP_LIMIT, UDP_LIMIT, 0);
}

static void answer(uint16_t out_port, uint8_t flags)
{
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = POOL,
			   .proto = TCP,
			   .sport = 80,
			   .dport = out_port,
			   .flags = flags };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	cr_assert_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP);
}

static void end_connection(uint16_t in_port, int out_port)
{
	answer((uint16_t)out_port, SYN | ACK);
	open_flow(TCP, in_port, 80, ACK);
	open_flow(TCP, in_port, 80, FIN | ACK);
	answer((uint16_t)out_port, FIN | ACK);
	open_flow(TCP, in_port, 80, ACK);
}

/* In time-wait a session does not count; a SYN that reopens it does. */
Test(limits_by_protocol, time_wait_does_not_count)
{
	open_tcp(TCP_LIMIT);
	end_connection(6000, OUT_PORT(6000, 2));
	expect_counts("one has ended", TCP_LIMIT - 1, 0, 0);
	cr_expect_geq(open_flow(TCP, 6500, 80, SYN), 0);
	expect_counts("another has its place", TCP_LIMIT, 0, 0);
	cr_expect_eq(open_flow(TCP, 6000, 80, SYN), -1, "reopened");
	cr_expect_eq(counted(REASON_drop_quota_protocol), 1);
	end_connection(6001, OUT_PORT(6001, 2));
	cr_expect_geq(open_flow(TCP, 6000, 80, SYN), 0, "reopened once there is room");
	expect_counts("reopened", TCP_LIMIT, 0, 0);
}

/* A session beyond the slots counts as well, and the same port of eight flows to one server needs one. */
Test(limits_by_protocol, sessions_beyond_the_slots_count)
{
	datapath.mapping[0].limit.sessions[LIMIT_UDP] = 10;
	for (unsigned i = 0; i < 10; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(6304 + i * PORTS), 53, 0), 0);
	cr_expect_gt(sessions_overflowed(), 0);
	expect_counts("ten", 0, 10, 0);
	cr_expect_eq(open_flow(UDP, (uint16_t)(6304 + 10 * PORTS), 53, 0), -1);
	cr_expect_eq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, (uint16_t)(6304 + 9 * PORTS) },
				       (struct endpoint){ EXTERNAL, 53 }, 0),
		     1);
	expect_counts("one closed", 0, 9, 0);
	cr_expect_geq(open_flow(UDP, (uint16_t)(6304 + 10 * PORTS), 53, 0), 0);
	age_beyond(ticks_of_seconds(301, datapath.hz));
	age_sessions(SUBSCRIBER, 301);
	sweep_sessions();
	expect_counts("swept", 0, 0, 0);
}

/* Of an endpoint-independent mapping, also those that the outside opens; they give way to the subscriber's own. */
Test(limits_by_protocol, sessions_from_outside_count, .init = set_up_filtering)
{
	cr_assert_geq(open_flow(UDP, 6304, 53, 0), 0);
	for (unsigned i = 0; i < UDP_LIMIT - 1; i++)
		cr_expect_eq(stranger(ADDR(192, 0, 2, 1), (uint16_t)(9 + i), OUT_PORT(6304, 2)), REDIRECT_XDP);
	expect_counts("three from outside", 0, UDP_LIMIT, 0);
	cr_expect_eq(stranger(ADDR(192, 0, 2, 1), 99, OUT_PORT(6304, 2)), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_quota), 1);
	for (unsigned i = 0; i < UDP_LIMIT - 1; i++)
		cr_expect_geq(open_flow(UDP, 6304, (uint16_t)(54 + i), 0), 0, "own session %u", i);
	expect_counts("in their place", 0, UDP_LIMIT, 0);
	cr_expect_eq(open_flow(UDP, 6304, 63, 0), -1);
	cr_expect_eq(counted(REASON_drop_quota_protocol), 1);
}

/* A bucket of five, which gains one each 50 ms. */
Test(limits_by_protocol, a_burst_and_then_the_rate, .init = set_up_rate)
{
	unsigned opened = 0, tries;
	uint64_t begin_us = monotonic_us(), end_us;

	for (tries = 0; monotonic_us() - begin_us < 400000 && tries < 40000; tries++) {
		opened += open_flow(UDP, (uint16_t)(1024 + tries), 53, 0) >= 0;
		if (tries < 5)
			cr_expect_eq(opened, tries + 1, "the burst");
	}
	end_us = monotonic_us();
	/* A machine may be through with its tries before the time is over. */
	cr_expect_geq(opened, 5 + (end_us - begin_us - 20000) / 50000, "%u", opened);
	cr_expect_leq(opened, 5 + (end_us - begin_us) / 50000 + 1, "%u", opened);
	expect_counts("all that were opened", 0, opened, 0);
	cr_expect_eq(counted(REASON_drop_rate), tries - opened);
	cr_expect_eq(line()->refused_rate, tries - opened);
	cr_expect_geq(consume_events(), 1);
	cr_expect_eq(last.type, EVENT_RATE);
	cr_expect_eq(last.limit, 20);
	cr_expect_geq(open_flow(UDP, 1024, 53, 0), 0, "sessions go on");
}

/* What is refused in the end, here for want of a port, costs no token. */
Test(limits_by_protocol, a_refused_flow_takes_no_token, .init = set_up_rate)
{
	uint64_t before;

	datapath.mapping[0].sessions_per_user = 2;
	open_udp(2);
	before = line()->full_ns;
	for (unsigned i = 0; i < 20; i++)
		cr_expect_eq(open_flow(UDP, (uint16_t)(5500 + i), 53, 0), -1);
	cr_expect_eq(line()->full_ns, before);
	cr_expect_eq(counted(REASON_drop_quota), 20);
	expect_counts("two", 0, 2, 0);
}

static void update(const struct limit_layout *wanted)
{
	struct mapping_spec spec = {
		.in = { ADDR(10, 0, 0, 0), 24 }, .out = { POOL, 30 }, .sessions_per_user = 1000, .limit = *wanted
	};

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	begin_update(&spec);
	settings.limits = (uint8_t)limit_layout_any(wanted);
	reload_settings();
	cr_assert_eq(mappings_update(mappings, &spec), 0);
	refresh_followed_routes();
	/* Sessions begin and end before the agent has counted. */
	if (settings.limits) {
		cr_expect_geq(open_flow(UDP, 6500, 53, 0), 0);
		cr_expect_geq(sessions_close_in(mappings, 0, (struct endpoint){ SUBSCRIBER, 5000 },
						(struct endpoint){ EXTERNAL, 53 }, 0),
			      0);
	}
	count_limits();
}

/* The first limit counts the sessions there are; another value, and none, come at once. */
Test(limits_by_protocol, count_the_sessions_there_were, .init = set_up_plain)
{
	struct limit_layout wanted = { .sessions = { [LIMIT_UDP] = 12 } };

	open_tcp(3);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_geq(open_flow(UDP, (uint16_t)(6304 + i * PORTS), 53, 0), 0);
	open_udp(1);
	cr_expect_gt(sessions_overflowed(), 0);
	cr_expect_null(line());
	update(&wanted);
	expect_counts("the first limit", 3, 11, 0);
	cr_expect_geq(open_flow(UDP, 5900, 53, 0), 0);
	cr_expect_eq(open_flow(UDP, 5901, 53, 0), -1);
	wanted.sessions[LIMIT_UDP] = 5;
	wanted.sessions[LIMIT_TCP] = 3;
	update(&(struct limit_layout){ 0 });
	cr_expect_null(line());
	cr_expect_geq(open_flow(UDP, 5902, 53, 0), 0, "no limit");
	update(&wanted);
	expect_counts("fewer than there are: none ends for it", 3, 13, 0);
	cr_expect_eq(open_flow(UDP, 5903, 53, 0), -1);
	cr_expect_eq(open_flow(TCP, 5904, 80, SYN), -1);
}

/* The lines outlive the agent. */
Test(limits_by_protocol, outlive_the_agent)
{
	struct error err;

	open_udp(UDP_LIMIT);
	mappings_close(mappings);
	datapath.reused = true;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	expect_counts("taken over", 0, UDP_LIMIT, 0);
	cr_expect_eq(open_flow(UDP, 5900, 53, 0), -1);
	cr_expect_eq(
		mappings_del_of(mappings, 0, (struct prefix){ ADDR(10, 0, 0, 0), 24 }, (struct prefix){ POOL, 30 }), 0);
	while (mappings_reclaim_step(mappings) != RECLAIM_DONE)
		usleep(100);
}
