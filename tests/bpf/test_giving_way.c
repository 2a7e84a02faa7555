// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions that have ended, and those that strangers have opened, make room for the subscriber's own: as many as it
 * opens at once, on one core or two. No test waits for the next tick between the openings.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "told_routes.h"

#define QUOTA_OF_ALL 1000
#define BURST	     300

#define SYN 0x02
#define RST 0x04
#define ACK 0x10

TestSuite(giving_way, .init = set_up, .fini = tear_down, .timeout = 120);

/* Inside ports that no other phase of a test uses. In `crowded`, two and two share a first choice. */
static uint16_t port_of(unsigned i, unsigned phase, bool crowded)
{
	unsigned ports = crowded ? PORTS / 2 : PORTS;

	return (uint16_t)((2 + phase * 4 + i / ports) * PORTS + i % ports);
}

/* So many connections, each of which the subscriber resets. */
static void open_and_reset(unsigned n, unsigned phase, bool crowded, uint16_t ext_port)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t port = port_of(i, phase, crowded);

		if (i % 16 == 0)
			refresh_followed_routes();
		cr_assert_geq(open_flow(TCP, port, ext_port, SYN), 0, "connection %u of phase %u", i, phase);
		cr_assert_geq(open_flow(TCP, port, ext_port, RST), 0);
	}
}

static void expect_no_refusal(void)
{
	cr_expect_eq(counted(REASON_drop_quota), 0);
	cr_expect_eq(counted(REASON_drop_busy), 0);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), 0);
	cr_expect_eq(counted(REASON_drop_overflow_full), 0);
}

static void expect_burst(unsigned n, unsigned phase, bool crowded, uint16_t ext_port)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < n; i++) {
		if (i % 16 == 0)
			refresh_followed_routes();
		opened += open_flow(TCP, port_of(i, phase, crowded), ext_port, SYN) >= 0;
	}
	cr_expect_eq(opened, n, "%u of %u", opened, n);
	expect_no_refusal();
}

Test(giving_way, a_full_table_of_reset_connections_to_a_burst)
{
	open_and_reset(QUOTA_OF_ALL, 0, false, 80);
	expect_burst(BURST, 1, false, 443);
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA_OF_ALL);
}

/* The new ones need the ports of the old ones. */
Test(giving_way, reset_connections_with_one_server_to_a_burst)
{
	open_and_reset(QUOTA_OF_ALL, 0, true, 80);
	cr_expect_gt(counted(REASON_sessions_overflowed), 400);
	expect_burst(BURST, 1, true, 80);
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA_OF_ALL);
}

Test(giving_way, every_connection_of_a_client_that_always_resets)
{
	for (unsigned phase = 0; phase < 4; phase++)
		open_and_reset(QUOTA_OF_ALL, phase, false, 80);
	expect_no_refusal();
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA_OF_ALL);
}

/* Nothing is in slots but what is in use; of 200 beyond them, some have been reset, and then all have expired. */
Test(giving_way, connections_beyond_the_slots_to_a_burst)
{
	struct mapping_spec spec = { .in = { ADDR(10, 64, 0, 0), 20 },
				     .out = { ADDR(203, 0, 114, 0), 24 },
				     .sessions_per_user = 208,
				     .session_slots = BUCKET_SLOTS };
	uint32_t in_addr = ADDR(10, 64, 0, 1);
	unsigned opened = 0;

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	cr_assert_eq(system("ip route add 10.64.0.0/10 via 10.0.0.2 dev tin"), 0);
	refresh_followed_routes();
	for (unsigned i = 0; i < 208; i++) {
		cr_assert_geq(open_flow_of(in_addr, TCP, 5000, (uint16_t)(1000 + i), SYN), 0);
		if (i >= 8 && i < 100)
			cr_assert_geq(open_flow_of(in_addr, TCP, 5000, (uint16_t)(1000 + i), RST), 0);
	}
	cr_assert_eq(counted(REASON_sessions_overflowed), 200);
	for (unsigned i = 0; i < 92; i++)
		opened += open_flow_of(in_addr, TCP, 5000, (uint16_t)(2000 + i), SYN) >= 0;
	cr_expect_eq(opened, 92, "%u in place of those that were reset", opened);
	expect_no_refusal();
	cr_expect_eq(open_flow_of(in_addr, TCP, 5000, 3000, SYN), -1, "the others are in use");
	age_beyond(ticks_of_seconds(241, datapath.hz));
	next_tick();
	opened = 0;
	for (unsigned i = 0; i < 200; i++)
		opened += open_flow_of(in_addr, TCP, 5000, (uint16_t)(4000 + i), SYN) >= 0;
	cr_expect_eq(opened, 200, "%u in place of those that have expired", opened);
	cr_expect_eq(sessions_of(in_addr), 208);
}

/* Below the quota, but no port is free towards the server. */
Test(giving_way, ports_of_reset_connections_beyond_the_slots_to_a_burst)
{
	datapath.mapping[0].sessions_per_user = 5000;
	open_and_reset(PORTS, 0, true, 80);
	cr_expect_gt(counted(REASON_sessions_overflowed), 400);
	expect_burst(BURST, 1, true, 80);
	cr_expect_eq(sessions_of(SUBSCRIBER), PORTS);
}

Test(giving_way, time_wait_and_expired_connections_to_a_burst)
{
	struct bucket *b = mappings_buckets(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	struct subscriber *s = mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
	unsigned waiting = 0;

	for (unsigned i = 0; i < QUOTA_OF_ALL; i++)
		cr_assert_geq(open_flow(TCP, port_of(i, 0, false), 80, SYN), 0);
	age_sessions(SUBSCRIBER, 241);
	for (unsigned i = 0; i < 64; i++) {
		for (unsigned k = 0; k < BUCKET_SLOTS; k += 2) {
			__u64 *word = &b[i].slot[k].truth;

			if (!word_is_live(*word))
				continue;
			*word = word_with(*word, SESSION_TIME_WAIT, datapath_ticks(&datapath));
			waiting++;
		}
	}
	s->sessions -= waiting;
	cr_assert_gt(waiting, 100);
	expect_burst(QUOTA_OF_ALL, 1, false, 443);
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA_OF_ALL);
}

/* What was looked for in vain is there once a connection is reset, in the same tick. */
Test(giving_way, a_connection_reset_after_a_refusal_of_the_same_tick)
{
	uint32_t tick;
	int refused, opened;

	datapath.mapping[0].sessions_per_user = 5;
	for (unsigned i = 0; i < 5; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, SYN), 0);
	for (unsigned i = 0;; i++) {
		cr_assert_lt(i, 5);
		next_tick();
		tick = datapath_ticks(&datapath);
		refused = open_flow(TCP, (uint16_t)(3000 + i), 80, SYN);
		open_flow(TCP, (uint16_t)(2000 + i), 80, RST);
		opened = open_flow(TCP, (uint16_t)(3000 + i), 80, SYN);
		cr_expect_eq(refused, -1);
		if (datapath_ticks(&datapath) == tick)
			break;
	}
	cr_expect_geq(opened, 0);
}

/* Connections of which each was reset nine seconds after the one before. */
Test(giving_way, the_oldest_to_within_a_quarter)
{
	enum { N = 24 };

	datapath.mapping[0].sessions_per_user = N;
	for (unsigned i = 0; i < N; i++) {
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, SYN), 0);
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, RST), 0);
		age_sessions(SUBSCRIBER, 9);
	}
	/* The oldest is 216 s old; those that are younger than three quarters of that wait. */
	cr_expect_geq(open_flow(TCP, 3000, 80, SYN), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), N);
	for (unsigned i = 7; i < N; i++)
		cr_expect_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, ACK), 0, "number %u comes back", i);
	cr_expect_eq(counted(REASON_sessions_opened), N + 1, "and is the one of before");
}

/* Two cores. */

struct core {
	unsigned number;
	unsigned opened;
};

static volatile unsigned ready;

static int open_on_core(uint8_t proto, uint16_t in_port, uint16_t ext_port)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = HOST,
			   .to = GATEWAY_IN,
			   .src = SUBSCRIBER,
			   .dst = EXTERNAL,
			   .proto = proto,
			   .sport = in_port,
			   .dport = ext_port,
			   .flags = SYN };
	size_t size = frame_build(&f, in), out_size;

	return run_frame(XDP_INSIDE, in, size, out, &out_size) == REDIRECT_XDP && out[26] != 10;
}

/* As in the kernel's network path, where the holder of a lock is not taken off its core by other processes. */
static void begin_on(unsigned number)
{
	cpu_set_t cpus;

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });

	CPU_ZERO(&cpus);
	CPU_SET(number, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	__sync_fetch_and_add(&ready, 1);
	while (ready < 2)
		sched_yield();
}

static void *core_opens(void *arg)
{
	struct core *c = arg;

	begin_on(c->number);
	for (unsigned i = 0; i < BURST / 2; i++)
		c->opened += (unsigned)open_on_core(TCP, port_of(i * 2 + c->number, 1, true), 80);
	return NULL;
}

Test(giving_way, reset_connections_to_a_burst_on_two_cores)
{
	struct core cores[2] = { { .number = 0 }, { .number = 1 } };
	pthread_t threads[2];

	open_and_reset(QUOTA_OF_ALL, 0, true, 80);
	refresh_followed_routes();
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, core_opens, &cores[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(cores[0].opened + cores[1].opened, BURST);
	expect_no_refusal();
	cr_expect_eq(sessions_of(SUBSCRIBER), QUOTA_OF_ALL);
}

/* Strangers. */

static void set_up_strangers(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 100 };
	set_up();
}

Test(giving_way, a_full_table_of_strangers_to_a_burst, .init = set_up_strangers)
{
	unsigned opened = 0;

	open_flow(UDP, 6304, 53, 0);
	for (unsigned i = 0; i < 3000 && sessions_of(SUBSCRIBER) < QUOTA_OF_ALL; i++)
		stranger(ADDR(192, 0, 2, 0) + i % 256, (uint16_t)(1024 + i), OUT_PORT(6304, 2));
	cr_assert_gt(sessions_of(SUBSCRIBER), 900);
	for (unsigned i = 0; i < BURST + 100; i++) {
		if (i % 16 == 0)
			refresh_followed_routes();
		opened += open_flow(UDP, (uint16_t)(7000 + i), 53, 0) >= 0;
	}
	cr_expect_eq(opened, BURST + 100);
	expect_no_refusal();
}

#define SMALL_QUOTA 100

static volatile bool flooded;

static void *core_floods(void *arg)
{
	begin_on(1);
	for (unsigned i = 0; !flooded; i++)
		stranger(ADDR(192, 0, 2, 0) + i % 256, (uint16_t)(1025 + i / 256 * 16 + i % 15), OUT_PORT(6304, 2));
	return arg;
}

/* The place of a stranger's session goes to the subscriber's, not to another stranger's. */
Test(giving_way, strangers_that_flood_on_another_core, .init = set_up_strangers)
{
	pthread_t thread;
	unsigned opened = 0;

	set_quota(SMALL_QUOTA);
	for (unsigned round = 0; round < 10; round++) {
		age_sessions(SUBSCRIBER, 301);
		sweep_sessions();
		next_tick();
		open_flow(UDP, 6304, 53, 0);
		for (unsigned i = 0; i < 1000 && sessions_of(SUBSCRIBER) < SMALL_QUOTA; i++)
			stranger(ADDR(192, 0, 2, 0) + i % 256, (uint16_t)(1025 + i * 16 % 60000 + i % 15),
				 OUT_PORT(6304, 2));
		cr_assert_eq(sessions_of(SUBSCRIBER), SMALL_QUOTA);
		refresh_followed_routes();
		ready = 0;
		flooded = false;
		cr_assert_eq(pthread_create(&thread, NULL, core_floods, NULL), 0);
		begin_on(0);
		for (unsigned i = 0; i < SMALL_QUOTA - 1; i++)
			opened += (unsigned)open_on_core(UDP, 6304, (uint16_t)(1000 + i));
		flooded = true;
		pthread_join(thread, NULL);
	}
	cr_expect_eq(opened, 10 * (SMALL_QUOTA - 1));
	cr_expect_eq(counted(REASON_drop_quota), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), SMALL_QUOTA);
}
