// SPDX-License-Identifier: BSD-2-Clause
/* A session that another gateway has told, and packets of it: as if it had been opened here. */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "icmp_frame.h"
#include "datapath/copy_program.h"
#include "tables/mapping_changes.h"

static struct copy_program program;

static void set_up_copies(void)
{
	int r;

	set_up();
	r = copy_program_load(&program, &datapath);
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void tear_down_copies(void)
{
	copy_program_unload(&program);
	tear_down();
}

TestSuite(copies, .init = set_up_copies, .fini = tear_down_copies);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

/* A session of SUBSCRIBER on the first choice, or a port after it: an enum copy_result. */
static int copy_of(uint32_t ext_addr, uint8_t proto, uint8_t state, uint16_t in_port, uint16_t ext_port, unsigned after)
{
	int number = mappings_find_any(mappings, SUBSCRIBER);
	const struct mapping *m = mappings_get(mappings, number);
	uint32_t first = mapping_first_choice(&m->geo, in_port);
	struct bucket_pair pair = session_buckets(ext_addr, ext_port, proto, first, m->bucket_shift);

	program.requests->n = 1;
	program.requests->copy[0] = (struct session_copy){
		.key = slot_key(ext_addr, ext_port, in_port),
		.word = state_word((uint16_t)(OUT_PORT(in_port, 2) + after), proto, state, datapath_ticks(&datapath)),
		.subscriber = SUBSCRIBER - m->geo.in_base,
		.mapping = (uint16_t)number,
		.slot = (uint16_t)(pair.first * BUCKET_SLOTS + first % BUCKET_SLOTS),
	};
	cr_assert_eq(copy_program_run(&program), 0);
	return program.requests->copy[0].result;
}

static int copy(uint8_t proto, uint8_t state, uint16_t in_port, uint16_t ext_port, unsigned after)
{
	return copy_of(EXTERNAL, proto, state, in_port, ext_port, after);
}

Test(copies, a_download_goes_on_before_the_inside_has_sent_anything)
{
	static const struct row rows[] = {
		{ "a segment from outside",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, TCP, 443, OUT_PORT(6303, 2), .flags = 0x18, .payload = 900 },
		  REDIRECT_XDP,
		  { TO_HOST, TCP, 443, 6303, .flags = 0x18, .payload = 900 },
		  REASON_out2in_translated },
		{ "its acknowledgement",
		  XDP_INSIDE,
		  { FROM_HOST, TCP, 6303, 443, .flags = 0x10 },
		  REDIRECT_XDP,
		  { TO_ROUTER, TCP, OUT_PORT(6303, 2), 443, .flags = 0x10 },
		  REASON_in2out_translated },
	};
	uint64_t opened = counted(REASON_sessions_opened);

	cr_assert_eq(copy(TCP, SESSION_ESTABLISHED, 6303, 443, 0), COPY_PLACED);
	RUN_ROWS(rows);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	cr_assert_eq(counted(REASON_sessions_opened), opened);
}

Test(copies, a_session_on_another_port_than_the_first_choice_is_found_from_both_sides)
{
	static const struct row rows[] = {
		{ "out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2) + 1, 53, .payload = 20 },
		  REASON_in2out_translated },
		{ "in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) + 1, .payload = 20 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304, .payload = 20 },
		  REASON_out2in_translated },
	};

	cr_assert_eq(copy(UDP, SESSION_UDP, 6304, 53, 1), COPY_PLACED);
	RUN_ROWS(rows);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
}

Test(copies, a_session_that_a_packet_has_opened_is_not_placed_again_nor_is_its_port)
{
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(copy(UDP, SESSION_UDP, 6304, 53, 0), COPY_EXISTS);
	cr_assert_eq(copy(UDP, SESSION_UDP, 6304 + PORTS, 53, 0), COPY_PORT);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
}

static uint32_t bucket_of(uint8_t proto, uint16_t ext_port)
{
	return session_buckets(EXTERNAL, ext_port, proto, 6304 % PORTS, mappings_get(mappings, 0)->bucket_shift).first;
}

/* Sessions of one bucket are told apart by all that their flows differ in. */
Test(copies, another_external_port_s_session_is_another)
{
	uint16_t other = 54;

	while (bucket_of(UDP, other) != bucket_of(UDP, 53))
		cr_assert(++other);
	cr_assert_eq(open_flow(UDP, 6304, other, 0), OUT_PORT(6304, 2));
	cr_expect_eq(copy(UDP, SESSION_UDP, 6304, 53, 0), COPY_PLACED);
	cr_expect_eq(copy(UDP, SESSION_UDP, 6304 + PORTS, 53, 0), COPY_PORT);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

/* The slot that a session of SUBSCRIBER asks for: of its first bucket, or from BUCKET_SLOTS on of its second one. */
static uint16_t slot_asked(uint16_t ext_port, unsigned at)
{
	const struct mapping *m = mappings_get(mappings, 0);
	struct bucket_pair pair =
		session_buckets(EXTERNAL, ext_port, UDP, mapping_first_choice(&m->geo, 6304), m->bucket_shift);

	return (uint16_t)((at < BUCKET_SLOTS ? pair.first : pair.second) * BUCKET_SLOTS + at % BUCKET_SLOTS);
}

/* The result of the request for another flow and slot. */
static int copy_again(uint16_t in_port, uint16_t ext_port, uint16_t slot)
{
	struct session_copy *c = &program.requests->copy[0];

	c->key = slot_key(EXTERNAL, ext_port, in_port);
	c->slot = slot;
	program.requests->n = 1;
	c->result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&program), 0);
	return c->result;
}

Test(copies, a_session_gets_the_slot_that_it_asks_for_and_the_answers_about_it_name_that_slot)
{
	const struct slot *slots =
		(const struct slot *)mappings_buckets(mappings, 0, SUBSCRIBER - mappings_get(mappings, 0)->geo.in_base);
	struct session_copy *c = &program.requests->copy[0];
	uint16_t ext_port = 1000;

	for (unsigned at = 0; at < 2 * BUCKET_SLOTS; at++) {
		uint16_t slot, beside;

		while (slot_asked(ext_port, 0) == slot_asked(ext_port, BUCKET_SLOTS) ||
		       slots[slot_asked(ext_port, at)].truth)
			ext_port++;
		slot = slot_asked(ext_port, at);
		beside = slot_asked(ext_port, at ^ 1);
		c->word = state_word((uint16_t)OUT_PORT(6304, 2), UDP, SESSION_UDP, datapath_ticks(&datapath));
		c->subscriber = SUBSCRIBER - mappings_get(mappings, 0)->geo.in_base;
		cr_expect_eq(copy_again(6304, ext_port, slot), COPY_PLACED, "%u", at);
		cr_expect_eq(c->slot, slot, "%u: placed in %u", at, c->slot);
		cr_expect_eq(slots[slot].key, c->key, "%u", at);
		cr_expect_eq(slots[slot].truth, c->word, "%u", at);
		cr_expect_eq(copy_again(6304, ext_port, beside), COPY_EXISTS, "%u", at);
		cr_expect_eq(c->slot, slot, "%u: exists in %u", at, c->slot);
		cr_expect_eq(copy_again(6304 + PORTS, ext_port, beside), COPY_PORT, "%u", at);
		cr_expect_eq(c->slot, slot, "%u: the port is taken by %u", at, c->slot);
		ext_port++;
	}
}

Test(copies, a_session_is_placed_after_another_whose_port_was_taken)
{
	struct session_copy *c = program.requests->copy;

	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2));
	cr_assert_eq(copy(UDP, SESSION_UDP, 6304 + PORTS, 53, 0), COPY_PORT);
	c[0].result = COPY_BUSY;
	c[1] = c[0];
	c[1].key = slot_key(EXTERNAL, 55, 6304);
	c[1].slot = slot_asked(55, 6304 % PORTS % BUCKET_SLOTS);
	program.requests->n = 2;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c[0].result, COPY_PORT);
	cr_expect_eq(c[1].result, COPY_PLACED);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

/* Of the subscriber behind the last of its mapping, on a port that it would have, or of no mapping. */
Test(copies, a_request_about_nobody_is_impossible)
{
	struct session_copy *c = &program.requests->copy[0];

	cr_assert_eq(copy(UDP, SESSION_UDP, 6304, 54, 0), COPY_PLACED);
	c->word = state_word((uint16_t)OUT_PORT(6304, 0), UDP, SESSION_UDP, datapath_ticks(&datapath));
	c->slot = (uint16_t)(bucket_of(UDP, 54) * BUCKET_SLOTS + 6304 % PORTS % BUCKET_SLOTS);
	for (unsigned i = 0; i < 3; i++) {
		c->subscriber = i ? 0 : 256;
		c->mapping = i > 1 ? UINT16_MAX : i ? MAX_MAPPINGS : 0;
		c->result = COPY_BUSY;
		cr_assert_eq(copy_program_run(&program), 0);
		cr_expect_eq(c->result, COPY_IMPOSSIBLE, "%u: %u", i, c->result);
	}
}

/* The peer of a hairpin: what claims to be it comes from outside. */
Test(copies, a_hairpin_s_peer_sends_nothing_from_outside)
{
	static const struct row rows[] = {
		{ "a pool address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};

	cr_assert_eq(copy_of(POOL, UDP, SESSION_UDP, 6304, 53, 0), COPY_PLACED);
	RUN_ROWS(rows);
}

Test(copies, a_flow_that_opens_takes_no_port_of_a_copy)
{
	cr_assert_eq(copy(UDP, SESSION_UDP, 6304, 53, 0), COPY_PLACED);
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2) + 1);
	cr_assert_eq(sessions_of(SUBSCRIBER), 2);
}

/* A session with EXTERNAL in the extent, on a port of the subscriber's block: an enum copy_result. */
static int copy_to_extent_of(uint32_t in_addr, uint16_t in_port, uint16_t ext_port, uint16_t out_port)
{
	int number = mappings_find_any(mappings, in_addr);
	struct session_copy *c = &program.requests->copy[0];

	program.requests->n = 1;
	*c = (struct session_copy){
		.key = slot_key(EXTERNAL, ext_port, in_port),
		.word = state_word(out_port, UDP, SESSION_UDP, datapath_ticks(&datapath)),
		.subscriber = in_addr - mappings_get(mappings, number)->geo.in_base,
		.mapping = (uint16_t)number,
		.request = COPY_TO_EXTENT,
	};
	c->owner = 1;
	cr_assert_eq(copy_program_run(&program), 0);
	return c->result;
}

static int copy_to_extent(uint16_t in_port, uint16_t ext_port, uint16_t out_port)
{
	return copy_to_extent_of(SUBSCRIBER, in_port, ext_port, out_port);
}

Test(copies, a_session_in_an_extent_is_found_from_both_sides_on_any_port_of_the_block)
{
	static const struct row rows[] = {
		{ "in",
		  XDP_OUTSIDE,
		  { FROM_ROUTER, UDP, 53, OUT_PORT(6304, 2) + 99, .payload = 20 },
		  REDIRECT_XDP,
		  { TO_HOST, UDP, 53, 6304, .payload = 20 },
		  REASON_out2in_translated },
		{ "out",
		  XDP_INSIDE,
		  { FROM_HOST, UDP, 6304, 53, .payload = 20 },
		  REDIRECT_XDP,
		  { TO_ROUTER, UDP, OUT_PORT(6304, 2) + 99, 53, .payload = 20 },
		  REASON_in2out_translated },
	};
	uint64_t opened = counted(REASON_sessions_opened);

	cr_assert_eq(copy_to_extent(6304, 53, OUT_PORT(6304, 2) + 99), COPY_PLACED);
	cr_assert_eq(sessions_overflowed(), 1);
	RUN_ROWS(rows);
	cr_assert_eq(sessions_of(SUBSCRIBER), 1);
	cr_assert_eq(counted(REASON_sessions_opened), opened);
}

Test(copies, a_flow_that_opens_takes_no_port_of_a_copy_in_an_extent)
{
	cr_assert_eq(copy_to_extent(6304 + 5, 53, OUT_PORT(6304, 2)), COPY_PLACED);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), OUT_PORT(6304, 2) + 1);
	cr_assert_eq(copy_to_extent(6304 + 6, 53, OUT_PORT(6304, 2) + 1), COPY_PORT);
	/* Towards another endpoint it is free. */
	cr_assert_eq(copy_to_extent(6304 + 6, 54, OUT_PORT(6304, 2) + 1), COPY_PLACED);
	cr_assert_eq(copy_to_extent(6304, 53, OUT_PORT(6304, 2) + 7), COPY_EXISTS);
	cr_assert_eq(sessions_of(SUBSCRIBER), 3);
}

/* As of a hairpin that found no slot. */
Test(copies, a_hairpin_s_peer_sends_nothing_from_outside_to_an_extent_either)
{
	static const struct row rows[] = {
		{ "a pool address as source",
		  XDP_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = POOL, .dst = POOL, UDP, 53, OUT_PORT(6304, 2) },
		  DROP_XDP,
		  {},
		  REASON_drop_martian },
	};
	struct session_copy *c = &program.requests->copy[0];

	cr_assert_eq(copy_to_extent(6304, 53, OUT_PORT(6304, 2) + 99), COPY_PLACED);
	c->key = slot_key(POOL, 53, 6304);
	c->word = state_word((uint16_t)OUT_PORT(6304, 2), UDP, SESSION_UDP, datapath_ticks(&datapath));
	c->result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_assert_eq(c->result, COPY_PLACED);
	RUN_ROWS(rows);
	cr_expect_eq(sessions_of(SUBSCRIBER), 2);
}

Test(copies, a_session_in_an_extent_is_of_one_mapping_and_has_no_part_in_those_of_another)
{
	const struct prefix own_out = { ADDR(203, 0, 113, 77), 32 };
	struct mapping_spec spec = { .in = { SUBSCRIBER, 32 }, .out = own_out, .sessions_per_user = 100 };
	struct session_copy *c = &program.requests->copy[0];

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	spec.session_slots = 64;
	cr_assert_eq(copy_to_extent(6304, 53, OUT_PORT(6304, 2)), COPY_PLACED);
	make_mapping(&spec, NULL);
	cr_assert_eq(mappings_find_any(mappings, SUBSCRIBER), 1);
	c->mapping = 1;
	c->subscriber = 0;
	c->request = COPY_END;
	c->result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c->result, COPY_CHANGED, "it is not ended as the exception's");
	cr_expect_eq(copy_to_extent(6304, 53, OUT_PORT(6304, 2)), COPY_PLACED, "nor in the way of its sessions");
	cr_expect_eq(sessions_overflowed(), 2);
	c->request = COPY_END;
	c->result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c->result, COPY_PLACED);
	cr_expect_eq(sessions_overflowed(), 1);
	c->mapping = 0;
	c->subscriber = SUBSCRIBER - ADDR(10, 0, 0, 0);
	c->result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&program), 0);
	cr_expect_eq(c->result, COPY_PLACED, "as that of the mapping around it is");
	cr_expect_eq(sessions_overflowed(), 0);
}

/* The port may be a neighbour's in the other mapping, even towards the same endpoint. */
Test(copies, a_neighbours_session_in_an_extent_is_not_taken_for_the_subscribers_own)
{
	struct mapping_spec spec = { .in = { SUBSCRIBER, 31 },
				     .out = { ADDR(203, 0, 113, 77), 32 },
				     .sessions_per_user = 100,
				     .session_slots = 64 };
	const uint16_t port = OUT_PORT(6304, 3);

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 10000;
	cr_assert_eq(copy_to_extent_of(OTHER, 6304, 53, port), COPY_PLACED);
	make_mapping(&spec, NULL);
	cr_assert_eq(copy_to_extent_of(SUBSCRIBER, 6304, 53, port), COPY_PLACED);
	cr_expect_eq(copy_to_extent_of(OTHER, 6304, 53, 1024 + 32256 + 6304), COPY_PLACED);
	cr_expect_eq(copy_to_extent_of(OTHER, 6304 + 1, 53, 1024 + 32256 + 6304), COPY_PORT);
	cr_expect_eq(sessions_overflowed(), 3);
}

static void set_up_bound(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP, .inbound = 25 };
	set_up_copies();
}

/* As if its session had been opened between the agent's look at them and the change. */
Test(copies, a_port_that_a_session_from_before_bindings_has_is_bound, .init = set_up_bound)
{
	set_protocols(0, 0);
	cr_assert_eq(open_flow(UDP, 6304 + PORTS, 53, 0), OUT_PORT(6304, 2));
	set_protocols(BINDING_UDP, 0);
	*entry_of(UDP, OUT_PORT(6304, 2)) = 0;
	cr_expect_eq(copy(UDP, SESSION_UDP, 6304, 54, 0), COPY_PORT);
	cr_expect_eq(sessions_of(SUBSCRIBER), 1);
}

/* What strangers have opened elsewhere lengthens no binding here either (RFC 4787 REQ-6). */
Test(copies, copies_of_sessions_from_outside_lengthen_no_binding, .init = set_up_bound)
{
	const int port = OUT_PORT(6304, 2);
	const uint32_t ago = datapath_ticks(&datapath) - ticks_of_seconds(200, datapath.hz);
	struct session_copy *c = &program.requests->copy[0];

	set_protocols(BINDING_UDP, BINDING_UDP);
	cr_assert_eq(open_flow(UDP, 6304, 53, 0), port);
	*entry_of(UDP, port) = binding_entry(6304, BINDING_BOUND, ago);
	cr_assert_eq(copy(UDP, SESSION_UDP, 6304, 54, 0), COPY_PLACED);
	cr_expect_gt((int32_t)(binding_seen(*entry_of(UDP, port)) - ago), 0, "one of the subscriber's own does");
	*entry_of(UDP, port) = binding_entry(6304, BINDING_BOUND, ago);
	/* The copy of a session whose port was refreshed 200 seconds ago, and of one whose port is not bound here. */
	for (unsigned i = 0; i < 2; i++) {
		uint16_t in_port = (uint16_t)(6304 + i);
		const struct mapping *m = mappings_get(mappings, 0);
		uint32_t first = mapping_first_choice(&m->geo, in_port);

		*c = (struct session_copy){
			.key = slot_key(EXTERNAL, 55, in_port),
			.word = state_word((uint16_t)(port + i), UDP, SESSION_UDP, ago),
			.subscriber = SUBSCRIBER - m->geo.in_base,
			.inbound = 1,
			.slot = (uint16_t)(session_buckets(EXTERNAL, 55, UDP, first, m->bucket_shift).first *
						   BUCKET_SLOTS +
					   first % BUCKET_SLOTS),
		};
		cr_assert_eq(copy_program_run(&program), 0);
		cr_assert_eq(c->result, COPY_PLACED);
		cr_expect_eq(binding_seen(*entry_of(UDP, port + (int)i)), ago, "binding %u: %d ticks later", i,
			     (int32_t)(binding_seen(*entry_of(UDP, port + (int)i)) - ago));
	}
}
