// SPDX-License-Identifier: BSD-2-Clause
/* Many statements about one address, in shapes in which each could be compared with all others. */
#include <criterion/criterion.h>
#include <time.h>

#include "leases/statements.h"

#define MANY 40000U

/* Of a processor, with sanitizers, too; comparing all with all takes ten times as long and more. */
#define SECONDS 5

static struct statements *book;

static void say(enum lease_event event, int64_t t, const char *session, int customer, int64_t from)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	if (lease_event_of_session(event))
		l.addr = lease_addr_of(0x0a000001);
	if (customer >= 0)
		snprintf(l.id, sizeof(l.id), "customer%d", customer);
	snprintf(l.session, sizeof(l.session), "%s", session);
	l.from = from;
	l.to = event == LEASE_LOST || event == LEASE_STOP ? t : TIME_OPEN;
	cr_assert_eq(statements_feed(book, &l), 0);
}

static const char *number(int i)
{
	static char text[32];

	snprintf(text, sizeof(text), "nas/%d", i);
	return text;
}

static void one_number(int i, int64_t t)
{
	say(LEASE_START, t, "nas/0", i, t);
	say(LEASE_INTERIM, t + 4, "nas/0", i, t);
	say(LEASE_STOP, t + 8, "nas/0", i, t);
}

static void one_number_whose_ends_are_lost(int i, int64_t t)
{
	say(LEASE_INTERIM, t, "nas/0", i, TIME_NONE);
}

static void one_customer(int i, int64_t t)
{
	say(LEASE_START, t, "nas/0", 0, t);
	say(LEASE_STOP, t + 8, "nas/0", 0, t);
}

static void names_that_come_late(int i, int64_t t)
{
	say(LEASE_START, t, "nas/0", -1, t);
	say(LEASE_INTERIM, t + 4, "nas/0", i, t);
}

static void restarts(int i, int64_t t)
{
	say(LEASE_START, t, number(i), i, t);
	say(LEASE_OFF, t + 5, "nas/", -1, TIME_NONE);
}

static void gaps(int i, int64_t t)
{
	say(LEASE_START, t, number(i), i, t);
	say(LEASE_LOST, t + 5, "", -1, t + 3);
	say(LEASE_INTERIM, t + 6, number(i), i, t);
}

static void one_second(int i, int64_t t)
{
	say(LEASE_START, 1000, number(i), i, 1000);
}

static void one_second_and_number(int i, int64_t t)
{
	say(LEASE_START, 1000, "nas/0", i, 1000);
	say(LEASE_INTERIM, 1010 + t, "nas/0", i, 1000);
}

static void two_beginnings_of_one_number(int i, int64_t t)
{
	say(LEASE_START, 1000, "nas/0", i, 1000);
	say(LEASE_START, 1020, "nas/0", i, 1020);
	say(LEASE_INTERIM, 1030 + t, "nas/0", i, 1000);
}

static void ends_that_are_lost(int i, int64_t t)
{
	say(LEASE_START, t, number(i), i, t);
}

static void terms(int i, int64_t t)
{
	say(LEASE_START, t, "", 0, t);
	say(LEASE_STOP, t + 5, "", 0, TIME_NONE);
}

static void expect_linear(const char *what, void (*shape)(int i, int64_t t))
{
	struct lease_addr addr = lease_addr_of(0x0a000001);
	struct lease_answer a;
	clock_t begin = clock();

	cr_assert_eq(statements_new(&addr, &book), 0);
	for (unsigned i = 0; i < MANY; i++)
		shape((int)i, (int64_t)i * 10);
	cr_assert_eq(statements_finish(book), 0);
	for (unsigned i = 0; i < 20; i++)
		statements_ask(book, NULL, (int64_t)MANY / 2 * i + 3, &a);
	statements_same(book, NULL, (int64_t)MANY * 5 - 60, (int64_t)MANY * 5 + 60, &a);
	statements_free(book);
	cr_expect_lt(clock() - begin, SECONDS * CLOCKS_PER_SEC, "%s: %.1f s", what,
		     (double)(clock() - begin) / CLOCKS_PER_SEC);
}

#define EXPECT_LINEAR(shape) expect_linear(#shape, shape)

Test(statements_many, an_answer_takes_time_in_proportion)
{
	EXPECT_LINEAR(one_number);
	EXPECT_LINEAR(one_number_whose_ends_are_lost);
	EXPECT_LINEAR(one_customer);
	EXPECT_LINEAR(names_that_come_late);
	EXPECT_LINEAR(restarts);
	EXPECT_LINEAR(gaps);
	EXPECT_LINEAR(one_second);
	EXPECT_LINEAR(one_second_and_number);
	EXPECT_LINEAR(two_beginnings_of_one_number);
	EXPECT_LINEAR(ends_that_are_lost);
	EXPECT_LINEAR(terms);
}
