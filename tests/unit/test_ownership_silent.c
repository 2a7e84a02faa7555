/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: a peer has been silent for longer than the shortest of the timeouts. */
#include "ownership_fixture.h"

#define SHORTEST 500 /* ticks: of ICMP and UDP */
#define SILENCE	 900
#define LONGEST	 2000000 /* of TCP: longer than the low half of a tick tells, and than a day */

static void set_up(void)
{
	copying_spec = copying_default_spec();
	copying_spec.timeout_ticks[TIMEOUT_TCP_ESTABLISHED] = LONGEST;
	copying_spec.timeout_ticks[TIMEOUT_UDP] = copying_spec.timeout_ticks[TIMEOUT_ICMP] = SHORTEST;
	pair_connect();
}

TestSuite(ownership_silent, .init = set_up, .fini = pair_free, .timeout = 60);

/* A connection of a's, of which b has heard nothing for so many ticks: the slot of the copy. */
static uint32_t copied_long_ago(uint32_t ticks)
{
	uint32_t slot = copied(), then;

	vouch(&b, 2);
	vouch(&b, 0);
	then = NOW(&b) - ticks;
	*copy_vouched(&b.c->mapping[b.number].marks, HOST, 1) = (struct vouched){ (uint16_t)then, (uint16_t)then };
	b.c->peer[1].vouched_tick = then;
	touch(&b, HOST, slot, then);
	silent_for(&a, slot, 100);
	return slot;
}

Test(ownership_silent, a_copy_that_an_operator_closes_meanwhile_ends_at_both)
{
	uint32_t slot = copied_long_ago(SILENCE);

	end_session(&b, HOST, slot);
	tell_nobody(&b);
	come_back(true);
	expect_ended();
}

Test(ownership_silent, a_connection_whose_slot_another_takes_at_once_ends_at_both)
{
	uint32_t slot = copied_long_ago(SILENCE);
	uint64_t key = slot_key(0xc6336407, 443, 5000 + 4032);

	packet(&b, slot);
	end_session(&b, HOST, slot);
	cr_assert_eq(
		open_own(&b, HOST, key, first_port(&b, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED, (uint16_t)slot),
		COPY_PLACED);
	tell_nobody(&b);
	come_back(true);
	cr_expect_eq(slot_at(&a, HOST, slot)->key, key);
	expect_at(&b, &a);
}

Test(ownership_silent, a_copy_that_has_expired_after_so_long_is_no_ending)
{
	static const uint32_t silences[] = { LONGEST, LONGEST + 60000, LONGEST + 65536 };

	for (unsigned i = 0; i < ARRAY_SIZE(silences); i++) {
		uint32_t slot = copied_long_ago(silences[i]);
		struct told t = { 0 };

		/* The sweep. */
		end_session(&b, HOST, slot);
		passes(&b, &t);
		cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
		told_free(&t);
		come_back(true);
		expect_at(&a, &b);
		end_session(&a, HOST, slot);
		exchange_twice();
		expect_ended();
	}
}

/* An ending is as old as it is, up to the longest silence. */
Test(ownership_silent, an_ending_of_half_an_hour_ago_ends_no_session_that_a_packet_has_refreshed_since)
{
	static const uint32_t minutes[] = { 30, 60 * 24 };

	for (unsigned i = 0; i < ARRAY_SIZE(minutes); i++) {
		uint32_t slot = copied();

		end_session(&b, HOST, slot);
		tell_nobody(&b);
		b.c->ended.entry[(b.c->ended.end - 1) & (b.c->ended.room - 1)].tick -=
			ticks_of_seconds(60 * minutes[i], b.d.hz);
		silent_for(&a, slot, 60 * (minutes[i] - 5));
		come_back(true);
		expect_at(&a, &b);
		end_session(&a, HOST, slot);
		exchange_twice();
		expect_ended();
	}
}

static uint64_t key_of(uint16_t in_port)
{
	return slot_key(0xc6336407, 443, in_port);
}

/* An inside port with a UDP session that a TCP session of its group looks like, by what is left of it in its slot. */
static uint16_t ambiguous(void)
{
	const struct geometry *geo = &mappings_get(b.m, b.number)->geo;

	for (uint16_t in_port = 5000; in_port < 60000; in_port++) {
		uint32_t first = mapping_first_choice(geo, in_port);
		uint16_t lo = mapping_port_lo(geo, HOST), id;

		id = session_id(key_of(in_port), state_word((uint16_t)(lo + first), IPPROTO_UDP, SESSION_UDP, 0));
		for (uint32_t k = first & ~(PORT_GROUP - 1); k < (first | (PORT_GROUP - 1)); k++)
			if (session_id(key_of(in_port), state_word((uint16_t)(lo + k), IPPROTO_TCP, SESSION_UDP, 0)) ==
			    id)
				return in_port;
	}
	cr_assert_fail("none");
	return 0;
}

Test(ownership_silent, a_copy_that_an_operator_closes_is_recognised_though_another_may_have_been_in_its_slot)
{
	uint16_t in_port = ambiguous();
	uint32_t slot = open_flow(&a, HOST, in_port, 7, IPPROTO_UDP, SESSION_UDP);

	exchange(&a, &b);
	end_session(&b, HOST, slot);
	exchange_twice();
	expect_ended();
}
