/* SPDX-License-Identifier: BSD-2-Clause */
/* Which sources have been recorded: what the lines `begin` of a start, a reload and the next start say. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "recorded_sources.h"
#include "leases/lease_files.h"

#define NOW 1795690800

static char dir[] = "/tmp/detnat-recorded-XXXXXX";
static struct lease_writer writer;
static struct recorded_sources recorded;

static void make(void)
{
	cr_assert(mkdtemp(dir));
	lease_writer_init(&writer, dir);
}

static void clean(void)
{
	char command[64];

	recorded_sources_free(&recorded);
	lease_writer_free(&writer);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(recorded_sources, .init = make, .fini = clean);

/* Rules with the files named by letters. */
static struct config_leases rules(const char *letters)
{
	struct config_leases r = { .n = (uint32_t)strlen(letters) };

	for (uint32_t i = 0; i < r.n; i++) {
		r.source[i].type = SOURCE_KEA;
		snprintf(r.source[i].path, sizeof(r.source[i].path), "/%c", letters[i]);
	}
	return r;
}

/* Changes from the sources of `former` to those of `next`; NULL: the agent has just started. */
static void change(const char *former, const char *next, int64_t at)
{
	const struct config_leases a = rules(former ? former : ""), b = rules(next);

	if (!former)
		recorded_sources_free(&recorded);
	cr_assert_eq(recorded_sources_change(&recorded, former ? &a : NULL, &b, &writer, NOW + at), 0);
	if (writer.lines)
		cr_assert_eq(lease_writer_write(&writer, NOW + at, 0), 0);
	cr_assert_eq(recorded_sources_save(&recorded, dir), 0);
}

static char found[1024];

static int note(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	size_t n = strlen(found);
	struct lease_line l;

	(void)arg;
	(void)name;
	(void)number;
	cr_assert_eq(lease_line_read(line, size, &l, NULL), 0);
	if (l.from == TIME_NONE)
		snprintf(found + n, sizeof(found) - n, "%s -;", l.session);
	else
		snprintf(found + n, sizeof(found) - n, "%s %lld;", l.session, (long long)(l.from ? l.from - NOW : 0));
	return 0;
}

/* "SOURCE SINCE;" for each line, SINCE from NOW; 0: since ever. */
static void expect(const char *lines)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY);
	char name[LEDGER_NAME];
	size_t torn;

	found[0] = '\0';
	cr_assert_eq(chain_read(fd, ledger_file_name(LEDGER_LEASES, NOW, name), note, NULL, &torn), 0);
	cr_expect_str_eq(found, lines);
}

Test(recorded_sources, a_first_start_knows_nothing_of_before)
{
	change(NULL, "ab", 0);
	expect("kea-csv /a -;kea-csv /b -;");
}

Test(recorded_sources, a_restart_knows_nothing_since_the_last_line)
{
	change(NULL, "a", 0);
	change(NULL, "a", 100);
	expect("kea-csv /a -;kea-csv /a 0;");
	cr_expect_eq(lease_writer_last(&writer), NOW + 100);
}

Test(recorded_sources, a_source_added_by_a_reload_or_before_a_restart_was_never_recorded)
{
	change(NULL, "a", 10);
	change("a", "ab", 20);
	change(NULL, "abc", 30);
	expect("kea-csv /a -;kea-csv /b 0;kea-csv /a 20;kea-csv /b 20;kea-csv /c 0;");
}

Test(recorded_sources, a_source_that_comes_back_was_not_recorded_meanwhile)
{
	change(NULL, "ab", 10);
	change("ab", "a", 20);
	change("a", "ab", 30);
	change("ab", "a", 40);
	change(NULL, "ab", 50);
	expect("kea-csv /a -;kea-csv /b -;kea-csv /b 20;kea-csv /a 30;kea-csv /b 40;");
}

Test(recorded_sources, lines_without_the_file_count_as_recorded)
{
	char path[64];

	change(NULL, "a", 10);
	snprintf(path, sizeof(path), "%s/" RECORDED_SOURCES_FILE, dir);
	cr_assert_eq(unlink(path), 0);
	change(NULL, "ab", 30);
	expect("kea-csv /a -;kea-csv /a 10;kea-csv /b 10;");
}

Test(recorded_sources, a_file_that_cannot_be_written_is_written_later)
{
	const struct config_leases a = rules("a");
	char path[64];

	cr_assert_eq(recorded_sources_change(&recorded, NULL, &a, &writer, NOW), 0);
	cr_expect_lt(recorded_sources_save(&recorded, "/nonexistent"), 0);
	cr_expect_eq(recorded_sources_save(&recorded, dir), 0);
	snprintf(path, sizeof(path), "%s/" RECORDED_SOURCES_FILE, dir);
	cr_expect_eq(access(path, R_OK), 0);
}
