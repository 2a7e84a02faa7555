// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random customers of one address, whose records are lost, doubled and late, and a model that just remembers. Nobody is
 * ever named for certain who did not have the address, and who had it is always among those who may have.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "leases/statements.h"

#define SECONDS	  4000
#define CUSTOMERS 4U
#define NUMBERS	  3U
#define INTERIM	  60

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

/* In each second, the customers that had the address in any part of it: bits. */
static uint8_t truth[SECONDS];
static struct statements *book;
static unsigned loss;	  /* of 1000 records */
static unsigned misdated; /* of 1000 sessions, one record */
static bool gap[SECONDS];
static bool own[SECONDS]; /* a record says wrongly that it is of this second */
static unsigned certain, asked, silent;

static void record(enum lease_event event, int64_t t, unsigned customer, unsigned number, int64_t from, int64_t to)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	l.addr = lease_addr_of(0x0a000001);
	snprintf(l.id, sizeof(l.id), "%u", customer);
	if (number < NUMBERS)
		snprintf(l.session, sizeof(l.session), "nas/%u", number);
	l.from = from;
	l.to = to;
	if (t < 0 || t >= SECONDS || gap[t] || below(1000) < loss)
		return;
	cr_assert_eq(statements_feed(book, &l), 0);
	if (below(1000) < loss)
		cr_assert_eq(statements_feed(book, &l), 0);
}

static void hold(int64_t from, int64_t to, unsigned customer)
{
	for (int64_t t = from; t <= to && t < SECONDS; t++)
		truth[t] |= (uint8_t)(1U << customer);
}

/* By how much a record of the next session is misdated: it has waited, or a clock was wrong. */
static int64_t misdating(void)
{
	if (below(1000) >= misdated)
		return 0;
	return below(2) ? 2 + below(90) : -2 - (int64_t)below(90);
}

static void own_second(int64_t by, int64_t t)
{
	if (by && t + by >= 0 && t + by < SECONDS)
		own[t + by] = true;
}

/* A session of RADIUS; its server may restart, which ends it without a word of its own. Returns when it ended. */
static int64_t accounting(int64_t t, unsigned customer)
{
	int64_t end = t + 1 + below(400), by = misdating(), of[] = { 0, 0, 0 };
	unsigned number = below(NUMBERS), which = below(3);
	bool restarts = !misdated && !below(5);

	of[which] = by;
	for (unsigned i = 0; i < 3; i++)
		own_second(of[i], i == 0 ? t : i == 1 ? t + INTERIM : end);
	hold(t, end, customer);
	record(LEASE_START, t + of[0], customer, number, t + of[0], TIME_OPEN);
	for (int64_t at = t + INTERIM; at < end; at += INTERIM, of[1] = 0)
		record(LEASE_INTERIM, at + of[1], customer, number, t + of[1], TIME_OPEN);
	if (!restarts) {
		record(LEASE_STOP, end + of[2], customer, number, t + of[2], end + of[2]);
	} else if (end + 1 < SECONDS && !gap[end + 1]) {
		struct lease_line l;

		lease_line_init(&l, end + 1, LEASE_OFF);
		snprintf(l.session, sizeof(l.session), "nas/");
		cr_assert_eq(statements_feed(book, &l), 0);
	}
	return end + 1;
}

/* A lease of DHCP, whose server gives the address to nobody else within the term, unless it is released. */
static int64_t lease(int64_t t, unsigned customer)
{
	int64_t term = 100, end = t + 1 + below(400), renewed = t;

	hold(t, end, customer);
	for (; renewed <= end; renewed += term / 2)
		record(LEASE_START, renewed, customer, NUMBERS, renewed, renewed + term);
	renewed -= term / 2;
	if (end > renewed + term)
		end = renewed + term;
	/* A release that is lost in a gap is heard by the server all the same. */
	if (below(2)) {
		record(LEASE_STOP, end, customer, NUMBERS, TIME_NONE, end);
		return end + 1;
	}
	hold(end, renewed + term, customer);
	return renewed + term + 1;
}

static void make_gaps(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int64_t from = below(SECONDS - 300) + 1, to = from + below(250) + 1;
		struct lease_line l;

		for (int64_t t = from; t < to; t++)
			gap[t] = true;
		lease_line_init(&l, to, LEASE_LOST);
		l.from = from - 1;
		l.to = to;
		cr_assert_eq(statements_feed(book, &l), 0);
	}
}

static void check(int64_t last)
{
	for (int64_t t = 0; t < last; t++) {
		struct lease_answer a;
		uint8_t named = 0;

		statements_ask(book, NULL, t, &a);
		for (unsigned i = 0; i < a.n; i++)
			named |= (uint8_t)(1U << (a.holder[i].id[0] - '0'));
		asked += truth[t] && !(truth[t] & (truth[t] - 1));
		certain += a.certain && a.n;
		if (a.certain && a.n && !own[t])
			cr_assert_eq(named, truth[t], "second %d: %u for certain, but %u, seed %llx", (int)t, named,
				     truth[t], (unsigned long long)seed);
		else if (a.certain && !a.n)
			cr_assert(loss || !truth[t], "second %d: nobody for certain, but %u", (int)t, truth[t]);
		else if (a.n && !loss && !misdated && !a.others && (named & truth[t]) != truth[t])
			cr_assert_fail("second %d: %u may have, but %u did", (int)t, named, truth[t]);
		silent += !a.n && !a.certain && truth[t];
	}
}

static void walk(bool dhcp, unsigned of_1000, unsigned gaps)
{
	const struct lease_addr addr = lease_addr_of(0x0a000001);
	int64_t t = below(50);

	memset(truth, 0, sizeof(truth));
	memset(gap, 0, sizeof(gap));
	memset(own, 0, sizeof(own));
	loss = of_1000;
	cr_assert_eq(statements_new(&addr, &book), 0);
	make_gaps(gaps);
	while (t < SECONDS) {
		t = dhcp ? lease(t, below(CUSTOMERS)) : accounting(t, below(CUSTOMERS));
		t += below(2) ? 0 : below(90);
	}
	statements_note(book, SECONDS);
	cr_assert_eq(statements_finish(book), 0);
	/* The last session may go on. */
	check(SECONDS - 600);
	statements_free(book);
}

static void walks(bool dhcp, unsigned of_1000, unsigned gaps, unsigned least)
{
	certain = asked = silent = 0;
	for (unsigned i = 0; i < 200; i++) {
		seed = 0x9e3779b97f4a7c15ULL * (i + 1);
		walk(dhcp, of_1000, gaps);
	}
	cr_log_info("certain in %u of %u seconds, silent in %u", certain, asked, silent);
	cr_expect_geq(certain * 1000ULL, (uint64_t)asked * least, "certain in %u of %u seconds", certain, asked);
}

Test(statements_model, accounting_that_is_whole_names_everybody)
{
	walks(false, 0, 0, 930);
}

Test(statements_model, accounting_that_is_lost_in_part_names_nobody_wrongly)
{
	walks(false, 10, 0, 900);
	walks(false, 300, 0, 300);
}

Test(statements_model, gaps_of_accounting_name_nobody_wrongly)
{
	walks(false, 0, 4, 500);
	walks(false, 100, 4, 300);
}

Test(statements_model, a_record_of_a_session_that_is_misdated_names_and_denies_nobody_wrongly)
{
	misdated = 100;
	walks(false, 0, 0, 700);
}

Test(statements_model, terms_name_everybody_and_nobody_wrongly)
{
	walks(true, 0, 0, 990);
	walks(true, 0, 4, 500);
}
