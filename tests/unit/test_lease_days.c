// SPDX-License-Identifier: BSD-2-Clause
/* Statements about one address out of the files of many days: as many as are needed, and the same as of all lines. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/ledger.h"
#include "leases/lease_days.h"
#include "leases/lease_files.h"

#define DAY   86400LL
#define FIRST (20000 * DAY)
#define DAYS  9U

static char dir[] = "/tmp/lease-days-XXXXXX";
static struct lease_line *all;
static size_t n_all;

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void tear_down(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
	free(all);
}

TestSuite(lease_days, .init = set_up, .fini = tear_down);

/* The end of the file of each day. */
static struct chain_tip tip[2 * DAYS];

static FILE *day_file(int64_t t)
{
	char name[LEDGER_NAME], path[64 + LEDGER_NAME];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, ledger_file_name(LEDGER_LEASES, t, name));
	out = fopen(path, "a");
	cr_assert_not_null(out);
	return out;
}

static void add(const struct lease_line *l)
{
	struct chain_tip *end = &tip[(l->time - FIRST) / DAY];
	_cleanup_free_ char *body = NULL;
	size_t size;
	FILE *text = open_memstream(&body, &size), *out = day_file(l->time);

	cr_assert_not_null(text);
	lease_line_write(text, l);
	fclose(text);
	if (!end->line)
		memcpy(end->hash, HASH_NONE, sizeof(end->hash));
	cr_assert_eq(chain_write(out, body, size, end), 0);
	fclose(out);
	all = reallocarray(all, n_all + 1, sizeof(*all));
	cr_assert_not_null(all);
	all[n_all++] = *l;
}

static void tell(enum lease_event event, int64_t t, uint32_t addr, const char *id, const char *session, int64_t from)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	if (addr)
		l.addr = lease_addr_of(addr);
	snprintf(l.id, sizeof(l.id), "%s", id);
	snprintf(l.session, sizeof(l.session), "%s", session);
	l.from = from;
	add(&l);
}

static struct lease_days *open_days(void)
{
	struct lease_days *d;
	struct error err;

	cr_assert_eq(lease_days_open(dir, &d, &err), 0, "%s", err.text);
	return d;
}

/* "alice", "alice?doubt", "-" or "?doubt". */
static const char *ask(struct lease_days *d, uint32_t addr, int64_t t)
{
	static char text[LEASE_ID + 64];
	const struct lease_addr at = lease_addr_of(addr);
	struct statements *x;
	struct lease_answer a;
	struct error err;

	cr_assert_eq(lease_days_about(d, &at, NULL, t, t, &x, &err), 0, "%s", err.text);
	statements_ask(x, NULL, t, &a);
	snprintf(text, sizeof(text), "%s%s%s",
		 a.n	     ? a.holder[0].id
		 : a.certain ? "-"
			     : "",
		 a.certain ? "" : "?", lease_doubt_word(a.doubt));
	statements_free(x);
	return text;
}

Test(lease_days, a_session_of_many_days_is_certain_by_its_first_and_last_statement)
{
	struct lease_days *d;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	for (int64_t day = 1; day < 8; day++)
		tell(LEASE_INTERIM, FIRST + day * DAY, 9, "zoe", "nas/9", FIRST);
	tell(LEASE_STOP, FIRST + 8 * DAY, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_MARK, FIRST + 8 * DAY + 500, 0, "", "", TIME_NONE);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + 4 * DAY), "alice");
	cr_expect_str_eq(ask(d, 1, FIRST + 8 * DAY + 200), "-");
	cr_expect_str_eq(ask(d, 2, FIRST + 4 * DAY), "?before-record");
	cr_expect_str_eq(ask(d, 1, FIRST + 8 * DAY + 501), "?after-record");
	cr_expect_eq(lease_days_wrong(d), 0);
	lease_days_free(d);
}

Test(lease_days, who_was_not_heard_of_since_the_day_before_may_have_it_until_a_change_of_hands)
{
	struct lease_days *d;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_START, FIRST + DAY + 500, 1, "bob", "nas/2", FIRST + DAY + 500);
	tell(LEASE_STOP, FIRST + DAY + 900, 1, "bob", "nas/2", FIRST + DAY + 500);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + DAY + 499), "alice?unheard");
	cr_expect_str_eq(ask(d, 1, FIRST + DAY + 500), "alice?several");
	cr_expect_str_eq(ask(d, 1, FIRST + DAY + 501), "bob");
	lease_days_free(d);
}

Test(lease_days, a_session_ends_where_no_address_is_said)
{
	struct lease_days *d;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_INTERIM, FIRST + DAY, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_STOP, FIRST + DAY + 60, 0, "alice", "nas/1", FIRST + 100);
	tell(LEASE_START, FIRST + DAY + 100, 2, "bob", "nas/2", FIRST + DAY + 100);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + 200), "alice");
	cr_expect_str_eq(ask(d, 1, FIRST + DAY + 61), "-");
	lease_days_free(d);
}

Test(lease_days, a_session_that_had_another_address_on_another_day_is_not_certain)
{
	struct lease_days *d;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/\"1\\", FIRST + 100);
	tell(LEASE_INTERIM, FIRST + 2 * DAY, 2, "alice", "nas/\"1\\", FIRST + 100);
	tell(LEASE_INTERIM, FIRST + 4 * DAY, 1, "alice", "nas/\"1\\", FIRST + 100);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + DAY), "alice?unheard");
	cr_expect_str_eq(ask(d, 1, FIRST + 3 * DAY), "alice?begin");
	lease_days_free(d);
}

Test(lease_days, a_day_that_is_missing_is_a_gap_where_an_agent_recorded)
{
	struct lease_days *d;

	tell(LEASE_BEGIN, FIRST, 0, "", "radius", TIME_NONE);
	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_MARK, FIRST + 2 * DAY + 1, 0, "", "", TIME_NONE);
	tell(LEASE_STOP, FIRST + 2 * DAY + 100, 1, "alice", "nas/1", FIRST + 100);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + DAY + 100), "alice?gap");
	cr_expect_str_eq(ask(d, 1, FIRST + 2 * DAY + 50), "alice?gap");
	lease_days_free(d);
}

Test(lease_days, what_a_changed_line_is_between_is_in_doubt)
{
	struct lease_days *d;
	FILE *out;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_INTERIM, FIRST + 200, 1, "alice", "nas/1", FIRST + 100);
	out = day_file(FIRST);
	fputs("{\"line\":3,\"time\":\"2024-10-04T00:04:00Z\",\"event\":\"stop\",\"in_addr\":\"0.0.0.1\",\"from\":null,"
	      "\"to\":null,\"hash\":\"" HASH_NONE "\"}\n",
	      out);
	fclose(out);
	tell(LEASE_INTERIM, FIRST + 400, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_STOP, FIRST + 500, 1, "alice", "nas/1", FIRST + 100);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + 150), "alice");
	cr_expect_str_eq(ask(d, 1, FIRST + 300), "alice?damaged");
	/* The line after it does not follow from it either. */
	cr_expect_eq(lease_days_wrong(d), 2);
	lease_days_free(d);
}

static bool is_zoes(void *arg, const char *line, size_t size)
{
	(void)arg;
	return memmem(line, size, "zoe", 3);
}

Test(lease_days, erased_lines_leave_nobody_without_doubt)
{
	struct lease_days *d;
	struct lease_line l;
	struct error err;
	uint64_t n;

	tell(LEASE_START, FIRST + 100, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_STOP, FIRST + 200, 1, "alice", "nas/1", FIRST + 100);
	tell(LEASE_START, FIRST + 1000, 3, "zoe", "nas/3", FIRST + 1000);
	tell(LEASE_STOP, FIRST + 2000, 3, "zoe", "nas/3", FIRST + 1000);
	tell(LEASE_START, FIRST + 5000, 2, "bob", "nas/2", FIRST + 5000);
	tell(LEASE_STOP, FIRST + 6000, 2, "bob", "nas/2", FIRST + 5000);
	lease_line_init(&l, FIRST + DAY, LEASE_ERASED);
	l.from = FIRST;
	l.to = FIRST + DAY;
	add(&l);
	cr_assert_eq(ledger_erase(dir, "leases-2024-10-04.jsonl", is_zoes, NULL, FIRST + DAY, &n, &err), 0);
	cr_assert_eq(n, 2);
	d = open_days();
	cr_expect_str_eq(ask(d, 1, FIRST + 150), "alice");
	cr_expect_str_eq(ask(d, 1, FIRST + 199), "alice");
	cr_expect_str_eq(ask(d, 1, FIRST + 1500), "?erased");
	cr_expect_str_eq(ask(d, 3, FIRST + 1500), "?erased");
	/* What went lies between what is left, and nobody else's end is in doubt for it. */
	cr_expect_str_eq(ask(d, 3, FIRST + 5500), "?before-record");
	cr_expect_str_eq(ask(d, 2, FIRST + 6001), "-");
	lease_days_free(d);
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % n;
}

/* Sessions of an address one after the other, of hours or days, some without an end, with numbers that come again. */
static void make_sessions(uint64_t *seed, uint32_t addr)
{
	int64_t t = FIRST + below(seed, 9000);

	for (unsigned n = 0; t < FIRST + (int64_t)DAYS * DAY; n++) {
		int64_t end = t + below(seed, 4) * DAY + below(seed, 40000) + 1;
		char id[16], session[32];

		snprintf(id, sizeof(id), "c%u", below(seed, 4));
		snprintf(session, sizeof(session), "nas/%u-%u", addr, n % 3);
		tell(LEASE_START, t, addr, id, session, t);
		for (int64_t at = t + 9000; below(seed, 8) && at < end; at += 9000)
			tell(LEASE_INTERIM, at, addr, id, session, t);
		if (below(seed, 3))
			tell(LEASE_STOP, end, addr, id, session, t);
		t = end + below(seed, 9000);
	}
}

Test(lease_days, what_is_certain_of_the_days_around_is_certain_of_all_lines)
{
	uint64_t seed = 7;
	unsigned certain = 0, doubt = 0;
	struct lease_days *d;

	for (uint32_t addr = 1; addr <= 3; addr++)
		make_sessions(&seed, addr);
	d = open_days();
	for (uint32_t addr = 1; addr <= 3; addr++) {
		const struct lease_addr at = lease_addr_of(addr);
		struct statements *whole;

		cr_assert_eq(statements_new(&at, &whole), 0);
		for (size_t i = 0; i < n_all; i++)
			cr_assert_eq(statements_feed(whole, &all[i]), 0);
		cr_assert_eq(statements_finish(whole), 0);
		for (int64_t t = FIRST; t < FIRST + (int64_t)DAYS * DAY; t += 977) {
			struct lease_answer a, b;
			struct statements *x;
			struct error err;

			cr_assert_eq(lease_days_about(d, &at, NULL, t, t, &x, &err), 0);
			statements_ask(x, NULL, t, &a);
			statements_ask(whole, NULL, t, &b);
			cr_expect_eq(a.certain, b.certain, "at %lld: %s, of all lines %s", (long long)(t - FIRST),
				     lease_doubt_word(a.doubt), lease_doubt_word(b.doubt));
			cr_expect(!b.certain || (a.n == b.n && (!a.n || !strcmp(a.holder[0].id, b.holder[0].id))));
			certain += b.certain;
			doubt += !b.certain;
			statements_free(x);
		}
		statements_free(whole);
	}
	cr_expect_gt(certain, 100);
	cr_expect_gt(doubt, 100);
	lease_days_free(d);
}
