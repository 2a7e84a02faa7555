/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions for which there was no room when they were told are placed once there is, unless they have ended by then. */
#include <netinet/in.h>

#include "beyond_fixture.h"

TestSuite(copying_retry, .init = pair_connect, .fini = pair_free, .timeout = 300);

#define OTHER (5000 + 4032) /* an inside port with the first choice of 5000 */

/* Has a tell of one connection more, and b hear that alone. */
static void tell(void)
{
	struct told t = { 0 };

	passes(&a, &t);
	hear(&b, 1, &t);
}

/* So many seconds later. */
static void retry_after(uint32_t seconds)
{
	uint32_t at = 0;

	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &b.c->waiting, &at));)
		e->tick -= ticks_of_seconds(seconds, b.d.hz);
	for (uint32_t i = 0; i < WAITING_MAX / 4096; i++)
		cr_assert_eq(copying_retry(b.c, 1, &b.counts), 0);
}

/* A session of b's that has the port of one that a tells: the slot that a has it in. */
static uint32_t refuse_one(uint32_t *ret_mine)
{
	uint32_t theirs;

	*ret_mine = open_flow(&b, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	theirs = open_flow(&a, HOST, OTHER, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	tell();
	cr_assert_eq(b.counts.refused, 1);
	cr_assert_eq(b.c->waiting.n, 1);
	return theirs;
}

Test(copying_retry, a_port_that_has_become_free_is_taken_within_seconds)
{
	uint32_t mine;

	refuse_one(&mine);
	retry_after(0);
	cr_assert_eq(b.counts.placed, 0, "not before a second is over");
	retry_after(1);
	cr_assert_eq(b.counts.placed, 0);
	cr_assert_eq(b.counts.refused, 1, "it is counted once");
	end_session(&b, HOST, mine);
	retry_after(1);
	cr_assert_eq(b.counts.placed, 0, "two seconds after the first try");
	retry_after(1);
	cr_assert_eq(b.counts.placed, 1);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_eq(b.c->waiting.n, 0);
	pair_sound();
}

Test(copying_retry, a_session_that_has_ended_meanwhile_is_not_placed)
{
	uint32_t mine, theirs = refuse_one(&mine);

	end_session(&a, HOST, theirs);
	tell();
	cr_assert_eq(b.c->waiting.n, 0);
	end_session(&b, HOST, mine);
	retry_after(2);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying_retry, another_session_in_the_slot_takes_the_place_of_the_one_that_waits)
{
	uint32_t mine, theirs = refuse_one(&mine), now;

	end_session(&a, HOST, theirs);
	now = open_flow(&a, HOST, OTHER + 4032, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	cr_assert_eq(now, theirs);
	tell();
	cr_assert_eq(b.c->waiting.n, 1);
	end_session(&b, HOST, mine);
	retry_after(2);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(key_in_port(slot_at(&b, HOST, theirs)->key), (uint16_t)(OTHER + 4032));
	pair_sound();
}

/* News of its end may have been lost. */
Test(copying_retry, a_session_that_waits_is_known_by_its_flow_and_its_port)
{
	static const struct waiting_copy first = { .peer = 1,
						   .slot = 3,
						   .key = 7,
						   .proto = IPPROTO_TCP,
						   .out_port = 2000,
						   .state = SESSION_ESTABLISHED,
						   .tick = 5 };
	struct waiting_copy told[] = { first, first, first, first };
	struct waiting_copy *e;

	told[0].key++;
	told[1].proto = IPPROTO_UDP;
	told[2].out_port++;
	told[3].tick++;
	told[3].told = 6;
	told[3].age_s = 7;
	for (unsigned i = 0; i < ARRAY_SIZE(told); i++) {
		struct hash_table waiting = { 0 };
		bool same = i == 3;

		waiting_add(&waiting, &first);
		e = hash_find(&waiting_copies, &waiting, &first);
		cr_assert_not_null(e);
		e->tries = 9;
		waiting_add(&waiting, &told[i]);
		cr_assert_eq(waiting.n, 1);
		e = hash_find(&waiting_copies, &waiting, &first);
		cr_assert_not_null(e);
		cr_expect_eq(e->key, told[i].key, "%u", i);
		cr_expect_eq(e->proto, told[i].proto, "%u", i);
		cr_expect_eq(e->out_port, told[i].out_port, "%u", i);
		cr_expect_eq(e->tries, same ? 9 : 0, "%u: %u", i, e->tries);
		cr_expect_eq(e->tick, 5, "%u: %u", i, e->tick);
		/* How old it is, as it was told last. */
		cr_expect_eq(e->told, told[i].told, "%u", i);
		cr_expect_eq(e->age_s, told[i].age_s, "%u", i);
		hash_free(&waiting);
	}
}

Test(copying_retry, a_whole_copy_begins_anew)
{
	uint32_t mine;

	refuse_one(&mine);
	end_session(&b, HOST, mine);
	connect_gateways(&a, &b);
	cr_assert_eq(b.c->waiting.n, 0);
	cr_assert_eq(b.counts.placed, 1);
	retry_after(2);
	cr_assert_eq(b.counts.placed, 1);
	pair_sound();
}

Test(copying_retry, it_goes_on_until_there_is_room_however_long_that_takes)
{
	uint32_t mine;

	refuse_one(&mine);
	for (unsigned i = 0; i < 20; i++)
		retry_after(1000);
	cr_assert_eq(b.c->waiting.n, 1);
	end_session(&b, HOST, mine);
	retry_after(1);
	cr_assert_eq(b.counts.placed, 0, "a second after the last try");
	retry_after(1);
	cr_assert_eq(b.counts.placed, 1);
	pair_sound();
}

Test(copying_retry, a_session_without_a_place_is_lacking_after_some_tries)
{
	beyond_room(&b, 0);
	beyond_open(&a, 5000, 77);
	tell();
	cr_assert_eq(copying_lacks(b.c, 1).sessions, 0);
	for (unsigned i = 0; i < 3; i++)
		retry_after(4);
	cr_assert_eq(copying_lacks(b.c, 1).sessions, 1);
	cr_assert_eq(copying_lacks(b.c, 2).sessions, 0);
	beyond_room(&b, 64);
	retry_after(8);
	cr_assert_eq(copying_lacks(b.c, 1).sessions, 0);
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

Test(copying_retry, a_session_whose_port_another_keeps_is_contested_after_some_tries)
{
	uint32_t mine;
	struct copying_lacks lacks;

	refuse_one(&mine);
	lacks = copying_lacks(b.c, 1);
	cr_assert_not(copying_lacks_any(&lacks), "not at once: one of them may give way");
	for (unsigned i = 0; i < 3; i++)
		retry_after(4);
	lacks = copying_lacks(b.c, 1);
	cr_assert_eq(lacks.contested, 1);
	cr_assert_eq(lacks.sessions, 0);
	cr_assert(copying_lacks_any(&lacks));
	lacks = copying_lacks(b.c, 2);
	cr_assert_not(copying_lacks_any(&lacks));
	end_session(&b, HOST, mine);
	retry_after(8);
	lacks = copying_lacks(b.c, 1);
	cr_assert_not(copying_lacks_any(&lacks));
	pair_sound();
}

Test(copying_retry, more_than_can_wait_is_asked_for_again_once_fewer_do)
{
	cr_assert_not(copying_asks_again(b.c, 1));
	b.c->peer[1].missed = true;
	cr_expect(copying_lacks(b.c, 1).unknown);
	b.c->waiting.n += WAITING_MAX;
	cr_expect_not(copying_asks_again(b.c, 1));
	b.c->waiting.n -= WAITING_MAX;
	cr_expect(copying_asks_again(b.c, 1));
	cr_expect_not(copying_asks_again(b.c, 1), "once");
	b.c->peer[1].missed = true;
	cr_expect_not(copying_asks_again(b.c, 1), "not so soon again");
}

Test(copying_retry, it_ends_with_the_mapping)
{
	uint32_t mine;

	refuse_one(&mine);
	cr_assert_eq(mappings_del_of(b.m, 0, copying_spec.in, copying_spec.out), 0);
	copying_mappings_changed(b.c);
	cr_assert_eq(b.c->waiting.n, 0);
	tables_reclaim(b.m);
	b.number = tables_add(b.m, &copying_spec);
	pair_sound();
}

Test(copying_retry, the_quota_and_a_lock_that_is_held_are_waited_for)
{
	b.d.mapping[b.number].sessions_per_user = 0;
	open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	tell();
	cr_assert_eq(b.counts.refused, 1);
	b.d.mapping[b.number].sessions_per_user = 1000;
	retry_after(1);
	cr_assert_eq(b.counts.placed, 1);
	mappings_subscriber(b.m, b.number, HOST)->lock++;
	open_flow(&a, HOST, 5001, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	tell();
	cr_assert_eq(b.counts.refused, 2);
	mappings_subscriber(b.m, b.number, HOST)->lock++;
	retry_after(1);
	cr_assert_eq(b.counts.placed, 2);
	pair_sound();
}

Test(copying_retry, sessions_beyond_the_slots_are_tried_again_too)
{
	beyond_room(&b, 0);
	beyond_open(&a, 5000, 77);
	beyond_open(&a, 5001, 78);
	tell();
	cr_assert_eq(b.counts.refused, 2);
	cr_assert_eq(b.c->waiting.n, 2);
	beyond_end(&a, 5001);
	tell();
	cr_assert_eq(b.c->waiting.n, 1);
	beyond_room(&b, 64);
	retry_after(1);
	cr_assert_not_null(beyond_slot(&b, 5000));
	cr_assert_null(beyond_slot(&b, 5001));
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

static bool is_of_peer(const struct waiting_copy *e, const void *arg)
{
	return e->peer == *(const unsigned *)arg;
}

Test(copying_retry, the_number_of_sessions_that_wait_is_bounded)
{
	struct hash_table w = { 0 };

	for (uint32_t i = 0; i < 2 * WAITING_MAX; i++)
		waiting_add(&w, &(struct waiting_copy){ .peer = 1, .subscriber = i / 2, .slot = (uint16_t)i });
	cr_assert_eq(w.n, WAITING_MAX);
	for (uint32_t i = 0; i < WAITING_MAX; i++)
		waiting_del(&w, &(struct waiting_copy){ .peer = 1, .subscriber = i / 2, .slot = (uint16_t)i });
	cr_assert_eq(w.n, 0);
	waiting_add(&w, &(struct waiting_copy){ .peer = 2 });
	waiting_forget(&w, is_of_peer, &(unsigned){ 1 });
	cr_assert_eq(w.n, 1);
	waiting_forget(&w, is_of_peer, &(unsigned){ 2 });
	cr_assert_eq(w.n, 0);
	hash_free(&w);
}

/* Has a tell of a mapping more. */
static void add_mapping(uint8_t n)
{
	struct mapping_spec spec = copying_spec;

	spec.in = (struct prefix){ 0x0a010000U + n, 32 };
	spec.out = (struct prefix){ 0xc6120000U + n, 32 };
	cr_assert_geq(tables_add(a.m, &spec), 0);
	copying_mappings_changed(a.c);
}

Test(copying_retry, a_session_waits_on_while_other_mappings_come_and_go_at_the_peer)
{
	uint32_t mine;

	refuse_one(&mine);
	add_mapping(99);
	tell();
	cr_assert_eq(b.c->waiting.n, 1);
	end_session(&b, HOST, mine);
	retry_after(2);
	cr_assert_eq(b.counts.placed, 1);
	pair_sound();
}

Test(copying_retry, a_session_that_a_whole_copy_leaves_out_is_waited_for_no_longer)
{
	struct told t = { 0 };
	uint32_t mine, theirs = refuse_one(&mine);

	beyond_open(&a, 5001, 77);
	beyond_room(&b, 0);
	tell();
	cr_assert_eq(b.c->waiting.n, 2);
	end_session(&a, HOST, theirs);
	beyond_end(&a, 5001);
	/* What is told of it is lost. */
	passes(&a, &t);
	told_free(&t);
	whole(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.c->waiting.n, 0);
	pair_sound();
}

/* Every peer's turn comes once a tick, as long as any of them waits. */
static void ticks_after(uint32_t seconds, unsigned n_peers)
{
	uint32_t at = 0;

	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &b.c->waiting, &at));)
		e->tick -= ticks_of_seconds(seconds, b.d.hz);
	for (unsigned i = 0; i < WAITING_MAX / 4096; i++)
		for (unsigned p = 1; p <= n_peers; p++)
			cr_assert_eq(copying_retry(b.c, p, &b.counts), 0);
}

Test(copying_retry, each_of_several_peers_has_its_sessions_tried_again)
{
	for (unsigned n_peers = 1; n_peers <= 4; n_peers++) {
		uint32_t mine, theirs;

		mine = open_flow(&b, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		theirs = open_flow(&a, HOST, OTHER, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
		for (unsigned p = 1; p <= n_peers; p++) {
			struct told t = { 0 };

			passes(&a, &t);
			whole(&a, &t);
			hear(&b, p, &t);
		}
		cr_assert_eq(b.c->waiting.n, n_peers);
		end_session(&b, HOST, mine);
		ticks_after(1, n_peers);
		cr_expect_eq(b.c->waiting.n, 0, "of %u peers, %u have one that waits", n_peers, b.c->waiting.n);
		end_session(&a, HOST, theirs);
		for (unsigned p = 1; p <= n_peers; p++) {
			struct told t = { 0 };

			passes(&a, &t);
			whole(&a, &t);
			hear(&b, p, &t);
		}
	}
}
