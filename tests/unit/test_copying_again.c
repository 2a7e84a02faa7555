/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that end and begin again while another agent, another end or another session comes in between. */
#include <netinet/in.h>

#include "beyond_fixture.h"

#define BEGIN 100000U /* tick */
#define PEER  0x02U   /* bit of peer 1 */
#define SLOTS 8U      /* of a subscriber */

static void set_up(void)
{
	clocks_begin_at(BEGIN);
	copying_spec = copying_default_spec();
	copying_spec.session_slots = SLOTS;
	pair_make_kept();
	connect_gateways(&a, &b);
}

TestSuite(copying_again, .init = set_up, .fini = pair_free_kept, .timeout = 60);

static void later(uint32_t ticks)
{
	clock_set(&a, datapath_ticks(&a.d) + ticks);
	clock_set(&b, datapath_ticks(&b.d) + ticks);
}

/* A packet from inside, not in the tick of a refreshed copy. */
static void use(struct gateway *g, uint32_t slot)
{
	later(10);
	touch(g, HOST, slot, datapath_ticks(&g->d));
	later(10);
}

static uint32_t open_one(struct gateway *g)
{
	return open_flow(g, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
}

static void open_in(struct gateway *g, uint16_t in_port, uint16_t slot)
{
	cr_assert_eq(open_own(g, HOST, slot_key(0xc6336407, 443, in_port), first_port(g, HOST, in_port), IPPROTO_TCP,
			      SESSION_ESTABLISHED, slot),
		     COPY_PLACED);
}

static void restart_b(void)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };

	copying_free(b.c);
	cr_assert_eq(copying_new(b.m, &limits, pair_file, &b.c), 0);
	set_orders(&a, &b);
}

static void tell(struct gateway *from, struct gateway *to)
{
	struct told t = { 0 };

	passes(from, &t);
	hear(to, 1, &t);
}

Test(copying_again, one_that_begins_before_the_first_pass_of_a_new_agent_is_copied_at_once)
{
	uint32_t slot = open_one(&a);
	struct slot *s = slot_at(&b, HOST, slot);

	exchange(&a, &b);
	use(&b, slot);
	exchange(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	/* Closed in the ordinary way; the next agent finds that. */
	s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
	mappings_subscriber(b.m, b.number, HOST)->sessions--;
	restart_b();
	later(100);
	open_one(&b);
	connect_gateways(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST), 1, "it does not wait for an acknowledgement");
	cr_assert_eq(copying_held(a.c, 1), 1);
	pair_sound();
}

Test(copying_again, nor_does_it_wait_if_it_is_beyond_the_slots)
{
	struct told t = { 0 };

	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	later(10);
	beyond_touch(&b, 5000, datapath_ticks(&b.d));
	later(10);
	exchange(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	/* An operator closes it at the other gateway, which the next agent hears before its first pass. */
	restart_b();
	later(10);
	beyond_end(&a, 5000);
	passes(&a, &t);
	told_free(&t);
	whole(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(beyond_count(&b), 0);
	later(100);
	beyond_open(&b, 5000, 77);
	connect_gateways(&a, &b);
	cr_assert_eq(beyond_count(&a), beyond_count(&b), "it does not wait for an acknowledgement");
	pair_sound();
}

Test(copying_again, one_whose_turn_a_later_end_at_the_peer_has_raised_keeps_that_turn)
{
	uint32_t slot = open_one(&a);

	exchange(&a, &b);
	use(&b, slot);
	exchange(&a, &b);
	use(&a, slot);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	/* Each ends it, and tells that with another turn. */
	end_session(&b, HOST, slot);
	end_session(&a, HOST, slot);
	tell(&a, &b);
	later(100);
	open_one(&a);
	tell(&b, &a);
	cr_assert_eq(sessions_in(&a, HOST), 1, "it is younger than the end");
	tell(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1, "it does not wait for an acknowledgement");
	pair_sound();
}

Test(copying_again, one_whose_slot_the_next_takes_ends_at_the_peer_although_the_last_round_found_no_copies)
{
	open_in(&a, 5000, 0);
	exchange(&a, &b);
	end_session(&a, HOST, 0);
	exchange(&a, &b);
	later(300);
	vouch(&b, PEER);
	cr_assert_eq(b.c->peer[1].vouched_tick, BEGIN + 300);
	later(100);
	open_in(&a, 6000, 0);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	for (uint16_t slot = 1; slot < SLOTS; slot++)
		open_in(&b, (uint16_t)(7000 + 8 * slot), slot);
	/* An operator closes the copy, and the only free slot is the next one's. */
	end_session(&b, HOST, 0);
	open_in(&a, 8000, 1);
	tell(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	tell(&b, &a);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		cr_assert_neq(key_in_port(slot_at(&a, HOST, slot)->key), 6000);
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

Test(copying_again, one_that_both_have_ended_is_copied_at_once_where_sessions_of_any_age_are_told)
{
	const struct copying_limits limits = { .min_age_s = 0, .interval_ms = 1000 };
	uint32_t slot = open_one(&b);

	copying_set_limits(a.c, &limits);
	exchange(&a, &b);
	use(&a, slot);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	end_session(&b, HOST, slot);
	end_session(&a, HOST, slot);
	tell(&b, &a);
	tell(&a, &b);
	later(100);
	open_one(&a);
	tell(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1, "it does not wait for an acknowledgement");
	pair_sound();
}

Test(copying_again, a_copy_that_a_killed_agent_was_about_to_refresh_is_one_for_the_next)
{
	uint32_t slot = open_one(&a), seen;

	exchange(&a, &b);
	seen = word_seen(slot_at(&b, HOST, slot)->truth);
	later(10);
	vouch(&b, PEER);
	cr_assert_eq(word_seen(slot_at(&b, HOST, slot)->truth), seen + 10);
	/* The tick was noted, and the slot not yet reached. */
	touch(&b, HOST, slot, seen);
	restart_b();
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}
