/* SPDX-License-Identifier: BSD-2-Clause */
/* The program `session_copies`: places what a subscriber can have, once, and nothing else. */
#include <netinet/in.h>
#include <sched.h>

#include "session_copies_fixture.h"

static void set_up(void)
{
	gateway_make(&gateway, NULL);
}

static void tear_down(void)
{
	gateway_free(&gateway);
}

TestSuite(session_copies, .init = set_up, .fini = tear_down);

Test(session_copies, a_session_is_placed_in_the_slot_that_is_wanted)
{
	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_eq(answered(), first_slot(&gateway, KEY, IPPROTO_UDP));
	cr_assert_eq(slot_at(&gateway, HOST, answered())->key, KEY);
	cr_assert_eq(word_out_port(slot_at(&gateway, HOST, answered())->truth), first_port(&gateway, HOST, 5000));
	cr_assert_eq(host()->sessions, 1);
	cr_assert_eq(host()->lock, 2);
	cr_assert_eq(host()->displaced, 0);
	sound();
}

Test(session_copies, a_session_that_exists_is_left_alone)
{
	cr_assert_eq(place_udp(KEY), COPY_PLACED);

	uint32_t slot = answered();

	cr_assert_eq(place_udp(KEY), COPY_EXISTS);
	cr_assert_eq(answered(), slot);
	cr_assert_eq(place(KEY, first_port(&gateway, HOST, 5000), IPPROTO_UDP, SESSION_UDP, slot ^ 1), COPY_EXISTS);
	cr_assert_eq(answered(), slot, "not the one that is wanted");
	cr_assert_eq(host()->sessions, 1);
	cr_assert_eq(place_udp(slot_key(0xc6336407, 443, 5001)), COPY_PLACED, "another one");
	sound();
}

Test(session_copies, where_the_slot_is_taken_another_of_its_buckets_is_chosen_and_noted_as_displaced)
{
	uint64_t other = slot_key(0xc6336407, 443, 5000 + 4032);
	uint16_t port = first_port(&gateway, HOST, 5000) ^ 1;
	uint32_t slot;

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	slot = answered();
	cr_assert_eq(place(other, port, IPPROTO_UDP, SESSION_UDP, slot), COPY_PLACED);
	cr_assert_neq(answered(), slot);
	cr_assert_eq(host()->sessions, 2);
	cr_assert_neq(host()->displaced, 0);
	sound();
}

Test(session_copies, a_slot_that_is_being_opened_is_taken)
{
	uint32_t slot = first_slot(&gateway, KEY, IPPROTO_UDP);

	slot_at(&gateway, HOST, slot)->truth = state_word(1, IPPROTO_UDP, SESSION_OPENING, datapath_ticks(&gateway.d));
	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_neq(answered(), slot);
	slot_at(&gateway, HOST, slot)->truth = 0;
	sound();
}

/* Where the buckets of both protocols are the same. */
Test(session_copies, a_session_of_another_protocol_is_another)
{
	uint64_t key = slot_key(0xc6336407, 443, 5000);
	uint16_t port = first_port(&gateway, HOST, 5000);

	while (first_slot(&gateway, key, IPPROTO_TCP) != first_slot(&gateway, key, IPPROTO_UDP))
		key += 0x10000;
	cr_assert_eq(place(key, port, IPPROTO_TCP, SESSION_ESTABLISHED, first_slot(&gateway, key, IPPROTO_TCP)),
		     COPY_PLACED);
	cr_assert_eq(place_udp(key), COPY_PLACED);
	cr_assert_eq(host()->sessions, 2);
	sound();
}

Test(session_copies, a_port_that_another_session_has_towards_the_same_endpoint_is_refused)
{
	uint64_t other = slot_key(0xc6336407, 443, 5000 + 4032);

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	cr_assert_eq(place_udp(other), COPY_PORT);
	cr_assert_eq(host()->sessions, 1);
	/* Towards another one it is free. */
	cr_assert_eq(place_udp(slot_key(0xc6336408, 443, 5000 + 4032)), COPY_PLACED);
	sound();
}

Test(session_copies, an_expired_session_gives_up_its_port_and_the_count_stays_exact)
{
	uint64_t other = slot_key(0xc6336407, 443, 5000 + 4032);

	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	touch(&gateway, HOST, answered(), datapath_ticks(&gateway.d) - 5000);
	cr_assert_eq(place_udp(other), COPY_PLACED);
	cr_assert_eq(host()->sessions, 1);
	/* Those that follow find none expired. */
	for (uint16_t i = 1; i <= 3; i++)
		cr_assert_eq(place_udp(slot_key(0xc6336407, 443, 5000 + i)), COPY_PLACED);
	cr_assert_eq(host()->sessions, 4);
	sound();
}

Test(session_copies, a_session_in_time_wait_gives_way)
{
	uint64_t other = slot_key(0xc6336407, 443, 5000 + 4032);
	uint16_t port = first_port(&gateway, HOST, 5000);
	uint32_t slot = first_slot(&gateway, KEY, IPPROTO_TCP);
	struct slot *s;

	cr_assert_eq(place(KEY, port, IPPROTO_TCP, SESSION_ESTABLISHED, slot), COPY_PLACED);
	s = slot_at(&gateway, HOST, slot);
	s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
	host()->sessions--;
	cr_assert_eq(place(other, port, IPPROTO_TCP, SESSION_ESTABLISHED, slot), COPY_PLACED);
	cr_assert_eq(s->key, other);
	cr_assert_eq(host()->sessions, 1);
	sound();
}

/* Packets of the one in time-wait may still come: the other one was there before it was closed. */
Test(session_copies, but_not_to_one_that_has_had_no_packet_since_unless_that_is_the_session_itself)
{
	uint64_t other = slot_key(0xc6336407, 443, 5000 + 4032);
	uint16_t port = first_port(&gateway, HOST, 5000);
	uint32_t slot = first_slot(&gateway, KEY, IPPROTO_TCP);
	struct session_copies *all = gateway.opener.requests;
	struct slot *s = slot_at(&gateway, HOST, slot);

	cr_assert_eq(place(KEY, port, IPPROTO_TCP, SESSION_ESTABLISHED, slot), COPY_PLACED);
	s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
	host()->sessions--;
	all->copy[0].last = word_seen(s->truth) - 1;
	all->copy[0].key = other;
	all->copy[0].result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_expect_eq(all->copy[0].result, COPY_PORT);
	all->copy[0].key = KEY;
	all->copy[0].slot = (uint16_t)slot;
	all->copy[0].word = state_word(port + 1, IPPROTO_TCP, SESSION_ESTABLISHED, word_seen(s->truth));
	all->copy[0].result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_expect_eq(all->copy[0].result, COPY_EXISTS);
	cr_expect_eq(word_state(s->truth), SESSION_TIME_WAIT);
	all->copy[0].word = state_word(port, IPPROTO_TCP, SESSION_ESTABLISHED, word_seen(s->truth));
	all->copy[0].result = COPY_BUSY;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_expect_eq(all->copy[0].result, COPY_PLACED);
	cr_expect_eq(host()->sessions, 1);
	sound();
}

Test(session_copies, the_quota_is_kept_to_the_session)
{
	unsigned placed = 0;

	gateway.d.mapping[gateway.number].sessions_per_user = 5;
	for (uint16_t i = 0; i < 20; i++) {
		int r = place_udp(slot_key(0xc6336400U + i, 443, (uint16_t)(5000 + 8 * i)));

		cr_assert(r == COPY_PLACED || (r == COPY_QUOTA && placed == 5), "%d after %u", r, placed);
		placed += r == COPY_PLACED;
	}
	cr_assert_eq(placed, 5);
	cr_assert_eq(host()->sessions, 5);
	/* As the agent has set it. */
	gateway.d.mapping[gateway.number].sessions_per_user = 1000;
	sound();
}

/* One external endpoint and one group: two buckets of eight slots, and eight ports; the other slots are of others. */
static void fill_buckets(void)
{
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_eq(place(slot_key(0xc6336407, 443, (uint16_t)(4032 + i)), first_port(&gateway, HOST, i),
				   IPPROTO_UDP, SESSION_UDP,
				   first_slot(&gateway, slot_key(0xc6336407, 443, i), IPPROTO_UDP)),
			     COPY_PLACED);
	for (uint32_t i = 0; i < 32; i++)
		if (!slot_at(&gateway, HOST, i)->truth) {
			slot_at(&gateway, HOST, i)->truth =
				state_word(1, IPPROTO_UDP, SESSION_UDP, datapath_ticks(&gateway.d));
			slot_at(&gateway, HOST, i)->key = i;
		}
}

static void remove_others(void)
{
	for (uint32_t i = 0; i < 32; i++)
		if (slot_at(&gateway, HOST, i)->key < 32)
			slot_at(&gateway, HOST, i)->truth = 0;
}

static int place_one_more(void)
{
	return place(ONE_MORE, first_port(&gateway, HOST, 0), IPPROTO_UDP, SESSION_UDP,
		     first_slot(&gateway, ONE_MORE, IPPROTO_UDP));
}

Test(session_copies, with_both_buckets_full_it_is_refused)
{
	fill_buckets();
	cr_assert_eq(place_one_more(), COPY_NO_SLOT);
	remove_others();
	sound();
}

Test(session_copies, with_both_buckets_full_one_in_time_wait_gives_its_slot_up)
{
	cpu_set_t one;

	/* A scan leaves its findings on its core. */
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	fill_buckets();
	slot_at(&gateway, HOST, second_slot(6))->truth =
		state_word(1, IPPROTO_TCP, SESSION_TIME_WAIT, datapath_ticks(&gateway.d));
	slot_at(&gateway, HOST, second_slot(6))->key = 6;
	cr_assert_eq(place_one_more(), COPY_PLACED);
	cr_assert_eq(answered(), second_slot(6));
	cr_assert_eq(slot_at(&gateway, HOST, second_slot(6))->key, ONE_MORE);
	cr_assert_eq(host()->sessions, 9);
	/* Now there is none. */
	cr_assert_eq(place(ONE_MORE + 1, first_port(&gateway, HOST, 1), IPPROTO_UDP, SESSION_UDP, second_slot(0)),
		     COPY_NO_SLOT);
	remove_others();
	sound();
}

Test(session_copies, with_both_buckets_full_an_expired_one_is_replaced_which_leaves_the_count)
{
	fill_buckets();
	slot_at(&gateway, HOST, second_slot(6))->truth =
		state_word(1, IPPROTO_UDP, SESSION_UDP, datapath_ticks(&gateway.d) - 5000);
	slot_at(&gateway, HOST, second_slot(6))->key = 6;
	host()->sessions++;
	cr_assert_eq(place_one_more(), COPY_PLACED);
	cr_assert_eq(answered(), second_slot(6));
	cr_assert_eq(host()->sessions, 9);
	remove_others();
	sound();
}

Test(session_copies, while_the_lock_is_held_it_is_busy)
{
	struct session_copies *all = gateway.opener.requests;

	host()->lock = 1;
	cr_assert_eq(place_udp(KEY), COPY_BUSY);
	cr_assert_eq(host()->sessions, 0);
	/* Beside one that is not, which is placed once. */
	all->copy[1] = all->copy[0];
	all->copy[1].subscriber = HOST + 1;
	all->copy[1].word =
		state_word(first_port(&gateway, HOST + 1, 5000), IPPROTO_UDP, SESSION_UDP, datapath_ticks(&gateway.d));
	all->n = 2;
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	cr_assert_eq(all->copy[0].result, COPY_BUSY);
	cr_assert_eq(all->copy[1].result, COPY_PLACED);
	host()->lock = 2;
	cr_assert_eq(place_udp(KEY), COPY_PLACED);
	sound();
}

Test(session_copies, a_copy_that_no_subscriber_can_have_is_refused)
{
	uint16_t port = first_port(&gateway, HOST, 5000), slot = (uint16_t)first_slot(&gateway, KEY, IPPROTO_UDP);
	static const struct {
		uint8_t proto, state;
	} states[] = {
		{ IPPROTO_UDP, SESSION_ESTABLISHED },
		{ IPPROTO_UDP, SESSION_ICMP },
		{ IPPROTO_TCP, SESSION_UDP },
		{ IPPROTO_TCP, SESSION_TIME_WAIT },
		{ IPPROTO_TCP, SESSION_OPENING },
		{ IPPROTO_TCP, SESSION_FREE },
		{ IPPROTO_TCP, N_SESSION_STATES },
		{ IPPROTO_TCP, 0xff },
		{ IPPROTO_TCP, SESSION_RESET },
		{ IPPROTO_ICMP, SESSION_UDP },
		{ IPPROTO_ICMP, SESSION_ICMP /* a port */ },
		{ 47, SESSION_UDP },
		{ 0, 0 },
		{ IPPROTO_UDP, SESSION_UDP | SESSION_RESET },
	};
	struct session_copies *all = gateway.opener.requests;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		cr_assert_eq(place(KEY, port, states[i].proto, states[i].state, slot), COPY_IMPOSSIBLE, "row %zu", i);
	/* Ports of others, of another group, and none at all. */
	cr_assert_eq(place(KEY, (uint16_t)(port + 4032), IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	cr_assert_eq(place(KEY, (uint16_t)(port + 8), IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	cr_assert_eq(place(KEY, 0, IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	/* Slots in other buckets, and beyond all. */
	for (uint32_t i = 0; i < 65536; i += i < 64 ? 1 : 1111) {
		int r = place(KEY, port, IPPROTO_UDP, SESSION_UDP, i);

		if (r == COPY_PLACED)
			end_session(&gateway, HOST, answered());
		cr_assert(r == COPY_PLACED ? i < 32 : r == COPY_IMPOSSIBLE, "slot %u: %d", i, r);
	}
	cr_assert_eq(open_own(&gateway, 256, KEY, port, IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	cr_assert_eq(open_own(&gateway, ~0U, KEY, port, IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	for (int number = 0; number < 65536; number += number < 1100 ? 1 : 997) {
		if (number == gateway.number)
			continue;
		all->n = 1;
		all->copy[0].mapping = (uint16_t)number;
		all->copy[0].subscriber = 0;
		cr_assert_eq(copy_program_run(&gateway.opener), 0);
		cr_assert_eq(all->copy[0].result, COPY_IMPOSSIBLE, "mapping %d", number);
	}
	cr_assert_eq(host()->sessions, 0);
	sound();
}

Test(session_copies, a_full_batch_is_placed_in_one_run)
{
	struct session_copies *all = gateway.opener.requests;

	all->n = COPIES_BATCH;
	for (uint32_t i = 0; i < COPIES_BATCH; i++)
		all->copy[i] = (struct session_copy){
			.key = KEY,
			.word = state_word(first_port(&gateway, i, 5000), IPPROTO_UDP, SESSION_UDP,
					   datapath_ticks(&gateway.d)),
			.subscriber = i,
			.mapping = (uint16_t)gateway.number,
			.slot = (uint16_t)first_slot(&gateway, KEY, IPPROTO_UDP),
		};
	cr_assert_eq(copy_program_run(&gateway.opener), 0);
	for (uint32_t i = 0; i < COPIES_BATCH; i++) {
		cr_assert_eq(all->copy[i].result, COPY_PLACED);
		cr_assert_eq(mappings_subscriber(gateway.m, gateway.number, i)->sessions, 1);
	}
	sound();
}

Test(session_copies, beyond_the_slots_a_session_or_a_port_is_found_too)
{
	cr_assert_eq(place_beyond(KEY, first_port(&gateway, HOST, 5000)), COPY_PLACED);
	cr_assert_eq(place_udp(KEY), COPY_BEYOND);
	cr_assert_eq(place_udp(slot_key(0xc6336407, 443, 5000 + 4032)), COPY_PORT);
	cr_assert_eq(host()->sessions, 1);
	sound();
}

Test(session_copies, beyond_the_slots_a_port_is_anothers_until_that_session_has_expired)
{
	uint16_t port = first_port(&gateway, HOST, 5000) ^ 64;
	uint64_t other = slot_key(0xc6336407, 443, 5001);

	cr_assert_eq(place_beyond(KEY, port), COPY_PLACED);
	cr_assert_eq(place_beyond(other, port), COPY_PORT);
	cr_assert_eq(place_beyond(other, port ^ 1), COPY_PLACED);
	cr_assert_eq(place_beyond(slot_key(0xc6336407, 443, 5002), port ^ 2), COPY_PLACED);
	age(slot_key(0xc6336407, 443, 5002), 5000);
	cr_assert_eq(place_beyond(slot_key(0xc6336407, 443, 5003), port ^ 2), COPY_PLACED);
	cr_assert_eq(host()->sessions, 3);
	sound();
}

Test(session_copies, beyond_the_slots_a_port_may_be_that_of_a_session_in_a_slot)
{
	/* Two groups on, whose first bucket the session itself cannot be in. */
	uint64_t other = slot_key(0xc6336407, 443, 5016);
	uint16_t port = first_port(&gateway, HOST, 5016);

	cr_assert_eq(place_udp(other), COPY_PLACED);
	cr_assert_eq(place_beyond(KEY, port), COPY_PORT);
	cr_assert_eq(place_beyond(KEY, port ^ 1), COPY_PLACED);
	cr_assert_eq(host()->sessions, 2);
	sound();
}

/* Blocks of 15 ports: the last group is short. */
static void set_up_short(void)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/20", "203.0.113.0/32");

	copying_spec = copying_default_spec();
	copying_spec.in = spec.in;
	copying_spec.out = spec.out;
	gateway_make(&gateway, NULL);
}

Test(session_copies, the_port_after_a_short_group_is_the_next_subscribers, .init = set_up_short)
{
	uint64_t key = slot_key(0xc6336407, 443, 14);
	uint16_t port = first_port(&gateway, HOST, 14);
	uint32_t slot = first_slot(&gateway, key, IPPROTO_UDP);

	cr_assert_eq(first_port(&gateway, HOST + 1, 0), port + 1);
	cr_assert_eq(place(key, port + 1, IPPROTO_UDP, SESSION_UDP, slot), COPY_IMPOSSIBLE);
	cr_assert_eq(place_beyond(key, port + 1), COPY_IMPOSSIBLE);
	cr_assert_eq(place(key, port, IPPROTO_UDP, SESSION_UDP, slot), COPY_PLACED);
	sound();
}
