/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions beyond the slots, on any port, pass between two gateways: placed and counted, vouched for, ended. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "beyond_fixture.h"

TestSuite(copying_beyond, .init = pair_make, .fini = pair_free, .timeout = 300);

#define PEER 0x02U /* bit of peer 1 */

/* So many ticks pass for one session, and since copies were last refreshed. */
static void age_beyond(struct gateway *g, uint16_t in_port, uint32_t ticks)
{
	struct slot *s = beyond_slot(g, in_port);

	s->truth = word_with(s->truth, word_state(s->truth), word_seen(s->truth) - ticks);
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		g->c->peer[p].vouched_tick -= ticks;
}

static void copy_one(void)
{
	connect_gateways(&a, &b);
	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	cr_assert_eq(b.counts.placed, 1);
}

Test(copying_beyond, a_session_is_placed_on_any_port_of_the_block_and_counted)
{
	const struct slot *s;

	copy_one();
	s = beyond_slot(&b, 5000);
	cr_assert_not_null(s);
	cr_assert_eq(word_out_port(s->truth), beyond_session(&b, 5000, 77).out_port);
	cr_assert_eq(word_state(s->truth), SESSION_ESTABLISHED);
	cr_assert_eq(word_owner(s->truth), 1);
	cr_assert_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 1);
	cr_assert_eq(beyond_count(&b), 1);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_eq(copying_told(a.c), 1);
	cr_assert_eq(copying_told(b.c), 0, "what is a copy is not told");
	pair_sound();
}

Test(copying_beyond, that_the_outside_has_opened_it_is_told_and_kept)
{
	struct told t = { 0 };
	uint32_t at = 0;

	connect_gateways(&a, &b);
	beyond_open(&a, 5000, 77)->truth |= WORD_INBOUND;
	beyond_open(&a, 5001, 78);
	beyond_room(&b, 0);
	exchange(&a, &b);
	beyond_room(&b, 64);
	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &b.c->waiting, &at));)
		cr_expect_eq(e->inbound, key_in_port(e->key) == 5000);
	cr_expect_eq(at, 2);
	connect_gateways(&a, &b);
	cr_expect(word_is_inbound(beyond_slot(&b, 5000)->truth));
	cr_expect_not(word_is_inbound(beyond_slot(&b, 5001)->truth));
	/* The gateway that takes it over tells it, too. */
	beyond_touch(&b, 5000, datapath_ticks(&b.d) - 1000);
	passes(&b, &t);
	cr_assert_eq(t.payload[0].type, WIRE_BEYOND);
	cr_expect(be16toh(((const struct wire_beyond *)t.payload[0].data)->flags) & WIRE_BEYOND_INBOUND);
	hear(&a, 1, &t);
	cr_expect(word_is_inbound(beyond_slot(&a, 5000)->truth));
	pair_sound();
}

Test(copying_beyond, a_session_is_told_once_it_is_old_enough_and_once)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	beyond_open(&a, 5000, 77);
	pass(&a, &t);
	pass(&a, &t);
	cr_assert_eq(t.n, 0);
	pass(&a, &t);
	cr_assert_eq(t.n, 1);
	cr_assert_eq(t.payload[0].type, WIRE_BEYOND);
	cr_assert_eq(t.payload[0].length, sizeof(struct wire_beyond));
	passes(&a, &t);
	cr_assert_eq(t.n, 1);
	told_free(&t);
	/* One that ends before is never told. */
	beyond_open(&a, 5001, 78);
	pass(&a, &t);
	beyond_end(&a, 5001);
	passes(&a, &t);
	cr_assert_eq(t.n, 0);
	pair_sound();
}

Test(copying_beyond, a_whole_copy_has_them_and_what_it_lacks_has_ended)
{
	struct told lost = { 0 };

	for (uint16_t i = 0; i < 1000; i++)
		beyond_open(&a, (uint16_t)(5000 + i), first_offset(&a, (uint16_t)(5000 + i)));
	connect_gateways(&a, &b);
	cr_assert_eq(b.counts.placed, 1000);
	beyond_end(&a, 5000);
	passes(&a, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	/* The receiver compares in its own pass. */
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 999);
	cr_assert_eq(beyond_count(&b), 999);
	pair_sound();
}

Test(copying_beyond, sessions_that_are_told_while_copies_are_compared_stay)
{
	struct told t = { 0 };

	copy_one();
	pass(&a, &t);
	whole(&a, &t);
	hear(&b, 1, &t);
	beyond_open(&a, 5001, 78);
	passes(&a, &t);
	hear(&b, 1, &t);
	passes(&b, &t);
	told_free(&t);
	cr_assert_eq(copying_held(b.c, 1), 2);
	pair_sound();
}

Test(copying_beyond, a_payload_that_is_not_taken_is_offered_again)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	for (uint16_t i = 0; i < 100; i++)
		beyond_open(&a, (uint16_t)(5000 + i), i);
	t.refuse = 5;
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(copying_held(b.c, 1), 100);
	t.refuse = 5;
	whole(&a, &t);
	hear(&b, 1, &t);
	passes(&b, &t);
	told_free(&t);
	cr_assert_eq(copying_held(b.c, 1), 100);
	pair_sound();
}

Test(copying_beyond, a_copy_that_a_packet_has_refreshed_is_this_gateways_own_and_is_told)
{

	copy_one();
	beyond_touch(&b, 5000, datapath_ticks(&b.d) - 33);
	beyond_end(&a, 5000);
	exchange(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(word_owner(beyond_slot(&b, 5000)->truth), 0);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(copying_told(b.c), 1);
	cr_assert_eq(copying_held(a.c, 1), 1, "the other has it as a copy");
	pair_sound();
}

Test(copying_beyond, copies_are_known_after_a_restart_of_the_agent)
{
	const struct copying_limits limits = { 2, 1000 };
	struct told t = { 0 };

	copy_one();
	copying_free(b.c);
	cr_assert_eq(copying_new(b.m, &limits, NULL, &b.c), 0);
	passes(&b, &t);
	told_free(&t);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_eq(copying_told(b.c), 0);
	beyond_end(&a, 5000);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(beyond_count(&b), 0);
	pair_sound();
}

Test(copying_beyond, sessions_that_a_peer_with_new_tables_has_lost_are_this_gateways_own)
{
	struct told t = { 0 };

	copying_peer_tables(b.c, 1, 7);
	copy_one();
	copying_peer_tables(b.c, 1, 8);
	cr_assert_eq(copying_held(b.c, 1), 0);
	beyond_end(&a, 5000);
	passes(&a, &t);
	told_free(&t);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	cr_assert_eq(beyond_count(&b), 1);
	pair_sound();
}

Test(copying_beyond, a_session_on_another_port_takes_the_place_of_the_copy_of_its_flow)
{
	struct told lost = { 0 };

	copy_one();
	beyond_end(&a, 5000);
	passes(&a, &lost);
	told_free(&lost);
	beyond_open(&a, 5000, 99);
	exchange(&a, &b);
	cr_assert_eq(word_out_port(beyond_slot(&b, 5000)->truth), beyond_session(&b, 5000, 99).out_port);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_eq(beyond_count(&b), 1);
	pair_sound();
}

Test(copying_beyond, copies_of_a_mapping_that_the_peer_has_no_more_end)
{
	struct copying_table_report report;

	copy_one();
	vouch(&b, PEER);
	cr_assert_eq(copying_mappings(b.c, 1, NULL, 0, &report), 0);
	age_beyond(&b, 5000, 2000);
	vouch(&b, PEER);
	cr_assert_eq(beyond_count(&b), 0);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

Test(copying_beyond, a_takeover_by_another_peer_takes_a_copy_over_and_no_older_claim_does)
{
	struct gateway third;
	struct told t = { 0 };

	copy_one();
	vouch(&b, PEER);
	gateway_make(&third, NULL);
	beyond_open(&third, 5000, 77);
	pass(&third, &t);
	whole(&third, &t);
	hear(&b, 2, &t);
	cr_assert_eq(word_owner(beyond_slot(&b, 5000)->truth), 1);
	/* It has had a copy of the first one's, and a packet. */
	beyond_end(&third, 5000);
	passes(&third, &t);
	told_free(&t);
	whole(&a, &t);
	hear(&third, 1, &t);
	passes(&third, &t);
	beyond_touch(&third, 5000, datapath_ticks(&third.d) - 1000);
	passes(&third, &t);
	hear(&b, 2, &t);
	cr_assert_eq(word_owner(beyond_slot(&b, 5000)->truth), 2);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(copying_held(b.c, 2), 1);
	/* What the first one ends is not its any more. */
	beyond_end(&a, 5000);
	exchange(&a, &b);
	cr_assert_eq(beyond_count(&b), 1);
	gateway_free(&third);
	pair_sound();
}

Test(copying_beyond, a_deleted_mapping_is_told_no_more)
{
	struct told t = { 0 };

	copy_one();
	cr_assert_eq(mappings_del_of(a.m, 0, copying_spec.in, copying_spec.out), 0);
	copying_mappings_changed(a.c);
	cr_assert_eq(copying_told(a.c), 0);
	cr_assert_eq(a.c->beyond.n, 0);
	tables_reclaim(a.m);
	a.number = tables_add(a.m, &copying_spec);
	passes(&a, &t);
	hear(&b, 1, &t);
	pair_sound();
}
