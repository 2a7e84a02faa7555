/* SPDX-License-Identifier: BSD-2-Clause */
/* The history as the agent writes it, while time goes by, slowly, fast or backwards. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "history_fixture.h"

#define DAY 86400

TestSuite(history, .init = lab_setup, .fini = lab_teardown);

Test(history, the_state_directory_is_made_for_nobody_else)
{
	struct stat st;

	cr_assert_eq(stat(lab.state, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0750);
}

Test(history, is_said_once_a_day_also_without_a_change)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	for (; lab.now < NOON + 3 * DAY; lab.now += HISTORY_TICK_S)
		history_tick(lab.history, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm daily daily daily");
}

Test(history, a_day_that_a_start_has_listed_needs_no_daily_record)
{
	for (; lab.now < NOON + DAY; lab.now += HISTORY_TICK_S) {
		if (lab.now % DAY == 0) {
			history_close(lab.history);
			lab_begin();
		}
		history_tick(lab.history, NULL);
	}
	cr_assert_str_eq(lab_events(), "start start");
}

Test(history, a_change_of_something_else_says_nothing_of_the_last_one)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 300;
	history_confirm(lab.history, lab_clock().steady_ns, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm");
}

Test(history, a_clock_set_back_is_written_down_and_days_go_on)
{
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 300 * DAY;
	history_tick(lab.history, NULL);
	lab_set_clock(-300 * DAY);
	lab.now += 60;
	history_tick(lab.history, NULL);
	history_tick(lab.history, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm daily clock");
	lab.now += DAY;
	history_tick(lab.history, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm daily clock daily");
}

Test(history, a_start_says_until_when_the_former_agent_lived)
{
	struct history_files f;
	struct error err;

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	lab.now += 3600;
	history_tick(lab.history, NULL);
	history_close(lab.history);
	lab.now += 3600;
	lab_begin();
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	cr_assert_eq(f.index.gaps.n, 1);
	cr_assert_eq(f.index.gaps.at[0].from, NOON + 3600);
	cr_assert_eq(f.index.gaps.at[0].to, NOON + 7200);
	cr_assert_eq(f.index.mappings.n_open, 0);
	history_files_free(&f);
}

Test(history, a_change_that_failed_is_taken_back_whole)
{
	struct history_mapping a = lab_mapping("10.0.0.0/24", "1.1.1.0/30"),
			       b = lab_mapping("10.1.0.0/24", "1.1.1.0/30");
	struct error err = { 0 };

	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_tick(lab.history, NULL);
	lab.now += 10;
	cr_assert_eq(lab_change(lab.history, &a, 1, &b, 1, &lab_no_portmaps, NULL, &err), 0);
	history_reconcile(lab.history, &a, 1, lab_clock().steady_ns, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm del add undo undo");
	lab.now += DAY;
	history_tick(lab.history, NULL);
	cr_assert_str_eq(lab_events(), "start add confirm del add undo undo daily");
}

Test(history, starts_that_come_to_nothing_leave_no_trace)
{
	struct error err = { 0 };

	history_close(lab.history);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0);
	cr_assert_eq(history_begin(lab.history, false, NULL, 0), 0);
	history_stop(lab.history);
	cr_assert_str_eq(lab_events(), "start");
}

static const struct {
	const char *name;
	const char *del, *add; /* inside prefixes; NULL: none */
	const char *events;
} changes[] = {
	{ "what is not there is not deleted", "10.9.0.0/24", NULL, "start add confirm" },
	{ "what is deleted and added goes on", "10.0.0.0/24", "10.0.0.0/24", "start add confirm" },
	{ "what is not there is added all the same", "10.9.0.0/24", "10.9.0.0/24", "start add confirm add" },
	{ "what is there is not added", NULL, "10.0.0.0/24", "start add confirm" },
	{ "one for another", "10.0.0.0/24", "10.9.0.0/24", "start add confirm del add" },
};

Test(history, changes_say_what_differs)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct history_mapping del = lab_mapping(changes[i].del ? changes[i].del : "1.0.0.0/24", "1.1.1.0/30"),
				       added = lab_mapping(changes[i].add ? changes[i].add : "1.0.0.0/24",
							   "1.1.1.0/30");
		struct error err = { 0 };

		lab_add("10.0.0.0/24", "1.1.1.0/30");
		cr_expect_eq(lab_change(lab.history, &del, changes[i].del != NULL, &added, changes[i].add != NULL,
					&lab_no_portmaps, NULL, &err),
			     0, "%s: %s", changes[i].name, err.text);
		cr_expect_str_eq(lab_events(), changes[i].events, "%s: %s", changes[i].name, lab_events());
		lab_teardown();
		lab_setup();
	}
}

Test(history, a_file_that_is_gone_is_noticed_though_nothing_is_to_be_written)
{
	char path[128], away[128];
	struct error err = { 0 };

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	snprintf(away, sizeof(away), "%s/away", lab.state);
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(rename(path, away), 0);
	cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
	cr_assert_eq(rename(away, path), 0);
	cr_assert_eq(history_tick(lab.history, &err), 0);
	cr_assert_eq(truncate(path, 1), 0);
	cr_assert_eq(history_tick(lab.history, &err), -ESTALE);
	cr_assert(strstr(err.text, "changed by another program"), "%s", err.text);
}

static unsigned open_files(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

/* In the order in which they are opened. */
Test(history, a_file_that_cannot_be_opened_leaves_nothing_open)
{
	static const char *const names[] = { "", "/" HISTORY_FILE, "/" HISTORY_HEAD_FILE };
	struct error err = { 0 };
	struct history *other;
	unsigned before = open_files();

	cr_assert_eq(history_open(lab.state, -1, &other, &err), -EWOULDBLOCK, "another agent has it");
	cr_assert_eq(open_files(), before);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/other%zu%s", lab.directory, i, names[i]);
		if (i) {
			char *slash = strrchr(path, '/');

			*slash = '\0';
			cr_assert_eq(mkdir(path, 0755), 0);
			*slash = '/';
			cr_assert_eq(mkdir(path, 0755), 0);
			*slash = '\0';
		} else {
			cr_assert_eq(mknod(path, S_IFREG | 0644, 0), 0);
		}
		cr_expect_eq(history_open(path, -1, &other, &err), i ? -EISDIR : -ENOTDIR, "%s: %s", names[i],
			     err.text);
		cr_expect_eq(open_files(), before, "%s", names[i]);
	}
}

/* What the start of an agent finds, and what it says of it. */
static const struct {
	const char *name;
	bool taken_over;
	bool damaged;
	const char *said;
} starts[] = {
	{ "the datapath has gone", false, false, "the datapath has gone since 2026-01-01T12:00:00Z" },
	{ "another datapath", true, false, "does not belong to the existing datapath" },
	{ "a damaged end", true, true, "its end is damaged; the present mappings are recorded anew" },
};

Test(history, a_start_says_what_is_not_known)
{
	cr_redirect_stderr();
	log_set_level(LOG_LEVEL_WARNING);
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct history_mapping present = lab_mapping("10.0.0.0/24", "1.1.1.0/30");
		struct error err = { 0 };
		char path[128], text[4096] = "";
		int fd;

		lab_add("10.0.0.0/24", "1.1.1.0/30");
		history_close(lab.history);
		snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
		fd = open(path, O_WRONLY | O_APPEND);
		for (unsigned k = 0; starts[i].damaged && k < 8; k++)
			cr_assert_eq(write(fd, "{}\n", 3), 3);
		close(fd);
		cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
		cr_assert_eq(history_begin(lab.history, starts[i].taken_over, &present, starts[i].taken_over), 0);
		cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
		fflush(stderr);
		cr_assert_gt(fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr()), 0, "%s", starts[i].name);
		cr_expect(strstr(text, starts[i].said), "%s: %s", starts[i].name, text);
		cr_expect_eq(strstr(text, "and 3 more places") != NULL, starts[i].damaged, "%s", text);
		lab_teardown();
		lab_setup();
		log_set_level(LOG_LEVEL_WARNING);
	}
}

/* Leaves the first line of a file. */
static void cut(const char *path)
{
	char line[4096];
	FILE *f = fopen(path, "r");

	cr_assert(f && fgets(line, sizeof(line), f));
	fclose(f);
	cr_assert_eq(truncate(path, (off_t)strlen(line)), 0);
}

Test(history, a_start_names_the_lines_that_are_missing_at_the_end)
{
	char path[128], text[4096] = "";
	struct error err = { 0 };

	cr_redirect_stderr();
	log_set_level(LOG_LEVEL_WARNING);
	lab_add("10.0.0.0/24", "1.1.1.0/30");
	history_close(lab.history);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_close(lab.history);
	fprintf(stderr, "cut\n");
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, lab.state);
	cut(path);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	fflush(stderr);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr()), 0);
	cr_expect_eq(strncmp(text, "cut\n", 4), 0, "%s", text);
	cr_expect(strstr(text, "lines 2 to 2 are missing at its end"), "%s", text);
	cr_expect_null(strstr(text, "a line that it once had"), "%s", text);
}

Test(history, the_clock_is_that_of_the_machine)
{
	uint64_t before = clock_ns(CLOCK_REALTIME);
	uint64_t said = lab_machine_clock().real_ns;

	cr_assert(said >= before && said <= clock_ns(CLOCK_REALTIME));
	cr_assert_eq(clock_second(said), (int64_t)(said / NS_PER_S));
}

/* In a name space of this test's own. */
Test(history, the_name_of_the_host_is_written_in_plain_letters)
{
	static const struct {
		const char *name;
		const char *written;
	} rows[] = {
		{ "nat-1.example_net", "nat-1.example_net" },
		{ "azAZ09", "azAZ09" },
		{ "/:@[`{", "??????" },
		{ "a b\"c\\d\n", "a?b?c?d?" },
		{ "\xc3\xa9", "??" },
	};

	if (unshare(CLONE_NEWUTS))
		cr_skip_test("a name space needs rights");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history_files f;
		struct history_record r;
		struct error err = { 0 };

		lab_teardown();
		cr_assert_eq(sethostname(rows[i].name, strlen(rows[i].name)), 0);
		lab_setup();
		cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
		cr_assert_eq(history_record_read(f.text, strcspn(f.text, "\n"), &r, &err), 0, "%s", err.text);
		cr_expect_str_eq(r.host, rows[i].written, "%s", r.host);
		history_record_free(&r);
		history_files_free(&f);
	}
}

/* Where the agent runs as an ordinary user: a directory that may be passed through, but not read. */
Test(history, a_directory_that_cannot_be_opened_is_named)
{
	struct error err = { 0 };
	struct history *other;
	char path[64];

	snprintf(path, sizeof(path), "%s/closed", lab.directory);
	cr_assert_eq(mkdir(path, 0755), 0);
	if (chown(path, 65534, 65534) || chmod(path, 0311) || chmod(lab.directory, 0711) || seteuid(65534))
		cr_skip_test("another user needs rights");
	cr_expect_eq(history_open(path, -1, &other, &err), -EACCES);
	cr_expect(strstr(err.text, "state_dir ") && strstr(err.text, "closed: Permission denied"), "%s", err.text);
	cr_assert_eq(seteuid(0), 0);
}
