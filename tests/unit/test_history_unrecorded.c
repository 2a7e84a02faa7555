/* SPDX-License-Identifier: BSD-2-Clause */
/* What was in force without a record, or whose records are lost, is not answered as if nobody had it. */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "history_fixture.h"
#include "history_text.h"
#include "recorder/pin.h"

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
	cr_assert_eq(history_present(lab.history, FACT_PORTMAP, &map, 1), 0);
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
	cr_assert_eq(history_detach_at(lab.state, NULL, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm stop clock detach", "%s", lab_events());
	expect_said("1.1.1.0:1024", NOON + 3300, "10.0.0.0");
	expect_said("1.1.1.0:1024", NOON + 3600, "10.0.0.0");
	lab.history = NULL;
}

/* `--detach` with a file that names another directory than the agent has written to. */
Test(history_unrecorded, a_removal_is_recorded_in_no_history_but_that_of_the_datapath)
{
	struct history_pin other = { .line = 2, .hash = "of another history" }, of = { .line = 4 };
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_stop(lab.history);
	lab.now += 3600;
	history_end(lab.history, of.hash);
	history_close(lab.history);
	lab.history = NULL;
	cr_expect_eq(history_detach_at(lab.state, &other, &err), -ESTALE);
	cr_expect_str_eq(lab_events(), "start add confirm stop", "%s", lab_events());
	cr_expect_eq(history_detach_at(lab.state, &of, &err), 0, "%s", err.text);
	cr_expect_str_eq(lab_events(), "start add confirm stop detach", "%s", lab_events());
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
Test(history_unrecorded, the_clocks_before_a_reboot_say_nothing_about_steps)
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

/* One protocol changes hands, and the other leads to the subscriber that loses it. */
Test(history_unrecorded, portmaps_of_both_protocols_hide_nobody)
{
	const struct history_portmap before[] = { web(IPPROTO_TCP, 0x0a000002), web(IPPROTO_UDP, 0x0a000002) };
	struct history_portmap tcp = web(IPPROTO_TCP, 0x0a000002), to = web(IPPROTO_TCP, 0x0a000001);
	const struct history_change begin = { .add[FACT_PORTMAP] = { (void *)before, 2 } };
	const struct history_change turn = { .del[FACT_PORTMAP] = { &tcp, 1 }, .add[FACT_PORTMAP] = { &to, 1 } };
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	cr_assert_eq(lab_change(lab.history, NULL, 0, NULL, 0, &begin, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 100;
	cr_assert_eq(lab_change(lab.history, NULL, 0, NULL, 0, &turn, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	expect_said("1.1.1.0:80", NOON + 99, "10.0.0.2");
	expect_said("1.1.1.0:80", NOON + 100, "10.0.0.1+10.0.0.2");
	expect_said("1.1.1.0:80", NOON + 101, "10.0.0.1");
}

/* ---- Lines that are lost */

static void put_lost(bool lost, struct history_record r)
{
	size_t size = told.size;

	told_put(r);
	if (!lost)
		return;
	cr_assert_eq(fseek(told.out, (long)size, SEEK_SET), 0);
	fflush(told.out);
	told.size = size;
}

static void put_begin(void)
{
	told_setup();
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
}

static void put_list(const struct history_mapping *list, size_t n, struct history_portmap *portmaps, size_t n_portmaps)
{
	/* The first one hangs on what is lost. */
	for (int i = 0; i < 2; i++)
		told_put((struct history_record){ .time = 400,
						  .event = EVENT_DAILY,
						  .mappings = (struct history_mapping *)list,
						  .n_mappings = n,
						  .portmaps = portmaps,
						  .n_portmaps = n_portmaps });
}

Test(history_unrecorded, lines_that_are_lost_may_have_told_of_portmaps)
{
	const struct history_mapping a = told_mapping(A, 100);
	struct history_record r = { .time = 200, .event = EVENT_PORTMAP, .portmap = web(IPPROTO_TCP, 0x0a000001) };
	struct history_index x;

	put_begin();
	r.portmap.from = 200;
	put_lost(true, r);
	r.time = 300;
	r.ends = true;
	put_lost(true, r);
	put_list(&a, 1, NULL, 0);
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:80", 250), "no record", "%s", told_ask(&x, "1.1.1.0:80", 250));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:80", 401), "nobody");
	cr_expect_str_eq(told_ask(&x, POINT, 250), "10.0.0.0");
	history_index_free(&x);
	told_teardown();
}

Test(history_unrecorded, lines_that_are_lost_may_have_told_of_the_other_protocol)
{
	const struct history_mapping a = told_mapping(A, 100);
	struct history_record r = { .time = 150, .event = EVENT_PORTMAP, .portmap = web(IPPROTO_TCP, 0x0a000001) };
	struct history_portmap tcp = web(IPPROTO_TCP, 0x0a000001);
	struct history_index x;

	put_begin();
	r.portmap.from = tcp.from = 150;
	put_lost(false, r);
	told_put_confirm(150);
	r.time = r.portmap.from = 200;
	r.portmap = web(IPPROTO_UDP, 0x0a000002);
	r.portmap.from = 200;
	put_lost(true, r);
	r.time = 300;
	r.ends = true;
	put_lost(true, r);
	put_list(&a, 1, &tcp, 1);
	x = told_read_back();
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:80", 149), "nobody");
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:80", 250), "no record+10.0.0.1", "%s", told_ask(&x, "1.1.1.0:80", 250));
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:80", 401), "10.0.0.1");
	history_index_free(&x);
	told_teardown();
}

Test(history_unrecorded, lines_that_are_lost_may_have_told_of_drains)
{
	const struct history_mapping list[] = { told_mapping(A, 100), told_mapping("10.0.0.0/26", "1.1.2.0/32", 200) };
	struct history_record r = { .time = 200, .event = EVENT_RETIRE };
	struct history_index x;

	put_begin();
	told_put_change(200, EVENT_ADD, "10.0.0.0/26", "1.1.2.0/32", 200);
	r.drain = (struct history_drain){ list[0].in, list[0].out, list[1].in, 200 };
	put_lost(true, r);
	r.time = 300;
	r.event = EVENT_DRAINED;
	put_lost(true, r);
	put_list(list, 2, NULL, 0);
	x = told_read_back();
	cr_expect_eq(x.n_damages, 1);
	cr_expect_str_eq(told_ask(&x, POINT, 250), "no record", "%s", told_ask(&x, POINT, 250));
	cr_expect_str_eq(told_ask(&x, POINT, 401), "nobody");
	history_index_free(&x);
	told_teardown();
}
