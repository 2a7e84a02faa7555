/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of docs/internals/OWNERSHIP.md: two gateways have opened a flow on two ports, beyond the slots, and a third
 * one can have a copy of one of them.
 */
#include "ownership_fixture.h"

#define FLOW 5000

/* Peer 2 of b, whose peers are a as 1 and this as 2. Of equal claims the third gateway's win. */
static struct gateway third;

static void set_up(void)
{
	static const uint64_t order[COPYING_PEERS + 1] = { 1, 2, 3 };
	struct told t = { 0 };

	pair_connect();
	gateway_make(&third, NULL);
	copying_set_order(b.c, (const uint64_t[COPYING_PEERS + 1]){ 1, 2, 3 });
	copying_set_order(third.c, order);
	pass(&third, &t);
	told_free(&t);
	connect_to(&third, 2, &b, 2);
	connect_to(&b, 2, &third, 2);
	vouch(&b, 6);
	beyond_open(&a, FLOW, 77);
	beyond_open(&third, FLOW, 78);
}

static void tear_down(void)
{
	gateway_free(&third);
	pair_free();
}

TestSuite(ownership_three, .init = set_up, .fini = tear_down, .timeout = 60);

static void news(struct gateway *from, unsigned peer)
{
	struct told t = { 0 };

	passes(from, &t);
	hear(&b, peer, &t);
}

/* What waits at b is tried again, whatever its peer. */
static void try_again(uint32_t seconds)
{
	for (unsigned p = 1; p <= 2; p++) {
		uint32_t at = 0;

		for (struct waiting_copy *e; p == 1 && (e = hash_walk(&waiting_copies, &b.c->waiting, &at));)
			e->tick -= ticks_of_seconds(seconds, b.d.hz);
		cr_assert_eq(copying_retry(b.c, p, &b.counts), 0);
	}
}

static uint16_t port_at_b(void)
{
	const struct slot *s = beyond_slot(&b, FLOW);

	return s ? word_out_port(s->truth) : 0;
}

/* What b tells: it has no sessions of its own. */
static void expect_no_endings(void)
{
	struct told t = { 0 };

	passes(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	cr_expect_eq(records_of(&t, WIRE_BEYOND), 0);
	told_free(&t);
}

Test(ownership_three, the_copy_of_one_that_lives_stays_and_is_told_to_nobody_as_ended)
{
	uint16_t base = beyond_session(&b, FLOW, 0).out_port;

	for (unsigned i = 0; i < 2; i++) {
		news(i ? &third : &a, i ? 2 : 1);
		/* Nor is it replaced before a scan has found it. */
		if (i)
			expect_no_endings();
	}
	cr_expect_eq(port_at_b(), base + 77);
	for (unsigned i = 0; i < 3; i++) {
		try_again(2);
		cr_expect_eq(port_at_b(), base + 77);
		expect_no_endings();
	}
	cr_expect_eq(copying_held(b.c, 1), 1);
	cr_expect_eq(copying_held(b.c, 2), 0);
	cr_expect_eq(b.c->waiting.n, 1);
	/* It has given way to the third one's. */
	beyond_end(&a, FLOW);
	news(&a, 1);
	cr_expect_eq(port_at_b(), 0);
	try_again(2);
	cr_expect_eq(port_at_b(), base + 78);
	cr_expect_eq(copying_held(b.c, 1), 0);
	cr_expect_eq(copying_held(b.c, 2), 1);
	cr_expect_eq(b.c->waiting.n, 0);
	expect_no_endings();
	pair_sound();
}

Test(ownership_three, that_of_a_silent_one_gives_way_and_is_told_to_nobody_as_ended)
{
	uint16_t base = beyond_session(&b, FLOW, 0).out_port;

	news(&a, 1);
	vouch(&b, 4);
	news(&third, 2);
	try_again(2);
	cr_expect_eq(port_at_b(), base + 78);
	expect_no_endings();
	cr_expect_eq(copying_held(b.c, 1), 0);
	cr_expect_eq(copying_held(b.c, 2), 1);
	pair_sound();
}
