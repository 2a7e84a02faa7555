/* SPDX-License-Identifier: BSD-2-Clause */
/* What was in force without a record, or whose records are lost, is not answered as if nobody had it. */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "history_fixture.h"
#include "history_text.h"

TestSuite(history_unrecorded, .init = lab_setup, .fini = lab_teardown);

static const char *asked(const char *endpoint, int64_t t)
{
	static char said[64];
	struct history_files f;
	struct error err = { 0 };

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	told_no_damage(&f.index);
	snprintf(said, sizeof(said), "%s", told_ask(&f.index, endpoint, t));
	history_files_free(&f);
	return said;
}

#define expect_said(endpoint, t, wanted) \
	cr_expect_str_eq(asked(endpoint, t), wanted, "%s at %+ld: %s", endpoint, (long)((t)-NOON), asked(endpoint, t))

static struct history_portmap web(uint8_t proto, uint32_t to)
{
	return (struct history_portmap){
		.in = { to, 80, 80 }, .out = { 0x01010100, 80, 80 }, .proto = proto, .from = TIME_NONE
	};
}

static void take_file_away(bool back)
{
	char path[128], away[128];

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	snprintf(away, sizeof(away), "%s/away", lab.state);
	cr_assert_eq(back ? rename(away, path) : rename(path, away), 0);
}

static void start_anew(bool settled)
{
	struct error err = { 0 };

	history_close(lab.history);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, false, NULL, 0), 0);
	if (settled)
		cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
}

/* The disk was full when they came. */
Test(history_unrecorded, portmaps_that_a_start_adds_are_known_since_its_mappings_are)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	const struct history_portmap map = web(IPPROTO_TCP, 0x0a000001);
	struct error err = { 0 };

	lab.now += 160;
	cr_assert_eq(history_portmaps_present(lab.history, &map, 1), 0);
	cr_assert_eq(history_assume(lab.history, &m, 1, NOON + 101, &err), 0, "%s", err.text);
	expect_said("1.1.1.0:80", NOON + 100, "no record");
	expect_said("1.1.1.0:80", NOON + 101, "10.0.0.1");
	expect_said("1.1.1.0:80", NOON + 130, "10.0.0.1");
	expect_said("1.1.1.0:80", NOON + 170, "10.0.0.1");
}

/* The start went on after some time, and the records were written yet later. */
Test(history_unrecorded, mappings_that_a_start_adds_before_a_slow_disk_has_their_records_are_known_since_then)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	lab.now += 30;
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	cr_assert_eq(history_assume(lab.history, &m, 1, NOON + 20, &err), 0, "%s", err.text);
	expect_said("1.1.1.0:1024", NOON + 20, "10.0.0.0");
	expect_said("1.1.1.0:1024", NOON + 25, "10.0.0.0");
	expect_said("1.1.1.0:1024", NOON + 31, "10.0.0.0");
	cr_expect_str_eq(lab_events(), "start add confirm start", "%s", lab_events());
	cr_assert_eq(history_assume(lab.history, &m, 1, NOON + 20, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm start", "once: %s", lab_events());
}

/* The machine was started anew before they could be written down. */
Test(history_unrecorded, mappings_that_were_never_recorded_leave_a_mark)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	lab.now += 100;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	take_file_away(false);
	cr_assert_eq(history_assume(lab.history, &m, 1, lab.now, &err), -ESTALE);
	take_file_away(true);
	expect_said("1.1.1.0:1024", NOON + 99, "nobody");
	expect_said("1.1.1.0:1024", NOON + 500, "no record");
	lab.now += 1000;
	start_anew(true);
	expect_said("1.1.1.0:1024", NOON + 99, "nobody");
	expect_said("1.1.1.0:1024", NOON + 500, "no record");
	expect_said("1.1.1.0:1024", NOON + 1100, "nobody");
	lab.now += 1000;
	start_anew(true);
	expect_said("1.1.1.0:1024", NOON + 1500, "nobody");
}

/* The same of a start that was not recorded itself. */
Test(history_unrecorded, a_start_that_was_never_recorded_leaves_a_mark)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	history_detach(lab.history);
	lab.now += 100;
	start_anew(false);
	cr_assert_eq(history_assume(lab.history, &m, 1, lab.now, &err), 0, "%s", err.text);
	expect_said("1.1.1.0:1024", NOON + 500, "no record");
	lab.now += 1000;
	start_anew(true);
	expect_said("1.1.1.0:1024", NOON + 500, "no record");
	expect_said("1.1.1.0:1024", NOON + 1100, "nobody");
}

/* The clock was set back while no agent ran, which nobody saw who removes the datapath then. */
Test(history_unrecorded, a_removal_without_an_agent_knows_how_the_clock_was_set)
{
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 10;
	history_stop(lab.history);
	lab.now += 3600;
	lab_set_clock(-1800);
	lab.now += 900;
	history_close(lab.history);
	lab.history = NULL;
	cr_assert_eq(history_detach_at(lab.state, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm stop clock detach", "%s", lab_events());
	expect_said("1.1.1.0:1024", NOON + 3300, "10.0.0.0");
	expect_said("1.1.1.0:1024", NOON + 3600, "10.0.0.0");
	lab.history = NULL;
}

/* No record can be written for long, and each attempt finds anew how the clock was set before the start. */
Test(history_unrecorded, how_the_clock_was_set_is_told_once_however_often_it_is_tried)
{
	struct history_mapping present = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_stop(lab.history);
	history_close(lab.history);
	lab.now += 60;
	lab_set_clock(1000);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, true, &present, 1), 0);
	take_file_away(false);
	for (unsigned i = 0; i < 2 * CLOCK_STEPS; i++) {
		cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
		lab.now++;
		clock_watch_look(history_clock_watch(lab.history));
	}
	lab_set_clock(-500);
	cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
	take_file_away(true);
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm stop clock clock start", "%s", lab_events());
}

/* The machine had a wrong clock at first, set right before anything could be written. */
Test(history_unrecorded, a_clock_that_is_behind_at_a_start_is_known_however_late_the_start_is_recorded)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.2.0/30");
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 10800;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	lab.now = NOON + 3600;
	start_anew(false);
	take_file_away(false);
	lab.now += 30;
	cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
	cr_assert_eq(history_assume(lab.history, &m, 1, lab.now, &err), 0, "%s", err.text);
	lab.now += 30;
	clock_watch_look(history_clock_watch(lab.history));
	lab_set_clock(10800);
	clock_watch_look(history_clock_watch(lab.history));
	lab.now += 60;
	take_file_away(true);
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm clock clock start", "%s", lab_events());
	expect_said("1.1.2.0:1024", NOON + 3629, "nobody");
	expect_said("1.1.2.0:1024", NOON + 3630, "10.0.0.0");
	expect_said("1.1.2.0:1024", NOON + 3690, "10.0.0.0");
	expect_said("1.1.1.0:1024", NOON + 3690, "10.0.0.0");
}

/* The head of a history may be of an earlier boot of the machine, which its clock since the boot does not tell. */
Test(history_unrecorded, what_the_clocks_read_before_a_reboot_says_nothing_of_steps)
{
	struct history_mapping present = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
	char path[128], text[600];
	struct error err = { 0 };
	FILE *file;
	char *boot;

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	history_close(lab.history);
	lab.history = NULL;
	snprintf(path, sizeof(path), "%s/" HISTORY_HEAD_FILE, lab.state);
	file = fopen(path, "r+");
	cr_assert(file && fgets(text, sizeof(text), file));
	boot = strstr(text, "\"boot\":\"");
	cr_assert(boot, "%s", text);
	boot[8] = boot[8] == '0' ? '1' : '0';
	rewind(file);
	cr_assert(fputs(text, file) >= 0 && !fclose(file));
	lab.now += 1000;
	lab.set_by += 5000;
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(lab.history, true, &present, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm start", "%s", lab_events());
	lab.now += 100;
	expect_said("1.1.1.0:1024", NOON + 1050, "10.0.0.0");
}
