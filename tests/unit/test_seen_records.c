/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of accounting that come again: as they were, with another delay, by a proxy, after a restart. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "seen_records.h"
#include "leases/lease_append.h"

#define NOW 1795690800

static struct seen_records seen;

static void end(void)
{
	seen_free(&seen);
}

TestSuite(seen_records, .fini = end);

/* session_time: of lines other than starts; -1: unknown. */
static struct lease_line line_of(enum lease_event event, int64_t at, const char *session, int session_time)
{
	struct lease_line l;

	lease_line_init(&l, NOW + at, event);
	l.addr = event == LEASE_OFF ? l.addr : lease_addr_of(0x64401010);
	snprintf(l.id, sizeof(l.id), "%s", event == LEASE_OFF ? "" : "alice");
	snprintf(l.session, sizeof(l.session), "192.0.2.9/%s", session);
	if (event == LEASE_START)
		l.from = l.time;
	else if (session_time >= 0)
		l.from = l.time - session_time;
	if (event == LEASE_STOP)
		l.to = l.time;
	return l;
}

/* As the server asks: for the packet, then for its line. */
static enum seen ask(struct lease_line l, uint64_t packet)
{
	enum seen s = seen_ask(&seen, &(struct seen_record){ .packet = packet });

	return s ? s : seen_ask(&seen, &(struct seen_record){ .line = &l });
}

static void note(struct lease_line l, uint64_t packet, uint64_t now_s)
{
	seen_note(&seen, &(struct seen_record){ .line = &l }, now_s);
	seen_note(&seen, &(struct seen_record){ .packet = packet }, now_s);
}

Test(seen_records, a_record_waits_until_its_group_is_on_the_disk)
{
	const struct lease_line start = line_of(LEASE_START, 0, "s1", -1);

	cr_expect_eq(ask(start, 7), SEEN_NOT);
	note(start, 7, 0);
	cr_expect_eq(ask(start, 7), SEEN_WAITING);
	cr_expect_eq(ask(start, 7), SEEN_WAITING);
	seen_written(&seen);
	cr_expect_eq(ask(start, 7), SEEN_WRITTEN);
	note(line_of(LEASE_START, 0, "s2", -1), 8, 0);
	cr_expect_eq(ask(start, 7), SEEN_WRITTEN);
}

struct again_row {
	const char *what;
	struct lease_line first, between, again;
	uint64_t packet; /* of `again`; that of `first` is 1 */
	bool seen;
};

static void expect_row(const struct again_row *row)
{
	note(row->first, 1, 0);
	if (row->between.time)
		note(row->between, 2, 1);
	seen_written(&seen);
	cr_expect_eq(ask(row->again, row->packet), row->seen ? SEEN_WRITTEN : SEEN_NOT, "%s", row->what);
	seen_free(&seen);
}

#define NONE      \
	{         \
		0 \
	}
#define START(at) line_of(LEASE_START, at, "s1", -1)
#define STOP(at)  line_of(LEASE_STOP, at, "s1", 60)
#define ALIVE(at) line_of(LEASE_INTERIM, at, "s1", 60)
#define OFF(at)	  line_of(LEASE_OFF, at, "", -1)

Test(seen_records, a_repetition_is_told_from_another_event)
{
	const struct again_row rows[] = {
		{ "as it was, five minutes later", START(0), NONE, START(300), 1, true },
		{ "as it was, an hour later", START(0), NONE, START(3600), 1, true },
		{ "with its delay, an hour later", START(0), NONE, START(1), 3, true },
		{ "by a proxy that reckons no delay", START(0), NONE, START(300), 3, true },
		{ "by a proxy, too late", START(0), NONE, START(601), 3, false },
		{ "a session with the same number after its end", START(0), STOP(60), START(90), 3, false },
		{ "the start again after the end, as it was", START(0), STOP(60), START(90), 1, true },
		{ "the start again after the end, with its delay", START(0), STOP(60), START(0), 3, true },
		{ "the same number after the server's restart", START(0), OFF(60), START(90), 3, false },
		{ "an end again", STOP(60), NONE, STOP(200), 3, true },
		{ "the end of the next session with the same number", STOP(60), START(100), STOP(160), 3, false },
		{ "a sign of life again", ALIVE(60), NONE, ALIVE(200), 3, true },
		{ "the next sign of life", ALIVE(60), NONE, line_of(LEASE_INTERIM, 120, "s1", 120), 3, false },
		{ "the sign of life of the next session", ALIVE(60), START(100), ALIVE(160), 3, false },
		{ "signs of life without Acct-Session-Time", line_of(LEASE_INTERIM, 0, "s1", -1), NONE,
		  line_of(LEASE_INTERIM, 60, "s1", -1), 3, false },
		{ "another session", START(0), NONE, line_of(LEASE_START, 0, "s2", -1), 3, false },
		{ "no session: another time", line_of(LEASE_START, 0, "", -1), NONE, line_of(LEASE_START, 60, "", -1),
		  3, false },
		{ "no session: the same time", line_of(LEASE_START, 0, "", -1), NONE, line_of(LEASE_START, 1, "", -1),
		  3, true },
		{ "a restart again, as it was", OFF(0), NONE, OFF(20), 1, true },
		{ "another restart", OFF(0), NONE, OFF(60), 3, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_row(&rows[i]);
}

Test(seen_records, a_record_of_a_clock_that_is_not_known_any_more_is_known_by_its_event)
{
	struct lease_line again = line_of(LEASE_START, 3600, "s1", -1);

	again.early = NOW;
	note(START(0), 1, 0);
	note(STOP(60), 2, 60);
	seen_written(&seen);
	cr_expect_eq(ask(again, 3), SEEN_WRITTEN);
	again.early = NOW + 100;
	cr_expect_eq(ask(again, 3), SEEN_NOT);
}

/* What is called next finds no zeros where it has its variables. */
static __attribute__((noinline)) void fill_stack(void)
{
	volatile char room[16384];

	for (size_t i = 0; i < sizeof(room); i++)
		room[i] = 'x';
}

Test(seen_records, a_restart_is_found_by_the_name_of_its_server_alone)
{
	note(START(0), 1, 0);
	note(OFF(60), 2, 1);
	seen_written(&seen);
	fill_stack();
	cr_expect_eq(ask(START(90), 3), SEEN_NOT);
	fill_stack();
	cr_expect_eq(ask(START(0), 3), SEEN_WRITTEN);
}

Test(seen_records, a_customer_with_the_number_of_another_is_not_a_repetition)
{
	struct lease_line other = START(10);

	note(START(0), 1, 0);
	snprintf(other.id, sizeof(other.id), "bob");
	cr_expect_eq(ask(other, 2), SEEN_NOT);
	other = START(0);
	other.addr = lease_addr_of(0x64401011);
	cr_expect_eq(ask(other, 2), SEEN_NOT);
}

Test(seen_records, a_request_without_lines_is_known_by_its_packet)
{
	const struct seen_record r = { .packet = 7 };

	seen_note(&seen, &r, 0);
	seen_written(&seen);
	cr_expect_eq(seen_ask(&seen, &r), SEEN_WRITTEN);
	cr_expect_not(seen_passed_on(&seen, seen_key(&r)));
	seen_pass_on(&seen, seen_key(&r));
	cr_expect(seen_passed_on(&seen, seen_key(&r)));
}

Test(seen_records, the_oldest_give_way)
{
	for (uint64_t i = 0; i < 5; i++)
		seen_note(&seen, &(struct seen_record){ .packet = 4 + i * SEEN_PLACES }, i);
	seen_written(&seen);
	cr_expect_eq(seen_ask(&seen, &(struct seen_record){ .packet = 4 }), SEEN_NOT);
	for (uint64_t i = 1; i < 5; i++)
		cr_expect_eq(seen_ask(&seen, &(struct seen_record){ .packet = 4 + i * SEEN_PLACES }), SEEN_WRITTEN);
}

static void write_lines(const char *dir, const struct lease_line *l, size_t n)
{
	struct lease_batch batch = { .dir = dir };
	struct error err;

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(lease_batch_add(&batch, &l[i]), 0);
	cr_assert_eq(lease_batch_write(&batch, NOW, &err), 0);
}

Test(seen_records, what_the_files_of_today_and_yesterday_have_is_known_after_a_restart)
{
	struct lease_line written[] = { line_of(LEASE_START, -DAY_S, "old", -1), START(0), ALIVE(60), OFF(-10) };
	char dir[] = "/tmp/detnat-seen-XXXXXX", command[64];

	cr_assert(mkdtemp(dir));
	written[3].packet = 9;
	write_lines(dir, written, ARRAY_SIZE(written));
	seen_recall(&seen, dir, NOW + 300);
	cr_expect_eq(ask(line_of(LEASE_START, 1 - DAY_S, "old", -1), 3), SEEN_WRITTEN);
	cr_expect_eq(ask(START(301), 3), SEEN_WRITTEN);
	cr_expect_eq(ask(ALIVE(301), 3), SEEN_WRITTEN);
	cr_expect_eq(ask(STOP(301), 3), SEEN_NOT);
	cr_expect_eq(ask(OFF(5000), 9), SEEN_WRITTEN);
	cr_expect_eq(ask(OFF(5000), 8), SEEN_NOT);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect_eq(system(command), 0);
}

Test(seen_records, a_directory_without_files_is_no_fault)
{
	seen_recall(&seen, "/nonexistent", NOW);
	cr_expect_eq(ask(START(0), 1), SEEN_NOT);
}
