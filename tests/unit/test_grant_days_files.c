/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of days that lost something, to a kill, to a disk or to a hand. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/ledger.h"
#include "base/ledger_verify.h"
#include "base/whole_file.h"
#include "history/history_grant_days.h"
#include "history/history_who.h"
#include "command.h"
#include "grant_days_fixture.h"
#include "history_fixture.h"
#include "recorder/history_private.h"

TestSuite(grant_days_files, .init = days_begin, .fini = lab_teardown);

Test(grant_days_files, a_file_that_is_missing_or_cut_is_noticed)
{
	char text[160];

	days_share();
	days_make(days_grant(1, 1024));
	lab.now += DAY;
	days_make(days_grant(2, 1088));
	days_make(days_grant(3, 1152));
	cr_assert_eq(unlink(days_path(FIRST)), 0);
	cr_expect_eq(days_damages(text), 1);
	cr_expect_str_eq(text, "names a grant of " FIRST ", which is missing", "%s", text);
	cr_expect_eq(days_ledger_faults(), 1);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + DAY + 1, WHO_FOUND, 0x0a000002);
	EXPECT(2050, NOON + 1, WHO_FOUND, 0x0a000000);
	cr_assert_eq(truncate(days_path(NEXT), 40), 0);
	cr_expect_eq(days_damages(text), 2);
	EXPECT(1090, NOON + DAY + 1, WHO_NO_RECORD, 0);
	/* The agent goes on, and ends what is open. */
	lab.now += 10;
	days_end(days_grant(1, 1024));
	cr_expect(!days_is_there(FIRST), "a file that is gone is not begun anew");
	EXPECT(1030, lab.now + 1, WHO_NO_RECORD, 0);
}

Test(grant_days_files, a_line_that_was_changed_says_nothing)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char text[160];
	FILE *f;

	days_share();
	days_make(days_grant(1, 1024));
	f = fopen(days_path(FIRST), "r+e");
	cr_assert(f && getline(&line, &size, f) > 0);
	*(strstr(line, "10.0.0.1") + 7) = '2';
	rewind(f);
	fputs(line, f);
	fclose(f);
	cr_expect_eq(days_damages(text), 1);
	cr_expect_str_eq(text, "names line 1 of " FIRST ", which was changed", "%s", text);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
}

/* A change with mapping and grants is there or not by its line in the history. */
Test(grant_days_files, what_a_kill_leaves_between_the_two_files_never_took_effect)
{
	struct history_grant one = days_grant(1, 1024), two = days_grant(2, 1088);
	struct history_mapping m = days_sharing();
	struct error err = { 0 };
	char text[160];
	uint64_t size;

	days_share();
	days_make(one);
	size = lab.history->file.chain.tip.size;
	lab.now += 10;
	cr_assert_eq(days_change(&one, &two), 0);
	history_close(lab.history);
	/* The lines of the day are on the disk, and those of the history are not. */
	cr_assert_eq(truncate(days_path(HISTORY_FILE), (off_t)size), 0);
	unlink(days_path(HISTORY_HEAD_FILE));
	cr_expect_eq(days_damages(text), 0, "%s", text);
	EXPECT(1030, NOON + 12, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 12, WHO_NOBODY, 0);
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, &one, 1), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
	cr_assert_eq(days_change(&one, &two), 0);
	lab_confirm();
	EXPECT(1030, lab.now + 2, WHO_NOBODY, 0);
	EXPECT(1090, lab.now + 2, WHO_FOUND, 0x0a000002);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	cr_expect_eq(days_ledger_faults(), 0);
}

Test(grant_days_files, what_a_kill_leaves_of_a_day_is_taken_back_and_written_again)
{
	char text[160], head[512], hash[HASH_TEXT] = HASH_NONE;
	struct chain c;
	FILE *f;
	int dir = lab.history->file.dir;

	days_share();
	days_make(days_grant(1, 1024));
	cr_assert_eq(chain_open(dir, FIRST, O_RDWR, &c), 0);
	cr_assert_eq(chain_find_tip(&c), 0);
	memcpy(hash, c.tip.hash, HASH_TEXT);
	cr_assert_eq(pwrite(c.fd, "{\"line\":2,\"hash\":\"", 18, (off_t)c.tip.size), 18);
	cr_assert_eq(pwrite(c.fd, hash, 64, (off_t)c.tip.size + 18), 64);
	cr_assert_eq(pwrite(c.fd, "\"}\n", 3, (off_t)c.tip.size + 82), 3);
	/* The ledger's head says that this was being written. */
	f = fopen(days_path(LEDGER_HEAD_FILE), "re");
	cr_assert(f && fgets(head, sizeof(head), f));
	fclose(f);
	head[strcspn(head, "\n") - 1] = '\0';
	f = fopen(days_path(LEDGER_HEAD_FILE), "we");
	fprintf(f, "%s,\"writing\":{\"file\":\"" FIRST "\",\"lines\":1,\"octets\":%lu,\"tip\":\"%s\"}}\n", head,
		(unsigned long)c.tip.size, hash);
	fclose(f);
	chain_close(&c);
	days_make(days_grant(2, 1088));
	EXPECT(1090, NOON + 1, WHO_FOUND, 0x0a000002);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	cr_expect_eq(days_ledger_faults(), 0);
}

Test(grant_days_files, a_directory_that_cannot_take_the_line_refuses_the_change)
{
	struct history_grant one = days_grant(1, 1024);
	char text[160];

	days_share();
	cr_assert_eq(mkdir(days_path(FIRST), 0700), 0);
	cr_expect_lt(days_change(NULL, &one), 0);
	cr_assert_eq(rmdir(days_path(FIRST)), 0);
	EXPECT(1030, NOON + 1, WHO_NOBODY, 0);
	days_make(one);
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	cr_expect_eq(days_damages(text), 0, "%s", text);
}

Test(grant_days_files, a_file_that_lost_lines_gets_none_in_their_place)
{
	struct history_grant list[] = { days_grant(1, 1024), days_grant(2, 1088), days_grant(7, 1216) };
	struct stat st;

	days_share();
	days_make(list[0]);
	cr_assert_eq(stat(days_path(FIRST), &st), 0);
	days_make(list[1]);
	lab.now += 10;
	days_start_without_knowing(list, 2);
	cr_assert_eq(truncate(days_path(FIRST), st.st_size), 0);
	lab.now += 100;
	days_make(list[2]);
	EXPECT(1220, NOON + 50, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + 50, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 50, WHO_FOUND, 0x0a000001);
	EXPECT(1220, NOON + 120, WHO_FOUND, 0x0a000007);
	lab.now += DAY;
	days_tick();
	days_start_without_knowing(list, 3);
	EXPECT(1030, NOON + 50, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 5, WHO_NO_RECORD, 0);
	EXPECT(1090, lab.now + 1, WHO_FOUND, 0x0a000002);
	EXPECT(1220, lab.now + 1, WHO_FOUND, 0x0a000007);
}

Test(grant_days_files, a_file_that_was_removed_is_not_begun_anew_by_a_clock_set_back)
{
	struct history_grant one = days_grant(1, 1024), other = days_grant(7, 1216);

	days_share();
	days_make(one);
	lab.now += 10;
	days_start_without_knowing(&one, 1);
	lab.now += 10;
	days_end(one);
	days_tick();
	lab_set_clock(10 * DAY);
	days_tick();
	lab.now += 3600;
	days_tick();
	cr_assert(!days_is_there(FIRST));
	lab_set_clock(-10 * DAY);
	days_make(other);
	EXPECT(1220, NOON + 15, WHO_NO_RECORD, 0);
	cr_expect(!days_is_there(FIRST));
	EXPECT(1220, lab.now, WHO_FOUND, 0x0a000007);
	EXPECT(1030, lab.now, WHO_NO_RECORD, 0);
}

Test(grant_days_files, verify_names_a_file_that_a_list_alone_names)
{
	struct history_grant one = days_grant(1, 1024);
	char text[160];

	days_share();
	lab.now += 10;
	days_start_without_knowing(&one, 1);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	cr_assert(!unlink(days_path(FIRST)) && !unlink(days_path(LEDGER_FILE)) && !unlink(days_path(LEDGER_HEAD_FILE)));
	cr_expect_eq(days_damages(text), 1);
	cr_expect_str_eq(text, "names a grant of " FIRST ", which is missing", "%s", text);
	EXPECT(1030, NOON + 20, WHO_NO_RECORD, 0);
	EXPECT(2050, NOON + 20, WHO_FOUND, 0x0a000000);
}
