/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions in extents pass between two gateways by their endpoints; the copies are in extents where they can be. */
#include <netinet/in.h>

#include "extents_pair_fixture.h"

TestSuite(copying_extents, .init = extents_pair_make, .fini = pair_free, .timeout = 300);

/* One of two gateways has the session as its own, and the other one as a copy; each in the same place of its extent. */
static void expect_copy_at(struct gateway *copy, struct gateway *own, uint16_t in_port)
{
	struct gateway *const both[] = { copy, own };

	cr_expect_eq(copying_held(copy->c, 1), 1);
	cr_expect_eq(copying_held(own->c, 1), 0);
	cr_expect_eq(copying_told(own->c), 1);
	cr_expect_eq(copying_told(copy->c), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		struct gateway *g = both[i];
		const struct subscriber *s = mappings_subscriber(g->m, g->number, HOST);
		const struct slot *slot = extents_place(g, subscriber_extent(s), in_port);

		cr_expect_eq(slot->key, extents_key(in_port));
		cr_expect_eq(word_out_port(slot->truth), first_port(g, HOST, in_port));
		cr_expect_eq(word_owner(slot->truth), g == copy, "the copy says whose it is");
		cr_expect_eq(s->sessions, 1);
	}
	pair_sound();
}

Test(copying_extents, a_session_its_states_and_its_end_are_told)
{
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = extents_open(&a, 5000);
	exchange(&a, &b);
	cr_expect_eq(b.counts.placed, 1);
	expect_copy_at(&b, &a, 5000);
	slot->truth = word_with(slot->truth, SESSION_FIN_WAIT, word_seen(slot->truth));
	exchange(&a, &b);
	cr_expect_eq(b.counts.updated, 1);
	cr_expect_eq(word_state(extents_place(&b, EXTENT, 5000)->truth), SESSION_FIN_WAIT);
	/* As in a slot, it stays in time-wait. */
	slot->truth = word_with(slot->truth, SESSION_TIME_WAIT, word_seen(slot->truth));
	mappings_subscriber(a.m, a.number, HOST)->sessions--;
	exchange(&a, &b);
	cr_expect_eq(b.counts.ended, 1);
	cr_expect(word_is_free(extents_place(&b, EXTENT, 5000)->truth));
	cr_expect_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 0);
	cr_expect_eq(copying_told(a.c), 0);
	pair_sound();
}

Test(copying_extents, whole_copies_have_them_and_what_one_lacks_has_ended)
{
	struct told lost = { 0 };
	struct slot *slot;

	slot = extents_open(&a, 5000);
	extents_open(&a, 5001);
	connect_gateways(&a, &b);
	cr_expect_eq(b.counts.placed, 2);
	cr_expect_eq(copying_held(b.c, 1), 2);
	slot->truth = 0;
	mappings_subscriber(a.m, a.number, HOST)->sessions--;
	passes(&a, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	expect_copy_at(&b, &a, 5001);
}

Test(copying_extents, one_that_moves_to_another_extent_goes_on_even_if_it_does_so_while_it_is_looked_for)
{
	struct beyond_pass *o = &a.c->beyond_pass;
	struct told t = { 0 };
	struct slot *slot, *moved;

	connect_gateways(&a, &b);
	slot = extents_open(&a, 5000);
	exchange(&a, &b);
	/* A pass that has looked into the extents of this subscriber before the session came there. */
	moved = extents_place(&a, ANOTHER, 5000);
	*moved = *slot;
	slot->truth = 0;
	mappings_subscriber(a.m, a.number, HOST)->hairpins = ANOTHER << EXTENT_AT;
	beyond_note_find(&a.c->beyond, &(struct session_tuple){ .key = extents_key(5000),
								.subscriber = HOST,
								.mapping = (uint16_t)a.number,
								.out_port = first_port(&a, HOST, 5000),
								.proto = IPPROTO_TCP })
		->seen = false;
	o->step = BEYOND_ENDS;
	o->at = 0;
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_expect_eq(b.counts.ended, 0);
	expect_copy_at(&b, &a, 5000);
}

Test(copying_extents, a_gateway_takes_one_over_and_the_former_one_has_the_copy)
{
	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	exchange(&a, &b);
	extents_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	extents_settle();
	expect_copy_at(&a, &b, 5000);
	/* And back, with a packet at the former one. */
	extents_touch(&a, 5000, datapath_ticks(&a.d) - 12);
	extents_settle();
	expect_copy_at(&b, &a, 5000);
	extents_end(&a, 5000);
	extents_settle();
	cr_expect(word_is_free(extents_place(&a, EXTENT, 5000)->truth) &&
		  word_is_free(extents_place(&b, EXTENT, 5000)->truth));
	pair_sound();
}

Test(copying_extents, of_one_that_both_have_opened_one_gateway_has_a_copy)
{
	static const bool yields[] = { true, false };

	for (unsigned i = 0; i < ARRAY_SIZE(yields); i++) {
		uint16_t port = (uint16_t)(5000 + i);

		connect_gateways(&a, &b);
		if (!yields[i])
			set_orders(&b, &a);
		extents_open(&a, port);
		extents_open(&b, port);
		extents_settle();
		expect_copy_at(yields[i] ? &a : &b, yields[i] ? &b : &a, port);
		extents_end(yields[i] ? &b : &a, port);
		extents_settle();
		cr_expect(word_is_free(extents_place(&a, EXTENT, 5000)->truth) &&
			  word_is_free(extents_place(&b, EXTENT, 5000)->truth));
		pair_sound();
	}
}

/* The one in the extent is this gateway's, and the peer has its own in a slot. */
Test(copying_extents, one_that_the_peer_has_in_a_slot_yields_or_stays)
{
	static const bool yields[] = { true, false };

	for (unsigned i = 0; i < ARRAY_SIZE(yields); i++) {
		uint16_t port = (uint16_t)(5000 + i);
		uint32_t slot;

		connect_gateways(&a, &b);
		if (!yields[i])
			set_orders(&b, &a);
		extents_open(&a, port);
		slot = open_flow(&b, HOST, port, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		extents_settle();
		cr_expect_eq(word_is_free(extents_place(&a, EXTENT, port)->truth), yields[i]);
		cr_expect_eq(word_is_live(slot_at(&a, HOST, slot)->truth), yields[i], "a has a copy in a slot");
		cr_expect_eq(word_is_live(slot_at(&b, HOST, slot)->truth), yields[i], "b has its own still");
		cr_expect_eq(copying_held(a.c, 1), yields[i]);
		cr_expect_eq(copying_held(b.c, 1), !yields[i]);
		pair_sound();
		if (yields[i])
			end_session(&b, HOST, slot);
		extents_settle();
	}
}

/* Two flows, one outside port towards one peer. */
Test(copying_extents, an_idle_one_gives_its_port_to_one_that_a_peer_announces)
{
	const uint16_t other = 5000 + 4032; /* with the first choice of 5000 */
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = extents_open(&b, 5000);
	slot->truth = word_with(slot->truth, SESSION_ESTABLISHED, datapath_ticks(&b.d) - 20 * b.d.hz);
	extents_open(&a, other);
	extents_settle();
	expect_copy_at(&b, &a, other);
}

Test(copying_extents, an_end_that_a_peer_tells_ends_one_that_no_packet_has_used_since)
{
	struct slot *slot;

	connect_gateways(&a, &b);
	slot = extents_open(&a, 5000);
	exchange(&a, &b);
	/* The peer takes it over and ends it before anyone hears of that. */
	extents_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	slot->truth = word_with(slot->truth, SESSION_ESTABLISHED, datapath_ticks(&a.d) - 20 * a.d.hz);
	{
		struct told t = { 0 };

		pass(&b, &t);
		extents_end(&b, 5000);
		passes(&b, &t);
		hear(&a, 1, &t);
	}
	extents_settle();
	cr_expect(word_is_free(slot->truth));
	cr_expect(word_is_free(extents_place(&a, EXTENT, 5000)->truth) &&
		  word_is_free(extents_place(&b, EXTENT, 5000)->truth));
	cr_expect_eq(mappings_subscriber(a.m, a.number, HOST)->sessions, 0);
	pair_sound();
}

#define PEER 0x02U /* bit of peer 1 */

/* So many ticks pass for the session at b, and since copies were last refreshed there. */
static struct slot *age_copy(uint32_t ticks)
{
	struct slot *s = extents_place(&b, EXTENT, 5000);

	s->truth = word_with(s->truth, word_state(s->truth), word_seen(s->truth) - ticks);
	b.c->peer[1].vouched_tick -= ticks;
	return s;
}

Test(copying_extents, copies_are_kept_fresh_while_their_gateway_is_heard)
{
	struct slot *s;

	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	exchange(&a, &b);
	for (unsigned i = 0; i < 4; i++) {
		s = age_copy(2000);
		vouch(&b, PEER);
		cr_expect_lt(datapath_ticks(&b.d) - word_seen(s->truth), 10);
		cr_expect_eq(word_owner(s->truth), 1);
	}
	age_copy(500);
	/* For a last time. */
	vouch(&b, 0);
	cr_expect_lt(datapath_ticks(&b.d) - word_seen(s->truth), 10);
	age_copy(3000);
	vouch(&b, 0);
	cr_expect_gt(datapath_ticks(&b.d) - word_seen(s->truth), 2990);
	pair_sound();
}

Test(copying_extents, the_copies_of_a_peer_without_tables_are_this_gateways_own)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	copying_peer_tables(b.c, 1, 7);
	exchange(&a, &b);
	cr_assert_eq(word_owner(extents_place(&b, EXTENT, 5000)->truth), 1);
	copying_peer_tables(b.c, 1, 8);
	cr_expect_eq(word_owner(extents_place(&b, EXTENT, 5000)->truth), 0);
	cr_expect_eq(copying_held(b.c, 1), 0);
	passes(&b, &t);
	cr_expect_eq(copying_told(b.c), 1);
	told_free(&t);
	pair_sound();
}

/* What it knows then is in the state words. */
Test(copying_extents, an_agent_that_has_forgotten_all_knows_whose_they_are_and_their_turns)
{
	connect_gateways(&a, &b);
	extents_open(&a, 5000);
	exchange(&a, &b);
	extents_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	extents_settle();
	cr_expect_eq(word_turn(extents_place(&a, EXTENT, 5000)->truth), 1);
	/* A packet there, and its agent is another one. */
	hash_free(&a.c->beyond);
	extents_touch(&a, 5000, datapath_ticks(&a.d) - 12);
	hash_free(&a.c->beyond);
	extents_settle();
	expect_copy_at(&b, &a, 5000);
	cr_expect_eq(word_turn(extents_place(&b, EXTENT, 5000)->truth), 2);
}
