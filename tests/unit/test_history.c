/* SPDX-License-Identifier: BSD-2-Clause */
/* The history as the agent writes it, while time goes by, slowly, fast or backwards. */
#include <criterion/criterion.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"
#include "history_read.h"
#include "log.h"

#define NOON 1767268800LL /* 2026-01-01T12:00:00Z */
#define DAY  86400

static char directory[] = "/tmp/detnat-history-XXXXXX";
static char state[64];
static int64_t now = NOON;
static struct history *history;

static int64_t test_clock(void)
{
	return now;
}

static struct history_mapping mapping(const char *in, const char *out)
{
	struct history_mapping m = { .from = TIME_NONE };

	cr_assert_eq(prefix_parse(in, &m.in), 0);
	cr_assert_eq(prefix_parse(out, &m.out), 0);
	return m;
}

static void begin(void)
{
	struct error err = { 0 };

	cr_assert_eq(history_open(state, -1, &history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(history, false, NULL, 0), 0);
	cr_assert_eq(history_ready(history, &err), 0, "%s", err.text);
}

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(state, sizeof(state), "%s/a/b", directory);
	history_clock = test_clock;
	log_set_level(LOG_LEVEL_ERROR);
	begin();
}

static void teardown(void)
{
	char command[128];

	history_close(history);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(history, .init = setup, .fini = teardown);

/* The events of the file, as words with blanks between them; there is no damage. */
static const char *events(void)
{
	static char words[4096];
	struct history_files f;
	struct error err = { 0 };

	cr_assert_eq(history_files_read(state, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.index.n_damages, 0);
	cr_assert_eq(f.end, END_AGREES);
	words[0] = '\0';
	for (char *at = f.text; at < f.text + f.size; at = strchr(at, '\n') + 1) {
		struct history_record r;

		cr_assert_eq(history_record_read(at, strcspn(at, "\n"), &r, &err), 0, "%s", err.text);
		snprintf(words + strlen(words), 32, "%s%s", *words ? " " : "", history_event_word(r.event));
		history_record_free(&r);
	}
	history_files_free(&f);
	return words;
}

static void add(const char *in, const char *out)
{
	struct history_mapping m = mapping(in, out);
	struct error err = { 0 };

	cr_assert_eq(history_change(history, NULL, 0, &m, 1, &err), 0, "%s", err.text);
}

Test(history, the_state_directory_is_made_for_nobody_else)
{
	struct stat st;

	cr_assert_eq(stat(state, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0750);
}

Test(history, is_said_once_a_day_also_without_a_change)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	for (; now < NOON + 3 * DAY; now += HISTORY_TICK_S)
		history_tick(history);
	cr_assert_str_eq(events(), "start add daily daily daily");
}

Test(history, a_day_that_a_start_has_listed_needs_no_daily_record)
{
	for (; now < NOON + DAY; now += HISTORY_TICK_S) {
		if (now % DAY == 0) {
			history_close(history);
			begin();
		}
		history_tick(history);
	}
	cr_assert_str_eq(events(), "start start");
}

Test(history, a_slow_disk_does_not_make_it_lie)
{
	struct history_files f;
	struct error err;

	add("10.0.0.0/24", "1.1.1.0/30");
	now += 1;
	history_confirm(history);
	cr_assert_str_eq(events(), "start add");
	add("10.0.1.0/24", "1.1.2.0/30");
	now += 4;
	history_confirm(history);
	cr_assert_str_eq(events(), "start add add undo add");
	cr_assert_eq(history_files_read(state, &f, &err), 0);
	cr_assert_eq(f.index.n_open, 2);
	cr_assert_eq(f.index.intervals[f.index.open[1]].from, NOON + 5);
	history_files_free(&f);
}

Test(history, a_change_of_something_else_says_nothing_of_the_last_one)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	history_confirm(history);
	now += 300;
	history_confirm(history);
	cr_assert_str_eq(events(), "start add");
}

Test(history, a_clock_set_back_is_written_down_and_days_go_on)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	now += 300 * DAY;
	history_tick(history);
	now = NOON + 60;
	history_tick(history);
	history_tick(history);
	cr_assert_str_eq(events(), "start add daily clock");
	now += DAY;
	history_tick(history);
	cr_assert_str_eq(events(), "start add daily clock daily");
}

Test(history, a_start_says_until_when_the_former_agent_lived)
{
	struct history_files f;
	struct error err;

	add("10.0.0.0/24", "1.1.1.0/30");
	now += 3600;
	history_tick(history);
	history_close(history);
	now += 3600;
	begin();
	cr_assert_eq(history_files_read(state, &f, &err), 0);
	cr_assert_eq(f.index.n_gaps, 1);
	cr_assert_eq(f.index.gaps[0].from, NOON + 3600);
	cr_assert_eq(f.index.gaps[0].to, NOON + 7200);
	cr_assert_eq(f.index.n_open, 0);
	history_files_free(&f);
}

Test(history, a_change_that_failed_is_taken_back_whole)
{
	struct history_mapping a = mapping("10.0.0.0/24", "1.1.1.0/30"), b = mapping("10.1.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	add("10.0.0.0/24", "1.1.1.0/30");
	history_tick(history);
	now += 10;
	cr_assert_eq(history_change(history, &a, 1, &b, 1, &err), 0);
	history_reconcile(history, &a, 1);
	cr_assert_str_eq(events(), "start add del add undo undo");
	now += DAY;
	history_tick(history);
	cr_assert_str_eq(events(), "start add del add undo undo daily");
}

Test(history, starts_that_come_to_nothing_leave_no_trace)
{
	struct error err = { 0 };

	history_close(history);
	cr_assert_eq(history_open(state, -1, &history, &err), 0);
	cr_assert_eq(history_begin(history, false, NULL, 0), 0);
	history_stop(history);
	cr_assert_str_eq(events(), "start");
}
