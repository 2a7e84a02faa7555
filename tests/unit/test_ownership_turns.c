/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: how turns are counted, told and lost, and what a killed agent still knows.
 */
#include <string.h>

#include "ownership_fixture.h"
#include "copies/found_session.h"

static char state_file[64];

/* Both keep their marks in files. */
static void set_up(void)
{
	static char directory[] = "/tmp/ownership.XXXXXX";
	char path[sizeof(state_file)];

	cr_assert_not_null(mkdtemp(directory));
	snprintf(state_file, sizeof(state_file), "%s/b", directory);
	snprintf(path, sizeof(path), "%s/a", directory);
	gateway_make(&a, path);
	gateway_make(&b, state_file);
	connect_gateways(&a, &b);
}

static char *path_of(const struct gateway *g)
{
	state_file[strlen(state_file) - 1] = g == &a ? 'a' : 'b';
	return state_file;
}

static void tear_down(void)
{
	pair_free();
	copying_forget(path_of(&a));
	copying_forget(path_of(&b));
	*strrchr(state_file, '/') = '\0';
	cr_assert_eq(rmdir(state_file), 0, "files are left in %s", state_file);
}

TestSuite(ownership_turns, .init = set_up, .fini = tear_down, .timeout = 60);

/* Its agent is killed and started again: tables and marks stay. */
static void restart(struct gateway *g)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };

	copying_free(g->c);
	cr_assert_eq(copying_new(g->m, &limits, path_of(g), &g->c), 0);
	set_orders(&a, &b);
}

Test(ownership_turns, they_go_round_and_the_last_taker_has_the_session_each_time)
{
	uint32_t slot = copied();

	for (unsigned i = 0; i < 2 * TURN_MAX + 3; i++) {
		packet(i & 1 ? &a : &b, slot);
		exchange_twice();
		cr_assert_eq(copying_held(a.c, 1), !(i & 1), "change %u", i);
		cr_assert_eq(copying_held(b.c, 1), i & 1, "change %u", i);
	}
	expect_at(&b, &a);
}

Test(ownership_turns, a_takeover_whose_news_was_lost_is_in_the_next_whole_copy)
{
	uint32_t slot = copied();

	for (unsigned i = 0; i < 2; i++) {
		packet(&b, slot);
		tell_nobody(&b);
		come_back(i);
		expect_at(&b, &a);
		packet(&a, slot);
		tell_nobody(&a);
		come_back(i);
		expect_at(&a, &b);
	}
}

Test(ownership_turns, a_reset_at_the_gateway_that_has_taken_it_over_is_so_at_both)
{
	uint32_t slot = copied();
	struct slot *s = slot_at(&b, HOST, slot);

	packet(&b, slot);
	s->truth = word_with(s->truth, SESSION_ESTABLISHED | SESSION_RESET, word_seen(s->truth));
	exchange_twice();
	cr_expect_eq(word_state(slot_at(&a, HOST, slot)->truth), SESSION_ESTABLISHED | SESSION_RESET);
	expect_at(&b, &a);
}

Test(ownership_turns, a_session_that_expires_where_it_was_taken_over_ends_at_both)
{
	uint32_t slot = copied();

	packet(&b, slot);
	exchange_twice();
	expect_at(&b, &a);
	touch(&b, HOST, slot, NOW(&b) - 5000);
	exchange_twice();
	cr_expect_eq(sessions_in(&a, HOST), 0);
	end_session(&b, HOST, slot);
	exchange_twice();
	expect_ended();
}

Test(ownership_turns, a_session_that_an_agent_has_taken_over_is_its_gateways_after_a_kill_told_or_not)
{
	for (unsigned told = 0; told < 2; told++) {
		uint32_t slot = copied();

		packet(&b, slot);
		if (told)
			exchange_twice();
		restart(&b);
		come_back(told);
		expect_at(&b, &a);
		end_session(&b, HOST, slot);
		exchange_twice();
		expect_ended();
	}
}

Test(ownership_turns, an_agent_that_is_killed_while_another_takes_over_yields_when_it_is_back)
{
	uint32_t slot = copied();

	packet(&b, slot);
	tell_nobody(&b);
	restart(&a);
	come_back(true);
	expect_at(&b, &a);
}

Test(ownership_turns, an_agent_that_has_forgotten_its_turns_takes_over_with_the_next_packet)
{
	uint32_t slot = copied();

	for (unsigned i = 0; i < 5; i++) {
		packet(i & 1 ? &a : &b, slot);
		exchange_twice();
	}
	expect_at(&b, &a);
	restart(&a);
	come_back(true);
	expect_at(&b, &a);
	packet(&a, slot);
	exchange_twice();
	expect_at(&a, &b);
}

/* As after `--detach`: marks stand in files that end with the machine, tables do not. */
Test(ownership_turns, a_gateway_that_has_lost_its_tables_and_kept_its_marks_ends_nothing)
{
	for (unsigned i = 0; i < 2; i++) {
		uint32_t slot = copied();

		gateway_free(&b);
		gateway_make(&b, path_of(&b));
		set_orders(&a, &b);
		tell_nobody(&b);
		vouch(&b, i ? 2 : 0);
		come_back(i);
		expect_at(&a, &b);
		end_session(&a, HOST, slot);
		exchange_twice();
		expect_ended();
	}
}

/* What is compared is how long ago a packet came, which no clock of another gateway is needed for. */
Test(ownership_turns, peers_are_told_a_sessions_age_and_no_time)
{
	uint32_t slot = copied();
	struct told t = { 0 };

	silent_for(&a, slot, 20);
	whole(&a, &t);
	for (unsigned i = 0; i < t.n; i++) {
		const struct wire_sessions *group = (const void *)(t.payload[i].data + sizeof(struct wire_range));
		const struct wire_session *w = (const void *)(group + 1);

		if (t.payload[i].type != WIRE_WHOLE || t.payload[i].length <= sizeof(struct wire_range))
			continue;
		cr_assert_eq(be16toh(group->count), 1);
		cr_expect(wire_age_s(w->flags) == 20 || wire_age_s(w->flags) == 21, "%u", wire_age_s(w->flags));
		told_free(&t);
		return;
	}
	cr_assert_fail("no session was told");
}

/* A segment may close a connection between the answer of the program and what is done about it. */
Test(ownership_turns, a_connection_that_closes_while_it_is_about_to_yield_or_give_way_is_counted_once)
{
	open_tcp(&a, 6001);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t slot = open_tcp(&a, 5000);
		uint64_t word = slot_at(&a, HOST, slot)->truth;
		const struct session_copy r = {
			.key = slot_at(&a, HOST, slot)->key,
			.word = word_with(word, word_state(word), NOW(&a)),
			.subscriber = HOST,
			.mapping = (uint16_t)a.number,
			.slot = (uint16_t)slot,
		};
		const struct placing p = { .peer = 1, .turn = 3, .told = NOW(&a) };
		struct found_session s;

		cr_assert_eq(copied_marks_make(a.c, &a.c->mapping[a.number], HOST), 0);
		silent_for(&a, slot, 100);
		cr_assert(found_in_slot(a.c, &a.c->mapping[a.number], HOST, slot, &s));
		time_wait(&a, slot);
		if (!i)
			cr_expect_not(found_to_peer(a.c, &s, &r, &p));
		cr_assert(found_in_slot(a.c, &a.c->mapping[a.number], HOST, slot, &s));
		if (i)
			gives_way(a.c, &r, &p, &s);
		cr_expect_eq(mappings_subscriber(a.m, a.number, HOST)->sessions, 1);
		assert_sound(&a);
		slot_at(&a, HOST, slot)->truth = 0;
	}
}
