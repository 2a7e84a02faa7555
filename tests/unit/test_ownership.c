/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: which of two or three gateways has a session, and where it ends. */
#include <string.h>

#include "ownership_fixture.h"

TestSuite(ownership, .init = pair_connect, .fini = pair_free, .timeout = 60);

Test(ownership, a_packet_takes_a_copy_over_and_the_other_gateway_yields)
{
	uint32_t slot = copied();

	packet(&b, slot);
	exchange_twice();
	expect_at(&b, &a);
	packet(&a, slot);
	exchange_twice();
	expect_at(&a, &b);
}

Test(ownership, a_takeover_is_told_by_the_pass_that_finds_it_however_young_sessions_are_told)
{
	struct told t = { 0 };
	uint32_t slot = copied();

	packet(&b, slot);
	/* As a change of the count does. */
	open_flow(&b, HOST, 9000, 9, IPPROTO_UDP, SESSION_UDP);
	pass(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_CHANGES), 1);
	hear(&a, 1, &t);
	cr_expect_eq(copying_held(a.c, 1), 1);
	pair_sound();
}

Test(ownership, a_connection_closed_right_after_the_routes_have_moved_ends_at_both)
{
	uint32_t slot = copied();

	packet(&b, slot);
	time_wait(&b, slot);
	exchange_twice();
	expect_ended();
}

Test(ownership, a_connection_closed_after_its_takeover_was_told_ends_at_both)
{
	uint32_t slot = copied();

	packet(&b, slot);
	exchange_twice();
	time_wait(&b, slot);
	exchange_twice();
	expect_ended();
}

Test(ownership, a_copy_that_an_operator_closes_ends_at_both)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };

	for (unsigned i = 0; i < 3; i++) {
		uint32_t slot = open_flow(&a, HOST, 5000, 7, protos[i],
					  i ? i == 1 ? SESSION_UDP : SESSION_ICMP : SESSION_ESTABLISHED);

		exchange(&a, &b);
		end_session(&b, HOST, slot);
		exchange_twice();
		expect_ended();
	}
}

Test(ownership, a_session_that_is_closed_at_the_former_gateway_lives_where_its_packets_are)
{
	uint32_t slot = copied();

	packet(&b, slot);
	end_session(&a, HOST, slot);
	exchange_twice();
	expect_at(&b, &a);
}

Test(ownership, one_whose_slot_another_takes_at_once_ends_at_both_all_the_same)
{
	uint32_t slot = copied();
	uint64_t key = slot_key(0xc6336407, 443, 5000 + 4032);

	packet(&b, slot);
	end_session(&b, HOST, slot);
	cr_assert_eq(
		open_own(&b, HOST, key, first_port(&b, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED, (uint16_t)slot),
		COPY_PLACED);
	exchange_twice();
	cr_expect_eq(sessions_in(&a, HOST), 1);
	cr_expect_eq(slot_at(&a, HOST, slot)->key, key);
	expect_at(&b, &a);
}

Test(ownership, a_gateway_that_was_cut_off_hears_what_has_ended_meanwhile)
{
	for (unsigned i = 0; i < 4; i++) {
		uint32_t slot = copied();

		packet(&b, slot);
		if (i & 1)
			tell_nobody(&b);
		time_wait(&b, slot);
		tell_nobody(&b);
		tell_nobody(&b);
		come_back(i & 2);
		expect_ended();
	}
}

Test(ownership, an_ending_is_told_until_it_is_known_and_then_forgotten)
{
	struct told t = { 0 };
	uint32_t slot = copied();

	packet(&b, slot);
	time_wait(&b, slot);
	tell_nobody(&b);
	for (unsigned i = 0; i < 2; i++) {
		whole(&b, &t);
		cr_expect_eq(records_of(&t, WIRE_ENDED), 1);
		told_free(&t);
	}
	connect_gateways(&a, &b);
	acknowledge(&a, &b);
	whole(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	told_free(&t);
	b.c->ended.entry[0].tick -= ticks_of_seconds(20, b.d.hz);
	exchange_twice();
	cr_expect_eq(b.c->ended.first, b.c->ended.end);
	expect_ended();
}

Test(ownership, an_ending_that_comes_again_ends_no_session_that_has_begun_since)
{
	struct told t = { 0 };
	uint32_t slot = copied();

	packet(&b, slot);
	time_wait(&b, slot);
	tell_nobody(&b);
	for (unsigned i = 0; i < 2; i++) {
		whole(&b, &t);
		hear(&a, 1, &t);
		if (!i)
			open_tcp(&a, 5000);
		passes(&a, &t);
		told_free(&t);
	}
	cr_expect_eq(sessions_in(&a, HOST), 1);
	come_back(true);
	expect_at(&a, &b);
}

Test(ownership, an_ending_ends_no_session_that_a_packet_has_refreshed_since)
{
	uint32_t slot = copied();

	packet(&b, slot);
	time_wait(&b, slot);
	tell_nobody(&b);
	/* Ten seconds ago, say. */
	b.c->ended.entry[0].tick -= ticks_of_seconds(10, b.d.hz);
	silent_for(&a, slot, 5);
	come_back(true);
	expect_at(&a, &b);
	packet(&b, slot);
	time_wait(&b, slot);
	tell_nobody(&b);
	b.c->ended.entry[b.c->ended.first & (b.c->ended.room - 1)].tick -= ticks_of_seconds(10, b.d.hz);
	silent_for(&a, slot, 15);
	come_back(false);
	expect_ended();
}

/* As `session close` at a gateway. */
static void close_at(struct gateway *g)
{
	const struct endpoint in = { 0x0a000000 + HOST, 5000 }, ext = { 0xc6336407, 443 };

	cr_assert_eq(sessions_close_in(g->m, 0, in, ext, IPPROTO_TCP), 1);
}

Test(ownership, what_an_operator_closes_where_its_packets_came_a_moment_ago_ends_at_both)
{
	for (unsigned first = 0; first < 2; first++) {
		uint32_t slot = copied();

		/* Nobody has heard of the takeover. */
		packet(&b, slot);
		close_at(&a);
		come_back(first);
		expect_ended();
	}
}

Test(ownership, what_an_operator_has_closed_goes_on_where_a_packet_has_come_since)
{
	for (unsigned first = 0; first < 2; first++) {
		uint32_t slot = copied();

		silent_for(&b, slot, 5);
		close_at(&a);
		a.c->ended.entry[(a.c->ended.end - 1) & (a.c->ended.room - 1)].tick -= ticks_of_seconds(10, a.d.hz);
		come_back(first);
		expect_at(&b, &a);
		close_at(&b);
		exchange_twice();
		expect_ended();
	}
}

Test(ownership, a_copy_that_has_expired_is_no_ending_for_the_peer)
{
	struct told t = { 0 };
	uint32_t slot = copied();

	vouch(&b, 0);
	/* The sweep, long after the peer was heard last. */
	end_session(&b, HOST, slot);
	*copy_vouched(&b.c->mapping[b.number].marks, HOST, 1) =
		(struct vouched){ .now = (uint16_t)(NOW(&b) - 5000), .before = (uint16_t)(NOW(&b) - 5000) };
	passes(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	hear(&a, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	come_back(true);
	expect_at(&a, &b);
}

Test(ownership, a_copy_of_a_subscriber_that_has_moved_is_no_ending_for_the_peer)
{
	struct mapping_spec moved = copying_spec;
	uint32_t slot = copied();
	struct told t = { 0 };

	moved.in = (struct prefix){ 0x0a000000 + HOST, 32 };
	moved.out = (struct prefix){ 0xc6120000, 32 };
	cr_assert_geq(tables_add(b.m, &moved), 0);
	end_session(&b, HOST, slot);
	passes(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	hear(&a, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 1);
}

Test(ownership, claims_that_cross_leave_one_gateway_with_the_session)
{
	struct told of_a = { 0 }, of_b = { 0 };
	uint32_t slot = copied();

	/* Both have taken it over since each had a copy of the other's. */
	packet(&b, slot);
	exchange_twice();
	packet(&a, slot);
	passes(&a, &of_a);
	for (unsigned i = 0; i < 16; i++)
		pass(&a, &of_a);
	slot_at(&b, HOST, slot)->truth ^= (uint64_t)(SESSION_ESTABLISHED ^ SESSION_CLOSE_WAIT) << 32;
	packet(&b, slot);
	for (unsigned i = 0; i < 20; i++)
		pass(&b, &of_b);
	hear(&a, 1, &of_b);
	hear(&b, 1, &of_a);
	exchange_twice();
	expect_at(&a, &b);
}

Test(ownership, the_higher_gateway_has_a_session_of_equal_claims_though_the_other_has_told_it)
{
	uint32_t slot = open_tcp(&a, 5000);

	exchange(&a, &b);
	end_session(&b, HOST, slot);
	tell_nobody(&b);
	open_tcp(&b, 5000);
	come_back(true);
	come_back(false);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	cr_expect_eq(sessions_in(&b, HOST), 1);
	cr_expect_eq(copying_held(a.c, 1) + copying_held(b.c, 1), 1);
	pair_sound();
}

Test(ownership, a_whole_copy_that_crosses_a_takeover_changes_nothing)
{
	struct told stale = { 0 }, t = { 0 };
	uint32_t slot = copied();

	whole(&a, &stale);
	packet(&b, slot);
	passes(&b, &t);
	for (unsigned i = 0; i < 16; i++)
		pass(&b, &t);
	hear(&b, 1, &stale);
	cr_expect_eq(copying_held(b.c, 1), 0, "b has it of its own");
	hear(&a, 1, &t);
	exchange_twice();
	expect_at(&b, &a);
}

Test(ownership, a_whole_copy_that_crosses_an_ending_places_nothing)
{
	struct told stale = { 0 }, t = { 0 };
	uint32_t slot = copied();

	whole(&a, &stale);
	packet(&b, slot);
	time_wait(&b, slot);
	passes(&b, &t);
	hear(&b, 1, &stale);
	cr_expect_eq(sessions_in(&b, HOST), 0);
	hear(&a, 1, &t);
	exchange_twice();
	expect_ended();
}

/* Peer 2 of b; it has what b has of a, and the same of its own claim. */
static struct gateway third;

static void make_third(void)
{
	struct told t = { 0 };

	gateway_make(&third, NULL);
	pass(&third, &t);
	hear(&b, 2, &t);
	whole(&a, &t);
	hear(&third, 1, &t);
}

Test(ownership, a_third_gateway_follows_the_highest_turn_whatever_comes_first)
{
	struct told of_a = { 0 }, of_third = { 0 };
	uint32_t slot = copied();

	vouch(&b, 2);
	make_third();
	packet(&third, slot);
	for (unsigned i = 0; i < 20; i++)
		pass(&third, &of_third);
	hear(&b, 2, &of_third);
	cr_expect_eq(copying_held(b.c, 2), 1);
	/* The first one's whole copy was under way. */
	whole(&a, &of_a);
	vouch(&b, 6);
	hear(&b, 1, &of_a);
	cr_expect_eq(copying_held(b.c, 2), 1);
	cr_expect_eq(copying_held(b.c, 1), 0);
	/* Of a peer that is not heard anybody may take it. */
	vouch(&b, 2);
	whole(&a, &of_a);
	hear(&b, 1, &of_a);
	cr_expect_eq(copying_held(b.c, 1), 1);
	gateway_free(&third);
	pair_sound();
}

Test(ownership, a_session_that_ends_at_the_third_gateway_ends_where_it_is_a_copy_of_the_first)
{
	struct told t = { 0 };
	uint32_t slot = copied();

	make_third();
	packet(&third, slot);
	time_wait(&third, slot);
	passes(&third, &t);
	hear(&b, 2, &t);
	cr_expect_eq(sessions_in(&b, HOST), 0);
	gateway_free(&third);
	assert_sound(&b);
}

Test(ownership, a_port_of_a_copy_of_a_silent_gateway_is_for_what_another_tells)
{
	struct told t = { 0 };

	copied();
	gateway_make(&third, NULL);
	pass(&third, &t);
	whole(&third, &t);
	hear(&b, 2, &t);
	vouch(&b, 6);
	open_flow(&third, HOST, 5000 + 4032, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&third, &t);
	hear(&b, 2, &t);
	cr_expect_eq(copying_held(b.c, 1), 1, "both are heard: the first one stays");
	cr_expect_eq(b.counts.refused, 1);
	vouch(&b, 4);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = 0;

		for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &b.c->waiting, &at));)
			e->tick -= ticks_of_seconds(4, b.d.hz);
		for (uint32_t k = 0; k < WAITING_MAX / 4096; k++)
			cr_assert_eq(copying_retry(b.c, 2, &b.counts), 0);
	}
	cr_expect_eq(copying_held(b.c, 2), 1);
	cr_expect_eq(copying_held(b.c, 1), 0);
	gateway_free(&third);
	assert_sound(&b);
}

/* An agent that has begun finds marks of slots that are free: nobody knows why. */
Test(ownership, a_new_agent_tells_no_end_of_what_it_has_never_seen)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	char path[] = "/tmp/ownership.XXXXXX", file[64];
	struct told t = { 0 };
	uint32_t slot;

	cr_assert_not_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/marks", path);
	copying_free(b.c);
	cr_assert_eq(copying_new(b.m, &limits, file, &b.c), 0);
	connect_gateways(&a, &b);
	slot = copied();
	copying_free(b.c);
	end_session(&b, HOST, slot);
	cr_assert_eq(copying_new(b.m, &limits, file, &b.c), 0);
	set_orders(&a, &b);
	for (unsigned i = 0; i < 4; i++)
		pass(&b, &t);
	whole(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	hear(&a, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	come_back(true);
	copying_forget(file);
	rmdir(path);
	expect_at(&a, &b);
}

Test(ownership, a_gateway_that_has_lost_its_tables_gets_its_sessions_back_as_copies)
{
	uint32_t slot;

	copying_peer_tables(b.c, 1, 7);
	slot = copied();
	copying_peer_tables(b.c, 1, 8);
	/* The other one is empty. */
	end_session(&a, HOST, slot);
	tell_nobody(&a);
	come_back(true);
	expect_at(&b, &a);
}
