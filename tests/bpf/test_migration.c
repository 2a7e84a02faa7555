// SPDX-License-Identifier: BSD-2-Clause
/* A datapath of another layout is taken over. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <detnat/slots.h>

#include "datapath/migration_private.h"
#include "datapath/running.h"
#include "fixture.h"
#include "migration_fixture.h"
#include "old_layout.h"

Test(migration, nothing_is_lost_where_the_records_differ)
{
	uint16_t later;
	uint32_t before;

	open_flows();
	before = record()->displaced;
	become_another("search_tick", "search_tock");
	open_or_fail();
	cr_assert(datapath.migration && datapath.reused);
	cr_expect(migration_unused(own));
	cr_expect_eq(record()->displaced, ~0U, "until it is computed, any session may be anywhere");
	/* The old programs still run, on their own records. */
	later = send_out(9000);
	cr_expect_eq(record()->sessions, FLOWS);
	reload_settings();
	cr_expect_not(migration_unused(own));
	cr_expect_eq(record()->sessions, FLOWS + 1, "what was opened meanwhile is counted");
	cr_expect(pinned(OTHER_LAYOUT), "until all is compared");
	expect_way_in(later, 9000);
	cr_expect_eq(compare(true), 0);
	cr_expect_eq(record()->displaced & ~before, record()->displaced & ~before & ~0U);
	cr_expect_neq(record()->displaced, ~0U);
	datapath_migrated(&datapath);
	cr_expect_not(pinned(OTHER_LAYOUT));
	expect_all(1);
}

Test(migration, records_that_are_the_same_are_shared)
{
	uint32_t before;

	open_flows();
	before = record()->displaced;
	become_another(NULL, NULL);
	open_or_fail();
	cr_assert(datapath.migration && datapath.reused);
	send_out(9000);
	cr_expect_eq(record()->sessions, FLOWS + 1);
	cr_expect_eq(record()->displaced | before, record()->displaced);
	reload_settings();
	datapath_migrated(&datapath);
	cr_expect_not(pinned(OTHER_LAYOUT));
	expect_all(1);
}

/* The pins become those of an earlier layout, with the same sessions. */
static void become_earlier(const char *from, const char *to)
{
	old_layout_copy();
	become_another(from, to);
	old_layout_pin(OTHER_LAYOUT);
}

static struct slot *slot_of(uint16_t in_port)
{
	return slot_beyond(SUBSCRIBER, slot_key(EXTERNAL, 53, in_port), UDP);
}

/* A session beyond the slots: the number of its flow, from `from` on. */
static unsigned beyond(unsigned from)
{
	for (; !slot_of(port_of(from)); from++)
		cr_assert_lt(from, FLOWS);
	return from;
}

/* The record of the subscriber that the old programs work on. */
static struct subscriber *old_record(void)
{
	return (struct subscriber *)datapath.migration->chunk[0].from + mappings_get(mappings, 0)->first_subscriber + 2;
}

/* An opening or an end in the hash, as the old programs count it. */
static void count_in_hash(int n)
{
	old_record()->sessions += (uint32_t)n;
	old_record()->beyond += (uint32_t)n;
}

/*
 * As they were, and what becomes of them until the programs change: one is closed, one goes on, one opens; and one goes
 * on under the new programs, while the old ones close it.
 */
static void takes_sessions_over(const char *from, const char *to)
{
	unsigned closed, refreshed, kept, n = 0;
	uint64_t word, opened;

	open_flows();
	closed = beyond(0);
	refreshed = beyond(closed + 1);
	kept = beyond(refreshed + 1);
	for (unsigned i = 0; i < FLOWS; i++)
		n += !!slot_of(port_of(i));
	become_earlier(from, to);
	open_or_fail();
	cr_assert(datapath.migration && datapath.reused);
	cr_expect_eq(old_layout_entries(), 2 * n);
	cr_expect_eq(datapath.global->beyond, 0);
	cr_expect_eq(record()->sessions, FLOWS);
	for (unsigned i = 0; i < FLOWS; i++)
		n -= !!slot_of(port_of(i));
	cr_expect_eq(n, 0, "all are in extents before the programs are exchanged");

	old_layout_del(port_of(closed), 53, slot_of(port_of(closed))->truth);
	count_in_hash(-1);
	word = slot_of(port_of(refreshed))->truth;
	word = word_with(word, word_state(word), word_seen(word) + 3);
	old_layout_put(port_of(refreshed), 53, word);
	opened = old_layout_open(9, 53, PORT_LO + 1);
	count_in_hash(1);
	old_layout_del(port_of(kept), 53, slot_of(port_of(kept))->truth);
	slot_of(port_of(kept))->truth++;
	reload_settings();
	cr_expect_null(slot_of(port_of(closed)));
	cr_assert(slot_of(port_of(refreshed)) && slot_of(port_of(kept)) && slot_of(9));
	cr_expect_eq(slot_of(port_of(refreshed))->truth, word);
	cr_expect_eq(slot_of(9)->truth, opened);
	cr_expect_eq(record()->sessions, FLOWS);
	cr_expect_eq(record()->beyond & ~SUBSCRIBER_FLAGS, 0);
	cr_expect_eq(compare(true), 0);
	datapath_migrated(&datapath);
	expect_way_in(PORT_LO + 1, 9);
	cr_expect_eq(send_out(9), PORT_LO + 1);
	for (unsigned i = 0; i < FLOWS; i++)
		if (i != closed)
			expect_way_in(outside[i], port_of(i));
	for (unsigned i = 0; i < FLOWS; i++)
		if (i != closed)
			cr_expect_eq(send_out(port_of(i)), outside[i]);
	cr_expect_eq(record()->sessions, FLOWS, "nothing was opened twice");
	cr_expect_eq(compare(false), 0);
}

Test(migration, sessions_beyond_the_slots_come_from_a_layout_without_extents)
{
	takes_sessions_over(NULL, NULL);
}

Test(migration, sessions_beyond_the_slots_come_from_other_records)
{
	takes_sessions_over("search_tick", "search_tock");
}

/* The old programs on one core, the new ones on another, and each has it on a port of its own. */
Test(migration, a_session_that_both_programs_have_opened_counts_once)
{
	struct error err;
	uint16_t port;

	open_flows();
	become_earlier("search_tick", "search_tock");
	open_or_fail();
	cr_assert_eq(datapath_load(&datapath, &settings, &err), 0, "%s", err.text);
	port = send_out(5000 + 2 * PORTS);
	old_layout_open(5000 + 2 * PORTS, 53, PORT_LO + 1);
	count_in_hash(1);
	cr_assert(slot_of(5000 + 2 * PORTS), "its group is full");
	datapath_settle(&datapath);
	cr_expect_eq(record()->sessions, FLOWS + 1);
	cr_expect_eq(compare(true), 0);
	datapath_migrated(&datapath);
	cr_expect_eq(send_out(5000 + 2 * PORTS), port);
	expect_way_in(port, 5000 + 2 * PORTS);
	expect_all(1);
}

/* More than there is room for: what has a place goes on, the others do not count. */
Test(migration, a_stock_of_extents_that_is_full_takes_what_it_can)
{
	const unsigned crowd = 900;
	unsigned placed = 0;

	open_flows();
	extents = 64;
	old_layout_copy();
	for (unsigned i = 0; i < crowd; i++)
		old_layout_open((uint16_t)(PORTS * 20 + i % PORTS), (uint16_t)(1000 + i),
				(uint16_t)(PORT_LO + i % PORTS));
	mappings_subscriber(mappings, 0, 2)->sessions += crowd;
	mappings_subscriber(mappings, 0, 2)->beyond += crowd;
	become_another(NULL, NULL);
	old_layout_pin(OTHER_LAYOUT);
	open_or_fail();
	reload_settings();
	/* Before all is compared. */
	reload_settings();
	for (unsigned i = 0; i < crowd; i++)
		placed += !!slot_beyond(
			SUBSCRIBER, slot_key(EXTERNAL, (uint16_t)(1000 + i), (uint16_t)(PORTS * 20 + i % PORTS)), UDP);
	cr_expect_gt(placed, 0);
	cr_expect_lt(placed, crowd);
	cr_expect_eq(record()->beyond & ~SUBSCRIBER_FLAGS, 0);
	cr_expect_eq(compare(false), 0);
	datapath_migrated(&datapath);
}

/* A subscriber above its quota, which was lowered, loses none. */
Test(migration, no_quota_refuses_what_was_there)
{
	open_flows();
	old_layout_copy();
	datapath.mapping[0].sessions_per_user = FLOWS / 2;
	become_another(NULL, NULL);
	old_layout_pin(OTHER_LAYOUT);
	open_or_fail();
	reload_settings();
	datapath_migrated(&datapath);
	expect_all(0);
}

/* Which a lookup of the earlier programs did not find. */
Test(migration, entries_of_former_mappings_stay_behind)
{
	open_flows();
	old_layout_copy();
	old_layout_put_former(9, 53, state_word(PORT_LO + 1, UDP, SESSION_UDP, datapath_ticks(&datapath)));
	become_another(NULL, NULL);
	old_layout_pin(OTHER_LAYOUT);
	open_or_fail();
	reload_settings();
	cr_expect_null(slot_of(9));
	datapath_migrated(&datapath);
	expect_all(0);
}

Test(migration, killed_in_the_middle_of_a_larger_index_the_next_start_brings_over_the_rest)
{
	unsigned flow;

	open_flows();
	flow = beyond(0);
	become_earlier(NULL, NULL);
	open_or_fail();
	reload_settings();
	/* As if the old programs had opened it after the last look. */
	slot_of(port_of(flow))->truth = 0;
	mappings_subscriber(mappings, 0, 2)->sessions--;
	mappings_close(mappings);
	datapath_close(&datapath);
	open_or_fail();
	cr_assert(datapath.migration && migration_is_resumed(datapath.migration));
	reload_settings();
	cr_expect(slot_of(port_of(flow)));
	cr_expect_eq(compare(true), 0);
	datapath_migrated(&datapath);
	expect_all(0);
}

Test(migration, figures_and_counters_go_on)
{
	uint64_t opened;

	open_flows();
	mappings_subscriber(mappings, 0, 2)->refused = 77;
	opened = counted(REASON_sessions_opened);
	become_another("search_tick", "search_tock");
	open_or_fail();
	send_out(9000);
	reload_settings();
	cr_expect_eq(counted(REASON_sessions_opened), opened + 1);
	cr_expect_eq(record()->refused, 77);
	datapath_migrated(&datapath);
}

Test(migration, other_slots_are_refused_and_go_on)
{
	struct error err = { "" };

	open_flows();
	become_another("truth", "trvth");
	cr_assert_eq(migration_check(PIN_PATH, &err), -EXDEV);
	cr_expect(strstr(err.text, "--replace; 40 sessions of 1 mappings are then lost"), "%s", err.text);
	cr_assert_eq(try_open(false, &err), -EXDEV);
	cr_expect(strstr(err.text, "40 sessions"), "%s", err.text);
	cr_expect(pinned(OTHER_LAYOUT "/buckets") && !pinned(own), "nothing is touched");
	cr_assert_eq(try_open(true, &err), 0, "%s", err.text);
	cr_expect(datapath.replaced && !datapath.reused && !datapath.migration);
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0);
	cr_expect_eq(mappings_next(mappings, 0), -1);
	reload_settings();
	cr_expect_not(pinned(OTHER_LAYOUT));
}

Test(migration, types_that_cannot_be_read_are_no_reason_to_begin_anew)
{
	struct error err = { "" };

	open_flows();
	become_another("index_table", "index_tabel");
	cr_assert_eq(try_open(false, &err), -EXDEV);
	cr_expect(strstr(err.text, "--replace"), "%s", err.text);
	cr_expect(pinned(OTHER_LAYOUT "/buckets"));
}

Test(migration, killed_before_the_new_programs_run_it_begins_again)
{
	open_flows();
	become_another("search_tick", "search_tock");
	open_or_fail();
	mappings_close(mappings);
	datapath_close(&datapath);
	cr_assert(pinned(own) && migration_unused(own));
	open_or_fail();
	cr_assert(datapath.migration && !migration_is_resumed(datapath.migration));
	reload_settings();
	compare(true);
	datapath_migrated(&datapath);
	expect_all(0);
}

Test(migration, killed_before_the_copy_is_complete_it_begins_again)
{
	struct config config = { .pin_path = (char *)PIN_PATH };
	struct migration *m;
	struct error err;
	struct datapath d;

	open_flows();
	become_another("search_tick", "search_tock");
	cr_assert_eq(datapath_of_nothing(config.pin_path, &d), 0);
	cr_assert_eq(migration_begin(&d, &m, &err), 0, "%s", err.text);
	migration_free(m);
	datapath_close(&d);
	open_or_fail();
	cr_assert(datapath.migration && !migration_is_resumed(datapath.migration));
	reload_settings();
	compare(true);
	datapath_migrated(&datapath);
	expect_all(0);
}

Test(migration, killed_after_the_new_programs_run_it_goes_on)
{
	open_flows();
	become_another("search_tick", "search_tock");
	open_or_fail();
	reload_settings();
	/* Killed here; and meanwhile a count went wrong. */
	mappings_subscriber(mappings, 0, 2)->sessions -= 7;
	mappings_close(mappings);
	datapath_close(&datapath);
	cr_assert(pinned(OTHER_LAYOUT));
	open_or_fail();
	cr_assert(datapath.migration && migration_is_resumed(datapath.migration));
	cr_expect_eq(compare(true), 1);
	reload_settings();
	datapath_migrated(&datapath);
	cr_expect_not(pinned(OTHER_LAYOUT));
	expect_all(0);
}

Test(migration, tables_of_their_own_are_not_compared)
{
	struct error err;

	/* A replacement that was killed before it removed what it replaces. */
	open_flows();
	become_another("truth", "trvth");
	cr_assert_eq(try_open(true, &err), 0);
	cr_assert_eq(running_save(datapath.running_state, "{}", 7, NULL), 0);
	datapath_close(&datapath);
	open_or_fail();
	cr_expect_null(datapath.migration);
	cr_expect(datapath.reused);
}
