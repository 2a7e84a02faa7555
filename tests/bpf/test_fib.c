// SPDX-License-Identifier: BSD-2-Clause
/*
 * The agent's copy of the routes as the datapath uses it. The copy says something else than the kernel here, so that
 * whole packets show which of the two was asked.
 */
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "staged.h"
#include "told_routes.h"

TestSuite(fib, .init = set_up, .fini = tear_down);

#define FROM(addr) .from = HOST, .to = GATEWAY_IN, .src = (addr), .dst = EXTERNAL
#define OUT(port)  .src = POOL, .dst = EXTERNAL, UDP, OUT_PORT(port, 2), 53, .ttl = 63, .from = GATEWAY_OUT

#define FROM_ROUTER(port) .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, OUT_PORT(port, 2)
#define TO_HOST(port)	  .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 53, (port)

/* A packet from SUBSCRIBER that leaves to a station, and the answer, which a station inside gets. */
#define SENT(name, hook, port, station)                                                                        \
	{                                                                                                      \
		name, hook, { FROM(SUBSCRIBER), UDP, port, 53 }, REDIRECT_XDP, { OUT(port), .to = (station) }, \
			REASON_in2out_translated                                                               \
	}
#define ANSWERED(name, hook, port, station)      \
	{                                        \
		name, hook,                      \
			{ .from = ROUTER,        \
			  .to = GATEWAY_OUT,     \
			  .src = EXTERNAL,       \
			  .dst = POOL,           \
			  UDP,                   \
			  53,                    \
			  OUT_PORT(port, 2) },   \
			REDIRECT_XDP,            \
			{ .from = GATEWAY_IN,    \
			  .to = (station),       \
			  .src = EXTERNAL,       \
			  .dst = SUBSCRIBER,     \
			  UDP,                   \
			  53,                    \
			  port,                  \
			  .ttl = 63 },           \
			REASON_out2in_translated \
	}
#define PASSES(name, port)                                                                                      \
	{                                                                                                       \
		name, XDP_INSIDE, { FROM(SUBSCRIBER), UDP, port, 53 }, PASS_XDP, {}, REASON_passed_untranslated \
	}

static void run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

/* What the copy says of both ways leads to NOBODY, what the kernel says to ROUTER and HOST. */
static void tell_otherwise(void)
{
	stay_on_one_core();
	tell_routes();
	told_hop(EXTERNAL)->dmac[5] = told_hop(SUBSCRIBER)->dmac[5] = NOBODY;
}

Test(fib, is_asked_instead_of_the_kernel_by_all_programs)
{
	static const struct row rows[] = {
		SENT("opens", XDP_INSIDE, 5000, NOBODY),
		SENT("goes on", XDP_INSIDE, 5000, NOBODY),
		SENT("by the slow path", XDP_INSIDE_SLOW, 5000, NOBODY),
		SENT("opens by the slow path", XDP_INSIDE_SLOW, 5001, NOBODY),
		ANSWERED("is answered", XDP_OUTSIDE, 5000, NOBODY),
		ANSWERED("is answered by the slow path", XDP_OUTSIDE_SLOW, 5000, NOBODY),
	};

	tell_otherwise();
	RUN_ROWS(rows);
}

Test(fib, holds_until_the_agent_is_silent)
{
	static const struct row told[] = {
		SENT("opens", XDP_INSIDE, 5000, NOBODY),
		ANSWERED("is answered", XDP_OUTSIDE, 5000, NOBODY),
	};
	static const struct row asked[] = {
		SENT("the kernel", XDP_INSIDE, 5000, ROUTER),
		SENT("and cached", XDP_INSIDE, 5000, ROUTER),
		SENT("by the slow path", XDP_INSIDE_SLOW, 5000, ROUTER),
		ANSWERED("the kernel about the host", XDP_OUTSIDE, 5000, HOST),
		ANSWERED("cached", XDP_OUTSIDE, 5000, HOST),
	};

	tell_otherwise();
	/* The last tick in which it holds is this one; the clock may go on meanwhile. */
	do {
		next_tick();
		datapath.global->fib_until = datapath_ticks(&datapath);
		RUN_ROWS(told);
	} while (datapath.global->fib_until != datapath_ticks(&datapath));
	next_tick();
	datapath_raise_epoch(&datapath);
	RUN_ROWS(asked);
	datapath.global->fib_until = datapath_ticks(&datapath) + 1000;
	RUN_ROWS(told);
}

Test(fib, leaves_to_the_kernel_what_it_does_not_know)
{
	static const struct row asked[] = {
		SENT("opens", XDP_INSIDE, 5000, ROUTER),
		SENT("goes on", XDP_INSIDE, 5000, ROUTER),
		ANSWERED("is answered", XDP_OUTSIDE, 5000, HOST),
		ANSWERED("once more", XDP_OUTSIDE, 5000, HOST),
	};
	static const uint8_t flags[] = { 0, FIB_ROUTED };

	tell_otherwise();
	for (size_t i = 0; i < sizeof(flags); i++) {
		told_hop(EXTERNAL)->flags = told_hop(SUBSCRIBER)->flags = flags[i];
		RUN_ROWS(asked);
	}
}

Test(fib, next_hops_not_for_the_fast_path_are_used_by_the_slow_one)
{
	static const struct row rows[] = {
		SENT("opens", XDP_INSIDE, 5000, NOBODY),
		SENT("goes on", XDP_INSIDE, 5000, NOBODY),
		ANSWERED("is answered", XDP_OUTSIDE, 5000, NOBODY),
	};

	tell_otherwise();
	told_hop(EXTERNAL)->flags = told_hop(SUBSCRIBER)->flags = FIB_ROUTED | FIB_RESOLVED;
	RUN_ROWS(rows);
	/* The flag of the other direction says nothing about this one. */
	told_hop(EXTERNAL)->flags |= FIB_FAST_IN;
	told_hop(SUBSCRIBER)->flags |= FIB_FAST_OUT;
	RUN_ROWS(rows);
}

#define LENGTH 128 /* of the packet with 100 octets of payload */

Test(fib, the_mtu_of_a_next_hop_is_the_longest_packet)
{
	static const struct row fits[] = {
		SENT("opens", XDP_INSIDE, 5000, NOBODY),
		{ "fits",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, .payload = 100 },
		  REDIRECT_XDP,
		  { OUT(5000), .to = NOBODY, .payload = 100 },
		  REASON_in2out_translated },
		{ "fits inwards",
		  XDP_OUTSIDE,
		  { FROM_ROUTER(5000), .payload = 100 },
		  REDIRECT_XDP,
		  { TO_HOST(5000), .from = GATEWAY_IN, .to = NOBODY, .ttl = 63, .payload = 100 },
		  REASON_out2in_translated },
	};
	static const struct row longer[] = {
		{ "an octet more",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, .payload = 101 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		/* Translated, and sent by the kernel, which knows the limit of its route. */
		{ "an octet more inwards",
		  XDP_OUTSIDE,
		  { FROM_ROUTER(5000), .payload = 101 },
		  PASS_XDP,
		  { TO_HOST(5000), .from = ROUTER, .to = GATEWAY_OUT, .ttl = 64, .payload = 101 },
		  REASON_out2in_translated },
	};

	tell_otherwise();
	told_hop(EXTERNAL)->mtu = told_hop(SUBSCRIBER)->mtu = LENGTH;
	RUN_ROWS(fits);
	RUN_ROWS(longer);
}

Test(fib, tells_local_addresses_from_others)
{
	static const struct row rows[] = {
		SENT("opens", XDP_INSIDE, 5000, NOBODY),
		{ "unsolicited, to a pool address",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 54, OUT_PORT(5000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_no_session },
	};
	/* Stage 1 goes by what wrote the leaf, see test_staged.c; the next hop's flags are for the slow path. */
	const struct row local[] = {
		{ "unsolicited, to an address of the gateway's in the pool",
		  staged_wanted() ? XDP_OUTSIDE_SLOW : XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 54, OUT_PORT(5000, 2) },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};
	struct fib_hop *hop;

	tell_otherwise();
	RUN_ROWS(rows);
	hop = told_hop(POOL);
	hop->flags = FIB_LOCAL;
	RUN_ROWS(local);
	/* The kernel need not be asked about what is routed elsewhere or discarded. */
	run("ip addr add 203.0.113.0/32 dev lo");
	hop->flags = FIB_DISCARD;
	run_rows(rows + 1, 1);
	hop->flags = FIB_ROUTED;
	run_rows(rows + 1, 1);
	hop->flags = 0;
	RUN_ROWS(local);
}

Test(fib, answers_for_the_source_of_a_packet)
{
	static const struct row good[] = { SENT("behind this interface", XDP_INSIDE, 5000, NOBODY),
					   SENT("goes on", XDP_INSIDE, 5000, NOBODY) };
	static const struct row kernel[] = { PASSES("behind another interface", 5000) };

	settings.source_check = SOURCES_STRICT_EACH;
	datapath.device[inside_ifindex].rp_filter = 1;
	reload_settings();
	tell_otherwise();
	RUN_ROWS(good);
	told_hop(SUBSCRIBER)->ifindex = outside_ifindex;
	/* The kernel's route still leads there: whether it may pass is the kernel's to say, packet by packet. */
	run("ip route add 10.0.0.2/32 dev tout");
	RUN_ROWS(kernel);
	RUN_ROWS(kernel);
}

/* Also of a packet that changes nothing of its session, as it is not the first of its tick. */
Test(fib, answers_for_the_source_of_each_packet)
{
	const struct frame f = { FROM(SUBSCRIBER), UDP, 5000, 53, .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;
	uint32_t tick;
	int verdict;

	settings.source_check = SOURCES_STRICT_EACH;
	datapath.device[inside_ifindex].rp_filter = 1;
	reload_settings();
	tell_otherwise();
	run("ip route add 10.0.0.2/32 dev tout");
	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP);
		told_hop(SUBSCRIBER)->ifindex = outside_ifindex;
		verdict = run_frame(XDP_INSIDE, in, size, out, &out_size);
		told_hop(SUBSCRIBER)->ifindex = inside_ifindex;
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(verdict, PASS_XDP);
}

Test(fib, frames_for_other_stations_are_the_kernels)
{
	static const struct row rows[] = {
		{ "opens",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53, .payload = 30 },
		  REDIRECT_XDP,
		  { OUT(5000), .to = NOBODY, .payload = 30 },
		  REASON_in2out_translated },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST, .to = NOBODY, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 5000, 53, .payload = 30 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
		{ "from outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = NOBODY,
		    .src = EXTERNAL,
		    .dst = POOL,
		    UDP,
		    53,
		    OUT_PORT(5000, 2),
		    .payload = 30 },
		  PASS_XDP,
		  {},
		  REASON_passed_untranslated },
	};

	tell_otherwise();
	RUN_ROWS(rows);
}

Test(fib, a_hairpins_peer_does_not_come_from_outside)
{
	/* SUBSCRIBER and OTHER talk through the pool; then a host outside takes OTHER's outside address as its source.
	 */
	static const struct row rows[] = {
		{ "OTHER opens to the outside",
		  XDP_INSIDE,
		  { FROM(OTHER), UDP, 6000, 53 },
		  REDIRECT_XDP,
		  { .src = POOL,
		    .dst = EXTERNAL,
		    UDP,
		    OUT_PORT(6000, 3),
		    53,
		    .ttl = 63,
		    .from = GATEWAY_OUT,
		    .to = NOBODY },
		  REASON_in2out_translated },
		{ "from outside, as if from the pool",
		  XDP_OUTSIDE,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = POOL,
		    .dst = POOL,
		    UDP,
		    OUT_PORT(6000, 3),
		    OUT_PORT(5000, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size, out_size;

	tell_otherwise();
	run_rows(rows, 1);
	size = frame_build(
		&(struct frame){
			.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = POOL, UDP, 5000, OUT_PORT(6000, 3) },
		frame);
	run_frame(XDP_INSIDE, frame, size, out, &out_size);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	run_rows(rows + 1, 1);
}

Test(fib, notes_which_next_hops_are_used)
{
	static const struct row out[] = { SENT("opens", XDP_INSIDE, 5000, NOBODY) };
	static const struct row back[] = { ANSWERED("is answered", XDP_OUTSIDE, 5000, NOBODY) };

	tell_otherwise();
	told_hop(EXTERNAL)->used = told_hop(SUBSCRIBER)->used = 0;
	RUN_ROWS(out);
	cr_expect_neq(told_hop(EXTERNAL)->used, 0);
	cr_expect_eq(told_hop(SUBSCRIBER)->used, 0);
	RUN_ROWS(back);
	cr_expect_neq(told_hop(SUBSCRIBER)->used, 0);
	/* A session that goes on does so at least once a tick. */
	told_hop(EXTERNAL)->used = 0;
	next_tick();
	RUN_ROWS(out);
	cr_expect_neq(told_hop(EXTERNAL)->used, 0);
}

Test(fib, the_hint_of_a_mapping_ends_with_it)
{
	static const struct row found[] = { SENT("opens", XDP_INSIDE, 5000, NOBODY),
					    ANSWERED("is answered", XDP_OUTSIDE, 5000, NOBODY) };
	static const struct row gone[] = {
		{ "from inside",
		  XDP_INSIDE,
		  { FROM(SUBSCRIBER), UDP, 5000, 53 },
		  DROP_XDP,
		  {},
		  REASON_drop_no_mapping },
		{ "from outside", XDP_OUTSIDE, { FROM_ROUTER(5000) }, PASS_XDP, {}, REASON_passed_untranslated },
	};

	tell_otherwise();
	RUN_ROWS(found);
	cr_assert(fib_hint_is(datapath.fib->inside, SUBSCRIBER));
	cr_assert(fib_hint_is(datapath.fib->outside, POOL));
	cr_assert_eq(
		mappings_del_of(mappings, 0, (struct prefix){ ADDR(10, 0, 0, 0), 24 }, (struct prefix){ POOL, 30 }), 0);
	cr_expect_eq(datapath.fib->inside, FIB_NO_HINT);
	cr_expect_eq(datapath.fib->outside, FIB_NO_HINT);
	RUN_ROWS(gone);
}

/* A destination among many_routes(): its route is of half of a /24. */
#define FAR(i)	 (ADDR(11, 0, 0, 0) + ((i) << 8) + ((i) < FAR_SWAP ? 0 : 128))
#define FAR_SWAP 2000U
#define FAR_LAST 4299U

/*
 * So many, each by a gateway of its own, that their nodes take more than a chunk. Those of one chunk say something else
 * than those of the other.
 */
static void many_routes(void)
{
	FILE *batch = popen("ip -batch -", "w");

	cr_assert_not_null(batch);
	fprintf(batch, "addr add 198.18.0.1/15 dev tout\n");
	for (uint32_t i = 0; i <= FAR_LAST; i++) {
		uint32_t to = FAR(i);

		fprintf(batch, "neigh add 198.19.%u.%u lladdr 02:00:00:00:00:04 dev tout\n", i >> 8, i & 255);
		fprintf(batch, "route add %u.%u.%u.%u/25 via 198.19.%u.%u\n", to >> 24, to >> 16 & 255, to >> 8 & 255,
			to & 255, i >> 8, i & 255);
	}
	cr_assert_eq(pclose(batch), 0);
}

Test(fib, nodes_of_every_chunk_are_read)
{
	static const uint32_t some[] = { 0, 1, 255, 256, 1999, 2000, 3000, 3900, 4095, 4200, FAR_LAST };

	stay_on_one_core();
	many_routes();
	tell_routes();
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		told_hop(FAR(some[i]))->dmac[5] = NOBODY;
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		for (unsigned other = 0; other < 2; other++) {
			uint32_t dst = (FAR(some[i]) + 77) ^ (other << 7);
			const struct row row[] = {
				{ other ? "the other half, by the default route" : "in the route",
				  XDP_INSIDE,
				  { .from = HOST,
				    .to = GATEWAY_IN,
				    .src = SUBSCRIBER,
				    .dst = dst,
				    UDP,
				    5000,
				    53,
				    .payload = 20 },
				  REDIRECT_XDP,
				  { .from = GATEWAY_OUT,
				    .to = other ? ROUTER : NOBODY,
				    .src = POOL,
				    .dst = dst,
				    UDP,
				    OUT_PORT(5000, 2),
				    53,
				    .ttl = 63,
				    .payload = 20 },
				  REASON_in2out_translated },
			};

			RUN_ROWS(row);
		}
	}
}

Test(fib, a_node_that_is_missing_leaves_it_to_the_kernel)
{
	static const struct row asked[] = { SENT("opens", XDP_INSIDE, 5000, ROUTER) };

	tell_otherwise();
	/* Neither the default route of the copy. */
	told_hop(ADDR(9, 9, 9, 9))->dmac[5] = NOBODY;
	datapath.fib->second[EXTERNAL >> 24].entry[EXTERNAL >> 16 & 255] = FIB_NODE | (MAX_FIB_NODES - 1);
	RUN_ROWS(asked);
}
