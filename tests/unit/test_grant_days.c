/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants in files of their days: the lines, and what `who` and evidence make of them. */
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

TestSuite(grant_days, .init = days_begin, .fini = lab_teardown);

Test(grant_days, lines_are_in_the_file_of_the_day_on_which_the_grant_began)
{
	char text[160];

	days_share();
	lab.now += 10;
	days_make(days_grant(1, 1024));
	lab.now += DAY;
	days_make(days_grant(2, 1088));
	days_end(days_grant(1, 1024));
	cr_expect(days_says(FIRST, "\"in\":\"10.0.0.1\""));
	cr_expect(days_says(FIRST, "\"to\":\"2026-01-02"));
	cr_expect(days_says(NEXT, "\"in\":\"10.0.0.2\"") && !days_says(NEXT, "10.0.0.1"));
	cr_expect(!days_says(HISTORY_FILE, "10.0.0.1\"") && !days_says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(days_says(
		HISTORY_FILE,
		"\"day\":\"2026-01-01\",\"grant\":1,\"out\":\"1.1.1.0\",\"from\":\"2026-01-01T12:00:10Z\",\"to\":\"2"));
	EXPECT(1030, NOON + 11, WHO_FOUND, 0x0a000001);
	EXPECT(1030, NOON + DAY + 12, WHO_NOBODY, 0);
	EXPECT(1090, NOON + DAY + 12, WHO_FOUND, 0x0a000002);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	cr_expect_eq(days_ledger_faults(), 0);
}

Test(grant_days, lists_name_them_by_their_place)
{
	struct history_grant list[] = { days_grant(1, 1024), days_grant(2, 1088) };
	struct history_mapping m = days_sharing();
	struct error err = { 0 };
	char text[160];

	days_share();
	days_make(list[0]);
	lab.now += DAY;
	days_tick();
	cr_expect(days_says(HISTORY_FILE,
			    "\"grants\":[{\"day\":\"2026-01-01\",\"grant\":1,\"out\":\"1.1.1.0\",\"from\":"));
	history_close(lab.history);
	/* An agent that knows nothing of the second finds both: what a start begins is of its day. */
	cr_assert_eq(history_open(lab.state, -1, &lab.history, &err), 0, "%s", err.text);
	history_set_grants(lab.history, 2);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, list, 2), 0);
	cr_assert_eq(history_begin(lab.history, true, &m, 1), 0);
	cr_assert_eq(history_settle(lab.history, &err), 0, "%s", err.text);
	cr_expect(days_says(NEXT, "10.0.0.2") && !days_says(HISTORY_FILE, "10.0.0.2\""));
	cr_expect(days_says(HISTORY_FILE, "\"event\":\"start\",\"format\":7"));
	EXPECT(1030, NOON + 2 * DAY, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 2 * DAY, WHO_FOUND, 0x0a000002);
	cr_expect_eq(days_damages(text), 0, "%s", text);
}

Test(grant_days, what_did_not_take_effect_is_taken_back)
{
	struct history_grant one = days_grant(1, 1024), two = days_grant(2, 1088);
	struct history_mapping m = days_sharing();
	struct error err = { 0 };
	char text[160];

	days_share();
	days_make(one);
	lab.now += 10;
	cr_assert_eq(days_change(&one, &two), 0);
	cr_assert_eq(history_present(lab.history, FACT_GRANT, &one, 1), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0);
	lab.now += 10;
	EXPECT(1030, lab.now, WHO_FOUND, 0x0a000001);
	EXPECT(1090, lab.now, WHO_NOBODY, 0);
	cr_expect(history_holds(lab.history, FACT_GRANT, &one, 1, &err), "%s", err.text);
	cr_expect_eq(days_damages(text), 0, "%s", text);
	lab.now += 3 * DAY;
	days_tick();
	cr_expect(days_is_there(FIRST), "its grant lasts");
}

Test(grant_days, evidence_has_the_lines_that_are_named)
{
	struct history_files f;
	struct error err = { 0 };
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t size = 0, before = 0;
	FILE *out = open_memstream(&text, &size);
	char command[256];

	days_share();
	days_make(days_grant(1, 1024));
	days_make(days_grant(2, 1088));
	lab.now += 10;
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0);
	for (line = rest = strndup(f.text, f.size); line && *line; line = strchr(line, '\n') + 1) {
		struct history_record r = { 0 };

		if (!history_record_read(line, strcspn(line, "\n"), &r, &err) && r.event == EVENT_GRANT && !before++)
			cr_assert_eq(grant_days_copy(f.days, &r, out), 0);
		history_record_free(&r);
	}
	free(rest);
	history_files_free(&f);
	fclose(out);
	cr_expect(strstr(text, "10.0.0.1") && !strstr(text, "10.0.0.2"), "%s", text);
	/* A directory of evidence with the history, and this line. */
	snprintf(command, sizeof(command), "cd %s && rm grants-* && echo '{\"evidence\":2}' >question.json", lab.state);
	cr_assert_eq(system(command), 0);
	out = fopen(days_path(GRANT_EVIDENCE_FILE), "we");
	fputs(text, out);
	fclose(out);
	EXPECT(1030, NOON + 1, WHO_FOUND, 0x0a000001);
	EXPECT(1090, NOON + 1, WHO_NO_RECORD, 0);
	*(strstr(text, "10.0.0.1") + 7) = '3';
	out = fopen(days_path(GRANT_EVIDENCE_FILE), "we");
	fputs(text, out);
	fclose(out);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
}

extern const struct view view_leases_expire;

Test(grant_days, a_grant_whose_begin_was_changed_ends)
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
	lab.now += 10;
	days_end(days_grant(1, 1024));
	lab.now += DAY;
	days_tick();
	cr_expect_eq(days_damages(text), 1);
	EXPECT(1030, NOON + 1, WHO_NO_RECORD, 0);
	EXPECT(1030, lab.now, WHO_NOBODY, 0);
	EXPECT(2050, lab.now - 10, WHO_FOUND, 0x0a000000);
}

Test(grant_days, who_had_the_ports_within_the_same_second_is_not_known_either)
{
	struct history_grant one = days_grant(1, 1024), other = days_grant(7, 1024);
	int64_t at;

	days_share();
	days_make(one);
	lab.now += DAY;
	cr_assert_eq(days_change(&one, &other), 0);
	at = lab.now;
	lab.now += 1;
	lab_confirm();
	EXPECT(1030, at, WHO_FOUND, 0x0a000007);
	lab.now += 2 * DAY;
	days_tick();
	cr_assert(!days_is_there(FIRST) && days_is_there(NEXT));
	EXPECT(1030, at, WHO_NO_RECORD, 0);
	EXPECT(1030, at + 10, WHO_FOUND, 0x0a000007);
	EXPECT(1030, at - 10, WHO_NO_RECORD, 0);
	EXPECT(2050, at, WHO_FOUND, 0x0a000000);
}
