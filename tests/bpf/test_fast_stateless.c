// SPDX-License-Identifier: BSD-2-Clause
/* Open mappings on the fast path, which decides as the slow path would, packet by packet and in every setting. */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "reach_fixture.h"
#include "staged.h"
#include "told_routes.h"

#define OPEN_FROM   .from = HOST, .to = GATEWAY_IN, .src = OPEN_IN, .dst = EXTERNAL
#define OPEN_LEAVES .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = OPEN_OUT, .dst = EXTERNAL
#define OPEN_TO	    .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OPEN_OUT
#define OPEN_COMES  .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = OPEN_IN

/* Eight addresses, one of which an exception takes. */
#define WIDE_IN	  ADDR(10, 0, 0, 48)
#define WIDE_OUT  ADDR(203, 0, 113, 72)
#define TAKEN_IN  (WIDE_IN + 2)
#define TAKEN_OUT (WIDE_OUT + 2)

static void vouch(void)
{
	datapath.global->sources_until = datapath_ticks(&datapath) + 100000;
}

static void own_source(uint32_t addr)
{
	datapath.global->own_sources[own_source_bit(addr) >> 6] |= 1ULL << (own_source_bit(addr) & 63);
}

static void set_up_stateless(void)
{
	struct mapping_spec wide = {
		.in = { WIDE_IN, 29 }, .out = { WIDE_OUT, 29 }, .open = true, .sessions_per_user = 1000
	};
	struct mapping_spec none = { .in = { TAKEN_IN, 32 }, .out = PREFIX_NONE };

	reach_set_up();
	for (int i = 0; i < N_TIMEOUTS; i++)
		wide.timeout_ticks[i] = none.timeout_ticks[i] = 10000;
	make_mapping(&wide, NULL);
	make_mapping(&none, NULL);
	reach_run("for i in $(seq 40 60); do ip neigh replace 10.0.0.$i lladdr 02:00:00:00:00:03 dev tin; done");
	stay_on_one_core();
	settings.hz = 60 * datapath.hz;
	settings.tcp_mss_clamp = 1400;
	reload_settings();
	follow_routes();
	vouch();
	own_source(ADDR(10, 0, 0, 1));
	own_source(ADDR(198, 51, 100, 1));
}

TestSuite(fast_stateless, .init = set_up_stateless, .fini = portmap_tear_down);

Test(fast_stateless, packets_of_an_open_mapping_need_one_program)
{
	static const struct row rows[] = {
		{ "UDP leaves",
		  XDP_INSIDE,
		  { OPEN_FROM, UDP, 5000, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { OPEN_LEAVES, UDP, 5000, 53, .payload = 30 },
		  REASON_in2out_translated },
		{ "TCP leaves",
		  XDP_INSIDE,
		  { OPEN_FROM, TCP, 80, 6000, .flags = 0x10, .payload = 30 },
		  REDIRECT_XDP,
		  { OPEN_LEAVES, TCP, 80, 6000, .flags = 0x10, .payload = 30 },
		  REASON_in2out_translated },
		{ "UDP comes",
		  XDP_OUTSIDE,
		  { OPEN_TO, UDP, 53, 5000, .payload = 30 },
		  REDIRECT_XDP,
		  { OPEN_COMES, UDP, 53, 5000, .payload = 30 },
		  REASON_out2in_translated },
		{ "TCP comes to a port of no block",
		  XDP_OUTSIDE,
		  { OPEN_TO, TCP, 6000, 80, .flags = 0x10, .payload = 30 },
		  REDIRECT_XDP,
		  { OPEN_COMES, TCP, 6000, 80, .flags = 0x10, .payload = 30 },
		  REASON_out2in_translated },
		{ "UDP without a checksum comes",
		  XDP_OUTSIDE,
		  { OPEN_TO, UDP, 53, 0, .payload = 30, .options = NO_UDP_CHECKSUM },
		  REDIRECT_XDP,
		  { OPEN_COMES, UDP, 53, 0, .payload = 30, .options = NO_UDP_CHECKSUM },
		  REASON_out2in_translated },
	};
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_protocol, PROG_protocol_in };

	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
	RUN_ROWS(rows);
}

/* Answers are limited by time: the first of two would be the only one. */
static void allow_answers(void)
{
	static const uint32_t first[] = { OPEN_IN, WIDE_IN, SUBSCRIBER };

	for (unsigned i = 0; i < sizeof(first) / sizeof(*first); i++) {
		int number = mappings_find_any(mappings, first[i]);
		const struct geometry *g = &mappings_get(mappings, number)->geo;

		for (uint64_t s = 0; s < prefix_size(g->in_plen); s++)
			mappings_subscriber(mappings, number, (uint32_t)s)->icmp_next = 0;
	}
	datapath.table->limits.icmp_due_ns = 0;
}

/* A frame by the slow path, then by the programs in place. */
static void expect_alike(const char *where, enum hook hook, uint32_t ifindex, const struct frame *f)
{
	uint8_t in[FRAME_MAX], slow[FRAME_MAX], fast[FRAME_MAX];
	size_t size = frame_build(f, in), slow_size, fast_size;
	struct counters before, between, after;
	int verdict, again;

	allow_answers();
	cr_assert_eq(datapath_counters(&datapath, &before), 0);
	verdict = run_frame_on(ifindex, hook == XDP_INSIDE ? XDP_INSIDE_SLOW : XDP_OUTSIDE_SLOW, in, size, slow,
			       &slow_size);
	allow_answers();
	cr_assert_eq(datapath_counters(&datapath, &between), 0);
	again = run_frame_on(ifindex, hook, in, size, fast, &fast_size);
	cr_assert_eq(datapath_counters(&datapath, &after), 0);
	cr_expect_eq(verdict, again, "%s: %08x:%u to %08x:%u: %d, and %d", where, f->src, f->sport, f->dst, f->dport,
		     verdict, again);
	cr_expect(verdict == DROP_XDP || frame_equal(where, fast, fast_size, slow, slow_size), "%s: %08x to %08x",
		  where, f->src, f->dst);
	/* Of two reasons to drop what an exception's former address gets, stage 2 gives the other one. */
	for (unsigned i = 0; i < N_REASONS && !(staged_wanted() && f->dst == TAKEN_OUT); i++)
		cr_expect_eq(((__u64 *)&between)[i] - ((__u64 *)&before)[i],
			     ((__u64 *)&after)[i] - ((__u64 *)&between)[i], "%s: %08x to %08x: counter %u", where,
			     f->src, f->dst, i);
}

static const uint32_t inside_sources[] = { OPEN_IN, WIDE_IN + 1, TAKEN_IN, ADDR(10, 0, 0, 1) };
static const uint32_t inside_targets[] = {
	EXTERNAL,	    ADDR(8, 8, 8, 8),	OPEN_OUT,  POOL, WIDE_OUT + 1, TAKEN_OUT, ADDR(198, 51, 100, 1),
	ADDR(224, 0, 0, 5), ADDR(240, 0, 0, 1), SUBSCRIBER
};
static const uint32_t outside_sources[] = { EXTERNAL,
					    ADDR(8, 8, 8, 8),
					    ADDR(198, 51, 100, 1),
					    ADDR(127, 0, 0, 1),
					    ADDR(10, 0, 0, 2),
					    ADDR(10, 0, 0, 1),
					    ADDR(203, 0, 113, 1),
					    OPEN_OUT,
					    ADDR(169, 254, 3, 3),
					    ADDR(10, 0, 9, 9),
					    ADDR(192, 0, 3, 9) };
static const uint32_t outside_targets[] = { OPEN_OUT, WIDE_OUT + 1, TAKEN_OUT, ADDR(203, 0, 113, 64), OPEN_IN };

/* All where it is about packets; elsewhere the first ones, as it is about addresses. */
#define FEW_SHAPES 2

static const struct frame shapes[] = {
	{ .proto = UDP, .sport = 53, .dport = 5000, .payload = 30 },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 30, .options = NO_UDP_CHECKSUM },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 30, .options = WRONG_CHECKSUM },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 30, .options = MORE_FRAGMENTS },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 30, .options = LATER_FRAGMENT },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 30, .options = CUT_SHORT },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 1473, .options = DONT_FRAGMENT },
	{ .proto = UDP, .sport = 53, .dport = 80, .payload = 1472 },
	{ .proto = UDP, .sport = 53, .dport = 443, .payload = 30, .ttl = 1 },
	{ .proto = UDP, .sport = 53, .dport = 65535, .payload = 30, .ttl = 2 },
	{ .proto = UDP, .sport = 53, .dport = 5000, .payload = 30, .ip_options = 8 },
	{ .proto = TCP, .sport = 53, .dport = 5000, .flags = 0x02 },
	{ .proto = TCP, .sport = 53, .dport = 22, .flags = 0x10, .payload = 9, .options = PADDED },
	{ .proto = TCP, .sport = 53, .dport = 22, .flags = 0x04 },
	{ .proto = ICMP, .sport = 53 },
	{ .proto = GRE, .payload = 30 },
};

static size_t n_shapes = FEW_SHAPES;

static void expect_all_alike(const char *where, enum hook hook, uint32_t ifindex, const uint32_t *src, size_t n_src,
			     const uint32_t *dst, size_t n_dst)
{
	bool in = hook == XDP_INSIDE;

	for (size_t i = 0; i < n_src * n_dst * n_shapes; i++) {
		struct frame f = shapes[i / n_src / n_dst];

		f.from = in ? HOST : ROUTER;
		f.to = in ? GATEWAY_IN : GATEWAY_OUT;
		f.src = src[i % n_src];
		f.dst = dst[i / n_src % n_dst];
		expect_alike(where, hook, ifindex, &f);
	}
}

#define N(array) array, sizeof(array) / sizeof(*(array))

static void expect_both_ways(const char *where)
{
	refresh_followed_routes();
	expect_all_alike(where, XDP_INSIDE, inside_ifindex, N(inside_sources), N(inside_targets));
	expect_all_alike(where, XDP_OUTSIDE, outside_ifindex, N(outside_sources), N(outside_targets));
}

Test(fast_stateless, decides_as_the_slow_path_beside_an_exception)
{
	n_shapes = sizeof(shapes) / sizeof(*shapes);
	expect_both_ways("as set up");
}

Test(fast_stateless, decides_as_the_slow_path_where_nobody_vouches)
{
	datapath.global->sources_until = datapath_ticks(&datapath) - 1;
	expect_both_ways("without a word on sources");
}

Test(fast_stateless, decides_as_the_slow_path_without_the_copy_of_the_routes)
{
	tell_no_routes();
	datapath.global->fib_until = datapath_ticks(&datapath) - 1;
	expect_both_ways("without the copy");
}

Test(fast_stateless, decides_as_the_slow_path_with_a_strict_filter_outside)
{
	settings.outside_filter = 1;
	datapath.device[outside_ifindex].rp_filter = 1;
	datapath.global->sources_until = datapath_ticks(&datapath) - 1;
	reload_settings();
	expect_both_ways("strict outside");
	vouch();
	expect_both_ways("strict outside, with sources vouched for");
}

Test(fast_stateless, decides_as_the_slow_path_with_a_strict_filter_inside)
{
	uint32_t other = reach_second("192.0.3.0/24", DEVICE_INSIDE);

	settings.source_check = SOURCES_STRICT;
	datapath.device[inside_ifindex].rp_filter = datapath.device[other].rp_filter = 1;
	datapath.global->sources_until = datapath_ticks(&datapath) - 1;
	reload_settings();
	expect_both_ways("strict inside");
	expect_all_alike("by the wrong interface", XDP_INSIDE, other, N(inside_sources), N(inside_targets));
}

Test(fast_stateless, decides_as_the_slow_path_where_an_outside_address_is_the_gateways_own)
{
	reach_run("ip addr add 203.0.113.66/32 dev tout; ip addr add 203.0.113.73/32 dev lo");
	expect_both_ways("own outside addresses");
}

Test(fast_stateless, decides_as_the_slow_path_where_an_inside_address_is_the_gateways_own)
{
	reach_run("ip addr add 10.0.0.40/32 dev lo");
	own_source(OPEN_IN);
	expect_both_ways("own inside address");
}

Test(fast_stateless, decides_as_the_slow_path_where_addresses_drain)
{
	static const struct prefix in = { ADDR(192, 0, 3, 0), 24 }, out = { ADDR(203, 0, 113, 96), 30 };
	struct mapping_spec left = { .in = in, .out = out, .session_slots = 64, .sessions_per_user = 100 };

	for (int i = 0; i < N_TIMEOUTS; i++)
		left.timeout_ticks[i] = 10000;
	settings.drains = 1;
	reload_settings();
	make_mapping(&left, NULL);
	refresh_followed_routes();
	cr_assert_geq(open_flow_of(ADDR(192, 0, 3, 9), UDP, 5000, 53, 0), 0);
	cr_assert_eq(mappings_retire(mappings, in, out, 600), 0);
	expect_both_ways("a drain");
}
