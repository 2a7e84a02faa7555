// SPDX-License-Identifier: BSD-2-Clause
/*
 * Subscribers whose slots are full have extents, <detnat/extents.h>: their sessions are found there by every program,
 * in both directions, as those in slots are, also while an extent is replaced by a larger one.
 *
 * The subscriber of these tests has eight slots, and a block of 1008 ports: no flow lacks a port.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "fixture.h"
#include "icmp_frame.h"
#include "sessions/check.h"
#include "tables/mapping_tables.h"
#include "told_routes.h"

#define IN	ADDR(10, 1, 0, 2)
#define OUT	ADDR(203, 0, 113, 200)
#define SLOTS	BUCKET_SLOTS
#define IN_PORT 7000

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static void add_mapping(uint32_t sessions)
{
	struct mapping_spec spec = { .in = { ADDR(10, 1, 0, 0), 24 },
				     .out = { OUT, 30 },
				     .sessions_per_user = sessions,
				     .session_slots = SLOTS };

	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	cr_assert_eq(system("ip route replace 10.1.0.0/24 via 10.0.0.2 dev tin"), 0);
	datapath_raise_epoch(&datapath);
	refresh_followed_routes();
}

static void set_up_extents(void)
{
	settings.extent_buckets = 4096;
	settings.tc = TC_ALONE;
	set_up();
	add_mapping(4000);
}

TestSuite(extents, .init = set_up_extents, .fini = tear_down, .timeout = 240);

static int number(void)
{
	return mappings_find_any(mappings, IN);
}

static struct subscriber *record(void)
{
	return mappings_subscriber(mappings, number(), IN - ADDR(10, 1, 0, 0));
}

/* Buckets of the subscriber's extent. */
static uint32_t size_now(void)
{
	return extent_buckets(subscriber_extent(record()));
}

static uint16_t flow_port(unsigned flow)
{
	return (uint16_t)(IN_PORT + flow % PORTS);
}

static uint16_t flow_ext(unsigned flow)
{
	return (uint16_t)(1000 + flow);
}

static int open_nth(uint8_t proto, unsigned flow, uint8_t flags)
{
	if (flow % 16 == 0)
		refresh_followed_routes();
	return open_flow_in_time(IN, proto, flow_port(flow), flow_ext(flow), flags);
}

static uint16_t out_port_of(unsigned flow)
{
	return (uint16_t)(1024 + PORTS * 2 + flow_port(flow) % PORTS);
}

/* Opens flows until the extent is that large; their number. */
static unsigned open_until(uint32_t size)
{
	unsigned n = 0;

	for (; size_now() < size && n < 2000; n++)
		cr_assert_eq(open_nth(UDP, n, 0), out_port_of(n), "flow %u", n);
	cr_assert_eq(size_now(), size);
	return n;
}

static void open_those(uint8_t proto, unsigned first, unsigned end, uint8_t flags)
{
	for (unsigned i = first; i < end; i++)
		cr_assert_eq(open_nth(proto, i, flags), out_port_of(i), "flow %u", i);
}

/* An answer to a flow whose session exists. */
static void expect_answer(uint8_t proto, unsigned flow, uint8_t flags, enum hook in)
{
	const struct row rows[] = {
		{ "an answer",
		  in,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    proto,
		    flow_ext(flow),
		    out_port_of(flow),
		    .flags = flags,
		    .payload = 20 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    proto,
		    flow_ext(flow),
		    flow_port(flow),
		    .flags = flags,
		    .payload = 20 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

/* The packets of a flow, both ways, whose session exists. */
static void expect_passes(uint8_t proto, unsigned flow, uint8_t flags, enum hook out, enum hook in)
{
	const struct row rows[] = {
		{ "a packet of its subscriber",
		  out,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    proto,
		    flow_port(flow),
		    flow_ext(flow),
		    .flags = flags,
		    .payload = 11 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    proto,
		    out_port_of(flow),
		    flow_ext(flow),
		    .flags = flags,
		    .payload = 11 },
		  REASON_in2out_translated },
	};
	uint64_t opened = counted(REASON_sessions_opened);

	RUN_ROWS(rows);
	expect_answer(proto, flow, flags, in);
	cr_expect_eq(counted(REASON_sessions_opened), opened, "flow %u: another session", flow);
}

static void expect_tables_right(void)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, false, &f, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	table_check_free(c);
	cr_expect_eq(f.total, 0, "%s: %s", f.n ? f.finding[0].where : "", f.n ? f.finding[0].text : "");
	findings_free(&f);
}

static int keep(const struct session *s, void *arg)
{
	*(unsigned *)arg += s->in_addr == IN;
	return 0;
}

static unsigned sweep(void)
{
	unsigned told = 0;
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, keep, &told) > 0)
		;
	session_sweep_free(s);
	return told;
}

/* Next hops stay cached, and the programs of the slow path are gone: as in test_fast_features.c. */
static void leave_the_fast_path(void)
{
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_open };

	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
}

static void set_up_fast(void)
{
	set_up_extents();
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	reload_settings();
	datapath.global->sources_until = datapath_ticks(&datapath) + 100000;
}

Test(extents, answers_to_a_session_without_a_slot_take_the_fast_path, .init = set_up_fast)
{
	const unsigned flows = SLOTS + 6;

	open_those(UDP, 0, flows, 0);
	expect_passes(UDP, 0, 0, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(size_now(), 1);
	cr_expect_eq(counted(REASON_sessions_overflowed), 6);
	cr_expect_eq(datapath.global->overflow, 0);
	cr_expect_eq(sessions_of(IN), flows);
	leave_the_fast_path();
	for (unsigned i = 0; i < flows; i++)
		expect_answer(UDP, i, 0, XDP_OUTSIDE);
	cr_expect_eq(counted(REASON_no_program), 0);
}

Test(extents, it_passes_in_the_slow_path_too)
{
	open_those(UDP, 0, SLOTS + 3, 0);
	for (unsigned i = SLOTS; i < SLOTS + 3; i++)
		expect_passes(UDP, i, 0, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	expect_tables_right();
}

/* 1, 4, 16, 64, 256 buckets, and each session found in each. */
Test(extents, an_extent_that_is_full_gives_way_to_one_four_times_as_large)
{
	const unsigned flows = 900;
	uint32_t seen = 0;

	for (unsigned i = 0; i < flows; i++) {
		uint32_t before = size_now();

		cr_assert_eq(open_nth(UDP, i, 0), out_port_of(i), "flow %u, of %u buckets", i, before);
		if (size_now() == before)
			continue;
		cr_expect_eq(size_now(), before ? 4 * before : 1);
		seen |= size_now();
		cr_expect_eq(sessions_of(IN), i + 1);
		for (unsigned k = 0; k <= i; k += i / 40 + 1)
			expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
	}
	cr_expect_eq(seen, 1 | 4 | 16 | 64 | 256);
	cr_expect_eq(datapath.pool->grown, 4);
	cr_expect_eq(record()->sessions, flows);
	cr_expect_eq(sessions_of(IN), flows);
	cr_expect_eq(datapath.global->overflow, 0);
	expect_tables_right();
	for (unsigned k = 0; k < flows; k += 5)
		expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

/* The lists of extents that were given up, by size. */
static unsigned retired(unsigned size)
{
	unsigned n = 0;

	for (uint32_t at = (uint32_t)datapath.pool->retired[size]; at; n++)
		at = (uint32_t)datapath.extent[at - 1].slot[0].key;
	return n;
}

Test(extents, a_replaced_extent_is_empty_and_in_no_use_before_an_agent_says_so)
{
	uint32_t first;

	open_those(UDP, 0, SLOTS + 1, 0);
	first = extent_first(subscriber_extent(record()));
	open_until(64);
	cr_expect_eq(retired(0), 1);
	cr_expect_eq(retired(1), 1);
	cr_expect_eq(retired(2), 1);
	cr_expect_eq((uint32_t)datapath.pool->retired[0], first + 1);
	for (unsigned i = 0; i < SLOTS; i++)
		cr_expect(word_is_free(datapath.extent[first].slot[i].truth));
	cr_expect_eq(datapath.pool->used, 1 + 4 + 16 + 64);
	/* Another subscriber gets none of them. */
	for (unsigned i = 0; i < SLOTS + 1; i++)
		cr_assert_geq(open_flow_of(IN + 1, UDP, flow_port(i), 53, 0), 0);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, number(), 3))), 85);
}

Test(extents, a_free_extent_is_used_again)
{
	datapath.extent[100].slot[0].key = 200 + 1;
	datapath.pool->free[0] = 100 + 1;
	datapath.pool->next = 300;
	for (uint32_t host = 0; host < 3; host++)
		for (unsigned i = 0; i < SLOTS + 1; i++)
			cr_assert_geq(open_flow_of(IN + host, UDP, flow_port(i), 53, 0), 0);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, number(), 2))), 100);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, number(), 3))), 200);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, number(), 4))), 300);
	cr_expect_eq((uint32_t)datapath.pool->free[0], 0);
	cr_expect_eq(datapath.pool->free[0] >> 32, 2);
}

/* The next sweep makes them free, and empty. */
Test(extents, the_sweep_makes_replaced_extents_free)
{
	unsigned flows = open_until(64);

	sweep();
	for (unsigned size = 0; size < 3; size++) {
		cr_expect_eq(retired(size), 0, "size %u", size);
		cr_expect_neq((uint32_t)datapath.pool->free[size], 0, "size %u", size);
	}
	cr_expect_eq(datapath.pool->used, 64);
	for (unsigned i = 0; i < SLOTS + 1; i++)
		cr_assert_geq(open_flow_of(IN + 1, UDP, flow_port(i), 53, 0), 0);
	cr_expect_lt(extent_first(subscriber_extent(mappings_subscriber(mappings, number(), 3))), 85);
	cr_expect_eq(datapath.pool->used, 65);
	expect_tables_right();
	for (unsigned k = 0; k < flows; k += 3)
		expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

static void reclaim(void)
{
	enum reclaim r;

	while ((r = mappings_reclaim_step(mappings)) != RECLAIM_DONE)
		if (r == RECLAIM_WAITS)
			usleep(1000);
}

/* Their sessions are told as those in slots are. */
Test(extents, a_deleted_mapping_gives_its_extents_back)
{
	const struct prefix in = { .base = ADDR(10, 1, 0, 0), .plen = 24 }, out = { .base = OUT, .plen = 30 };
	unsigned told = 0, flows;

	sessions_on_close(mappings, keep, &told);
	flows = open_until(16);
	cr_assert_eq(mappings_del(mappings, in, out), 0);
	reclaim();
	cr_expect_eq(told, flows);
	sweep();
	cr_expect_eq(datapath.pool->used, 0);
	/* A mapping in its place begins without. */
	add_mapping(4000);
	cr_expect_eq(record()->hairpins, 0);
	open_those(UDP, 0, SLOTS + 1, 0);
	cr_expect_eq(size_now(), 1);
	cr_expect_eq(datapath.pool->used, 1);
	expect_tables_right();
}

/* Those of an address that an exception takes end with it. */
Test(extents, an_exception_ends_the_sessions_there)
{
	struct mapping_spec spec = { .in = { IN, 32 },
				     .out = { ADDR(203, 0, 113, 210), 32 },
				     .sessions_per_user = 100,
				     .session_slots = SLOTS };
	const struct subscriber *s = record();
	unsigned told = 0;

	sessions_on_close(mappings, keep, &told);
	open_those(UDP, 0, 30, 0);
	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	refresh_followed_routes();
	reclaim();
	cr_expect_eq(told, 30);
	cr_expect_eq(s->sessions, 0);
	expect_tables_right();
	cr_assert_eq(mappings_del(mappings, spec.in, spec.out), 0);
	reclaim();
	refresh_followed_routes();
	open_those(UDP, 0, 30, 0);
	cr_expect_eq(sessions_of(IN), 30);
	expect_tables_right();
}

static uint8_t state_of(unsigned flow)
{
	uint32_t n;
	const struct slot *slots = slots_beyond(number(), IN, &n);

	for (uint32_t i = 0; i < n; i++)
		if (word_is_live(slots[i].truth) && key_in_port(slots[i].key) == flow_port(flow) &&
		    key_ext_port(slots[i].key) == flow_ext(flow))
			return word_state(slots[i].truth);
	return SESSION_FREE;
}

Test(extents, a_connection_there_has_all_states_and_its_port_is_taken_in_time_wait)
{
	const unsigned flow = SLOTS;
	uint32_t sessions;

	tell_routes();
	open_those(UDP, 0, SLOTS, 0);
	cr_assert_eq(open_nth(TCP, flow, SYN), out_port_of(flow));
	cr_expect_eq(state_of(flow), SESSION_SYN_SENT);
	expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(state_of(flow), SESSION_ESTABLISHED);
	sessions = record()->sessions;
	expect_passes(TCP, flow, FIN | ACK, XDP_INSIDE, XDP_OUTSIDE);
	expect_passes(TCP, flow, ACK, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect_eq(state_of(flow), SESSION_TIME_WAIT);
	cr_expect_eq(record()->sessions, sessions - 1);
	cr_expect_eq(sessions_of(IN), SLOTS);
	/* A SYN opens it again. */
	cr_expect_eq(open_nth(TCP, flow, SYN), out_port_of(flow));
	cr_expect_eq(state_of(flow), SESSION_SYN_SENT);
	cr_expect_eq(record()->sessions, sessions);
	expect_passes(TCP, flow, RST, XDP_INSIDE, XDP_OUTSIDE);
	cr_expect(state_of(flow) & SESSION_RESET);
	tell_no_routes();
}

/* Two flows that want one port: the second has another of its group, wherever the first stands. */
Test(extents, a_port_there_is_another_flows_own)
{
	int port;

	open_those(UDP, 0, SLOTS + 4, 0);
	port = open_flow_of(IN, UDP, (uint16_t)(flow_port(SLOTS) + PORTS), flow_ext(SLOTS), 0);
	cr_expect_neq(port, out_port_of(SLOTS));
	cr_expect_eq((port - 1024) / 8 * 8, (out_port_of(SLOTS) - 1024) / 8 * 8, "a port of the group");
	cr_expect_eq(sessions_of(IN), SLOTS + 5);
	cr_expect_eq(datapath.global->overflow, 0);
	expect_tables_right();
}

Test(extents, a_session_there_is_refreshed_by_its_subscriber_and_expires)
{
	const unsigned flow = SLOTS;

	open_those(UDP, 0, SLOTS + 1, 0);
	age_sessions(IN, 200);
	cr_expect_eq(open_nth(UDP, flow, 0), out_port_of(flow));
	age_sessions(IN, 200);
	/* The others have expired, this one has not. */
	cr_expect_eq(sessions_of(IN), 1);
	expect_passes(UDP, flow, 0, XDP_INSIDE, XDP_OUTSIDE);
	age_sessions(IN, 400);
	cr_expect_eq(sessions_of(IN), 0);
	/* Its flow opens a session again, on the same port. */
	cr_expect_eq(open_nth(UDP, flow, 0), out_port_of(flow));
	cr_expect_eq(sessions_of(IN), 1);
}

Test(extents, the_sweep_ends_those_that_have_expired)
{
	open_those(UDP, 0, SLOTS + 20, 0);
	age_sessions(IN, 400);
	open_those(UDP, SLOTS + 20, SLOTS + 22, 0);
	/* As if it had been looked at long ago. */
	mappings_sweep_due(mappings, number())[IN - ADDR(10, 1, 0, 0)] = 0;
	sweep();
	cr_expect_eq(record()->sessions, 2);
	cr_expect_eq(sessions_of(IN), 2);
	expect_tables_right();
}

Test(extents, a_session_there_can_be_closed_and_listed)
{
	const struct endpoint in = { IN, flow_port(SLOTS) }, ext = { EXTERNAL, flow_ext(SLOTS) };
	const struct endpoint out = { OUT, out_port_of(SLOTS + 1) }, its = { EXTERNAL, flow_ext(SLOTS + 1) };
	struct session_walk *w;
	unsigned listed = 0;

	open_those(UDP, 0, SLOTS + 4, 0);
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 1);
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 0);
	cr_expect_eq(sessions_close_out(mappings, out, its, UDP), 1);
	cr_expect_eq(record()->sessions, SLOTS + 2);
	cr_assert_eq(session_walk_new_subscriber(mappings, IN, &w), 0);
	while (session_walk_step(w, 1000000, keep, &listed) > 0)
		;
	session_walk_free(w);
	cr_expect_eq(listed, SLOTS + 2);
}

Test(extents, icmp_errors_about_a_session_there_go_both_ways)
{
	const unsigned flow = SLOTS + 2;
	const struct icmp_row rows[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = OUT,
			       .dst = EXTERNAL,
			       UDP,
			       out_port_of(flow),
			       flow_ext(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .ttl = 63,
		    .src = EXTERNAL,
		    .dst = IN,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = IN,
			       .dst = EXTERNAL,
			       UDP,
			       flow_port(flow),
			       flow_ext(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REASON_icmp_error_translated },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL,
			       .dst = IN,
			       UDP,
			       flow_ext(flow),
			       flow_port(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REDIRECT_XDP,
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .ttl = 63,
		    .src = OUT,
		    .dst = EXTERNAL,
		    .type = 3,
		    .code = 3,
		    .quote = { .src = EXTERNAL,
			       .dst = OUT,
			       UDP,
			       flow_ext(flow),
			       out_port_of(flow),
			       .ttl = 60,
			       .payload = 20 } },
		  REASON_icmp_error_translated },
	};

	open_those(UDP, 0, flow + 1, 0);
	RUN_ICMP_ROWS(rows);
}

/* A calls B, whose session towards A stands in an extent, as does that of A. */
Test(extents, hairpins_find_sessions_there)
{
	const uint32_t b = IN + 1;
	const uint16_t a_port = OUT_PORT(7900, 2), b_port = OUT_PORT(8000, 3);
	const struct row rows[] = {
		{ "A calls B, who has no session",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 7900, b_port },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
		{ "B calls A, who has one by now",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = b, .dst = OUT, UDP, 8000, a_port, .payload = 9 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = IN, UDP, b_port, 7900, .payload = 9, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "A answers",
		  XDP_INSIDE,
		  { .from = HOST, .to = GATEWAY_IN, .src = IN, .dst = OUT, UDP, 7900, b_port, .payload = 5 },
		  REDIRECT_XDP,
		  { .from = GATEWAY_IN, .to = HOST, .src = OUT, .dst = b, UDP, a_port, 8000, .payload = 5, .ttl = 63 },
		  REASON_hairpin_translated },
		{ "from outside, as if from A",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = OUT, .dst = OUT, UDP, a_port, b_port, .payload = 5 },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	for (uint32_t addr = IN; addr <= b; addr++)
		for (unsigned i = 0; i < SLOTS + 1; i++)
			cr_assert_geq(open_flow_of(addr, UDP, flow_port(i), 53, 0), 0);
	RUN_ROWS(rows);
	cr_expect_eq(record()->hairpins & HAIRPINS_SEEN, HAIRPINS_SEEN);
	cr_expect_eq(size_now(), 1);
	cr_expect_eq(sessions_of(IN), SLOTS + 2);
}

Test(extents, fragments_of_a_session_there_pass_both_ways)
{
	const unsigned flow = SLOTS + 1;
	uint8_t whole[FRAME_MAX], in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	const struct frame from = { .from = HOST,
				    .to = GATEWAY_IN,
				    .src = IN,
				    .dst = EXTERNAL,
				    UDP,
				    flow_port(flow),
				    flow_ext(flow),
				    .payload = 1600 },
			   to = { .ttl = 63,
				  .from = GATEWAY_OUT,
				  .to = ROUTER,
				  .src = OUT,
				  .dst = EXTERNAL,
				  UDP,
				  out_port_of(flow),
				  flow_ext(flow),
				  .payload = 1600 };
	static const unsigned parts[][2] = { { 0, 800 }, { 800, 1608 } };

	open_those(UDP, 0, flow + 1, 0);
	for (unsigned i = 0; i < 2; i++) {
		size_t size, out_size, want_size;

		frame_build(&from, whole);
		size = frame_fragment(whole, 7, parts[i][0], parts[i][1], !i, in);
		cr_expect_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		frame_build(&to, whole);
		want_size = frame_fragment(whole, 7, parts[i][0], parts[i][1], !i, want);
		cr_expect(frame_equal("fragment", out, out_size, want, want_size));
	}
	cr_expect_eq(sessions_of(IN), flow + 1);
}

static void set_up_few(void)
{
	settings.extent_buckets = 16;
	settings.overflow_sessions = 0;
	set_up();
	add_mapping(4000);
}

/* Not all of the pool is for one subscriber; what is left is for others. */
Test(extents, a_full_pool_refuses_sessions_and_counts_that, .init = set_up_few)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < 200; i++)
		opened += open_nth(UDP, i, 0) >= 0;
	cr_expect_geq(opened, SLOTS + 8);
	cr_expect_lt(opened, 200);
	cr_expect_eq(counted(REASON_drop_overflow_full), 200 - opened);
	cr_expect_eq(record()->refused, 200 - opened);
	cr_expect_gt(datapath.pool->refused, 0);
	cr_expect_eq(record()->sessions, opened);
	cr_expect_eq(sessions_of(IN), opened);
	for (unsigned i = 0; i < SLOTS + 3; i++)
		cr_expect_geq(open_flow_of(IN + 1, UDP, flow_port(i), 53, 0), 0, "the other's flow %u", i);
	expect_tables_right();
}

static void set_up_quota(void)
{
	settings.extent_buckets = 4096;
	set_up();
	add_mapping(60);
}

/* The quota counts sessions in slots and in extents, and those that an RST has closed give way, wherever they are. */
Test(extents, the_quota_counts_them_and_those_that_were_reset_give_way, .init = set_up_quota)
{
	open_those(TCP, 0, 60, SYN);
	cr_expect_eq(open_nth(TCP, 60, SYN), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(open_nth(TCP, 40, RST), out_port_of(40));
	cr_expect_eq(open_nth(TCP, 61, SYN), out_port_of(61));
	cr_expect_eq(open_nth(TCP, 62, SYN), -1);
	cr_expect_eq(sessions_of(IN), 60);
	/* Packets of those that there are pass. */
	for (unsigned i = 0; i < 40; i++)
		cr_expect_eq(open_nth(TCP, i, ACK), out_port_of(i), "flow %u", i);
	expect_tables_right();
}

/* While flows are opened, so that extents grow, others end: by packets, by the agent, and by a sweep. */
static volatile int opening;

static void *end_flows(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (opening) {
		unsigned flow = (unsigned)rand_r(&seed) % 1200;
		const struct endpoint in = { IN, flow_port(flow) }, ext = { EXTERNAL, flow_ext(flow) };

		if (rand_r(&seed) % 2)
			sessions_close_in(mappings, 0, in, ext, 0);
		else
			open_flow_of(IN, TCP, flow_port(flow), flow_ext(flow),
				     rand_r(&seed) % 2 ? RST | ACK : FIN | ACK);
	}
	return NULL;
}

Test(extents, moves_lose_no_end_and_count_each_once)
{
	pthread_t ending;

	opening = 1;
	cr_assert_eq(pthread_create(&ending, NULL, end_flows, NULL), 0);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 1200; i++)
			open_nth(TCP, i, i % 2 ? SYN : ACK);
	opening = 0;
	pthread_join(ending, NULL);
	cr_expect_gt(datapath.pool->grown, 1);
	expect_tables_right();
	age_sessions(IN, 8000);
	cr_expect_eq(sessions_of(IN), 0);
	mappings_sweep_due(mappings, number())[IN - ADDR(10, 1, 0, 0)] = 0;
	sweep();
	cr_expect_eq(record()->sessions, 0);
}
