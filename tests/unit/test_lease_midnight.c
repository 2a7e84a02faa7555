// SPDX-License-Identifier: BSD-2-Clause
/* A file of leases begins with the sessions that are open at midnight. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/ledger_files.h"
#include "leases/lease_append.h"
#include "leases/lease_days.h"

#define DAY 86400LL
#define T0  (20000 * DAY + 3600)

static char dir[] = "/tmp/lease-midnight-XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void tear_down(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(lease_midnight, .init = set_up, .fini = tear_down);

static int64_t late; /* of the next line; 0: none */

static void tell(enum lease_event event, int64_t t, uint32_t addr, const char *id, const char *session, int64_t to)
{
	struct lease_batch b = { .dir = dir, .opens = true };
	struct lease_line l;
	struct error err;

	lease_line_init(&l, t, event);
	if (addr)
		l.addr = lease_addr_of(addr);
	snprintf(l.id, sizeof(l.id), "%s", id);
	snprintf(l.session, sizeof(l.session), "%s", session);
	l.to = to;
	l.late = late ? late : TIME_NONE;
	late = 0;
	if (event == LEASE_LOST)
		l.from = t - 10;
	cr_assert_eq(lease_batch_add(&b, &l), 0);
	cr_assert_eq(lease_batch_write(&b, t, &err), 0, "%s", err.text);
}

/* The `open` lines of a day, as "id session seen;" with seen since T0, and ! where it is broken. */
static const char *open_lines(int64_t t)
{
	static char text[1024];
	char path[64 + LEDGER_NAME], name[LEDGER_NAME], line[LEASE_LINE_MAX];
	size_t n = 0;
	FILE *in;

	*text = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, ledger_file_name(LEDGER_LEASES, t, name));
	in = fopen(path, "r");
	cr_assert_not_null(in);
	while (fgets(line, sizeof(line), in)) {
		struct lease_line l;

		cr_assert_eq(lease_line_read(line, strlen(line) - 1, &l, NULL), 0);
		if (l.event != LEASE_OPEN)
			break;
		cr_expect_eq(l.time, t / DAY * DAY);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s %lld", l.id, l.session,
				      (long long)(l.early - T0));
		if (l.late != TIME_NONE)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "..%lld", (long long)(l.late - T0));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s;", l.broken ? "!" : "");
	}
	fclose(in);
	return text;
}

/* Whether a text has a part, once. */
static bool has(const char *text, const char *part)
{
	const char *found = strstr(text, part);

	return found && !strstr(found + 1, part);
}

Test(lease_midnight, who_is_there_is_repeated_and_who_is_gone_is_not)
{
	const char *text;

	tell(LEASE_START, T0, 1, "alice", "nas/1", TIME_OPEN);
	tell(LEASE_INTERIM, T0 + 600, 1, "alice", "nas/1", TIME_OPEN);
	tell(LEASE_START, T0, 2, "ended", "nas/2", TIME_OPEN);
	tell(LEASE_STOP, T0 + 60, 2, "ended", "nas/2", T0 + 60);
	tell(LEASE_START, T0, 3, "before", "nas/3", TIME_OPEN);
	tell(LEASE_START, T0 + 60, 3, "after", "nas/4", TIME_OPEN);
	tell(LEASE_START, T0, 4, "moved", "nas/5", TIME_OPEN);
	tell(LEASE_INTERIM, T0 + 60, 5, "moved", "nas/5", TIME_OPEN);
	tell(LEASE_START, T0, 6, "restarted", "other/1", TIME_OPEN);
	tell(LEASE_OFF, T0 + 60, 0, "", "other/", TIME_OPEN);
	tell(LEASE_INTERIM, T0, 7, "term", "", T0 + 3600);
	tell(LEASE_INTERIM, T0, 8, "promised", "", T0 + 2 * DAY);
	late = T0 + 900;
	tell(LEASE_INTERIM, T0 + 300, 9, "held", "nas/9", TIME_OPEN);
	tell(LEASE_MARK, T0 + DAY, 0, "", "", TIME_OPEN);
	text = open_lines(T0 + DAY);
	cr_expect(has(text, "held nas/9 300..900;"), "%s", text);
	cr_expect(has(text, "alice nas/1 600;"), "%s", text);
	cr_expect(has(text, "after nas/4 60;"), "%s", text);
	cr_expect(has(text, "moved nas/5 60;"), "%s", text);
	cr_expect(has(text, "promised  0;"), "%s", text);
	cr_expect_eq(strlen(text),
		     strlen("alice nas/1 600;after nas/4 60;moved nas/5 60;promised  0;held nas/9 300..900;"), "%s",
		     text);
}

Test(lease_midnight, a_session_goes_from_day_to_day_by_what_was_heard_of_it_last)
{
	tell(LEASE_START, T0, 1, "alice", "nas/1", TIME_OPEN);
	for (int64_t day = 1; day < 4; day++)
		tell(LEASE_MARK, T0 + day * DAY, 0, "", "", TIME_OPEN);
	cr_expect_str_eq(open_lines(T0 + 3 * DAY), "alice nas/1 0;");
	tell(LEASE_LOST, T0 + 3 * DAY + 10, 0, "", "", T0 + 3 * DAY + 10);
	tell(LEASE_MARK, T0 + 4 * DAY, 0, "", "", TIME_OPEN);
	cr_expect_str_eq(open_lines(T0 + 4 * DAY), "alice nas/1 0!;");
	tell(LEASE_INTERIM, T0 + 4 * DAY + 10, 1, "alice", "nas/1", TIME_OPEN);
	/* No file is there of the day between. */
	tell(LEASE_MARK, T0 + 6 * DAY, 0, "", "", TIME_OPEN);
	cr_expect_str_eq(open_lines(T0 + 6 * DAY), "alice nas/1 345610!;");
	tell(LEASE_MARK, T0 + 400 * DAY, 0, "", "", TIME_OPEN);
	cr_expect_str_eq(open_lines(T0 + 400 * DAY), "");
}

static void ask(int64_t t, const char *wanted)
{
	const struct lease_addr at = lease_addr_of(1);
	struct lease_answer a;
	struct statements *x;
	struct lease_days *d;
	struct error err;

	cr_assert_eq(lease_days_open(dir, &d, &err), 0);
	cr_assert_eq(lease_days_about(d, &at, NULL, t, t, &x, &err), 0, "%s", err.text);
	statements_ask(x, NULL, t, &a);
	cr_expect_str_eq(a.n ? a.holder[0].id : "", wanted);
	cr_expect(a.certain);
	statements_free(x);
	lease_days_free(d);
}

Test(lease_midnight, a_session_is_known_where_the_file_of_its_beginning_is_gone)
{
	char command[128];

	tell(LEASE_START, T0, 1, "alice", "nas/1", TIME_OPEN);
	for (int64_t day = 1; day < 40; day++)
		tell(LEASE_MARK, T0 + day * DAY, 0, "", "", TIME_OPEN);
	tell(LEASE_STOP, T0 + 40 * DAY, 1, "alice", "nas/1", T0 + 40 * DAY);
	tell(LEASE_MARK, T0 + 40 * DAY + 60, 0, "", "", TIME_OPEN);
	ask(T0 + 20 * DAY, "alice");
	snprintf(command, sizeof(command), "rm %s/leases-2024-10-*.jsonl", dir);
	cr_assert_eq(system(command), 0);
	ask(T0 + 35 * DAY, "alice");
	ask(T0 + 40 * DAY + 1, "");
}

/* Adds lines that may be there. Returns how many were. */
static size_t import(const struct lease_line *line, size_t n)
{
	struct lease_batch b = { .dir = dir, .fresh = true };
	struct error err;
	size_t known;

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(lease_batch_add(&b, &line[i]), 0);
	known = b.known;
	cr_assert_eq(lease_batch_write(&b, T0, &err), 0, "%s", err.text);
	return known;
}

Test(lease_midnight, what_comes_again_later_adds_no_line)
{
	struct lease_line l[4];

	for (unsigned i = 0; i < 4; i++) {
		lease_line_init(&l[i], T0, LEASE_INTERIM);
		l[i].addr = lease_addr_of(1);
		l[i].from = T0 - 50;
		snprintf(l[i].session, sizeof(l[i].session), "nas/1");
	}
	/* It waited, came the day after, and is another one. */
	l[1].late = T0 + 700;
	l[2].early = T0;
	l[2].time = T0 + DAY;
	l[2].from += DAY;
	l[3].from++;
	cr_expect_eq(import(l, 3), 2);
	cr_expect_eq(import(l, 4), 3);
}
