/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions and mappings that come and go at one gateway alone, or there first: no ending is told of what they cost.
 */
#include "ownership_fixture.h"

TestSuite(copying_excepted, .init = pair_connect, .fini = pair_free, .timeout = 300);

static const struct prefix excepted_out = { 0xc6120000U, 32 };

static void except_from(struct gateway *g, uint32_t subscriber)
{
	struct mapping_spec spec = copying_spec;

	spec.in = (struct prefix){ 0x0a000000U + subscriber, 32 };
	spec.out = excepted_out;
	cr_assert_geq(tables_add(g->m, &spec), 0);
	copying_mappings_changed(g->c);
	tables_reclaim(g->m);
}

static void except_no_more(struct gateway *g, uint32_t subscriber)
{
	cr_assert_eq(mappings_del_of(g->m, 0, (struct prefix){ 0x0a000000U + subscriber, 32 }, excepted_out), 0);
	copying_mappings_changed(g->c);
	tables_reclaim(g->m);
}

/* A session of a's in a slot, and one beyond, of which b has copies. */
static uint32_t both_copied(void)
{
	uint32_t slot = open_tcp(&a, 5000);

	beyond_open(&a, 5001, 78);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(copying_held(b.c, 1), 2);
	return slot;
}

static void expect_no_endings(void)
{
	struct told t = { 0 };

	passes(&b, &t);
	passes(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	hear(&a, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	cr_expect_eq(copying_told(a.c), 2);
}

/* b asks for a whole copy, and has all again. */
static void expect_told_again(void)
{
	struct told t = { 0 };

	cr_expect(a.wants_whole);
	passes(&a, &t);
	whole(&a, &t);
	hear(&b, 1, &t);
	exchange_twice();
	cr_expect_eq(sessions_in(&b, HOST), 1);
	cr_expect_eq(copying_held(b.c, 1), 2);
	cr_expect_eq(copying_told(a.c), 2);
	pair_sound();
}

Test(copying_excepted, while_one_lasts_no_ending_is_told_and_then_the_copies_come_back)
{
	both_copied();
	except_from(&b, HOST);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	expect_no_endings();
	except_no_more(&b, HOST);
	expect_no_endings();
	expect_told_again();
}

Test(copying_excepted, peers_are_told_no_ending_of_a_session_that_has_gone_before_the_next_pass)
{
	both_copied();
	except_from(&b, HOST);
	except_no_more(&b, HOST);
	expect_no_endings();
	expect_told_again();
}

Test(copying_excepted, one_of_another_subscriber_hides_no_ending)
{
	uint32_t slot = both_copied();

	except_from(&b, HOST + 1);
	packet(&b, slot);
	end_session(&b, HOST, slot);
	beyond_end(&b, 5001);
	except_no_more(&b, HOST + 1);
	exchange_twice();
	expect_ended();
}

Test(copying_excepted, one_at_both_ends_the_sessions_at_both)
{
	both_copied();
	except_from(&b, HOST);
	except_from(&a, HOST);
	exchange_twice();
	except_no_more(&a, HOST);
	except_no_more(&b, HOST);
	exchange_twice();
	expect_ended();
}

/* The mapping goes and comes at once, so that no pass tells of it. */
static void replace_mapping(struct gateway *g)
{
	cr_assert_eq(mappings_del_of(g->m, 0, copying_spec.in, copying_spec.out), 0);
	copying_mappings_changed(g->c);
	g->number = tables_add(g->m, &copying_spec);
	cr_assert_geq(g->number, 0);
	copying_mappings_changed(g->c);
	tables_reclaim(g->m);
}

Test(copying_excepted, peers_are_told_the_rest_of_a_mapping_that_was_gone_between_two_passes)
{
	struct told t = { 0 };

	both_copied();
	cr_expect_not(copying_tells_again(a.c, 1));
	replace_mapping(&a);
	cr_expect(copying_tells_again(a.c, 1));
	cr_expect_not(copying_tells_again(a.c, 1), "once");
	pass(&a, &t);
	whole(&a, &t);
	hear(&b, 1, &t);
	passes(&b, &t);
	told_free(&t);
	expect_ended();
}

Test(copying_excepted, peers_are_not_told_again_about_a_mapping_that_they_see_go_and_come)
{
	struct told t = { 0 };

	cr_assert_eq(mappings_del_of(b.m, 0, copying_spec.in, copying_spec.out), 0);
	copying_mappings_changed(b.c);
	pass(&b, &t);
	b.number = tables_add(b.m, &copying_spec);
	copying_mappings_changed(b.c);
	pass(&b, &t);
	told_free(&t);
	cr_expect_not(copying_tells_again(b.c, 1));
	tables_reclaim(b.m);
	pair_sound();
}
