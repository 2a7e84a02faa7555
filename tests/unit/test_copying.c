/* SPDX-License-Identifier: BSD-2-Clause */
/* Two gateways that tell each other their sessions. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "copying_fixture.h"

TestSuite(copying, .init = pair_make, .fini = pair_free, .timeout = 300);

#define HOST 7U

static uint32_t open_tcp(struct gateway *g, uint16_t in_port)
{
	return open_flow(g, HOST, in_port, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
}

static uint8_t state_at(struct gateway *g, uint32_t slot)
{
	return word_state(slot_at(g, HOST, slot)->truth);
}

static void set_state(struct gateway *g, uint32_t slot, uint8_t state)
{
	struct slot *s = slot_at(g, HOST, slot);

	s->truth = word_with(s->truth, state, word_seen(s->truth));
}

static unsigned payloads_of(const struct told *t, unsigned type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->payload[i].type == type;
	return n;
}

Test(copying, sessions_from_before_a_start_go_with_a_whole_copy_alone)
{
	struct told t = { 0 };

	open_tcp(&a, 5000);
	passes(&a, &t);
	cr_assert_eq(t.n, 1);
	cr_assert_eq(t.payload[0].type, WIRE_MAPPINGS);
	cr_assert_eq(copying_told(a.c), 1);
	told_free(&t);
	whole(&a, &t);
	cr_assert_eq(t.payload[0].type, WIRE_MAPPINGS);
	cr_assert_eq(t.payload[t.n - 1].type, WIRE_WHOLE_END);
	hear(&b, 1, &t);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 1);
	pair_sound();
}

Test(copying, a_whole_copy_waits_for_the_first_pass)
{
	struct told t = { 0 };
	struct copying_whole *w;

	cr_assert_eq(copying_whole_new(a.c, 1, &w), 0);
	cr_assert_eq(copying_whole_step(w, 1000, keep, &t), 1);
	cr_assert_eq(t.n, 0);
	pass(&a, &t);
	while (copying_whole_step(w, 1000, keep, &t))
		;
	cr_assert_eq(payloads_of(&t, WIRE_WHOLE_END), 1);
	copying_whole_free(w);
	told_free(&t);
	pair_sound();
}

Test(copying, a_session_is_told_when_it_has_been_seen_for_the_lowest_age_and_not_before)
{
	struct told t = { 0 };
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	pass(&a, &t);
	pass(&a, &t);
	cr_assert_eq(t.n, 0);
	pass(&a, &t);
	cr_assert_eq(payloads_of(&t, WIRE_CHANGES), 1);
	cr_assert_eq(t.payload[0].length, sizeof(struct wire_sessions) + sizeof(struct wire_session));
	hear(&b, 1, &t);
	cr_assert_eq(slot_at(&b, HOST, slot)->key, slot_at(&a, HOST, slot)->key);
	cr_assert_eq(slot_at(&b, HOST, slot)->truth >> 32, slot_at(&a, HOST, slot)->truth >> 32);
	passes(&a, &t);
	cr_assert_eq(t.n, 0, "it is told once");
	pair_sound();
}

Test(copying, a_session_that_ends_before_that_is_never_told)
{
	struct told t = { 0 };
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	pass(&a, &t);
	pass(&a, &t);
	end_session(&a, HOST, slot);
	passes(&a, &t);
	cr_assert_eq(t.n, 0);
	pair_sound();
}

Test(copying, an_ended_session_ends_at_the_peer)
{
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	end_session(&a, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(copying_told(a.c), 0);
	pair_sound();
}

Test(copying, a_session_in_time_wait_ends_at_the_peer)
{
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	exchange(&a, &b);
	set_state(&a, slot, SESSION_TIME_WAIT);
	mappings_subscriber(a.m, a.number, HOST)->sessions--;
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying, a_change_of_state_is_told_in_bounded_time_though_no_count_changes)
{
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	exchange(&a, &b);
	set_state(&a, slot, SESSION_FIN_WAIT);
	for (unsigned i = 0; i < 4; i++)
		exchange(&a, &b);
	cr_assert_eq(state_at(&b, slot), SESSION_FIN_WAIT);
	cr_assert_eq(b.counts.updated, 1);
	cr_assert_eq(b.counts.placed, 1);
	pair_sound();
}

Test(copying, a_connection_that_is_established_after_it_was_told_is_told_by_the_next_pass)
{
	struct told t = { 0 };
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_SYN_SENT);
	exchange(&a, &b);
	cr_assert_eq(state_at(&b, slot), SESSION_SYN_SENT);
	set_state(&a, slot, SESSION_ESTABLISHED);
	pass(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(state_at(&b, slot), SESSION_ESTABLISHED);
	pair_sound();
}

Test(copying, copies_are_not_told_back)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	open_tcp(&a, 5000);
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(copying_held(b.c, 1), 1);
	for (unsigned i = 0; i < 20; i++)
		pass(&b, &t);
	whole(&b, &t);
	cr_assert_eq(payloads_of(&t, WIRE_CHANGES), 0);
	for (unsigned i = 0; i < t.n; i++)
		cr_assert(t.payload[i].type != WIRE_WHOLE || t.payload[i].length == sizeof(struct wire_range));
	told_free(&t);
	pair_sound();
}

Test(copying, a_packet_makes_a_copy_the_gateways_own_and_the_other_is_told)
{
	struct told t = { 0 };
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	exchange(&a, &b);
	touch(&b, HOST, slot, datapath_ticks(&b.d) + 7);
	for (unsigned i = 0; i < 20; i++)
		pass(&b, &t);
	cr_assert_eq(payloads_of(&t, WIRE_CHANGES), 1);
	cr_assert_eq(copying_held(b.c, 1), 0);
	hear(&a, 1, &t);
	cr_assert_eq(copying_held(a.c, 1), 1, "the other has a copy now");
	cr_assert_eq(copying_told(a.c), 0);
	passes(&a, &t);
	cr_assert_eq(t.n, 0, "and tells nothing of it");
	end_session(&b, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST), 0);
	pair_sound();
}

Test(copying, one_gateway_has_a_copy_of_a_session_that_both_have_opened)
{
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	open_tcp(&b, 5000);
	exchange(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(copying_held(a.c, 1), 1);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(mappings_subscriber(a.m, a.number, HOST)->sessions, 1);
	end_session(&b, HOST, slot);
	exchange(&a, &b);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&a, HOST) + sessions_in(&b, HOST), 0);
	pair_sound();
}

Test(copying, sessions_that_differ_by_their_protocol_alone_are_two)
{
	connect_gateways(&a, &b);
	/* Some of them in the same buckets. */
	for (uint8_t n = 1; n <= 8; n++) {
		open_flow(&a, HOST, 5000, n, IPPROTO_TCP, SESSION_ESTABLISHED);
		open_flow(&a, HOST, 5000, n, IPPROTO_UDP, SESSION_UDP);
	}
	exchange(&a, &b);
	cr_expect_eq(b.counts.refused, 0);
	cr_expect_eq(copying_held(b.c, 1), 16);
	cr_expect_eq(sessions_in(&b, HOST), 16);
	pair_sound();
}

Test(copying, a_port_that_is_anothers_here_is_refused)
{
	connect_gateways(&a, &b);
	open_tcp(&a, 5000);
	open_tcp(&b, 5000 + 4032);
	exchange(&a, &b);
	cr_assert_eq(b.counts.refused, 1);
	cr_assert_eq(a.counts.refused, 1);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

/* A session of b's in the slot of another flow. */
static void take_slot(uint32_t slot)
{
	for (uint32_t i = 1; i < 60000; i++) {
		uint64_t key = slot_key(0xcb007100U + i, 53, 9000);

		if (first_slot(&b, key, IPPROTO_UDP) == slot) {
			cr_assert_eq(open_own(&b, HOST, key, first_port(&b, HOST, 9000), IPPROTO_UDP, SESSION_UDP,
					      (uint16_t)slot),
				     COPY_PLACED);
			return;
		}
	}
	/* first_slot() has the slot's number within a bucket by the inside port. */
	cr_assert_fail("no flow for slot %u", slot);
}

Test(copying, where_its_slot_is_taken_a_copy_is_in_another_one_and_follows_all_the_same)
{
	uint32_t slot, at;

	connect_gateways(&a, &b);
	slot = open_flow(&a, HOST, 9000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	take_slot(slot);
	exchange(&a, &b);
	cr_assert_eq(b.counts.placed, 1);
	cr_assert_eq(sessions_in(&b, HOST), 2);
	at = (uint32_t)moved_ours(&b.c->moved, (uint16_t)b.number, HOST, 1, (uint16_t)slot);
	cr_assert_neq(at, slot);
	cr_assert_eq(slot_at(&b, HOST, at)->key, slot_at(&a, HOST, slot)->key);
	set_state(&a, slot, SESSION_CLOSE_WAIT);
	for (unsigned i = 0; i < 4; i++)
		exchange(&a, &b);
	cr_assert_eq(state_at(&b, at), SESSION_CLOSE_WAIT);
	/* A whole copy leaves it where it is, too. */
	connect_gateways(&a, &b);
	cr_assert_eq(state_at(&b, at), SESSION_CLOSE_WAIT);
	cr_assert_eq(b.counts.ended, 0);
	end_session(&a, HOST, slot);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(b.c->moved.by_ours.n, 0);
	pair_sound();
}

Test(copying, another_session_in_the_slot_replaces_the_copy)
{
	uint32_t slot;
	uint64_t key = slot_key(0xc6336407, 443, 5000 + 4032);

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	exchange(&a, &b);
	end_session(&a, HOST, slot);
	cr_assert_eq(
		open_own(&a, HOST, key, first_port(&a, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED, (uint16_t)slot),
		COPY_PLACED);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(slot_at(&b, HOST, slot)->key, key);
	cr_assert_eq(copying_held(b.c, 1), 1);
	pair_sound();
}

Test(copying, a_whole_copy_ends_what_the_peer_has_no_more)
{
	struct told lost = { 0 };
	uint32_t slot;

	connect_gateways(&a, &b);
	slot = open_tcp(&a, 5000);
	open_flow(&a, HOST + 1, 5000, 7, IPPROTO_UDP, SESSION_UDP);
	open_flow(&a, 255, 5000, 7, IPPROTO_UDP, SESSION_UDP);
	exchange(&a, &b);
	end_session(&a, HOST, slot);
	open_tcp(&a, 6000);
	passes(&a, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(sessions_in(&b, HOST + 1), 1);
	cr_assert_eq(sessions_in(&b, 255), 1);
	cr_assert_eq(copying_held(b.c, 1), 3);
	cr_assert_eq(b.counts.ended, 1);
	pair_sound();
}

Test(copying, an_emitter_that_takes_nothing_loses_nothing)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	for (uint32_t i = 0; i < 256; i++)
		for (uint16_t k = 0; k < 20; k++)
			open_flow(&a, i, (uint16_t)(5000 + 8 * k), (uint8_t)k, IPPROTO_UDP, SESSION_UDP);
	t.refuse = 7;
	passes(&a, &t);
	cr_assert_eq(t.refuse, 0);
	cr_assert_gt(t.n, 1);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.placed, 256 * 20);
	t.refuse = 5;
	whole(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.placed, 256 * 20);
	cr_assert_eq(b.counts.ended, 0);
	cr_assert_eq(copying_held(b.c, 1), 256 * 20);
	pair_sound();
}
