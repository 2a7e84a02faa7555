/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is certain of a history that the agent writes: changes that take long, fail, or are cut short by a kill, and
 * clocks that are set.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "recorder/history_private.h"
#include "history_fixture.h"
#include "history_text.h"
#include "history/history_who.h"

#define DAY 86400

TestSuite(history_certainty, .init = lab_setup, .fini = lab_teardown);

/* What the history says of the endpoint of 10.0.0.0 in 10.0.0.0/24: "10.0.0.0", "nobody", with "+10.9.0.0" what else.
 */
static const char *who_had(int64_t t)
{
	static char said[64];
	struct history_files f;
	struct who_answer a;
	struct error err = { 0 };
	struct who *w;
	enum who_result r;
	char addr[ADDR_TEXT];

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(who_new(&f.index, &w), 0);
	r = who_ask(w, (struct endpoint){ 0x01010100, 1024 }, t, &a, &err);
	snprintf(said, sizeof(said), "%s",
		 r == WHO_FOUND	   ? addr_format(a.best.in_addr, addr)
		 : r == WHO_NOBODY ? "nobody"
				   : "no record");
	for (size_t i = 0; i < a.n_holders; i++)
		if (r != WHO_FOUND || a.holders[i].in_addr != a.best.in_addr)
			snprintf(said + strlen(said), ADDR_TEXT + 1, "+%s", addr_format(a.holders[i].in_addr, addr));
	who_free(w);
	history_files_free(&f);
	return said;
}

static void replace(const char *old, const char *new)
{
	struct history_mapping a = lab_mapping(old, "1.1.1.0/30"), b = lab_mapping(new, "1.1.1.0/30");
	struct error err = { 0 };

	cr_assert_eq(lab_change(lab.history, &a, 1, &b, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
}

Test(history_certainty, from_a_record_to_its_confirmation_both_are_named)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab.now += 7;
	cr_expect_str_eq(who_had(NOON + 500), "10.9.0.0+10.0.0.0", "%s", who_had(NOON + 500));
	lab_confirm();
	lab.now += 100;
	cr_assert_str_eq(lab_events(), "start add confirm del add confirm");
	cr_expect_str_eq(who_had(NOON + 99), "10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 100), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 107), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 108), "10.9.0.0", "%s", who_had(NOON + 108));
}

Test(history_certainty, a_kill_before_the_confirmation_leaves_it_open_until_the_next_start)
{
	static const struct {
		const char *there, *said;
	} rows[] = { { "10.9.0.0/24", "10.9.0.0" }, { "10.0.0.0/24", "10.0.0.0" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history_mapping present = lab_mapping(rows[i].there, "1.1.1.0/30");
		struct error err = { 0 };
		int pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);

		if (pin < 0)
			cr_skip_test("BPF maps need root");
		history_close(lab.history);
		cr_assert_eq(history_open(lab.state, dup(pin), &lab.history, &err), 0, "%s", err.text);
		cr_assert_eq(history_begin(lab.history, false, NULL, 0), 0);
		lab_add("10.0.0.0/24", "1.1.1.0/30");
		lab.now += 100;
		replace("10.0.0.0/24", "10.9.0.0/24");
		history_close(lab.history);
		lab.now += 60;
		cr_assert_eq(history_open(lab.state, pin, &lab.history, &err), 0, "%s", err.text);
		cr_assert_eq(history_begin(lab.history, true, &present, 1), 0);
		cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
		cr_expect_str_eq(who_had(lab.now - 61), "10.0.0.0", "%s", who_had(lab.now - 61));
		for (int64_t t = lab.now - 60; t <= lab.now; t += 30)
			cr_expect(!strcmp(who_had(t), "10.9.0.0+10.0.0.0") || !strcmp(who_had(t), "10.0.0.0+10.9.0.0"),
				  "%s", who_had(t));
		cr_expect_str_eq(who_had(lab.now + 1), rows[i].said, "%s", who_had(lab.now + 1));
		lab_teardown();
		lab_setup();
	}
}

Test(history_certainty, a_confirmation_that_cannot_be_written_follows_before_the_next_record)
{
	char path[128], away[128];
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	replace("10.0.0.0/24", "10.9.0.0/24");
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	snprintf(away, sizeof(away), "%s/away", lab.state);
	cr_assert_eq(rename(path, away), 0);
	cr_assert_eq(history_confirm(lab.history, lab_clock().steady_ns, &err), -ESTALE);
	lab.now += 100;
	cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
	cr_assert_eq(rename(away, path), 0);
	lab.now += 100;
	lab_add("10.0.1.0/24", "1.1.2.0/30");
	cr_assert_str_eq(lab_events(), "start add confirm del add confirm add confirm");
	cr_expect_str_eq(who_had(NOON + 100), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 101), "10.9.0.0", "%s", who_had(NOON + 101));
}

Test(history_certainty, a_change_that_was_unmade_may_have_been_in_force_meanwhile)
{
	struct history_mapping a = lab_mapping("10.0.0.0/24", "1.1.1.0/30");

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab.now += 3;
	cr_assert_eq(history_reconcile(lab.history, &a, 1, lab_clock().steady_ns, NULL), 0);
	cr_assert_str_eq(lab_events(), "start add confirm del add undo undo");
	cr_expect_str_eq(who_had(NOON + 99), "10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 100), "10.0.0.0+10.9.0.0", "%s", who_had(NOON + 100));
	cr_expect_str_eq(who_had(NOON + 103), "10.0.0.0+10.9.0.0", "%s", who_had(NOON + 103));
	cr_expect_str_eq(who_had(NOON + 104), "10.0.0.0", "%s", who_had(NOON + 104));
}

/* A list amid a change would make final what may yet fail. */
Test(history_certainty, the_list_of_a_day_waits_until_a_change_is_confirmed)
{
	struct history_mapping a = lab_mapping("10.0.0.0/24", "1.1.1.0/30");

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += DAY;
	replace("10.0.0.0/24", "10.9.0.0/24");
	cr_assert_eq(history_tick(lab.history, NULL), 0);
	cr_assert_str_eq(lab_events(), "start add confirm del add");
	cr_assert_eq(history_reconcile(lab.history, &a, 1, lab_clock().steady_ns, NULL), 0);
	cr_assert_eq(history_tick(lab.history, NULL), 0);
	cr_assert_str_eq(lab_events(), "start add confirm del add undo undo daily");
}

/* The time of each reading by the old and the new reckoning, from the last look on; what is noticed, and as what. */
static const struct {
	const char *name;
	int64_t by[3]; /* set so, a second after the last look */
	const char *events;
} settings[] = {
	{ "back by less than the time since the last mark", { -8 }, "start add confirm clock del add confirm" },
	{ "forward", { 3600 }, "start add confirm clock del add confirm" },
	{ "back and forth again unseen", { -100, 100 }, "start add confirm del add confirm" },
	{ "not at all", { 0 }, "start add confirm del add confirm" },
};

Test(history_certainty, a_clock_that_is_set_is_noticed_before_the_next_record)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		lab_add("10.0.0.0/24", "1.1.1.0/30");
		lab.now += 50;
		history_tick(lab.history, NULL);
		lab.now += 30;
		clock_watch_look(history_clock_watch(lab.history));
		lab.now += 1;
		for (unsigned k = 0; k < 3; k++)
			lab_set_clock(settings[i].by[k]);
		replace("10.0.0.0/24", "10.9.0.0/24");
		lab_confirm();
		cr_expect_str_eq(lab_events(), settings[i].events, "%s: %s", settings[i].name, lab_events());
		if (settings[i].by[0] == -8) {
			cr_expect_str_eq(who_had(NOON + 72), "10.0.0.0", "%s", who_had(NOON + 71));
			cr_expect_str_eq(who_had(NOON + 73), "10.9.0.0+10.0.0.0", "%s", who_had(NOON + 73));
			cr_expect_str_eq(who_had(NOON + 81), "10.9.0.0+10.0.0.0", "%s", who_had(NOON + 81));
			cr_expect_str_eq(who_had(NOON + 82), "10.9.0.0", "%s", who_had(NOON + 82));
		}
		lab_teardown();
		lab_setup();
	}
}

Test(history_certainty, several_steps_between_two_records_are_all_recorded)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	for (int64_t by = -100; by <= 200; by += 300) {
		lab.now += 10;
		clock_watch_look(history_clock_watch(lab.history));
		lab_set_clock(by);
		clock_watch_look(history_clock_watch(lab.history));
	}
	lab.now += 10;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab_confirm();
	cr_assert_str_eq(lab_events(), "start add confirm clock clock del add confirm");
	/* 10 s, back to -90, on to -80, forward to 120, the change at 130. */
	cr_expect_str_eq(who_had(NOON - 80), "10.0.0.0", "%s", who_had(NOON - 80));
	cr_expect_str_eq(who_had(NOON + 50), "10.0.0.0", "%s", who_had(NOON + 50));
	cr_expect_str_eq(who_had(NOON + 130), "10.9.0.0+10.0.0.0", "%s", who_had(NOON + 130));
	cr_expect_str_eq(who_had(NOON + 131), "10.9.0.0", "%s", who_had(NOON + 131));
}

Test(history_certainty, all_of_a_second_are_named_in_order_of_time)
{
	static const char *const in[] = { "10.0.0.0/24", "10.9.0.0/24", "10.8.0.0/24", "10.7.0.0/24", "10.6.0.0/24" };

	lab_add(in[0], "1.1.1.0/30");
	lab.now += 100;
	for (size_t i = 1; i < ARRAY_SIZE(in); i++) {
		replace(in[i - 1], in[i]);
		lab_confirm();
	}
	cr_expect_str_eq(who_had(NOON + 99), "10.0.0.0");
	cr_expect_str_eq(who_had(NOON + 100), "10.6.0.0+10.0.0.0+10.9.0.0+10.8.0.0+10.7.0.0", "%s",
			 who_had(NOON + 100));
	cr_expect_str_eq(who_had(NOON + 101), "10.6.0.0");
}

/* The endpoint of the mapping is its subscriber's until the exception is there, be it for part of a second. */
Test(history_certainty, a_mapping_and_its_exception_in_one_second)
{
	lab.now += 100;
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab_add("10.0.0.0/30", "1.1.2.0/32");
	cr_expect_str_eq(who_had(NOON + 99), "nobody");
	cr_expect_str_eq(who_had(NOON + 100), "nobody+10.0.0.0", "%s", who_had(NOON + 100));
	cr_expect_str_eq(who_had(NOON + 101), "nobody", "%s", who_had(NOON + 101));
}

/* An agent of this boot of the machine has left what the clocks read. */
Test(history_certainty, a_step_while_no_agent_runs_is_found_at_the_next_start)
{
	static const struct {
		int64_t by;
		const char *events;
	} rows[] = {
		{ -20, "start add confirm stop clock start" },
		{ 3600, "start add confirm stop clock start" },
		{ 0, "start add confirm stop start" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history_mapping present = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
		struct error err = { 0 };

		lab_add("10.0.0.0/24", "1.1.1.0/30");
		history_stop(lab.history);
		history_close(lab.history);
		lab.now += 60;
		lab_set_clock(rows[i].by);
		cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
		cr_assert_eq(history_begin(lab.history, true, &present, 1), 0);
		cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
		cr_expect_str_eq(lab_events(), rows[i].events, "%s", lab_events());
		lab_teardown();
		lab_setup();
	}
}

static int64_t slewed_ns;

/* Both clocks run too fast, or too slow. */
static struct clock_reading slewed_clock(void)
{
	struct clock_reading r = lab_clock();

	r.real_ns += slewed_ns;
	r.steady_ns += slewed_ns;
	return r;
}

Test(history_certainty, a_clock_that_is_slewed_is_not_set)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_clock = slewed_clock;
	for (unsigned i = 0; i < 5000; i++) {
		lab.now++;
		slewed_ns += i % 2000 < 1000 ? 500000 : -500000;
		clock_watch_look(history_clock_watch(lab.history));
	}
	history_tick(lab.history, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm");
}

static int64_t crept_ns;

/* This one alone is ahead. */
static struct clock_reading creeping_clock(void)
{
	struct clock_reading r = lab_clock();

	r.real_ns += crept_ns;
	return r;
}

Test(history_certainty, steps_too_small_to_be_told_from_noise_add_up)
{
	unsigned n = 0;

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_clock = creeping_clock;
	for (; n < 20 && !clock_watch_stepped(history_clock_watch(lab.history)); n++) {
		lab.now++;
		crept_ns += 2000000;
		clock_watch_look(history_clock_watch(lab.history));
	}
	cr_assert_eq(n, 6, "12 of 10 ms");
}

static void reboot(unsigned off_s, int64_t set_by)
{
	lab.now += off_s;
	lab_set_clock(set_by);
	history_close(lab.history);
	lab_begin();
}

/* It came once while a mapping was in force, and once more when nobody knows. */
Test(history_certainty, a_second_that_came_again_while_a_machine_was_down_is_not_known)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab_confirm();
	clock_watch_look(history_clock_watch(lab.history));
	lab_set_clock(-60);
	lab_add("10.7.0.0/24", "1.1.7.0/30");
	reboot(30, 0);
	cr_expect_str_eq(lab_events(), "start add confirm del add confirm clock add confirm start", "%s", lab_events());
	cr_expect_str_eq(who_had(NOON + 38), "10.0.0.0", "%s", who_had(NOON + 38));
	cr_expect_str_eq(who_had(NOON + 45), "no record+10.0.0.0", "%s", who_had(NOON + 45));
	cr_expect_str_eq(who_had(NOON + 69), "no record+10.0.0.0", "%s", who_had(NOON + 69));
	cr_expect_str_eq(who_had(NOON + 71), "10.0.0.0", "%s", who_had(NOON + 71));
	cr_expect_str_eq(who_had(NOON + 102), "nobody", "%s", who_had(NOON + 102));
}

/* What was mapped before ended by the clock of before. */
Test(history_certainty, a_clock_that_is_set_back_while_a_machine_is_down_lets_nobody_keep_an_endpoint)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	lab_add("10.7.0.0/24", "1.1.7.0/30");
	reboot(30, -80);
	lab.now += 30;
	lab_add("10.7.0.0/24", "1.1.7.0/30");
	cr_expect_str_eq(lab_events(), "start add confirm add confirm clock start add confirm", "%s", lab_events());
	cr_expect_str_eq(who_had(NOON + 40), "10.0.0.0", "%s", who_had(NOON + 40));
	cr_expect_str_eq(who_had(NOON + 60), "10.0.0.0", "%s", who_had(NOON + 60));
	cr_expect_str_eq(who_had(NOON + 110), "no record", "%s", who_had(NOON + 110));
}

static void another_history(void)
{
	struct history_mapping present = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };
	char command[128];

	history_close(lab.history);
	snprintf(command, sizeof(command), "rm -rf %s", lab.state);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, true, &present, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}

/* A history that begins with mappings does not know what there was before, also where the clock comes back to it. */
Test(history_certainty, a_second_before_the_history_that_came_again_is_not_known)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 100;
	another_history();
	clock_watch_look(history_clock_watch(lab.history));
	lab_set_clock(-60);
	lab.now += 10;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab_confirm();
	cr_expect_str_eq(lab_events(), "start clock del add confirm", "%s", lab_events());
	cr_expect_str_eq(who_had(NOON + 70), "no record+10.9.0.0", "%s", who_had(NOON + 70));
	lab.now += 100;
	cr_expect_str_eq(who_had(NOON + 101), "10.9.0.0+10.0.0.0", "%s", who_had(NOON + 101));
}

Test(history_certainty, a_drain_that_the_tables_lack_or_the_history_is_named)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30"),
			       in = lab_mapping("10.0.0.0/30", "1.1.2.0/32");
	struct history_drain d = { .in = m.in, .out = m.out, .of = in.in, .from = TIME_NONE };
	const struct history_change begun = { .add[FACT_DRAIN] = { &d, 1 } };
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	cr_expect(history_holds(lab.history, FACT_DRAIN, NULL, 0, &err), "%s", err.text);
	cr_expect_not(history_holds(lab.history, FACT_DRAIN, &d, 1, &err));
	cr_expect_str_eq(err.text, "the drain of 10.0.0.0/30 to 1.1.1.0/30 is in the tables, and not in the history",
			 "%s", err.text);
	cr_assert_eq(lab_change(lab.history, NULL, 0, &in, 1, &lab_no_portmaps, &begun, &err), 0, "%s", err.text);
	lab_confirm();
	cr_expect(history_holds(lab.history, FACT_DRAIN, &d, 1, &err), "%s", err.text);
	cr_expect_not(history_holds(lab.history, FACT_DRAIN, NULL, 0, &err));
	cr_expect_str_eq(err.text, "the drain of 10.0.0.0/30 to 1.1.1.0/30 is in the history, and not in the tables",
			 "%s", err.text);
}

/* A start could not be written, and mappings were added without a record; before the history heard of them, it could.
 */
Test(history_certainty, mappings_that_a_start_adds_without_a_record_are_in_it_also_if_there_is_room_again_meanwhile)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	lab.now += 100;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	lab.now += 2;
	cr_assert_eq(history_assume(lab.history, &m, 1, lab.now - 1, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start start", "%s", lab_events());
	cr_expect(history_holds(lab.history, FACT_MAPPING, &m, 1, &err), "%s", err.text);
	cr_expect_str_eq(who_had(NOON - 1), "no record", "%s", who_had(NOON - 1));
	cr_expect_str_eq(who_had(NOON), "no record", "%s", who_had(NOON));
	cr_expect_str_eq(who_had(NOON + 100), "no record", "%s", who_had(NOON + 100));
	cr_expect_str_eq(who_had(NOON + 101), "10.0.0.0", "%s", who_had(NOON + 101));
	cr_assert_eq(history_assume(lab.history, &m, 1, lab.now, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start start", "what is recorded is not recorded again: %s", lab_events());
}

/* The clock goes past midnight, is set back over it, and goes past it once more; then it is set forward by two days. */
Test(history_certainty, around_midnight_by_a_clock_that_is_set)
{
	const int64_t midnight = NOON + DAY / 2;
	static const struct {
		int from, to; /* seconds from midnight */
		const char *had;
	} rows[] = {
		{ -60, -12, "10.0.0.0" },
		/* It was set within a second of the last look. */
		{ -11, -10, "10.9.0.0+10.0.0.0" },
		{ -9, -6, "10.9.0.0" },
		/* By the first reckoning, and by the second. */
		{ -5, 20, "10.8.0.0+10.9.0.0" },
		{ 21, 40, "10.8.0.0" },
		{ 2 * DAY - 5, 2 * DAY + 5, "10.8.0.0" },
		{ 2 * DAY + 41, 2 * DAY + 60, "10.8.0.0" },
	};

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now = midnight - 10;
	replace("10.0.0.0/24", "10.9.0.0/24");
	lab_confirm();
	for (; lab.now < midnight + 20; lab.now++)
		cr_assert_eq(history_tick(lab.history, NULL), 0);
	lab_set_clock(-30);
	for (; lab.now < midnight + 40; lab.now++) {
		if (lab.now == midnight - 5) {
			replace("10.9.0.0/24", "10.8.0.0/24");
			lab_confirm();
		}
		cr_assert_eq(history_tick(lab.history, NULL), 0);
	}
	cr_expect_str_eq(lab_events(), "start add confirm del add confirm daily clock del add confirm daily", "%s",
			 lab_events());
	lab_set_clock(2 * DAY);
	for (unsigned i = 0; i < 60; i++, lab.now++)
		cr_assert_eq(history_tick(lab.history, NULL), 0);
	cr_expect_str_eq(lab_events(),
			 "start add confirm del add confirm daily clock del add confirm daily clock daily", "%s",
			 lab_events());
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int s = rows[i].from; s <= rows[i].to; s++)
			cr_expect_str_eq(who_had(midnight + s), rows[i].had, "%d s from midnight: %s", s,
					 who_had(midnight + s));
}
