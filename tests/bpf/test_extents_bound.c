// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions on granted ports that are bound to their inside endpoints, in extents: from inside, and from outside where
 * filtering is endpoint-independent. 16 ports for each of 128 subscribers, and blocks of 32.
 */
#include <stdlib.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "datapath/datapath_private.h"
#include "binding_fixture.h"
#include "extents_fixture.h"
#include "grant_fixture.h"
#include "told_routes.h"

#define FEW   16
#define BLOCK 32
#define LO    (1024 + 128 * FEW + 4 * BLOCK)
#define PEER  (EXTERNAL + 9)

static void set_up_bound(void)
{
	settings.extent_buckets = 1024;
	set_up_plan(&(struct grant_plan){
		.ports = FEW,
		.block = BLOCK,
		.max_blocks = 2,
		.quota = 300,
		.slots = 512,
		.bindings = { .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 10 } });
}

TestSuite(extents_bound, .init = set_up_bound, .fini = tear_down);

static int open_udp(uint16_t in_port, uint16_t ext_port)
{
	return open_of(UDP, in_port, ext_port, 0);
}

/* All ports of the block are bound: the next endpoints have granted ones. */
static void bind_block(void)
{
	for (uint16_t i = 0; i < FEW; i++)
		cr_assert_geq(open_udp((uint16_t)(2000 + i), 53), 0, "endpoint %u", i);
	grant(IN, 0, LO);
}

/* Binds a granted port by a session with EXTERNAL. */
static uint16_t bind_granted(uint16_t in_port)
{
	int port = open_udp(in_port, 53);

	cr_assert(port >= LO && port < LO + BLOCK, "%d", port);
	return (uint16_t)port;
}

/* The slot of a session in the extent; NULL: it has none there. */
static struct slot *beyond(uint16_t in_port, uint32_t ext_addr, uint16_t ext_port)
{
	return slot_beyond(IN, slot_key(ext_addr, ext_port, in_port), UDP);
}

static int call(uint16_t port, uint16_t sport)
{
	return stranger_to(OUT, PEER, sport, port);
}

/* Where the agent's copy of the routes tells next hops. What is slow is taken away. */
Test(extents_bound, packets_both_ways_need_the_fast_path_alone)
{
	static const uint32_t slow[] = { PROG_in2out, PROG_out2in, PROG_out2in_slow, PROG_open };
	struct extents_flow f[BLOCK];

	tell_routes_and((const struct prefix[]){ { POOL, 30 }, { OUT, 32 } }, 2);
	bind_block();
	for (uint16_t i = 0; i < BLOCK; i++) {
		/* Every third endpoint's port is of another group than its first choice: it has strayed. */
		const uint16_t in_port = (uint16_t)(9000 + i * 11);

		f[i] = (struct extents_flow){
			.proto = UDP, .in_port = in_port, .ext_port = 53, .out_port = bind_granted(in_port)
		};
		for (uint16_t k = 0; k < i; k++)
			cr_assert_neq(f[k].out_port, f[i].out_port, "endpoints %u and %u", k, i);
		cr_expect_not_null(beyond(in_port, EXTERNAL, 53), "endpoint %u", i);
	}
	extents_expect_both_ways(&f[0], XDP_INSIDE, XDP_OUTSIDE);
	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
		bpf_map_delete_elem(datapath.build->arrays[XDP_PROGS], &slow[i]);
	for (uint16_t i = 0; i < BLOCK; i++)
		extents_expect_both_ways(&f[i], XDP_INSIDE, XDP_OUTSIDE);
	extents_tables_right();
	tell_no_routes();
}

Test(extents_bound, what_a_stranger_opens_is_there_and_marked_as_its)
{
	const struct slot *own, *its;
	uint16_t port;

	bind_block();
	port = bind_granted(9000);
	cr_assert_eq(call(port, 200), REDIRECT_XDP);
	cr_expect_eq(call(port, 200), REDIRECT_XDP, "another packet of it");
	own = beyond(9000, EXTERNAL, 53);
	its = beyond(9000, PEER, 200);
	cr_assert(own && its);
	cr_expect(!word_is_inbound(own->truth));
	cr_expect(word_is_inbound(its->truth));
	cr_expect_eq(word_out_port(its->truth), port);
	cr_expect_eq(counted(REASON_sessions_inbound), 1);
	extents_tables_right();
}

/* The first packet from outside finds a full extent, and waits for a larger one. */
Test(extents_bound, strangers_get_a_larger_extent_as_the_subscriber_does)
{
	uint32_t size;
	uint16_t port;

	bind_block();
	port = bind_granted(9000);
	size = extents_size();
	for (uint16_t i = 0; i < 29; i++)
		cr_expect_eq(call(port, (uint16_t)(200 + i)), REDIRECT_XDP, "stranger %u", i);
	cr_expect_gt(extents_size(), size);
	for (uint16_t i = 0; i < 29; i++)
		cr_expect_not_null(beyond(9000, PEER, (uint16_t)(200 + i)), "stranger %u", i);
	cr_expect_eq(counted(REASON_sessions_inbound), 29);
	extents_tables_right();
}

/* A host inside that no mapping has sends to the port. */
static int call_routed(uint16_t port, uint16_t sport)
{
	const struct frame f = { .from = HOST,
				 .to = GATEWAY_IN,
				 .src = ADDR(192, 0, 3, 9),
				 .dst = OUT,
				 .proto = UDP,
				 .sport = sport,
				 .dport = port };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in);

	return run_frame(XDP_INSIDE, in, size, out, &size);
}

Test(extents_bound, routed_hosts_get_a_larger_extent_as_strangers_do)
{
	uint32_t size;
	uint16_t port;

	cr_assert_eq(system("ip route add 192.0.3.0/24 via 10.0.0.3"), 0);
	datapath_raise_epoch(&datapath);
	bind_block();
	port = bind_granted(9000);
	size = extents_size();
	for (uint16_t i = 0; i < 29; i++)
		cr_expect_eq(call_routed(port, (uint16_t)(200 + i)), REDIRECT_XDP, "host %u", i);
	cr_expect_gt(extents_size(), size);
	cr_expect_eq(counted(REASON_sessions_inbound), 29);
	extents_tables_right();
}

Test(extents_bound, strangers_there_are_counted_and_give_way_to_the_subscribers_own)
{
	uint32_t own;
	uint16_t port;

	bind_block();
	port = bind_granted(9000);
	for (uint16_t i = 0; i < 30; i++)
		cr_assert_eq(call(port, (uint16_t)(200 + i)), REDIRECT_XDP, "stranger %u", i);
	cr_expect_eq(call(port, 300), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), 1);
	own = sessions_of(IN);
	for (uint16_t i = 0; own + i < 300 + 30; i++)
		cr_assert_geq(open_of(TCP, (uint16_t)(2000 + i % FEW), (uint16_t)(100 + i / FEW), SYN), 0, "own %u", i);
	cr_expect_eq(sessions_of(IN), 300);
	for (uint16_t i = 0; i < 30; i++)
		cr_expect_null(beyond(9000, PEER, (uint16_t)(200 + i)), "stranger %u", i);
	cr_expect_eq(open_of(TCP, 2000, 99, SYN), -1);
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(open_udp(9000, 53), port, "the session that is its own is there");
	extents_tables_right();
}

/* Packets on the fast path do not keep a binding, and no agent sweeps: the session keeps it. */
Test(extents_bound, a_port_that_a_session_uses_is_not_bound_anew_however_old_its_binding_is)
{
	const struct grant_binding_key key = {
		.in_addr = IN, .out_addr = OUT, .port = 9003, .proto = UDP, .direction = GRANT_BOUND_INSIDE
	};
	struct grant_binding b;
	int port = 0;

	bind_block();
	for (uint16_t i = 0; i < BLOCK; i++)
		bind_granted((uint16_t)(9000 + i));
	cr_assert_eq(bpf_map_lookup_elem(datapath.grant_bindings, &key, &b), 0);
	b.seen -= ticks_of_seconds(500, datapath.hz);
	cr_assert_eq(bpf_map_update_elem(datapath.grant_bindings, &key, &b, BPF_EXIST), 0);
	cr_expect_eq(open_udp(9100, 60), -1);
	cr_expect_eq(counted(REASON_drop_busy), 1);
	next_tick();
	cr_expect_eq(open_udp(9100, 60), -1, "it is passed over");
	beyond(9003, EXTERNAL, 53)->truth -= ticks_of_seconds(310, datapath.hz);
	for (int i = 0; i < 20 && port <= 0; i++) {
		next_tick();
		port = open_udp(9100, 60);
	}
	cr_expect_eq(port, b.port, "its session has expired");
	extents_tables_right();
}
