/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns of sessions that are taken over often, end at both gateways and begin again (docs/internals/OWNERSHIP.md, rules
 * 3 to 5).
 */
#include <netinet/in.h>
#include <string.h>

#include "beyond_fixture.h"

static void set_up(void)
{
	pair_make_kept();
	connect_gateways(&a, &b);
}

TestSuite(copying_turns, .init = set_up, .fini = pair_free_kept, .timeout = 60);

/* A packet from inside, not in the tick of a refreshed copy. */
static void use(struct gateway *g, uint32_t slot)
{
	touch(g, HOST, slot, datapath_ticks(&g->d) - 100);
}

static void use_beyond(struct gateway *g)
{
	beyond_touch(g, 5000, datapath_ticks(&g->d) - 100);
}

static uint32_t open_one(struct gateway *g)
{
	return open_flow(g, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
}

Test(copying_turns, an_agent_that_has_forgotten_many_brings_no_session_back)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	uint32_t slot = open_one(&a);
	struct told lost = { 0 };

	exchange(&a, &b);
	for (unsigned turn = 1; turn <= 9; turn++) {
		struct gateway *taker = turn % 2 ? &b : &a;

		use(taker, slot);
		while (copying_held(taker->c, 1))
			exchange(&a, &b);
	}
	acknowledge(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1, "the other one has it");
	end_session(&a, HOST, slot);
	passes(&a, &lost);
	told_free(&lost);
	copying_free(b.c);
	cr_assert_eq(copying_new(b.m, &limits, pair_file, &b.c), 0);
	connect_gateways(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST), 0);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying_turns, a_session_that_both_have_ended_begins_again_at_both)
{
	uint32_t slot = open_one(&b);
	struct told of_a = { 0 }, of_b = { 0 };

	exchange(&a, &b);
	use(&a, slot);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	end_session(&b, HOST, slot);
	end_session(&a, HOST, slot);
	passes(&b, &of_b);
	hear(&a, 1, &of_b);
	passes(&a, &of_a);
	hear(&b, 1, &of_a);
	open_one(&a);
	passes(&a, &of_a);
	hear(&b, 1, &of_a);
	cr_assert_eq(sessions_in(&b, HOST), 1, "it does not wait for an acknowledgement");
	pair_sound();
}

Test(copying_turns, a_session_that_both_have_ended_begins_again_in_an_earlier_slot)
{
	uint64_t key = slot_key(0xc6336407, 443, 5000);
	uint32_t first = first_slot(&a, key, IPPROTO_TCP), earlier, later;
	const struct mapping *r = mappings_get(a.m, a.number);
	struct bucket_pair pair = session_buckets(key_ext_addr(key), key_ext_port(key), IPPROTO_TCP,
						  mapping_first_choice(&r->geo, 5000), r->bucket_shift);
	struct told of_a = { 0 }, of_b = { 0 };

	earlier = (pair.first < pair.second ? pair.first : pair.second) * BUCKET_SLOTS;
	later = (pair.first < pair.second ? pair.second : pair.first) * BUCKET_SLOTS + first % BUCKET_SLOTS;
	cr_assert_eq(
		open_own(&a, HOST, key, first_port(&a, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED, (uint16_t)later),
		COPY_PLACED);
	exchange(&a, &b);
	use(&b, later);
	while (copying_held(b.c, 1))
		exchange(&a, &b);
	end_session(&a, HOST, later);
	end_session(&b, HOST, later);
	passes(&a, &of_a);
	hear(&b, 1, &of_a);
	/* The pass finds this before it finds that the other is gone. */
	cr_assert_eq(open_own(&b, HOST, key, first_port(&b, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED,
			      (uint16_t)earlier),
		     COPY_PLACED);
	passes(&b, &of_b);
	hear(&a, 1, &of_b);
	cr_assert_eq(sessions_in(&a, HOST), 1);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

Test(copying_turns, a_session_beyond_the_slots_that_a_peer_has_ended_begins_again_at_both)
{
	struct told of_a = { 0 }, of_b = { 0 };

	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	use_beyond(&b);
	exchange(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	/* Neither hears of the other's in time. */
	use_beyond(&a);
	beyond_end(&b, 5000);
	passes(&b, &of_b);
	hear(&a, 1, &of_b);
	cr_assert_eq(beyond_count(&a), 0);
	beyond_open(&a, 5000, 77);
	passes(&a, &of_a);
	hear(&b, 1, &of_a);
	cr_assert_eq(beyond_count(&b), beyond_count(&a), "it does not wait for an acknowledgement");
	pair_sound();
}
