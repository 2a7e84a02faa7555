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
#include "history/history.h"
#include "proto/history_read.h"

#define NOON 1767268800LL /* 2026-01-01T12:00:00Z */
#define DAY  86400

static const struct history_portmap_change no_portmaps;
static char directory[] = "/tmp/detnat-history-XXXXXX";
static char state[64];
static int64_t now = NOON;
static struct history *history;

static int64_t (*machine_clock)(void);

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
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
}

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(state, sizeof(state), "%s/a/b", directory);
	if (history_clock != test_clock)
		machine_clock = history_clock;
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

	cr_assert_eq(history_change(history, NULL, 0, &m, 1, &no_portmaps, NULL, &err), 0, "%s", err.text);
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
		history_tick(history, NULL);
	cr_assert_str_eq(events(), "start add daily daily daily");
}

Test(history, a_day_that_a_start_has_listed_needs_no_daily_record)
{
	for (; now < NOON + DAY; now += HISTORY_TICK_S) {
		if (now % DAY == 0) {
			history_close(history);
			begin();
		}
		history_tick(history, NULL);
	}
	cr_assert_str_eq(events(), "start start");
}

Test(history, a_slow_disk_does_not_make_it_lie)
{
	struct history_files f;
	struct error err;

	add("10.0.0.0/24", "1.1.1.0/30");
	now += 1;
	history_confirm(history, now, NULL);
	cr_assert_str_eq(events(), "start add");
	add("10.0.1.0/24", "1.1.2.0/30");
	now += 4;
	history_confirm(history, now, NULL);
	cr_assert_str_eq(events(), "start add add undo add");
	cr_assert_eq(history_files_read(state, &f, &err), 0);
	cr_assert_eq(f.index.n_open, 2);
	cr_assert_eq(f.index.intervals[f.index.open[1]].from, NOON + 5);
	history_files_free(&f);
}

Test(history, a_change_of_something_else_says_nothing_of_the_last_one)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	history_confirm(history, now, NULL);
	now += 300;
	history_confirm(history, now, NULL);
	cr_assert_str_eq(events(), "start add");
}

Test(history, a_clock_set_back_is_written_down_and_days_go_on)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	now += 300 * DAY;
	history_tick(history, NULL);
	now = NOON + 60;
	history_tick(history, NULL);
	history_tick(history, NULL);
	cr_assert_str_eq(events(), "start add daily clock");
	now += DAY;
	history_tick(history, NULL);
	cr_assert_str_eq(events(), "start add daily clock daily");
}

Test(history, a_start_says_until_when_the_former_agent_lived)
{
	struct history_files f;
	struct error err;

	add("10.0.0.0/24", "1.1.1.0/30");
	now += 3600;
	history_tick(history, NULL);
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
	history_tick(history, NULL);
	now += 10;
	cr_assert_eq(history_change(history, &a, 1, &b, 1, &no_portmaps, NULL, &err), 0);
	history_reconcile(history, &a, 1, NULL);
	cr_assert_str_eq(events(), "start add del add undo undo");
	now += DAY;
	history_tick(history, NULL);
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

/* The record of the clock comes before that of the change, and moves its number. */
Test(history, a_late_change_with_the_clock_set_back_is_found_again)
{
	add("10.0.0.0/24", "1.1.1.0/30");
	now -= 100;
	add("10.0.1.0/24", "1.1.2.0/30");
	now += 50;
	cr_assert_eq(history_confirm(history, now, NULL), 0);
	cr_assert_str_eq(events(), "start add clock add undo add");
}

static const struct {
	const char *name;
	const char *del, *add; /* inside prefixes; NULL: none */
	const char *events;
} changes[] = {
	{ "what is not there is not deleted", "10.9.0.0/24", NULL, "start add" },
	{ "what is deleted and added goes on", "10.0.0.0/24", "10.0.0.0/24", "start add" },
	{ "what is not there is added all the same", "10.9.0.0/24", "10.9.0.0/24", "start add add" },
	{ "what is there is not added", NULL, "10.0.0.0/24", "start add" },
	{ "one for another", "10.0.0.0/24", "10.9.0.0/24", "start add del add" },
};

Test(history, changes_say_what_differs)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct history_mapping del = mapping(changes[i].del ? changes[i].del : "1.0.0.0/24", "1.1.1.0/30"),
				       added = mapping(changes[i].add ? changes[i].add : "1.0.0.0/24", "1.1.1.0/30");
		struct error err = { 0 };

		add("10.0.0.0/24", "1.1.1.0/30");
		cr_expect_eq(history_change(history, &del, changes[i].del != NULL, &added, changes[i].add != NULL,
					    &no_portmaps, NULL, &err),
			     0, "%s: %s", changes[i].name, err.text);
		cr_expect_str_eq(events(), changes[i].events, "%s: %s", changes[i].name, events());
		teardown();
		strcpy(directory, "/tmp/detnat-history-XXXXXX");
		setup();
	}
}

Test(history, a_file_that_is_gone_is_noticed_though_nothing_is_to_be_written)
{
	char path[128], away[128];
	struct error err = { 0 };

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, state);
	snprintf(away, sizeof(away), "%s/away", state);
	cr_assert_eq(history_tick(history, &err), 0, "%s", err.text);
	cr_assert_eq(rename(path, away), 0);
	cr_assert_eq(history_tick(history, &err), -ESTALE);
	cr_assert_eq(rename(away, path), 0);
	cr_assert_eq(history_tick(history, &err), 0);
	cr_assert_eq(truncate(path, 1), 0);
	cr_assert_eq(history_tick(history, &err), -ESTALE);
	cr_assert(strstr(err.text, "changed by somebody else"), "%s", err.text);
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
Test(history, what_cannot_be_opened_leaves_nothing_open)
{
	static const char *const names[] = { "", "/" HISTORY_FILE, "/" HISTORY_HEAD_FILE };
	struct error err = { 0 };
	struct history *other;
	unsigned before = open_files();

	cr_assert_eq(history_open(state, -1, &other, &err), -EWOULDBLOCK, "another agent has it");
	cr_assert_eq(open_files(), before);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/other%zu%s", directory, i, names[i]);
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
	{ "another datapath", true, false, "is not the one that was written for the datapath that is there" },
	{ "a damaged end", true, true, "its end is damaged; what is mapped is written down anew" },
};

Test(history, a_start_says_what_is_not_known)
{
	cr_redirect_stderr();
	log_set_level(LOG_LEVEL_WARNING);
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct history_mapping present = mapping("10.0.0.0/24", "1.1.1.0/30");
		struct error err = { 0 };
		char path[128], text[4096] = "";
		int fd;

		add("10.0.0.0/24", "1.1.1.0/30");
		history_close(history);
		snprintf(path, sizeof(path), "%s/" HISTORY_FILE, state);
		fd = open(path, O_WRONLY | O_APPEND);
		for (unsigned k = 0; starts[i].damaged && k < 8; k++)
			cr_assert_eq(write(fd, "{}\n", 3), 3);
		close(fd);
		cr_assert_eq(history_open(state, -1, &history, &err), 0, "%s", err.text);
		cr_assert_eq(history_begin(history, starts[i].taken_over, &present, starts[i].taken_over), 0);
		cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
		fflush(stderr);
		cr_assert_gt(fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr()), 0, "%s", starts[i].name);
		cr_expect(strstr(text, starts[i].said), "%s: %s", starts[i].name, text);
		cr_expect_eq(strstr(text, "and 3 more places") != NULL, starts[i].damaged, "%s", text);
		teardown();
		strcpy(directory, "/tmp/detnat-history-XXXXXX");
		setup();
		log_set_level(LOG_LEVEL_WARNING);
	}
}

Test(history, the_clock_is_that_of_the_machine)
{
	time_t before = time(NULL);
	int64_t said;

	said = machine_clock();
	cr_assert(said >= before && said <= time(NULL));
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

		teardown();
		strcpy(directory, "/tmp/detnat-history-XXXXXX");
		cr_assert_eq(sethostname(rows[i].name, strlen(rows[i].name)), 0);
		setup();
		cr_assert_eq(history_files_read(state, &f, &err), 0, "%s", err.text);
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

	snprintf(path, sizeof(path), "%s/closed", directory);
	cr_assert_eq(mkdir(path, 0755), 0);
	if (chown(path, 65534, 65534) || chmod(path, 0311) || chmod(directory, 0711) || seteuid(65534))
		cr_skip_test("another user needs rights");
	cr_expect_eq(history_open(path, -1, &other, &err), -EACCES);
	cr_expect(strstr(err.text, "state_dir ") && strstr(err.text, "closed: Permission denied"), "%s", err.text);
	cr_assert_eq(seteuid(0), 0);
}
