// SPDX-License-Identifier: BSD-2-Clause
/* A datapath of another layout is taken over. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <detnat/slots.h>

#include "datapath/migration.h"
#include "datapath/running.h"
#include "fixture.h"
#include "migration_fixture.h"
#include "old_layout.h"
#include "tables/overflow_map.h"

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
static void become_earlier(void)
{
	old_layout_copy();
	become_another(NULL, NULL);
	old_layout_pin(OTHER_LAYOUT);
}

static struct overflow_key key_of(unsigned flow)
{
	return overflow_key_in(&mappings_get(mappings, 0)->geo, SUBSCRIBER, port_of(flow), EXTERNAL, 53, UDP);
}

/* A session beyond the slots: the number of its flow, from `from` on. */
static unsigned beyond(unsigned from)
{
	struct overflow_key key = key_of(from);
	uint64_t word;

	for (; overflow_word(&datapath, &key, &word); key = key_of(++from))
		cr_assert_lt(from, FLOWS);
	return from;
}

/* As they were, and what becomes of them until the programs change. */
Test(migration, sessions_beyond_the_slots_and_mappings_come_from_a_layout_with_fewer)
{
	struct overflow_key in, out;
	struct overflow_session s;
	unsigned closed, refreshed;
	uint64_t word;
	int64_t n;

	open_flows();
	n = datapath.global->overflow;
	cr_assert_gt(n, 2);
	closed = beyond(0);
	refreshed = beyond(closed + 1);
	become_earlier();
	open_or_fail();
	cr_assert(datapath.migration && datapath.reused);
	cr_expect_eq(datapath.global->overflow, n);
	cr_expect_eq(compare(false), 0);

	/* What the old programs do until the new ones are in place: a session is closed, one goes on, one opens. */
	in = key_of(closed);
	cr_assert_eq(bpf_map_lookup_elem(datapath.overflow, &in, &s), 0);
	out = overflow_key_reverse(&in, word_out_port(s.truth));
	old_layout_del(&in);
	old_layout_del(&out);
	in = key_of(refreshed);
	cr_assert_eq(bpf_map_lookup_elem(datapath.overflow, &in, &s), 0);
	word = s.truth = word_with(s.truth, word_state(s.truth), word_seen(s.truth) + 3);
	old_layout_put(&in, &s, 0);
	in.port = 9;
	out = overflow_key_reverse(&in, PORT_LO + 1);
	s.truth = state_word(PORT_LO + 1, UDP, SESSION_UDP, word_seen(word));
	old_layout_put(&in, &s, 0);
	old_layout_put(&out, &(struct overflow_session){ 0 }, 9);
	reload_settings();
	cr_expect_eq(datapath.global->overflow, n);
	cr_expect_eq(compare(true), 0);
	datapath_migrated(&datapath);
	in = key_of(refreshed);
	cr_assert_eq(bpf_map_lookup_elem(datapath.overflow, &in, &s), 0);
	cr_expect_eq(s.truth, word);
	expect_way_in(PORT_LO + 1, 9);
	cr_expect_eq(send_out(9), PORT_LO + 1);
	for (unsigned i = 0; i < FLOWS; i++)
		if (i != closed)
			expect_way_in(outside[i], port_of(i));
	for (unsigned i = 0; i < FLOWS; i++)
		if (i != closed)
			cr_expect_eq(send_out(port_of(i)), outside[i]);
	cr_expect_eq(compare(false), 0);
}

/* Which a lookup of the earlier programs did not find. */
Test(migration, entries_of_former_mappings_stay_behind)
{
	const struct overflow_session s = { .truth = state_word(PORT_LO + 1, UDP, SESSION_UDP,
								datapath_ticks(&datapath)) };
	struct overflow_key in, out;
	int64_t n;

	open_flows();
	n = datapath.global->overflow;
	in = key_of(0);
	in.port = 9;
	out = overflow_key_reverse(&in, PORT_LO + 1);
	old_layout_copy();
	old_layout_put_former(&in, &s, 0);
	old_layout_put_former(&out, &(struct overflow_session){ 0 }, 9);
	become_another(NULL, NULL);
	old_layout_pin(OTHER_LAYOUT);
	open_or_fail();
	reload_settings();
	cr_expect_eq(datapath.global->overflow, n);
	cr_expect_neq(bpf_map_lookup_elem(datapath.overflow, &in, &(struct overflow_session){ 0 }), 0);
	datapath_migrated(&datapath);
	expect_all(0);
}

Test(migration, killed_in_the_middle_of_a_larger_index_the_next_start_brings_over_the_rest)
{
	struct overflow_key in, out;
	struct overflow_session s;
	unsigned flow;
	int64_t n;

	open_flows();
	n = datapath.global->overflow;
	flow = beyond(0);
	become_earlier();
	open_or_fail();
	reload_settings();
	in = key_of(flow);
	cr_assert_eq(bpf_map_lookup_elem(datapath.overflow, &in, &s), 0);
	out = overflow_key_reverse(&in, word_out_port(s.truth));
	/* As if the old programs had opened it after the last look. */
	bpf_map_delete_elem(datapath.overflow, &in);
	bpf_map_delete_elem(datapath.overflow, &out);
	datapath.global->overflow--;
	mappings_close(mappings);
	datapath_close(&datapath);
	open_or_fail();
	cr_assert(datapath.migration && migration_is_resumed(datapath.migration));
	reload_settings();
	cr_expect_eq(datapath.global->overflow, n);
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
