/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of docs/internals/OWNERSHIP.md: two flows on one outside endpoint, and sessions beyond the slots. */
#include "ownership_fixture.h"
#include "tables/portmap_table.h"

TestSuite(ownership_ports, .init = pair_connect, .fini = pair_free, .timeout = 60);

Test(ownership_ports, a_flow_on_another_port_gives_way_to_the_younger_one)
{
	uint64_t key = slot_key(0xc6336407, 443, 5000);
	uint32_t mine = open_tcp(&a, 5000), other;

	cr_assert_eq(open_own(&b, HOST, key, first_port(&b, HOST, 5000) + 1, IPPROTO_TCP, SESSION_ESTABLISHED,
			      (uint16_t)first_slot(&b, key, IPPROTO_TCP)),
		     COPY_PLACED);
	other = b.opener.requests->copy[0].slot;
	silent_for(&a, mine, 60);
	silent_for(&b, other, 20);
	exchange(&a, &b);
	exchange(&a, &b);
	retry_after(&a, 1);
	exchange_twice();
	cr_expect_eq(word_out_port(slot_at(&a, HOST, mine)->truth), first_port(&a, HOST, 5000) + 1);
	expect_at(&b, &a);
}

/* Beyond the slots. */

static void copied_beyond(void)
{
	beyond_open(&a, 5000, 77);
	exchange(&a, &b);
	cr_assert_eq(beyond_count(&b), 1);
	exchange(&a, &b);
}

static void expect_beyond_ended(void)
{
	exchange_twice();
	cr_expect_eq(beyond_count(&a), 0);
	cr_expect_eq(beyond_count(&b), 0);
	cr_expect_eq(copying_told(a.c) + copying_told(b.c), 0);
	pair_sound();
}

Test(ownership_ports, beyond_the_slots_a_packet_takes_a_copy_over_and_the_other_gateway_yields)
{
	copied_beyond();
	beyond_touch(&b, 5000, NOW(&b) - 1000);
	exchange_twice();
	cr_expect_eq(copying_held(a.c, 1), 1);
	cr_expect_eq(copying_held(b.c, 1), 0);
	beyond_end(&b, 5000);
	expect_beyond_ended();
}

Test(ownership_ports, beyond_the_slots_what_is_closed_right_after_a_takeover_ends_at_both)
{
	copied_beyond();
	beyond_touch(&b, 5000, NOW(&b) - 1000);
	beyond_end(&b, 5000);
	expect_beyond_ended();
}

Test(ownership_ports, beyond_the_slots_a_gateway_that_was_cut_off_hears_what_has_ended_meanwhile)
{
	for (unsigned i = 0; i < 4; i++) {
		copied_beyond();
		beyond_touch(&b, 5000, NOW(&b) - 1000);
		if (i & 1)
			tell_nobody(&b);
		beyond_end(&b, 5000);
		tell_nobody(&b);
		come_back(i & 2);
		expect_beyond_ended();
	}
}

Test(ownership_ports, beyond_the_slots_a_copy_that_has_expired_is_no_ending_for_the_peer)
{
	struct told t = { 0 };
	uint32_t at = 0;

	copied_beyond();
	passes(&b, &t);
	for (struct beyond_note *n; (n = hash_walk(&beyond_notes, &b.c->beyond, &at));)
		n->word -= 5000;
	beyond_end(&b, 5000);
	passes(&b, &t);
	cr_expect_eq(records_of(&t, WIRE_ENDED), 0);
	hear(&a, 1, &t);
	cr_expect_eq(beyond_count(&a), 1);
	pair_sound();
}

/* In a slot here, beyond the slots there; and the other way round. */
Test(ownership_ports, a_port_beyond_the_slots_gives_way_to_a_younger_flow_in_a_slot_and_the_other_way_round)
{
	uint16_t offset = mapping_first_choice(&mappings_get(b.m, b.number)->geo, 5000);
	uint32_t slot;

	beyond_open(&a, 9000, offset);
	beyond_touch(&a, 9000, NOW(&a) - ticks_of_seconds(60, a.d.hz));
	slot = open_tcp(&b, 5000);
	silent_for(&b, slot, 20);
	exchange(&a, &b);
	exchange(&a, &b);
	retry_after(&a, 1);
	exchange_twice();
	cr_expect_eq(beyond_count(&a), 0);
	expect_at(&b, &a);
	end_session(&b, HOST, slot);
	exchange_twice();
	expect_ended();
	slot = open_tcp(&a, 5000);
	silent_for(&a, slot, 60);
	beyond_open(&b, 9000, offset);
	beyond_touch(&b, 9000, NOW(&b) - ticks_of_seconds(20, a.d.hz));
	exchange(&a, &b);
	exchange(&a, &b);
	retry_after(&a, 1);
	exchange_twice();
	cr_expect_eq(sessions_in(&a, HOST), 0);
	cr_expect_eq(beyond_count(&a), 1);
	pair_sound();
}

/* A portmap is the operator's or a client's, and no session. */
Test(ownership_ports, a_copy_whose_port_a_portmap_holds_waits_until_that_is_gone)
{
	struct portmap m = { .in = { 0x0a000000 + HOST, 9999 }, .proto = IPPROTO_TCP };
	struct portmaps *portmaps;
	struct error err = { 0 };

	m.out = (struct endpoint){ mapping_out_addr(&mappings_get(b.m, b.number)->geo, HOST),
				   first_port(&b, HOST, 5000) };
	cr_assert_eq(portmaps_open(b.m, &portmaps, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
	open_tcp(&a, 5000);
	exchange(&a, &b);
	cr_expect_eq(sessions_in(&b, HOST), 0);
	cr_expect_eq(b.c->waiting.n, 1);
	cr_assert_not_null(portmaps_by_out(portmaps, m.proto, m.out));
	cr_assert_eq(portmaps_del(portmaps, m.proto, m.out), 0);
	retry_after(&b, 1);
	expect_at(&a, &b);
	portmaps_close(portmaps);
}

/* Both have opened it, in a slot here and beyond the slots there: either may have the higher claim. */
Test(ownership_ports, a_session_in_a_slot_here_and_beyond_the_slots_there_is_one_gateways_and_ends_at_both)
{
	uint16_t offset = mapping_first_choice(&mappings_get(b.m, b.number)->geo, 5000);

	for (unsigned i = 0; i < 2; i++) {
		struct gateway *in_slot = i ? &b : &a, *beyond = i ? &a : &b;
		uint32_t slot = open_tcp(in_slot, 5000);

		beyond_open(beyond, 5000, offset);
		for (unsigned k = 0; k < 3; k++) {
			exchange_twice();
			retry_after(&a, 0);
			retry_after(&b, 0);
		}
		cr_expect_eq(copying_held(a.c, 1) + copying_held(b.c, 1), 1, "one has it, and the other a copy");
		cr_expect_eq(copying_told(a.c) + copying_told(b.c), 1);
		pair_sound();
		/* The one that has it is that of the higher claim, as it has it. */
		if (!copying_held(in_slot->c, 1))
			end_session(in_slot, HOST, slot);
		else
			beyond_end(beyond, 5000);
		exchange_twice();
		expect_ended();
		cr_expect_eq(beyond_count(&a) + beyond_count(&b), 0);
	}
}
