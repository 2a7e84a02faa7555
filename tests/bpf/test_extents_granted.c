// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions on granted ports in extents: 64 ports for each of 128 subscribers, and blocks of 32. So the first choice of
 * every other flow is of another group in a granted block than in the subscriber's own. Two buckets have room for 16
 * sessions of a group towards one endpoint, so those on two blocks.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/copy_program.h"
#include "datapath/datapath_private.h"
#include "extents_fixture.h"
#include "grant_fixture.h"
#include "told_routes.h"

#define FEW    64
#define BLOCK  32
#define LO     (1024 + 128 * FEW + 4 * BLOCK)
#define EXT    53
#define BLOCKS 2

static void set_up_granted(void)
{
	settings.extent_buckets = 1024;
	set_up_plan(&(struct grant_plan){
		.ports = FEW, .block = BLOCK, .max_blocks = BLOCKS, .quota = 400, .slots = 64, .bindings = { 0 } });
}

TestSuite(extents_granted, .init = set_up_granted, .fini = tear_down);
TestSuite(extents_granted_staged);

/* A session on each port of the block towards an endpoint: the next flow's is on a granted port. */
static void fill_block(uint16_t ext)
{
	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_of(UDP, (uint16_t)(2000 + i), ext, 0), 0, "port %u", i);
}

static bool is_granted(int port)
{
	return port >= LO && port < LO + BLOCKS * BLOCK;
}

/* The block and all that are granted, full of sessions towards one endpoint: their outside ports, by inside port. */
static void fill_grants(int port[BLOCKS * BLOCK])
{
	fill_block(EXT);
	for (unsigned k = 0; k < BLOCKS; k++)
		grant(IN, k, LO + k * BLOCK);
	for (uint16_t i = 0; i < BLOCKS * BLOCK; i++) {
		port[i] = open_of(UDP, (uint16_t)(9000 + i), EXT, 0);
		cr_assert(is_granted(port[i]), "flow %u: %d", i, port[i]);
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(port[k], port[i], "flows %u and %u", i, k);
	}
}

/* Packets of a session both ways, past the given hooks. The fast path leaves shorter ones of UDP to the slow one. */
static void expect_passes(uint8_t proto, uint16_t in_port, int out_port, uint8_t flags, enum hook out, enum hook in)
{
	const uint16_t port = (uint16_t)out_port;
	const struct row rows[] = {
		{ "its subscriber's",
		  out,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = IN,
		    .dst = EXTERNAL,
		    proto,
		    in_port,
		    EXT,
		    .flags = flags,
		    .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OUT,
		    .dst = EXTERNAL,
		    proto,
		    port,
		    EXT,
		    .flags = flags,
		    .payload = 30 },
		  REASON_in2out_translated },
		{ "an answer",
		  in,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = OUT,
		    proto,
		    EXT,
		    port,
		    .flags = flags,
		    .payload = 30 },
		  REDIRECT_XDP,
		  { .ttl = 63,
		    .from = GATEWAY_IN,
		    .to = HOST,
		    .src = EXTERNAL,
		    .dst = IN,
		    proto,
		    EXT,
		    in_port,
		    .flags = flags,
		    .payload = 30 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

static void expect_all_pass(const int port[BLOCKS * BLOCK])
{
	for (uint16_t i = 0; i < BLOCKS * BLOCK; i++) {
		expect_passes(UDP, (uint16_t)(9000 + i), port[i], 0, XDP_INSIDE, XDP_OUTSIDE);
		expect_passes(UDP, (uint16_t)(9000 + i), port[i], 0, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	}
}

Test(extents_granted, all_ports_of_granted_blocks_are_in_the_extent_and_packets_pass_both_ways)
{
	int port[BLOCKS * BLOCK];

	fill_grants(port);
	expect_all_pass(port);
	extents_tables_right();
}

static bool is_in_extent(uint16_t in_port)
{
	return slot_beyond(IN, slot_key(EXTERNAL, EXT, in_port), UDP);
}

/* Where the agent's copy of the routes tells next hops. What is slow is taken away. */
Test(extents_granted, packets_both_ways_need_the_fast_path_alone)
{
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_out2in_slow, PROG_open };
	int port[BLOCKS * BLOCK];
	unsigned fast = 0;

	tell_routes_and((const struct prefix[]){ { POOL, 30 }, { OUT, 32 } }, 2);
	fill_grants(port);
	expect_passes(UDP, 9000, port[0], 0, XDP_INSIDE, XDP_OUTSIDE);
	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
	for (uint16_t i = 0; i < BLOCKS * BLOCK; i++) {
		if (!is_in_extent((uint16_t)(9000 + i)))
			continue;
		expect_passes(UDP, (uint16_t)(9000 + i), port[i], 0, XDP_INSIDE, XDP_OUTSIDE);
		fast++;
	}
	cr_expect_gt(fast, BLOCK);
	tell_no_routes();
}

Test(extents_granted, they_move_to_a_larger_extent_with_the_others)
{
	int port[4];
	uint32_t size;

	fill_block(EXT);
	grant(IN, 0, LO);
	for (uint16_t i = 0; i < 4; i++)
		port[i] = open_of(UDP, (uint16_t)(9000 + 16 * i), EXT, 0);
	size = extents_size();
	for (uint16_t i = 0; extents_size() == size && i < 250; i++)
		open_of(UDP, (uint16_t)(20000 + i), (uint16_t)(100 + i), 0);
	cr_assert_gt(extents_size(), size);
	for (uint16_t i = 0; i < 4; i++) {
		cr_assert(is_granted(port[i]));
		expect_passes(UDP, (uint16_t)(9000 + 16 * i), port[i], 0, XDP_INSIDE, XDP_OUTSIDE);
	}
	extents_tables_right();
}

Test(extents_granted, one_that_has_ended_gives_its_port_to_the_next_flow)
{
	int port[BLOCKS * BLOCK], last;

	fill_grants(port);
	cr_expect_eq(open_of(UDP, 30000, EXT, 0), -1, "all ports are held");
	cr_assert_eq(
		sessions_close_in(mappings, 0, (struct endpoint){ IN, 9005 }, (struct endpoint){ EXTERNAL, EXT }, UDP),
		1);
	next_tick();
	last = open_of(UDP, 30000, EXT, 0);
	cr_expect_eq(last, port[5]);
	expect_passes(UDP, 30000, last, 0, XDP_INSIDE, XDP_OUTSIDE);
	extents_tables_right();
}

Test(extents_granted, a_connection_in_time_wait_gives_way_if_no_port_is_free)
{
	int port;

	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_of(TCP, (uint16_t)(2000 + i), EXT, SYN), 0);
	grant(IN, 0, LO);
	for (uint16_t i = 0; i < BLOCK; i++)
		cr_assert(is_granted(open_of(TCP, (uint16_t)(9000 + i), EXT, SYN)), "flow %u", i);
	cr_expect_eq(open_of(TCP, 30000, EXT, SYN), -1, "all ports are held");
	port = open_of(TCP, 9003, EXT, ACK);
	expect_passes(TCP, 9003, port, ACK, XDP_INSIDE, XDP_OUTSIDE);
	expect_passes(TCP, 9003, port, FIN | ACK, XDP_INSIDE, XDP_OUTSIDE);
	expect_passes(TCP, 9003, port, ACK, XDP_INSIDE, XDP_OUTSIDE);
	next_tick();
	cr_expect_eq(open_of(TCP, 30000, EXT, SYN), port);
	extents_tables_right();
}

Test(extents_granted, where_no_extent_is_left_none_opens)
{
	fill_block(EXT);
	grant(IN, 0, LO);
	datapath.pool->used = 1024;
	cr_expect_eq(open_of(UDP, 9000, EXT, 0), -1);
	cr_expect_eq(counted(REASON_drop_overflow_full), 1);
	datapath.pool->used = 0;
	next_tick();
	cr_expect(is_granted(open_of(UDP, 9000, EXT, 0)));
	extents_tables_right();
}

/* The ports in `port` to which packets from outside get through. */
static unsigned passing(const int port[BLOCKS * BLOCK])
{
	unsigned passed = 0;

	for (unsigned i = 0; i < BLOCKS * BLOCK; i++) {
		struct frame f = { .from = ROUTER,
				   .to = GATEWAY_OUT,
				   .src = EXTERNAL,
				   .dst = OUT,
				   UDP,
				   EXT,
				   (uint16_t)port[i],
				   .payload = 30 };
		uint8_t in[FRAME_MAX], out[FRAME_MAX];
		size_t size;

		passed += run_frame(XDP_OUTSIDE, in, frame_build(&f, in), out, &size) == REDIRECT_XDP;
	}
	return passed;
}

static void take_one_back(const int port[BLOCKS * BLOCK])
{
	cr_assert_eq(passing(port), BLOCKS * BLOCK);
	grant_close(IN, 1);
	grant_take_back(LO + BLOCK);
	cr_expect_eq(passing(port), (BLOCKS - 1) * BLOCK);
}

Test(extents_granted, a_block_that_was_taken_back_has_no_session_and_is_no_others)
{
	int port[BLOCKS * BLOCK];

	fill_grants(port);
	take_one_back(port);
}

/* The fast path remembers whose the blocks were. */
Test(extents_granted, nor_has_it_on_the_fast_path_and_its_next_subscribers_packets_reach_him)
{
	int port[BLOCKS * BLOCK], next;

	tell_routes_and((const struct prefix[]){ { POOL, 30 }, { OUT, 32 } }, 2);
	fill_grants(port);
	take_one_back(port);
	grant(THIRD, 0, LO + BLOCK);
	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_flow_in_time(THIRD, UDP, (uint16_t)(2000 + i), EXT + 1, 0), 0);
	next = open_flow_in_time(THIRD, UDP, 9000, EXT + 1, 0);
	cr_assert(next >= LO + BLOCK && next < LO + 2 * BLOCK, "%d", next);

	const struct row row = { "an answer",
				 XDP_OUTSIDE,
				 { .from = ROUTER,
				   .to = GATEWAY_OUT,
				   .src = EXTERNAL,
				   .dst = OUT,
				   UDP,
				   EXT + 1,
				   (uint16_t)next,
				   .payload = 30 },
				 REDIRECT_XDP,
				 { .ttl = 63,
				   .from = GATEWAY_IN,
				   .to = HOST,
				   .src = EXTERNAL,
				   .dst = THIRD,
				   UDP,
				   EXT + 1,
				   9000,
				   .payload = 30 },
				 REASON_out2in_translated };
	const struct row rows[] = { row, row };

	RUN_ROWS(rows);
	tell_no_routes();
}

/* A session of IN with EXTERNAL that a peer has announced: an enum copy_result. */
static int copied(struct copy_program *program, uint16_t in_port, int out_port, uint16_t slot, uint8_t request)
{
	const uint64_t word = state_word((uint16_t)out_port, UDP, SESSION_UDP, datapath_ticks(&datapath));

	program->requests->n = 1;
	program->requests->copy[0] = (struct session_copy){ .key = slot_key(EXTERNAL, EXT, in_port),
							    .word = word,
							    .subscriber = IN - ADDR(10, 1, 0, 0),
							    .mapping = (uint16_t)mappings_find_any(mappings, IN),
							    .owner = 1,
							    .slot = slot,
							    .request = request };
	cr_assert_eq(copy_program_run(program), 0);
	return program->requests->copy[0].result;
}

Test(extents_granted, a_copy_finds_the_session_and_its_port_there)
{
	/* Of the inside ports 9000 to 9063, the first choice of a half is of another group in the granted block. */
	const uint32_t number = (uint32_t)mappings_find_any(mappings, IN);
	static struct copy_program program;
	unsigned before;
	int port[2];

	/* Each group has buckets of its own. */
	for (uint16_t i = 0; extents_size() < 64 && i < 250; i++)
		open_of(UDP, (uint16_t)(20000 + i), (uint16_t)(100 + i), 0);
	before = (unsigned)sessions_of(IN);
	fill_block(EXT);
	grant(IN, 0, LO);
	for (unsigned i = 0; i < 2; i++) {
		port[i] = open_of(UDP, (uint16_t)(9000 + 32 * i), EXT, 0);
		cr_assert(is_granted(port[i]), "%d", port[i]);
	}
	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	for (unsigned i = 0; i < 2; i++) {
		const uint16_t in_port = (uint16_t)(9000 + 32 * i);
		const uint32_t first = mapping_first_choice(&mappings_get(mappings, (int)number)->geo, in_port);
		const struct bucket_pair pair = session_buckets(EXTERNAL, EXT, UDP, first, 3);
		const int own = 1024 + 2 * FEW + (int)first;

		/* Nobody has the port of the block that it could have, too. */
		cr_assert_eq(
			sessions_close_in(mappings, 0,
					  (struct endpoint){ IN, (uint16_t)(2000 + (first + FEW - 2000 % FEW) % FEW) },
					  (struct endpoint){ EXTERNAL, EXT }, UDP),
			1);
		cr_expect_eq(copied(&program, in_port, port[i], 0, COPY_TO_EXTENT), COPY_BEYOND, "%u", i);
		cr_expect_eq(copied(&program, in_port, own, 0, COPY_TO_EXTENT), COPY_BEYOND, "%u, on another port", i);
		cr_expect_eq(copied(&program, in_port, own, (uint16_t)(pair.first * BUCKET_SLOTS), COPY_TO_SLOT),
			     COPY_BEYOND, "%u, in a slot", i);
		cr_expect_eq(copied(&program, (uint16_t)(20000 + i), port[i], 0, COPY_TO_EXTENT), COPY_PORT, "%u", i);
	}
	cr_expect_eq(copied(&program, 20000, LO + BLOCK - 1, 0, COPY_TO_EXTENT), COPY_PLACED, "a free port");
	copy_program_unload(&program);
	cr_expect_eq((unsigned)sessions_of(IN), before + FEW + 1);
	extents_tables_right();
}

static void set_up_two_stages(void)
{
	setenv("STAGES", "2", 1);
	settings.portmaps = 1;
	set_up_granted();
}

/* Stage 2 finds no session that is apart. It asks neither the quota nor portmaps before the slow path has looked. */
Test(extents_granted_staged, a_session_on_a_granted_port_passes_at_the_quota, .init = set_up_two_stages,
     .fini = tear_down)
{
	int port;

	fill_block(EXT);
	grant(IN, 0, LO);
	port = open_of(UDP, 9000, EXT, 0);
	cr_assert(is_granted(port), "%d", port);
	for (uint16_t i = 0; open_of(UDP, (uint16_t)(20000 + i), (uint16_t)(100 + i), 0) >= 0; i++)
		cr_assert_lt(i, 400);
	cr_assert_eq(counted(REASON_drop_quota), 1);
	expect_passes(UDP, 9000, port, 0, XDP_INSIDE, XDP_OUTSIDE);
	/* In a tick in which a search for one that gives way was in vain. */
	cr_expect_eq(open_of(UDP, 30000, 99, 0), -1);
	expect_passes(UDP, 9000, port, 0, XDP_INSIDE, XDP_OUTSIDE);
	extents_tables_right();
}

/* The ports of all blocks that are at one place have two buckets in common, which are soon full. */
#define MANY 12
#define MOST (MANY * BLOCK)

static void set_up_many(void)
{
	settings.extent_buckets = 8192;
	set_up_plan(&(struct grant_plan){
		.ports = FEW, .block = BLOCK, .max_blocks = MANY, .quota = 600, .slots = 64, .bindings = { 0 } });
}

TestSuite(extents_granted_many, .init = set_up_many, .fini = tear_down);

Test(extents_granted_many, the_ports_of_twelve_blocks_towards_one_endpoint_are_all_in_the_extent)
{
	int port[MOST];

	fill_block(EXT);
	for (unsigned k = 0; k < MANY; k++)
		grant(IN, k, (uint16_t)(LO + k * BLOCK));
	for (uint16_t i = 0; i < MOST; i++) {
		port[i] = open_of(UDP, (uint16_t)(9000 + i), EXT, 0);
		cr_assert(port[i] >= LO && port[i] < LO + MOST, "flow %u: %d", i, port[i]);
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(port[k], port[i], "flows %u and %u", i, k);
	}
	cr_expect_eq(open_of(UDP, 30000, EXT, 0), -1, "all ports are held");
	for (uint16_t i = 0; i < MOST; i += 7) {
		expect_passes(UDP, (uint16_t)(9000 + i), port[i], 0, XDP_INSIDE, XDP_OUTSIDE);
		expect_passes(UDP, (uint16_t)(9000 + i), port[i], 0, XDP_INSIDE_SLOW, XDP_OUTSIDE_SLOW);
	}
	extents_tables_right();
}
