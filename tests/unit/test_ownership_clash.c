/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: two flows on one outside endpoint at two gateways. Clocks stand still. */
#include "base/clock.h"
#include "ownership_fixture.h"

static void set_up(void)
{
	clocks_begin_at(1U << 20);
	pair_connect();
}

TestSuite(ownership_clash, .init = set_up, .fini = pair_free, .timeout = 60);

/* A session of a's that has been silent for some seconds, and one of b's on its port that has been for others. */
static void clash(uint32_t ours, uint32_t theirs)
{
	uint32_t mine = open_tcp(&a, 5000),
		 other = open_flow(&b, HOST, 5000 + 4032, 7, IPPROTO_TCP, SESSION_ESTABLISHED);

	silent_for(&a, mine, ours);
	silent_for(&b, other, theirs);
	exchange(&a, &b);
	exchange(&a, &b);
	retry_after(&a, 1);
	retry_after(&b, 1);
	exchange_twice();
}

Test(ownership_clash, the_flow_that_is_silent_for_longer_gives_way_on_a_shared_port)
{
	uint64_t key = slot_key(0xc6336407, 443, 5000 + 4032);

	clash(30, 20);
	cr_expect_eq(slot_at(&a, HOST, first_slot(&a, key, IPPROTO_TCP))->key, key);
	expect_at(&b, &a);
}

Test(ownership_clash, and_at_the_other_gateway_too)
{
	uint64_t key = slot_key(0xc6336407, 443, 5000);

	clash(20, 30);
	cr_expect_eq(slot_at(&b, HOST, first_slot(&b, key, IPPROTO_TCP))->key, key);
	expect_at(&a, &b);
}

Test(ownership_clash, two_flows_on_one_port_that_are_both_in_use_stay_each_at_its_gateway)
{
	clash(0, 1);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	cr_expect_eq(sessions_in(&b, HOST), 1);
	cr_expect_eq(copying_held(a.c, 1) + copying_held(b.c, 1), 0);
	pair_sound();
}

/* So many seconds later, which sessions have aged by, too. */
static void later(struct gateway *g, uint32_t seconds)
{
	uint32_t at = 0;

	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &g->c->waiting, &at));)
		e->told -= ticks_of_seconds(seconds, g->d.hz);
	retry_after(g, seconds);
}

/* The last packet of each came within 3 s of that of the other one, and nobody has used either since. */
Test(ownership_clash, of_two_that_are_not_in_use_both_gateways_keep_that_of_the_one_with_the_claim)
{
	for (unsigned i = 0; i < 2; i++) {
		uint32_t mine, other, ours = i ? 20 : 21, theirs = i ? 21 : 20;

		clash(ours, theirs);
		cr_assert_eq(sessions_in(&a, HOST) + sessions_in(&b, HOST), 2);
		/* Each has heard how old the other one is. */
		acknowledge(&a, &b);
		for (unsigned k = 0; k < 2; k++) {
			retry_after(&b, 2);
			retry_after(&a, 2);
			exchange_twice();
		}
		other = first_slot(&b, slot_key(0xc6336407, 443, 5000 + 4032), IPPROTO_TCP);
		mine = first_slot(&a, slot_key(0xc6336407, 443, 5000), IPPROTO_TCP);
		cr_expect_eq(slot_at(&a, HOST, other)->key, slot_key(0xc6336407, 443, 5000 + 4032), "%u", i);
		cr_expect_eq(mine, other);
		expect_at(&b, &a);
		cr_expect_eq(a.c->waiting.n + b.c->waiting.n, 0);
		end_session(&b, HOST, other);
		exchange_twice();
		expect_ended();
	}
}

/* The peer may be about to give way: it does not know yet when the last packet came. */
Test(ownership_clash, but_not_before_the_other_one_knows_how_old_the_session_is)
{
	clash(20, 21);
	a.c->peer[1].known_ms = monotonic_us() / 1000 - 16000;
	retry_after(&a, 2);
	cr_expect_eq(sessions_in(&a, HOST), 1);
	cr_expect_eq(copying_held(a.c, 1), 0);
	a.c->peer[1].known_ms = monotonic_us() / 1000 - 10000;
	retry_after(&a, 2);
	cr_expect_eq(sessions_in(&a, HOST), 0);
}

static void packet_at_b(bool beyond, uint32_t slot)
{
	if (beyond)
		beyond_touch(&b, 5000 + 4032, NOW(&b));
	else
		silent_for(&b, slot, 0);
}

/* Routes have moved from a to b a second ago; a has no packet from then on. */
Test(ownership_clash, one_that_goes_on_is_told_again_until_the_other_one_is_older)
{
	for (unsigned beyond = 0; beyond < 2; beyond++) {
		uint64_t key = slot_key(0xc6336407, 443, 5000 + 4032);
		uint16_t offset = mapping_first_choice(&mappings_get(b.m, b.number)->geo, 5000);
		uint32_t mine = open_tcp(&a, 5000), other = 0;

		if (beyond)
			beyond_open(&b, 5000 + 4032, offset);
		else
			other = open_flow(&b, HOST, 5000 + 4032, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		packet_at_b(beyond, other);
		silent_for(&a, mine, 1);
		exchange(&a, &b);
		exchange(&a, &b);
		cr_assert_eq(a.c->waiting.n, 1, "%u: %u", beyond, a.c->waiting.n);
		cr_assert_eq(b.c->waiting.n, 1, "%u: %u", beyond, b.c->waiting.n);
		silent_for(&a, mine, 7);
		packet_at_b(beyond, other);
		later(&a, 6);
		cr_expect_eq(sessions_in(&a, HOST), 1, "it does not know of packets at b");
		later(&b, 6);
		exchange(&b, &a);
		later(&a, 2);
		exchange_twice();
		cr_expect_eq(copying_held(a.c, 1), 1, "%u", beyond);
		cr_expect_eq(copying_held(b.c, 1), 0);
		cr_expect_eq(a.c->waiting.n + b.c->waiting.n, 0);
		cr_expect_eq(copying_told(a.c), 0);
		pair_sound();
		if (beyond) {
			beyond_end(&b, 5000 + 4032);
		} else {
			cr_expect_eq(slot_at(&a, HOST, first_slot(&a, key, IPPROTO_TCP))->key, key);
			end_session(&b, HOST, other);
		}
		exchange_twice();
		expect_ended();
	}
}

/* Without that, two gateways would look at each other's session all the time. */
Test(ownership_clash, a_session_that_is_in_the_way_is_looked_at_every_two_seconds_and_told_again_then)
{
	struct told t = { 0 };

	clash(0, 1);
	for (unsigned i = 0; i < 3; i++) {
		exchange_twice();
		retry_after(&a, 1);
		passes(&a, &t);
		cr_expect_eq(records_of(&t, WIRE_CHANGES), 0, "a second after the last try");
		told_free(&t);
		retry_after(&a, 1);
		passes(&a, &t);
		cr_expect_eq(records_of(&t, WIRE_CHANGES), 1);
		told_free(&t);
		cr_expect_eq(copying_told(a.c), 1);
	}
}
