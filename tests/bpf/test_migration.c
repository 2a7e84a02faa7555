// SPDX-License-Identifier: BSD-2-Clause
/*
 * A datapath of another layout is taken over: the pins of this one, renamed, with type information in which a member
 * has another name, so that the records are taken for others.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <detnat/slots.h>

#include "datapath/migration.h"
#include "datapath/running.h"
#include "fixture.h"
#include "old_layout.h"
#include "sessions/check.h"
#include "tables/overflow_map.h"

#define PINS	     "/sys/fs/bpf/detnat"
#define OTHER_LAYOUT PINS "/v99"
#define FLOWS	     40U

static char own[64];

static void set_up_pins(void)
{
	set_up();
	snprintf(own, sizeof(own), PINS "/v%u", LAYOUT_VERSION);
}

TestSuite(migration, .init = set_up_pins, .timeout = 300);

static uint16_t send_out(uint16_t in_port)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, UDP, in_port, 53, .payload = 12
	};
	size_t size = frame_build(&f, in), out_size;

	cr_assert_eq(run_frame(XDP_INSIDE, in, size, out, &out_size), REDIRECT_XDP, "port %u", in_port);
	return (uint16_t)(out[34] << 8 | out[35]);
}

/* What comes back reaches the inside port. */
static void expect_way_in(uint16_t out_port, uint16_t in_port)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, out_port, .payload = 12
	};
	size_t size = frame_build(&f, in), out_size;

	cr_expect_eq(run_frame(XDP_OUTSIDE, in, size, out, &out_size), REDIRECT_XDP, "port %u", in_port);
	cr_expect_eq((uint16_t)(out[36] << 8 | out[37]), in_port);
}

static const struct subscriber *record(void)
{
	return mappings_subscriber(mappings, 0, 2);
}

/* Two and two flows share their first choice of a port, so half of them are displaced. */
static uint16_t port_of(unsigned flow)
{
	return (uint16_t)(5000 + flow / 2 + flow % 2 * PORTS);
}

static uint16_t outside[FLOWS];

static void open_flows(void)
{
	for (unsigned i = 0; i < FLOWS; i++)
		outside[i] = send_out(port_of(i));
	cr_assert_eq(record()->sessions, FLOWS);
	cr_assert_neq(record()->displaced, 0);
}

/* The agent ends; its pins are another layout's from now on, in whose types `from` is called `to`, if there is any. */
static void become_another(const char *from, const char *to)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0;
	char *value, *at;
	int fd;

	cr_assert_eq(running_save(datapath.running_state, "{}", 7, NULL), 0);
	mappings_close(mappings);
	datapath_close(&datapath);
	cr_assert_eq(rename(own, OTHER_LAYOUT), 0, "%s", strerror(errno));
	if (!from)
		return;
	fd = bpf_obj_get(OTHER_LAYOUT "/types");
	cr_assert(fd >= 0);
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	value = malloc(info.value_size);
	cr_assert_eq(bpf_map_lookup_elem(fd, &zero, value), 0);
	at = memmem(value, info.value_size, from, strlen(from) + 1);
	cr_assert(at, "%s is in no type", from);
	memcpy(at, to, strlen(to));
	cr_assert_eq(bpf_map_update_elem(fd, &zero, value, BPF_ANY), 0);
	free(value);
	close(fd);
}

static int try_open(bool replace, struct error *err)
{
	struct config config = { .pin_path = (char *)PINS };

	return datapath_open(&config, replace, &datapath, err);
}

static void open_or_fail(void)
{
	struct error err = { "" };

	cr_assert_eq(try_open(false, &err), 0, "%s", err.text);
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	enter_ports();
}

static uint64_t compare(bool repair)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, repair, &f, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	cr_assert_eq(r, 0);
	table_check_free(c);

	uint64_t total = f.total;

	if (f.n && !repair)
		cr_log_error("%s: %s", f.finding[0].where, f.finding[0].text);
	findings_free(&f);
	return total;
}

/* All sessions are where they were, in both directions, and every count is right. */
static void expect_all(unsigned more)
{
	cr_expect_eq(record()->sessions, FLOWS + more);
	for (unsigned i = 0; i < FLOWS; i++) {
		expect_way_in(outside[i], port_of(i));
		cr_expect_eq(send_out(port_of(i)), outside[i]);
	}
	cr_expect_eq(record()->sessions, FLOWS + more, "nothing was opened twice");
	cr_expect_eq(compare(false), 0);
}

static bool pinned(const char *path)
{
	return !access(path, F_OK);
}

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
static void become_earlier(enum old_layout of)
{
	old_layout_copy(of);
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

/* Sessions in the overflow of an earlier layout: as they were, and what becomes of them until the programs change. */
static void sessions_come_from(enum old_layout of)
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
	become_earlier(of);
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

Test(migration, sessions_beyond_the_slots_come_from_a_layout_that_did_not_say_whose_they_are)
{
	sessions_come_from(LAYOUT_4);
}

Test(migration, sessions_beyond_the_slots_and_mappings_come_from_a_layout_with_fewer)
{
	sessions_come_from(LAYOUT_7);
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
	old_layout_copy(LAYOUT_7);
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

static void killed_in_the_middle(enum old_layout of)
{
	struct overflow_key in, out;
	struct overflow_session s;
	unsigned flow;
	int64_t n;

	open_flows();
	n = datapath.global->overflow;
	flow = beyond(0);
	become_earlier(of);
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

Test(migration, killed_in_the_middle_of_that_the_next_start_brings_over_the_rest)
{
	killed_in_the_middle(LAYOUT_4);
}

Test(migration, killed_in_the_middle_of_a_larger_index_the_next_start_brings_over_the_rest)
{
	killed_in_the_middle(LAYOUT_7);
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
	cr_assert_eq(migration_check(PINS, &err), -EXDEV);
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
	struct config config = { .pin_path = (char *)PINS };
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
