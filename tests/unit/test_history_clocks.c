/* SPDX-License-Identifier: BSD-2-Clause */
/* How right the clock was that a history has its times from. */
#include <criterion/criterion.h>
#include <string.h>

#include "history/history_read.h"
#include "history_fixture.h"
#include "history_text.h"

#define T0 1769860800LL /* 2026-01-31T12:00:00Z */

TestSuite(history_clocks, .init = told_setup, .fini = told_teardown);

static const struct clock_state good = { CLOCK_SYNCHRONISED, 8 }, better = { CLOCK_SYNCHRONISED, 5 },
				worse = { CLOCK_SYNCHRONISED, 900 }, bad = { CLOCK_NOT_SYNCHRONISED, 0 };

static void put(int64_t time, enum history_event event, struct clock_state clock)
{
	told_put((struct history_record){ .time = time,
					  .event = event,
					  .clock = clock,
					  .since = time,
					  .after = time,
					  .host = "h",
					  .mappings = told.none });
}

static void assert_clock(const struct history_index *x, int64_t s, struct clock_state expected)
{
	struct clock_state found = history_clocks_at(&x->clocks, s);

	cr_assert(found.is == expected.is && found.error_ms == expected.error_ms, "at +%d s: %d, %u ms", (int)(s - T0),
		  found.is, found.error_ms);
}

Test(history_clocks, a_line_speaks_of_the_time_since_the_line_before)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	put(T0 + 100, EVENT_CONFIRM, better);
	put(T0 + 200, EVENT_CONFIRM, worse);
	put(T0 + 300, EVENT_DAILY, bad);
	put(T0 + 400, EVENT_STOP, good);
	x = told_read_back();
	assert_clock(&x, T0 - 1, (struct clock_state){ 0 });
	assert_clock(&x, T0, good);
	assert_clock(&x, T0 + 50, good);
	assert_clock(&x, T0 + 150, worse);
	assert_clock(&x, T0 + 250, bad);
	assert_clock(&x, T0 + 300, bad);
	assert_clock(&x, T0 + 350, good);
	assert_clock(&x, T0 + 401, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, nobody_says_how_it_was_while_no_agent_ran)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	put(T0 + 100, EVENT_STOP, good);
	put(T0 + 200, EVENT_START, good);
	put(T0 + 300, EVENT_START, good);
	x = told_read_back();
	assert_clock(&x, T0 + 150, (struct clock_state){ 0 });
	assert_clock(&x, T0 + 200, good);
	assert_clock(&x, T0 + 250, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, where_it_was_set_the_seconds_between_are_nobodys)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	told_put((struct history_record){
		.time = T0 + 1000, .event = EVENT_CLOCK, .since = T0 + 50, .after = T0 + 900 });
	put(T0 + 1100, EVENT_CONFIRM, worse);
	x = told_read_back();
	assert_clock(&x, T0, good);
	assert_clock(&x, T0 + 30, (struct clock_state){ 0 });
	assert_clock(&x, T0 + 500, (struct clock_state){ 0 });
	assert_clock(&x, T0 + 950, worse);
	history_index_free(&x);
}

Test(history_clocks, the_last_note_of_an_agent_that_runs_holds_until_the_next_is_overdue)
{
	struct history_index x;

	put(T0, EVENT_START, bad);
	put(T0 + 100, EVENT_CONFIRM, good);
	x = told_read_back();
	assert_clock(&x, T0, bad);
	assert_clock(&x, T0 + 100, good);
	assert_clock(&x, T0 + 101, (struct clock_state){ CLOCK_SYNCHRONISED, 9 });
	assert_clock(&x, T0 + 220, (struct clock_state){ CLOCK_SYNCHRONISED, 68 });
	assert_clock(&x, T0 + 221, (struct clock_state){ 0 });
	history_index_free(&x);
	put(T0 + 200, EVENT_STOP, good);
	x = told_read_back();
	assert_clock(&x, T0 + 201, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, a_note_before_the_clock_was_set_does_not_hold_after_it)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	told_put((struct history_record){ .time = T0 + 50, .event = EVENT_CLOCK, .since = T0 + 10, .after = T0 + 50 });
	x = told_read_back();
	assert_clock(&x, T0 + 60, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, of_a_second_that_came_twice_the_worse_state_counts)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	put(T0 + 100, EVENT_CONFIRM, bad);
	told_put((struct history_record){ .time = T0 + 50, .event = EVENT_CLOCK, .since = T0 + 100, .after = T0 + 50 });
	put(T0 + 120, EVENT_CONFIRM, good);
	x = told_read_back();
	assert_clock(&x, T0 + 70, bad);
	assert_clock(&x, T0 + 110, good);
	history_index_free(&x);
}

Test(history_clocks, a_damaged_line_leaves_the_time_around_it_unknown)
{
	struct history_index x;
	char *line;

	put(T0, EVENT_START, good);
	put(T0 + 100, EVENT_CONFIRM, good);
	put(T0 + 200, EVENT_CONFIRM, good);
	fflush(told.out);
	line = strchr(told.text, '\n') + 1;
	*strstr(line, "\"error_ms\":8") = 'X';
	x = told_read_back();
	cr_assert(x.n_damages);
	assert_clock(&x, T0 + 50, (struct clock_state){ 0 });
	assert_clock(&x, T0 + 150, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, lines_that_do_not_say_it_stay_as_they_were)
{
	struct history_index x;

	put(T0, EVENT_START, (struct clock_state){ 0 });
	put(T0 + 100, EVENT_CONFIRM, (struct clock_state){ 0 });
	fflush(told.out);
	cr_assert_null(strstr(told.text, "clock"));
	x = told_read_back();
	assert_clock(&x, T0 + 50, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, a_long_run_of_an_even_clock_is_one_entry)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	for (int i = 1; i <= 1000; i++)
		put(T0 + i, EVENT_CONFIRM, i % 2 ? better : good);
	x = told_read_back();
	cr_assert_eq(x.clocks.n, 1);
	assert_clock(&x, T0 + 500, good);
	history_index_free(&x);
}

/* What the agent notes in the head file reaches from the last line to the present. */
Test(history_clocks, the_head_file_speaks_of_the_time_since_the_last_line)
{
	struct history_index x;

	put(T0, EVENT_START, good);
	x = told_read_back();
	cr_assert_eq(history_clocks_extend(&x.clocks, T0 + 60, worse), 0);
	assert_clock(&x, T0 + 30, worse);
	assert_clock(&x, T0 + 60 + HISTORY_CURRENT_S + 1, (struct clock_state){ 0 });
	history_index_free(&x);
}

Test(history_clocks, states_of_the_kernel_and_of_lines)
{
	static const struct {
		const char *json;
		struct clock_state state;
	} rows[] = {
		{ "{\"clock\":{\"synchronised\":true,\"error_ms\":8}}", { CLOCK_SYNCHRONISED, 8 } },
		{ "{\"clock\":{\"synchronised\":false}}", { CLOCK_NOT_SYNCHRONISED, 0 } },
		{ "{\"clock\":{\"synchronised\":true}}", { CLOCK_NOT_READ, 0 } },
		{ "{\"clock\":{\"synchronised\":true,\"error_ms\":-1}}", { CLOCK_NOT_READ, 0 } },
		{ "{\"clock\":true}", { CLOCK_NOT_READ, 0 } },
		{ "{}", { CLOCK_NOT_READ, 0 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cJSON *json = cJSON_Parse(rows[i].json);
		struct clock_state s = clock_state_of(json);

		cr_assert(s.is == rows[i].state.is && s.error_ms == rows[i].state.error_ms, "%s", rows[i].json);
		cJSON_Delete(json);
	}
	cr_assert_eq(clock_state_worse(good, bad).is, CLOCK_NOT_SYNCHRONISED);
	cr_assert_eq(clock_state_worse(good, worse).error_ms, 900);
	cr_assert_eq(clock_state_worse((struct clock_state){ 0 }, good).error_ms, 8);
}

/* The agent: what it writes is the worst since the line before. */

static struct clock_state machine;

static struct clock_state lab_state(void)
{
	return machine;
}

static void recorder_setup(void)
{
	machine = good;
	history_clock_state = lab_state;
	lab_setup();
}

TestSuite(history_clocks_written, .init = recorder_setup, .fini = lab_teardown);

static void tick(int64_t seconds)
{
	struct error err = { 0 };

	lab.now += seconds;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
}

static struct history_files read_lab(void)
{
	struct history_files f;
	struct error err = { 0 };

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	return f;
}

Test(history_clocks_written, a_line_has_the_worst_state_since_the_line_before)
{
	struct history_files f;

	machine = worse;
	tick(60);
	machine = good;
	tick(60);
	lab_add("10.0.0.0/24", "1.1.1.0/32");
	lab.now += 60;
	lab_confirm();
	f = read_lab();
	assert_clock(&f.index, NOON, worse);
	assert_clock(&f.index, NOON + 30, worse);
	assert_clock(&f.index, NOON + 119, worse);
	history_files_free(&f);
}

Test(history_clocks_written, the_state_since_the_last_line_is_in_the_head_file)
{
	struct history_files f;

	machine = bad;
	tick(60);
	f = read_lab();
	assert_clock(&f.index, NOON + 30, bad);
	assert_clock(&f.index, NOON + 60, bad);
	assert_clock(&f.index, NOON + 60 + HISTORY_CURRENT_S, bad);
	assert_clock(&f.index, NOON + 60 + HISTORY_CURRENT_S + 1, (struct clock_state){ 0 });
	history_files_free(&f);
}

Test(history_clocks_written, a_line_that_was_written_begins_a_time_of_its_own)
{
	struct history_files f;

	machine = bad;
	tick(60);
	machine = good;
	lab_add("10.0.0.0/24", "1.1.1.0/32");
	lab_confirm();
	tick(60);
	f = read_lab();
	assert_clock(&f.index, NOON + 30, bad);
	assert_clock(&f.index, NOON + 90, good);
	history_files_free(&f);
}
