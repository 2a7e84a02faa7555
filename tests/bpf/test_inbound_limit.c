// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent filtering: who may open a session from outside, how many, and what is answered. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "icmp_frame.h"
#include "told_routes.h"

static void set_up_udp(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .filtering = BINDING_UDP, .inbound = 25 };
	set_up();
}

TestSuite(inbound_limit, .init = set_up_udp, .fini = tear_down);

#define QUOTA 40
#define LIMIT (QUOTA / 4)
#define PORT  OUT_PORT(6304, 2)

static void end(uint16_t ext_port)
{
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = 6304 },
				       (struct endpoint){ .addr = EXTERNAL, .port = ext_port }, UDP),
		     1);
}

/* The sessions are counted at most once in a tick; what the count has found holds for the next ones. */
Test(inbound_limit, sessions_that_end_make_room_in_the_next_tick)
{
	uint16_t first = 2000;
	int same = 0, other = 0;
	uint32_t tick;

	set_quota(QUOTA);
	do {
		age_sessions(SUBSCRIBER, 301);
		next_tick();
		open_flow(UDP, 6304, 53, 0);
		first = (uint16_t)(first + 100);
		for (uint16_t i = 0; i < LIMIT; i++)
			stranger(EXTERNAL, (uint16_t)(first + i), PORT);
		next_tick();
		tick = datapath_ticks(&datapath);
		refresh_followed_routes();
		other = stranger(EXTERNAL, (uint16_t)(first + 50), PORT);
		end(first);
		end((uint16_t)(first + 1));
		end((uint16_t)(first + 2));
		same = stranger(EXTERNAL, (uint16_t)(first + 51), PORT);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(other, DROP_XDP, "at the limit");
	cr_expect_eq(same, DROP_XDP, "counted already");
	next_tick();
	refresh_followed_routes();
	for (uint16_t i = 0; i < 3; i++)
		cr_expect_eq(stranger(EXTERNAL, (uint16_t)(first + 52 + i), PORT), REDIRECT_XDP, "room for number %u",
			     i);
	cr_expect_eq(stranger(EXTERNAL, (uint16_t)(first + 55), PORT), DROP_XDP, "at the limit again");
	cr_expect_eq(mappings_inbound(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0)), LIMIT);
}

static void set_up_limited(void)
{
	user_limits.sessions[LIMIT_UDP] = 2;
	set_up_udp();
}

/* What a search in vain has left in the tick does not hold once the outside has opened a session that gives way. */
Test(inbound_limit, a_strangers_session_gives_way_in_the_tick_of_a_search_in_vain, .init = set_up_limited)
{
	uint32_t tick;
	int refused, opened, own;

	do {
		age_sessions(SUBSCRIBER, 301);
		next_tick();
		tick = datapath_ticks(&datapath);
		open_flow(UDP, 6304, 53, 0);
		open_flow(UDP, 6304, 54, 0);
		refused = open_flow(UDP, 6304, 55, 0);
		end(54);
		opened = stranger(EXTERNAL, 2000, PORT);
		own = open_flow(UDP, 6304, 55, 0);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(refused, -1, "nothing gives way");
	cr_expect_eq(opened, REDIRECT_XDP, "below the limit");
	cr_expect_eq(own, PORT, "%d", own);
}

#define CROWDED ADDR(203, 0, 113, 66)
#define SLOTS	8
#define SHARE	(SLOTS / 2)
#define BOUND	(1024 + 6304)

enum { FIN = 1, SYN = 2, ACK = 16 };

static void set_up_crowded(void)
{
	struct mapping_spec spec = { .in = { SUBSCRIBER, 32 },
				     .out = { CROWDED, 32 },
				     .sessions_per_user = 1000,
				     .session_slots = SLOTS,
				     .bindings = { .mapping = BINDING_UDP | BINDING_TCP,
						   .filtering = BINDING_UDP | BINDING_TCP,
						   .inbound = 50 } };

	bindings = spec.bindings;
	set_up();
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
}

/* A subscriber with few slots, all in one bucket. */
TestSuite(inbound_crowded, .init = set_up_crowded, .fini = tear_down);

/* To the port of inside port 6304. */
static int comes(uint8_t proto, uint16_t sport, uint8_t flags)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = CROWDED,
			   .proto = proto,
			   .sport = sport,
			   .dport = BOUND,
			   .flags = flags };
	size_t size = frame_build(&f, in), out_size;

	refresh_followed_routes();
	return run_frame(XDP_OUTSIDE, in, size, out, &out_size);
}

/* Its own sessions take the slots that are left; the share of the outside is half of them. */
Test(inbound_crowded, one_without_a_slot_below_the_share_is_dropped_as_that)
{
	for (uint16_t i = 0; i < SLOTS - 2; i++)
		cr_assert_eq(open_flow(UDP, 6304, (uint16_t)(53 + i), 0), BOUND);
	for (uint16_t i = 0; i < 2; i++)
		cr_assert_eq(comes(UDP, (uint16_t)(1000 + i), 0), REDIRECT_XDP);
	cr_expect_eq(comes(UDP, 1002, 0), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), 0);
	cr_expect_eq(counted(REASON_drop_inbound_slots), 1);
}

static const struct {
	bool outside;
	uint8_t flags;
} closes[] = { { true, FIN | ACK }, { false, FIN | ACK }, { true, ACK } };

/* A connection of the outside's from its SYN to its end. */
static void come_and_go(uint16_t sport)
{
	cr_assert_eq(comes(TCP, sport, SYN), REDIRECT_XDP, "from port %u", sport);
	cr_assert_eq(open_flow(TCP, 6304, sport, SYN | ACK), BOUND);
	cr_assert_eq(comes(TCP, sport, ACK), REDIRECT_XDP);
	for (unsigned i = 0; i < sizeof(closes) / sizeof(*closes); i++)
		if (closes[i].outside)
			cr_assert_eq(comes(TCP, sport, closes[i].flags), REDIRECT_XDP);
		else
			cr_assert_eq(open_flow(TCP, 6304, sport, closes[i].flags), BOUND);
}

/* They are in time-wait, where they have no part of the quota. */
Test(inbound_crowded, closed_connections_keep_no_stranger_out)
{
	cr_assert_eq(open_flow(TCP, 6304, 80, SYN), BOUND);
	for (uint16_t i = 0; i < 4 * SLOTS; i++) {
		next_tick();
		come_and_go((uint16_t)(1000 + i));
	}
	cr_expect_eq(counted(REASON_sessions_inbound), 4 * SLOTS);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* The subscriber's own openings have used up the searches of this tick. */
Test(inbound_crowded, one_that_none_can_be_counted_for_is_not_beyond_the_share)
{
	struct subscriber *s = mappings_subscriber(mappings, mappings_find_any(mappings, SUBSCRIBER), 0);
	uint64_t busy, beyond;
	uint32_t tick;

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), BOUND);
	for (uint16_t i = 0; i < SHARE; i++)
		cr_assert_eq(comes(UDP, (uint16_t)(1000 + i), 0), REDIRECT_XDP);
	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		busy = counted(REASON_drop_busy);
		beyond = counted(REASON_drop_inbound_limit);
		s->search_tick = (uint16_t)tick;
		s->searched = 240;
		cr_assert_eq(comes(UDP, 2000, 0), DROP_XDP);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(counted(REASON_drop_busy), busy + 1);
	cr_expect_eq(counted(REASON_drop_inbound_limit), beyond);
	next_tick();
	cr_expect_eq(comes(UDP, 2000, 0), DROP_XDP);
	cr_expect_eq(counted(REASON_drop_inbound_limit), beyond + 1);
}

/* As to a portmap: see the suite portmap. */
Test(inbound_limit, a_sender_behind_the_inside_is_none)
{
	static const struct row rows[] = {
		{ "a host behind the inside that no mapping covers",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = UNMAPPED, .dst = POOL, UDP, 5555, PORT },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
		{ "a host outside",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 5555, PORT },
		  REDIRECT_XDP,
		  { .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER, UDP, 5555, 6304 },
		  REASON_out2in_translated },
	};

	open_flow(UDP, 6304, 53, 0);
	cr_assert_eq(system("ip route add 10.0.9.0/24 dev tin"), 0);
	datapath.device[outside_ifindex].rp_filter = 1;
	datapath_raise_epoch(&datapath);
	RUN_ROWS(rows);
}

Test(inbound_limit, one_whose_packet_expires_is_answered_and_opens_nothing)
{
	struct frame f = { .ttl = 1,
			   .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = POOL,
			   UDP,
			   5555,
			   PORT,
			   .payload = 30 };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	open_flow(UDP, 6304, 53, 0);
	run_frame_counted("expires", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP, REASON_drop_ttl);
	expect_error("expires", out, out_size, in, ip_length(in), EXTERNAL, ADDR(198, 51, 100, 1), 11, 0, 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}
