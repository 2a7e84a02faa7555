/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of days that go once nothing of theirs is kept any longer. */
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

TestSuite(grant_days_expiry, .init = days_begin, .fini = lab_teardown);

Test(grant_days_expiry, a_file_goes_after_the_last_end_and_who_says_no_record_of_the_shared_range_alone)
{
	char text[160];

	days_share();
	lab.now += 10;
	days_make(days_grant(1, 1024));
	days_make(days_grant(3, 1152));
	days_end(days_grant(3, 1152));
	lab.now += DAY;
	days_make(days_grant(2, 1088));
	lab.now += 3 * DAY;
	days_tick();
	cr_expect(days_is_there(FIRST), "one of its grants lasts");
	days_end(days_grant(1, 1024));
	lab.now += DAY;
	days_tick();
	cr_expect(days_is_there(FIRST), "it ended a day ago");
	lab.now += DAY + 1;
	days_tick();
	cr_expect(!days_is_there(FIRST));
	cr_expect(days_is_there(NEXT));
	cr_expect(!days_is_there(HISTORY_CACHE_FILE));
	EXPECT(1030, NOON + 11, WHO_NO_RECORD, 0);
	EXPECT(1300, NOON + 11, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 4 * DAY, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + 2 * DAY, WHO_FOUND, 0x0a000002);
	EXPECT(2050, NOON + 11, WHO_FOUND, 0x0a000000);
	EXPECT(1030, NOON + 5 * DAY, WHO_NOBODY, 0);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	cr_expect_eq(days_ledger_faults(), 0);
	/* The agent has forgotten, too. */
	for (size_t i = 0; i < lab.history->file.index.grants.n; i++)
		cr_expect_neq(lab.history->file.index.grants.interval[i].grant.in, 0x0a000001);
}

Test(grant_days_expiry, what_ended_with_its_mapping_has_ended_also_once_it_is_forgotten)
{
	struct history_mapping m = days_sharing();
	struct error err = { 0 };

	days_share();
	days_make(days_grant(1, 1024));
	lab.now += DAY;
	cr_assert_eq(lab_change(lab.history, &m, 1, NULL, 0, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 10;
	cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 3 * DAY;
	days_tick();
	cr_assert(!days_is_there(FIRST));
	EXPECT(1030, NOON + DAY - 1, WHO_NO_RECORD, 0);
	EXPECT(1030, NOON + 2 * DAY, WHO_NOBODY, 0);
}

Test(grant_days_expiry, a_cache_that_still_knows_does_not_count)
{
	struct error err = { 0 };
	unsigned n;
	const struct ledger_expiry x = { .dir = lab.state, .kind = LEDGER_GRANTS, .before = NOON + DAY };
	int fd = -1;

	days_share();
	days_make(days_grant(1, 1024));
	days_end(days_grant(1, 1024));
	lab.now += 10;
	cr_assert_eq(history_cache_write(lab.history->file.dir, lab.history->file.chain.fd,
					 lab.history->file.chain.tip.size, &lab.history->file.index, &fd),
		     0);
	close(fd);
	cr_assert_eq(ledger_expire(&x, lab.now, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 1);
	EXPECT(1030, NOON, WHO_NO_RECORD, 0);
	days_tick();
	cr_expect(!days_is_there(HISTORY_CACHE_FILE), "the agent removes what it had from before");
}

Test(grant_days_expiry, a_clock_that_leaps_removes_nothing_for_an_hour)
{
	days_share();
	days_make(days_grant(1, 1024));
	days_end(days_grant(1, 1024));
	days_tick();
	lab_set_clock(10 * DAY);
	days_tick();
	cr_expect(days_is_there(FIRST));
	lab.now += 3600;
	days_tick();
	cr_expect(!days_is_there(FIRST));
}

Test(grant_days_expiry, the_command_removes_what_the_agent_would)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;
	size_t size;
	struct writer w = { .out = open_memstream(&text, &size) };
	struct error err = { 0 };
	char damage[160];

	/* Today, by the clock of the machine, is later. */
	days_share();
	days_make(days_grant(1, 1024));
	days_end(days_grant(1, 1024));
	lab.now += DAY;
	days_make(days_grant(2, 1088));
	cJSON_AddTrueToObject(args, "grants");
	cJSON_AddStringToObject(args, "state_dir", lab.state);
	cr_expect_eq(view_leases_expire.run(NULL, args, &w, &err), EXIT_USAGE);
	cJSON_AddNumberToObject(args, "older", DAY);
	cr_expect_eq(view_leases_expire.run(NULL, args, &w, &err), EXIT_DONE, "%s", err.text);
	fclose(w.out);
	cr_expect_str_eq(text, FIRST " removed\n");
	cr_expect(!days_is_there(FIRST) && days_is_there(NEXT), "one of its grants lasts");
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1090, NOON + DAY + 2, WHO_FOUND, 0x0a000002);
	cr_expect_eq(days_damages(damage), 0, "%s", damage);
	cr_expect_eq(days_ledger_faults(), 0);
}

Test(grant_days_expiry, the_key_comes_and_goes)
{
	char text[160];

	days_share();
	history_set_grants(lab.history, 0);
	days_make(days_grant(1, 1024));
	cr_expect(days_says(HISTORY_FILE, "10.0.0.1\"") && !days_is_there(FIRST));
	history_set_grants(lab.history, 2);
	lab.now += 10;
	days_make(days_grant(2, 1088));
	days_end(days_grant(1, 1024));
	cr_expect(days_says(FIRST, "10.0.0.2") && !days_says(FIRST, "10.0.0.1"), "it ends where it began");
	history_set_grants(lab.history, 0);
	lab.now += 10;
	days_make(days_grant(3, 1152));
	days_end(days_grant(2, 1088));
	cr_expect(!days_says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(days_says(HISTORY_FILE, "10.0.0.3\""));
	lab.now += DAY;
	days_tick();
	cr_expect(days_is_there(FIRST), "without the key, nothing is removed");
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 12, WHO_FOUND, 0x0a000002);
	EXPECT(1090, NOON + DAY, WHO_NOBODY, 0);
	EXPECT(1160, NOON + DAY, WHO_FOUND, 0x0a000003);
	cr_expect_eq(days_damages(text), 0, "%s", text);
}
