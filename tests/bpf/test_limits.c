// SPDX-License-Identifier: BSD-2-Clause
/* What one subscriber, or one peer, can take from the others, or from a core: searches, quota, extents. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"

TestSuite(limits, .init = set_up_with_room, .fini = tear_down);

#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static struct subscriber *subscriber(void)
{
	return mappings_subscriber(mappings, 0, SUBSCRIBER - ADDR(10, 0, 0, 0));
}

static void from_outside(uint16_t ext_port, uint16_t out_port, uint8_t flags)
{
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = POOL,
			   .proto = TCP,
			   .sport = ext_port,
			   .dport = out_port,
			   .flags = flags };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	run_frame(XDP_OUTSIDE, in, size, out, &out_size);
}

static void fill_block(uint8_t proto, uint16_t ext_port)
{
	datapath.mapping[0].sessions_per_user = 5000;
	for (unsigned i = 0; i < PORTS; i++)
		cr_assert_geq(open_flow(proto, (uint16_t)(2000 + i), ext_port, SYN), 0, "flow %u", i);
}

/* A port of the block that is no one's first choice any more, so that it has to be searched for. */
#define SEARCHING (2000 + PORTS)

Test(limits, a_search_in_vain_is_made_once_a_tick_and_endpoint)
{
	struct subscriber *s = subscriber();
	unsigned after_one = 0, after_all = 1;
	uint32_t tick;

	fill_block(UDP, 53);
	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), -1);
		after_one = s->searched;
		for (unsigned i = 1; i < 50; i++)
			open_flow(UDP, (uint16_t)(SEARCHING + i), 53, 0);
		after_all = s->searched;
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_gt(after_one, 0);
	cr_expect_eq(after_all, after_one, "50 packets: %u units of work, not %u", after_all, after_one);
	cr_expect_eq(counted(REASON_drop_ports_exhausted) % 50, 0);

	/* Towards another endpoint there are ports. */
	cr_expect_geq(open_flow(UDP, SEARCHING, 54, 0), 0);

	/* A port that is free again is found in the next tick. */
	cr_assert_eq(sessions_close_in(mappings, 0, (struct endpoint){ .addr = SUBSCRIBER, .port = 2500 },
				       (struct endpoint){ .addr = EXTERNAL, .port = 53 }, UDP),
		     1);
	next_tick();
	cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), OUT_PORT(2500, 2));
}

/* The ninth flow of a group of 8 ports towards one endpoint needs a search, too. */
Test(limits, a_search_in_vain_for_one_protocol_says_nothing_of_another)
{
	uint16_t group = 2000;
	uint32_t tick;
	int port;

	fill_block(UDP, 53);
	do {
		group += 8;
		for (unsigned i = 0; i < 8; i++)
			cr_assert_geq(open_flow(TCP, (uint16_t)(group + i * PORTS), 53, SYN), 0);
		next_tick();
		tick = datapath_ticks(&datapath);
		cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), -1);
		port = open_flow(TCP, (uint16_t)(group + 8 * PORTS), 53, SYN);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_geq(port, 0);
}

/* Whoever varies the endpoint searches no more than so much in a tick. */
Test(limits, all_searches_of_a_tick_together_are_bounded)
{
	struct subscriber *s = subscriber();
	uint64_t busy;
	uint32_t tick;
	unsigned after;

	fill_block(UDP, 53);
	do {
		next_tick();
		busy = counted(REASON_drop_busy);
		tick = datapath_ticks(&datapath);
		s->search_tick = (uint16_t)tick;
		s->searched = 240;
		s->exhausted = 0;
		cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), -1);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(counted(REASON_drop_busy), busy + 1);
	next_tick();
	busy = counted(REASON_drop_ports_exhausted);
	cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), -1);
	cr_expect_eq(counted(REASON_drop_ports_exhausted), busy + 1, "it was searched for again");
	/* The last search of a tick counts no further than what is allowed. */
	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		s->search_tick = (uint16_t)tick;
		s->searched = 239;
		s->exhausted = 0;
		cr_expect_eq(open_flow(UDP, SEARCHING, 53, 0), -1);
		after = s->searched;
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(after, 240, "%u", after);
}

/* The block's port 0: neither is it taken for "none", nor does its session stand beyond the slots. */
Test(limits, the_first_port_of_the_block_is_one_like_others)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, 2 * PORTS, 53 };
	size_t size = frame_build(&f, in), out_size;

	cr_expect_eq(run_frame(XDP_INSIDE_SLOW, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect_eq(out[34] << 8 | out[35], PORT_LO);
	cr_expect_eq(counted(REASON_sessions_overflowed), 0);

	/* And one whose first choice is held gets it where it alone is free, from whichever group. */
	fill_block(TCP, 80);
	from_outside(80, PORT_LO, RST);
	cr_expect_eq(open_flow(TCP, SEARCHING + 500, 80, SYN), PORT_LO);
}

/* A connection in time-wait on a port of another group makes way. */
Test(limits, time_wait_of_another_group_gives_up_its_port)
{
	uint16_t out_port = OUT_PORT(2000, 2);

	fill_block(TCP, 80);
	cr_assert_eq(open_flow(TCP, 2000, 80, 0x11), out_port);
	from_outside(80, out_port, 0x11);
	cr_assert_eq(open_flow(TCP, 2000, 80, ACK), out_port, "the last ACK");
	cr_expect_eq(open_flow(TCP, SEARCHING + PORTS / 2, 80, SYN), out_port);
	cr_expect_gt(subscriber()->searched, 0, "the search is counted");
	cr_expect_eq(sessions_of(SUBSCRIBER), PORTS);
}

/* Before any session goes to an extent. */
Test(limits, a_connection_in_time_wait_gives_up_its_slot)
{
	struct mapping_spec spec = { .in = { SUBSCRIBER, 32 },
				     .out = { ADDR(203, 0, 113, 77), 32 },
				     .sessions_per_user = 100,
				     .session_slots = BUCKET_SLOTS };
	struct slot *slot;

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	make_mapping(&spec, NULL);
	for (uint16_t i = 0; i < BUCKET_SLOTS; i++)
		cr_assert_geq(open_flow(TCP, (uint16_t)(5000 + i), 80, SYN), 0);
	slot = &mappings_buckets(mappings, 1, 0)->slot[3];
	slot->truth = word_with(slot->truth, SESSION_TIME_WAIT, word_seen(slot->truth));
	mappings_subscriber(mappings, 1, 0)->sessions--;
	cr_expect_geq(open_flow(TCP, 5000 + BUCKET_SLOTS, 80, SYN), 0);
	cr_expect_eq(key_in_port(slot->key), 5000 + BUCKET_SLOTS);
	cr_expect_eq(word_state(slot->truth), SESSION_SYN_SENT);
	cr_expect_eq(counted(REASON_sessions_overflowed), 0);
}

/* But only where no port of the group is free: the block's first one is. */
Test(limits, time_wait_keeps_its_port_while_another_is_free)
{
	struct frame f = { .from = HOST,
			   .to = GATEWAY_IN,
			   .src = SUBSCRIBER,
			   .dst = EXTERNAL,
			   .proto = TCP,
			   .sport = 2 * PORTS,
			   .dport = 80,
			   .flags = SYN };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, in), out_size;

	cr_assert_eq(open_flow(TCP, 2 * PORTS + 3, 80, SYN), PORT_LO + 3);
	cr_assert_eq(open_flow(TCP, 2 * PORTS + 3, 80, 0x11), PORT_LO + 3);
	from_outside(80, PORT_LO + 3, 0x11);
	cr_assert_eq(open_flow(TCP, 2 * PORTS + 3, 80, ACK), PORT_LO + 3, "the last ACK");
	cr_expect_eq(run_frame(XDP_INSIDE_SLOW, in, size, out, &out_size), REDIRECT_XDP);
	cr_expect_eq(out[34] << 8 | out[35], PORT_LO);
}

/* One that an RST has closed gives up its port, but not before one in time-wait. */
Test(limits, reset_connections_give_up_their_ports_last)
{
	uint16_t waiting = OUT_PORT(2900, 2), reset = OUT_PORT(2100, 2);

	fill_block(TCP, 80);
	from_outside(80, reset, RST);
	cr_assert_eq(open_flow(TCP, 2900, 80, 0x11), waiting);
	from_outside(80, waiting, 0x11);
	cr_assert_eq(open_flow(TCP, 2900, 80, ACK), waiting);
	cr_expect_eq(open_flow(TCP, SEARCHING + 90, 80, SYN), waiting);
	next_tick();
	cr_expect_eq(open_flow(TCP, SEARCHING + 700, 80, SYN), reset);
	cr_expect_eq(sessions_of(SUBSCRIBER), PORTS);
	next_tick();
	cr_expect_eq(open_flow(TCP, SEARCHING + 800, 80, SYN), -1, "no other is to go");
}

/* At the quota the oldest of those that an RST has closed makes way: one for each new connection, and no other. */
Test(limits, the_oldest_reset_connection_makes_way_at_the_quota)
{
	datapath.mapping[0].sessions_per_user = 5;
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, SYN), 0);
		if (i < 3)
			from_outside(80, OUT_PORT(2000 + i, 2), RST);
		age_sessions(SUBSCRIBER, 10);
	}
	/* The second has waited for the longest. */
	cr_assert_geq(open_flow(TCP, 2000, 80, ACK), 0, "the first comes back");
	from_outside(80, OUT_PORT(2000, 2), RST);
	cr_expect_eq(sessions_of(SUBSCRIBER), 5);
	cr_expect_geq(open_flow(TCP, 3000, 80, SYN), 0);
	cr_expect_eq(sessions_of(SUBSCRIBER), 5);
	from_outside(80, OUT_PORT(2001, 2), ACK);
	cr_expect_eq(counted(REASON_drop_no_session), 1, "the oldest is gone");
	from_outside(80, OUT_PORT(2002, 2), ACK);
	cr_expect_eq(counted(REASON_drop_no_session), 1, "and it alone");
	cr_expect_geq(open_flow(TCP, 2002, 80, ACK), 0, "a segment from inside still brings it back");
	cr_expect_geq(open_flow(TCP, 3001, 80, SYN), 0, "the first one makes way");
	next_tick();
	cr_expect_eq(open_flow(TCP, 3002, 80, SYN), -1, "what is open stays");
	cr_expect_eq(counted(REASON_drop_quota), 1);
	cr_expect_eq(sessions_of(SUBSCRIBER), 5);
}

/* The openings of a tick share a walk: one that goes on with it is counted for its part, and then for a walk in vain.
 */
Test(limits, a_walk_at_the_quota_that_goes_on_is_counted_as_search)
{
	struct subscriber *s = subscriber();
	unsigned buckets = 1U << mappings_get(mappings, 0)->bucket_shift;
	uint32_t tick;

	cr_assert_eq(buckets, 128, "a unit of work");
	datapath.mapping[0].sessions_per_user = 1;
	cr_assert_geq(open_flow(UDP, 2000, 53, 0), 0);
	do {
		next_tick();
		tick = datapath_ticks(&datapath);
		s->search_tick = (uint16_t)tick;
		s->searched = 0;
		s->quota_pass = 128 << 8; /* the lowest rank of reset sessions, from the first bucket on */
		cr_assert_eq(open_flow(UDP, 2001, 53, 0), -1);
	} while (datapath_ticks(&datapath) != tick);
	cr_expect_eq(s->searched, 2, "%u", s->searched);
	cr_expect_eq(s->quota_pass, QUOTA_IN_VAIN);
}

Test(limits, connections_that_end_in_resets_do_not_use_up_the_quota)
{
	datapath.mapping[0].sessions_per_user = 50;
	for (unsigned i = 0; i < 150; i++) {
		if (i % 50 == 49)
			next_tick();
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, SYN), 0, "connection %u", i);
		cr_assert_geq(open_flow(TCP, (uint16_t)(2000 + i), 80, RST), 0);
	}
	cr_expect_eq(sessions_of(SUBSCRIBER), 50, "below the quota they wait out their time");
}

/* The slot of a subscriber's n-th session of those in slots, or NULL. */
static struct slot *slot_of_session(uint32_t in_addr, unsigned n)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct bucket *b = mappings_buckets(mappings, 0, in_addr - m->geo.in_base);

	for (unsigned i = 0; i < BUCKET_SLOTS << m->bucket_shift; i++) {
		struct slot *s = &b[i / BUCKET_SLOTS].slot[i % BUCKET_SLOTS];

		if (word_is_live(s->truth) && !n--)
			return s;
	}
	return NULL;
}

/*
 * Wherever it stands: the sweep looks at whole buckets first, to see whether there is anything to do. One expires of
 * each subscriber at a time, another of each.
 */
Test(limits, any_one_session_that_has_expired_makes_way_at_the_quota)
{
	enum { QUOTA = 200, AT_A_TIME = 40 };
	struct slot *s[AT_A_TIME];
	uint64_t key[AT_A_TIME];

	datapath.mapping[0].sessions_per_user = QUOTA;
	for (unsigned i = 0; i < QUOTA * AT_A_TIME; i++)
		cr_assert_geq(open_flow_of(ADDR(10, 0, 0, 2 + i / QUOTA), UDP, (uint16_t)(2000 + i % QUOTA),
					   (uint16_t)(1 + i % QUOTA), 0),
			      0, "flow %u", i);
	for (unsigned first = 0; first < QUOTA; first += AT_A_TIME) {
		next_tick();
		for (unsigned i = 0; i < AT_A_TIME; i++) {
			uint32_t in_addr = ADDR(10, 0, 0, 2 + i);

			s[i] = slot_of_session(in_addr, first + i);
			cr_assert_not_null(s[i], "slot %u", first + i);
			key[i] = s[i]->key;
			cr_assert_eq(open_flow_of(in_addr, UDP, (uint16_t)(4000 + first), 53, 0), -1,
				     "none has expired, slot %u", first + i);
			s[i]->truth = word_with(s[i]->truth, word_state(s[i]->truth),
						word_seen(s[i]->truth) - ticks_of_seconds(301, datapath.hz));
		}
		next_tick();
		for (unsigned i = 0; i < AT_A_TIME; i++) {
			uint32_t in_addr = ADDR(10, 0, 0, 2 + i);

			cr_assert_geq(open_flow_of(in_addr, UDP, (uint16_t)(4000 + first), 53, 0), 0, "slot %u",
				      first + i);
			cr_assert_eq(sessions_of(in_addr), QUOTA);
			cr_assert(!word_is_live(s[i]->truth) || s[i]->key != key[i], "the one of slot %u is gone",
				  first + i);
		}
	}
}

/* What the last of n who take all that they can get one after the other has of all extents; *ret_first: the first. */
static uint64_t share_of_last(uint64_t limit, unsigned n, uint64_t *ret_first)
{
	uint64_t used = 0, share = 0;

	for (unsigned i = 0; i < n; i++) {
		for (share = 0; share < extent_share(limit, limit - used); share++)
			used++;
		if (!i)
			*ret_first = share;
	}
	return share;
}

/* Alone a subscriber gets what its block has beyond 1024 slots; after fifty that take all, another has still room. */
Test(limits, fifty_greedy_subscribers_leave_room)
{
	uint64_t first;

	cr_expect_eq(share_of_last(65536, 51, &first), 147);
	cr_expect_eq(first, 7374);
	cr_expect_eq(extent_share(65536, 1), 1);
	cr_expect_eq(extent_share(65536, 0), 0);
	cr_expect_eq(extent_share(1U << 24, 1U << 24), ((1U << 24) + 6) / 7);
	cr_expect_eq(extent_share(65536, 505), 64);
	cr_expect_eq(extent_share(65536, 504), 63);
	cr_expect_eq(extent_share(65536, 5418), 64);
	cr_expect_eq(extent_share(65536, 5461), 66);
}
