/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: a gateway is silent, and another tells of its sessions on its behalf. */
#include "ownership_fixture.h"

/* Peer 2 of b, whose peers are a as 1 and b as 2. Of equal claims b's win over a's, and a's over its own. */
static struct gateway third;

static void set_up(void)
{
	static const uint64_t order[COPYING_PEERS + 1] = { 1, 2, 3 };
	struct told t = { 0 };

	pair_connect();
	gateway_make(&third, NULL);
	copying_set_order(third.c, order);
	pass(&third, &t);
	told_free(&t);
}

static void tear_down(void)
{
	gateway_free(&third);
	pair_free();
}

TestSuite(ownership_spoken, .init = set_up, .fini = tear_down, .timeout = 60);

/* News of one, enough passes for each subscriber to be read. */
static void news(struct gateway *from, struct gateway *to, unsigned peer)
{
	struct told t = { 0 };

	for (unsigned i = 0; i < 17; i++)
		pass(from, &t);
	hear(to, peer, &t);
}

/* a is silent: b tells on its behalf. */
static void a_is_silent(void)
{
	vouch(&b, 2);
	vouch(&b, 0);
	copying_speak(b.c, 1U << 1);
}

/* The same with the third gateway, which hears b alone. The slot of the session. */
static uint32_t told_to_the_third(void)
{
	uint32_t slot = copied();

	a_is_silent();
	connect_to(&third, 2, &b, 2);
	connect_to(&b, 2, &third, 2);
	vouch(&b, 4);
	vouch(&third, 4);
	cr_assert_eq(copying_held(third.c, 2), 1);
	return slot;
}

static void sound(void)
{
	assert_sound(&third);
	pair_sound();
}

Test(ownership_spoken, a_gateway_that_comes_meanwhile_hears_of_its_sessions)
{
	copied();
	vouch(&b, 2);
	vouch(&b, 0);
	connect_to(&third, 2, &b, 2);
	connect_to(&b, 2, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 0, "not at once");
	copying_speak(b.c, 1U << 1);
	news(&b, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 1, "by a pass");
	connect_to(&b, 2, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 1, "and by a whole copy");
	cr_expect_eq(copying_held(b.c, 1), 1, "it is a copy all the same");
	sound();
}

Test(ownership_spoken, the_gateway_itself_hears_nothing_of_that)
{
	struct told t = { 0 };

	copied();
	a_is_silent();
	news(&b, &third, 2);
	whole_for(&b, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	end_session(&a, HOST, first_slot(&a, slot_key(0xc6336407, 443, 5000), IPPROTO_TCP));
	hear(&a, 1, &t);
	cr_expect_eq(sessions_in(&a, HOST), 0);
	sound();
}

Test(ownership_spoken, a_copy_that_has_expired_ends_where_it_was_told_of)
{
	uint32_t slot = told_to_the_third();

	end_session(&b, HOST, slot);
	news(&b, &third, 2);
	cr_expect_eq(sessions_in(&third, HOST), 0);
	sound();
}

Test(ownership_spoken, one_that_is_back_has_its_sessions_though_anothers_claims_win)
{
	told_to_the_third();
	connect_to(&a, 2, &third, 1);
	cr_expect_eq(copying_held(third.c, 1), 1);
	cr_expect_eq(copying_held(third.c, 2), 0);
	vouch(&third, 6);
	news(&b, &third, 2);
	cr_expect_eq(copying_held(third.c, 1), 1, "what is told on its behalf replaces no copy");
	copying_speak(b.c, 0);
	news(&b, &third, 2);
	cr_expect_eq(copying_held(third.c, 1), 1, "nor does the end of that");
	sound();
}

Test(ownership_spoken, what_nobody_tells_any_more_ends)
{
	told_to_the_third();
	copying_speak(b.c, 0);
	news(&b, &third, 2);
	cr_expect_eq(sessions_in(&third, HOST), 0);
	cr_expect_eq(copying_held(b.c, 1), 1);
	sound();
}

Test(ownership_spoken, what_it_has_ended_meanwhile_ends_everywhere)
{
	uint32_t slot = told_to_the_third();

	end_session(&a, HOST, slot);
	tell_nobody(&a);
	connect_to(&a, 1, &b, 1);
	news(&b, &third, 2);
	cr_expect_eq(sessions_in(&b, HOST), 0);
	cr_expect_eq(sessions_in(&third, HOST), 0);
	sound();
}

Test(ownership_spoken, a_packet_at_the_gateway_that_was_told_takes_it_over)
{
	struct told stale = { 0 };
	uint32_t slot = told_to_the_third();

	whole_for(&b, 2, &stale);
	packet(&third, slot);
	news(&third, &b, 2);
	cr_expect_eq(copying_held(b.c, 2), 1);
	cr_expect_eq(copying_held(b.c, 1), 0);
	hear(&third, 2, &stale);
	news(&b, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 0, "it yields to nothing that was told on behalf of another");
	cr_expect_eq(sessions_in(&third, HOST), 1);
	sound();
}

Test(ownership_spoken, a_packet_at_the_gateway_that_tells_takes_it_over)
{
	uint32_t slot = told_to_the_third();

	packet(&b, slot);
	news(&b, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 1);
	connect_to(&a, 2, &third, 1);
	cr_expect_eq(copying_held(third.c, 2), 1, "the turn of a is lower");
	connect_to(&a, 1, &b, 1);
	cr_expect_eq(copying_held(b.c, 1), 0);
	sound();
}

Test(ownership_spoken, a_session_that_the_third_gateway_has_stays_its_own)
{
	copied();
	open_tcp(&third, 5000);
	a_is_silent();
	connect_to(&b, 2, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 0);
	for (unsigned i = 0; i < 3; i++)
		connect_to(&third, 2, &b, 2);
	cr_expect_eq(copying_held(b.c, 2), 1);
	cr_expect_eq(sessions_in(&third, HOST), 1);
	sound();
}

Test(ownership_spoken, a_copy_of_the_silent_gateway_itself_stays_one)
{
	copied();
	connect_to(&a, 2, &third, 1);
	a_is_silent();
	connect_to(&b, 2, &third, 2);
	cr_expect_eq(copying_held(third.c, 1), 1);
	cr_expect_eq(copying_held(third.c, 2), 0);
	sound();
}

Test(ownership_spoken, beyond_the_slots_it_is_the_same)
{
	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	a_is_silent();
	connect_to(&third, 2, &b, 2);
	connect_to(&b, 2, &third, 2);
	vouch(&third, 4);
	vouch(&b, 4);
	cr_expect_eq(copying_held(third.c, 2), 1);
	cr_expect_eq(copying_held(b.c, 1), 1);
	/* Its gateway is back, and has it. */
	connect_to(&a, 2, &third, 1);
	cr_expect_eq(copying_held(third.c, 1), 1);
	vouch(&third, 6);
	copying_speak(b.c, 0);
	news(&b, &third, 2);
	cr_expect_eq(word_owner(beyond_slot(&third, 5000)->truth), 1);
	sound();
}

Test(ownership_spoken, beyond_the_slots_a_packet_takes_it_over_at_either)
{
	struct told stale = { 0 };

	for (unsigned k = 0; k < 2; k++) {
		uint16_t port = (uint16_t)(5000 + k);

		vouch(&b, 2);
		copying_speak(b.c, 0);
		beyond_open(&a, port, (uint16_t)(77 + k));
		exchange(&a, &b);
		a_is_silent();
		connect_to(&third, 2, &b, 2);
		connect_to(&b, 2, &third, 2);
		vouch(&third, 4);
		vouch(&b, 4);
		whole_for(&b, 2, &stale);
		beyond_touch(k ? &b : &third, port, NOW(&b) - 1000);
		news(k ? &b : &third, k ? &third : &b, 2);
		cr_expect_eq(copying_held(k ? third.c : b.c, 2), 1, "%u", k);
		if (!k)
			hear(&third, 2, &stale);
		news(&b, &third, 2);
		news(&third, &b, 2);
		cr_expect_eq(copying_held(third.c, 2), k, "%u", k);
		beyond_end(&third, port);
		beyond_end(&b, port);
		beyond_end(&a, port);
		news(&third, &b, 2);
		news(&b, &third, 2);
		told_free(&stale);
	}
	sound();
}

Test(ownership_spoken, beyond_the_slots_what_nobody_tells_any_more_ends)
{
	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	a_is_silent();
	connect_to(&third, 2, &b, 2);
	connect_to(&b, 2, &third, 2);
	cr_expect_eq(copying_held(third.c, 2), 1);
	copying_speak(b.c, 0);
	news(&b, &third, 2);
	cr_expect_eq(sessions_in(&third, HOST), 0);
	cr_expect_eq(copying_held(b.c, 1), 1);
	sound();
}
