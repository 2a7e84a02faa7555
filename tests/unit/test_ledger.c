/* SPDX-License-Identifier: BSD-2-Clause */
/* Files chained by hashes: appended, and every way in which they can be tampered with. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ledger.h"
#include "base/ledger_verify.h"
#include "leases/lease_append.h"
#include "leases/lease_files.h"

#define T0     1769860800LL /* 2026-01-31T12:00:00Z */
#define FILE_0 "leases-2026-01-31.jsonl"
#define FILE_1 "leases-2026-02-01.jsonl"

static char dir[64];

static void add(int64_t t, const char *id)
{
	struct lease_batch b = { .dir = dir, .fresh = true };
	struct lease_line l;
	struct error err;

	lease_line_init(&l, t, LEASE_START);
	l.addr = lease_addr_of(0x64401010);
	snprintf(l.id, sizeof(l.id), "%s", id);
	cr_assert_eq(lease_batch_add(&b, &l), 0);
	cr_assert_eq(lease_batch_write(&b, T0, &err), 0, "%s", err.text);
}

static void make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/detnat-chain.XXXXXX");
	cr_assert(mkdtemp(dir));
	add(T0, "a");
	add(T0 + 1, "b");
	add(T0 + 86400, "c");
}

static void clean(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(ledger, .init = make, .fini = clean);

static char last[256];

static void note(void *arg, const char *file, uint64_t line, bool erased, const char *text)
{
	if (erased)
		return;
	snprintf(last, sizeof(last), "%s %u %s", file, (unsigned)line, text);
}

/* The number of faults. */
static unsigned faults(void)
{
	struct ledger_state state;
	struct error err;

	last[0] = '\0';
	cr_assert_eq(ledger_verify(dir, note, NULL, &state, &err), 0, "%s", err.text);
	return (unsigned)state.wrong;
}

/* Runs a command of the shell in the directory. */
static void tamper(const char *command)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && %s", dir, command);
	cr_assert_eq(system(text), 0);
}

#define assert_fault(text)                                 \
	do {                                               \
		cr_expect_geq(faults(), 1);                \
		cr_expect(strstr(last, text), "%s", last); \
	} while (0)

Test(ledger, written_lines_have_no_fault)
{
	cr_expect_eq(faults(), 0, "%s", last);
}

Test(ledger, a_repeated_line_is_not_added_again)
{
	struct stat before, after;
	char path[128];

	snprintf(path, sizeof(path), "%s/" FILE_0, dir);
	cr_assert_eq(stat(path, &before), 0);
	add(T0, "a");
	cr_assert_eq(stat(path, &after), 0);
	cr_expect_eq(before.st_size, after.st_size);
}

Test(ledger, a_changed_line_shows)
{
	tamper("sed -i '1s/\"id\":\"a\"/\"id\":\"x\"/' " FILE_0);
	assert_fault(FILE_0 " 1 was changed");
}

Test(ledger, a_line_that_is_missing_shows)
{
	tamper("sed -i 1d " FILE_0);
	cr_expect_geq(faults(), 1);
}

Test(ledger, a_line_that_was_added_shows)
{
	tamper("sed -n 1p " FILE_0 " >>" FILE_0);
	cr_expect_geq(faults(), 1);
}

Test(ledger, an_end_that_was_cut_off_shows)
{
	tamper("sed -i '$d' " FILE_0);
	assert_fault("its end was cut off");
}

Test(ledger, a_day_that_is_gone_shows)
{
	tamper("rm " FILE_1);
	assert_fault(FILE_1 " 0 is gone");
}

Test(ledger, a_file_that_was_added_shows)
{
	tamper("cp " FILE_1 " leases-2026-02-02.jsonl");
	assert_fault("leases-2026-02-02.jsonl 0 is not in the ledger");
}

Test(ledger, a_ledger_that_was_cut_shows)
{
	tamper("sed -i '$d' chain.jsonl && rm " FILE_1);
	assert_fault("its end was cut off");
}

Test(ledger, a_removal_is_no_fault)
{
	struct error err;

	cr_assert_eq(ledger_remove(dir, FILE_0, T0, &err), 0);
	cr_expect_eq(faults(), 0, "%s", last);
	add(T0, "a");
	cr_expect_eq(faults(), 0, "%s", last);
}

Test(ledger, the_next_line_mends_one_that_a_crash_left_incomplete)
{
	tamper("printf '{\"line\":3,\"ti' >>" FILE_0);
	assert_fault(FILE_0 " 3 is incomplete");
	add(T0 + 2, "d");
	cr_expect_eq(faults(), 0, "%s", last);
}

Test(ledger, a_file_of_others_is_left_alone)
{
	struct error err;

	tamper("echo hello >leases-2026-03-01.jsonl");
	cr_expect_eq(ledger_append(dir, "leases-2026-03-01.jsonl", "\"a\":1\n", 6, T0, &err), -EBADMSG);
	cr_expect(strstr(err.text, "move the file away"), "%s", err.text);
	tamper("grep -qx hello leases-2026-03-01.jsonl && test $(wc -l <leases-2026-03-01.jsonl) = 1");
}

Test(ledger, around_midnight_and_a_clock_that_is_set_back_each_day_goes_on_in_its_file)
{
	static const int64_t times[] = { -1, 0, 1, -2, 86400, -86399, 2 };

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		char id[8];

		snprintf(id, sizeof(id), "m%u", (unsigned)i);
		add(T0 + 43200 + times[i], id);
		cr_expect_eq(faults(), 0, "%s", last);
	}
	tamper("test $(cat leases-2026-01-31.jsonl | wc -l) = 5");
	tamper("test $(cat leases-2026-02-01.jsonl | wc -l) = 4");
	tamper("test $(cat leases-2026-02-02.jsonl | wc -l) = 1");
}

Test(ledger, files_are_named_by_the_day_or_the_month)
{
	char text[LEDGER_NAME];
	int64_t begin;

	cr_expect_str_eq(ledger_file_name(LEDGER_LEASES, T0, text), FILE_0);
	cr_expect_str_eq(ledger_index_name(FILE_0, text), "leases.index-2026-01-31");
	cr_expect_eq(ledger_file_begin(LEDGER_LEASES, FILE_0, &begin), 0);
	cr_expect_eq(begin, T0 - 43200);
	cr_expect_str_eq(ledger_file_name(LEDGER_QUERIES, T0, text), "queries-2026-01.jsonl");
	cr_expect_eq(ledger_file_begin(LEDGER_QUERIES, text, &begin), 0);
	cr_expect_eq(begin, T0 - 43200 - 30 * 86400);
	cr_expect(ledger_file_named(text));
	cr_expect(ledger_file_named("grants-2026-01-31.jsonl"));
}

Test(ledger, names_that_are_like_those_of_files_are_none)
{
	static const char *const others[] = {
		"leases-2026-02-31.jsonl", "leases-2026-01-31.jsonl.gz",
		"../ses-2026-01-31.jsonl", "leases-2026-01.jsonl",
		"queries-2026-13.jsonl",   "queries-2026-01-31.jsonl",
		"leases-.jsonl",	   "",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_not(ledger_file_named(others[i]), "%s", others[i]);
	cr_expect_not(ledger_index_named("leases.index-"));
	cr_expect_not(ledger_index_named("leases.sources"));
}

/* Else a state directory would be taken for one of strangers. */
Test(ledger, the_index_of_a_file_is_part_of_the_record)
{
	cr_expect(lease_record_named("leases.index-2026-01-31"));
	cr_expect(lease_record_named(FILE_0));
	cr_expect_not(lease_record_named("leases.index-of-mine"));
}

static bool stays(void *arg, const char *name)
{
	return !strcmp(name, arg);
}

static void note_gone(void *arg, const char *name)
{
	(void)arg;
	snprintf(last, sizeof(last), "%s", name);
}

static unsigned expire(int64_t before, bool dry, char *kept)
{
	const struct ledger_expiry x = { .dir = dir,
					 .kind = LEDGER_LEASES,
					 .before = before,
					 .dry = dry,
					 .stays = kept ? stays : NULL,
					 .gone = note_gone,
					 .arg = kept };
	struct error err;
	unsigned n;

	cr_assert_eq(ledger_expire(&x, T0, &n, &err), 0, "%s", err.text);
	return n;
}

Test(ledger, files_expire_with_their_indexes_and_the_ledger_says_so)
{
	tamper("touch leases.index-2026-01-31 leases.index-2026-02-01 queries-2026-01.jsonl");
	cr_expect_eq(expire(T0, false, NULL), 0);
	cr_expect_eq(expire(T0 + 86400, true, NULL), 1);
	cr_expect_eq(expire(T0 + 86400, false, NULL), 1);
	cr_expect_str_eq(last, FILE_0);
	tamper("test ! -e " FILE_0 " && test ! -e leases.index-2026-01-31 && test -e leases.index-2026-02-01");
	tamper("rm queries-2026-01.jsonl && grep -q '\"remove\",\"file\":\"" FILE_0 "\"' chain.jsonl");
	cr_expect_eq(faults(), 0, "%s", last);
}

Test(ledger, a_file_that_is_still_needed_stays)
{
	char kept[] = FILE_0;

	cr_expect_eq(expire(T0 + 3 * 86400, false, kept), 1);
	tamper("test -e " FILE_0 " && test ! -e " FILE_1);
}
