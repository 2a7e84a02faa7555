/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/OWNERSHIP.md: a peer has been silent for longer than the shortest of the timeouts. */
#include "ownership_fixture.h"

#define SHORTEST 500 /* ticks: of ICMP and UDP */
#define SILENCE	 900
#define LONGEST	 70000 /* of TCP: longer than the low half of a tick tells */

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
