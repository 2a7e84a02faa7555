/* SPDX-License-Identifier: BSD-2-Clause */
/* Which customer had an inside address: by rules, and against a model that looks at all leases of an address. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "leases/lease_index.h"
#include "rounds.h"

#define T0 1769860800LL /* 2026-01-31T12:00:00Z */

static struct lease_index *begin(void)
{
	struct lease_index *x;

	cr_assert_eq(lease_index_new(&x), 0);
	return x;
}

static void feed(struct lease_index *x, enum lease_event event, int64_t t, uint32_t addr, const char *id,
		 const char *session, int64_t from, int64_t to)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	if (addr)
		l.addr = lease_addr_of(addr);
	snprintf(l.id, sizeof(l.id), "%s", id);
	snprintf(l.session, sizeof(l.session), "%s", session);
	l.from = from;
	l.to = to;
	cr_assert_eq(lease_index_feed(x, &l), 0);
}

static void start(struct lease_index *x, int64_t t, uint32_t addr, const char *id, const char *session)
{
	feed(x, LEASE_START, t, addr, id, session, t, TIME_OPEN);
}

static void stop(struct lease_index *x, int64_t t, uint32_t addr, const char *id, const char *session)
{
	feed(x, LEASE_STOP, t, addr, id, session, TIME_NONE, t);
}

static void mark(struct lease_index *x, int64_t t)
{
	feed(x, LEASE_MARK, t, 0, "", "", TIME_NONE, TIME_OPEN);
}

/* "alice", or the reason. */
static const char *ask(const struct lease_index *x, int64_t t, uint32_t addr)
{
	static struct lease_answer a;
	struct lease_addr at = lease_addr_of(addr);

	lease_ask(x, &at, NULL, t, &a);
	return a.result == LEASE_CUSTOMER ? a.holder[0].id : lease_reason(a.result);
}

/* The same of one tenant. */
static const char *ask_of(const struct lease_index *x, const char *tenant, int64_t t, uint32_t addr)
{
	static struct lease_answer a;
	struct lease_addr at = lease_addr_of(addr);

	lease_ask(x, &at, tenant, t, &a);
	return a.result == LEASE_CUSTOMER ? a.holder[0].id : lease_reason(a.result);
}

static void start_of(struct lease_index *x, const char *tenant, int64_t t, uint32_t addr, const char *id)
{
	struct lease_line l;

	lease_line_init(&l, t, LEASE_START);
	l.addr = lease_addr_of(addr);
	snprintf(l.tenant, sizeof(l.tenant), "%s", tenant);
	snprintf(l.id, sizeof(l.id), "%s", id);
	l.from = t;
	l.to = TIME_OPEN;
	cr_assert_eq(lease_index_feed(x, &l), 0);
}

#define assert_who(x, t, addr, who) cr_expect_str_eq(ask(x, t, addr), who)

Test(lease_index, a_lease_lasts_from_its_start_to_its_stop)
{
	struct lease_index *x = begin();

	mark(x, T0 - 100);
	start(x, T0, 1, "alice", "nas/1");
	stop(x, T0 + 10, 1, "alice", "nas/1");
	mark(x, T0 + 100);
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 - 1, 1, "no-lease");
	assert_who(x, T0, 1, "alice");
	assert_who(x, T0 + 10, 1, "alice");
	assert_who(x, T0 + 11, 1, "no-lease");
	assert_who(x, T0 + 5, 2, "no-lease");
	assert_who(x, T0 - 101, 1, "no-record");
	assert_who(x, T0 + 101, 1, "no-record");
	lease_index_free(x);
}

Test(lease_index, an_address_handed_on_within_a_second_has_two_leases_in_it)
{
	struct lease_index *x = begin();

	start(x, T0, 1, "alice", "nas/1");
	stop(x, T0 + 10, 1, "alice", "nas/1");
	start(x, T0 + 10, 1, "bob", "nas/2");
	stop(x, T0 + 20, 1, "bob", "nas/2");
	start(x, T0 + 20, 1, "bob", "nas/3");
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 9, 1, "alice");
	assert_who(x, T0 + 10, 1, "two-leases");
	assert_who(x, T0 + 11, 1, "bob");
	assert_who(x, T0 + 20, 1, "bob");
	lease_index_free(x);
}

Test(lease_index, a_lease_without_a_stop_ends_where_the_next_begins)
{
	struct lease_index *x = begin();

	start(x, T0, 1, "alice", "nas/1");
	start(x, T0 + 50, 1, "bob", "nas/2");
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 49, 1, "alice");
	assert_who(x, T0 + 50, 1, "two-leases");
	assert_who(x, T0 + 51, 1, "bob");
	assert_who(x, T0 + 100000, 1, "bob");
	lease_index_free(x);
}

Test(lease_index, a_lease_ends_after_three_intervals_of_silence)
{
	struct lease_index *x = begin();

	start(x, T0, 1, "alice", "nas/1");
	feed(x, LEASE_INTERIM, T0 + 300, 1, "alice", "nas/1", T0, TIME_OPEN);
	feed(x, LEASE_INTERIM, T0 + 600, 1, "alice", "nas/1", T0, TIME_OPEN);
	mark(x, T0 + 5000);
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 1500, 1, "alice");
	assert_who(x, T0 + 1501, 1, "no-lease");
	lease_index_free(x);
}

Test(lease_index, a_lease_ends_when_it_was_expected_to_unless_a_line_renews_it)
{
	struct lease_index *x = begin();

	feed(x, LEASE_START, T0, 1, "alice", "", T0, T0 + 100);
	feed(x, LEASE_INTERIM, T0 + 50, 1, "alice", "", T0, T0 + 150);
	mark(x, T0 + 500);
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 150, 1, "alice");
	assert_who(x, T0 + 151, 1, "no-lease");
	lease_index_free(x);
}

Test(lease_index, a_restart_of_a_server_ends_its_thousand_leases_and_no_others)
{
	struct lease_index *x = begin();
	char session[32];

	for (uint32_t i = 1; i <= 1000; i++) {
		snprintf(session, sizeof(session), "nas/%u", i);
		start(x, T0, i, "customer", session);
	}
	start(x, T0, 2000, "other", "other/1");
	feed(x, LEASE_OFF, T0 + 100, 0, "", "nas/", TIME_NONE, TIME_OPEN);
	start(x, T0 + 100, 5, "after", "nas/1001");
	mark(x, T0 + 1000);
	cr_assert_eq(lease_index_finish(x), 0);
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_who(x, T0 + 99, i, "customer");
		assert_who(x, T0 + 101, i, i == 5 ? "after" : "no-lease");
	}
	assert_who(x, T0 + 500, 2000, "other");
	lease_index_free(x);
}

static void feed_of(struct lease_index *x, const char *tenant, enum lease_event event, int64_t t, const char *id)
{
	struct lease_line l;

	lease_line_init(&l, t, event);
	snprintf(l.tenant, sizeof(l.tenant), "%s", tenant);
	snprintf(l.id, sizeof(l.id), "%s", id);
	snprintf(l.session, sizeof(l.session), "%s", *id ? "10.0.0.1/7" : "10.0.0.1/");
	if (*id)
		l.addr = lease_addr_of(1);
	l.from = event == LEASE_START ? t : TIME_NONE;
	cr_assert_eq(lease_index_feed(x, &l), 0);
}

/* Servers of two networks may have the same address, number their sessions alike, and give the same addresses. */
Test(lease_index, a_restart_of_a_tenants_server_ends_no_leases_of_another)
{
	static const struct {
		const char *tenant;
		int64_t t;
		const char *id;
	} rows[] = { { "ispA", T0 + 50, "alice" },
		     { "ispB", T0 + 50, "bob" },
		     { "ispA", T0 + 150, "" },
		     { "ispB", T0 + 150, "bob" } };
	const struct lease_addr addr = lease_addr_of(1);
	struct lease_index *x = begin();

	feed_of(x, "ispA", LEASE_START, T0, "alice");
	feed_of(x, "ispB", LEASE_START, T0, "bob");
	feed_of(x, "ispA", LEASE_OFF, T0 + 100, "");
	mark(x, T0 + 1000);
	cr_assert_eq(lease_index_finish(x), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lease_answer a;

		lease_ask(x, &addr, rows[i].tenant, rows[i].t, &a);
		cr_expect_str_eq(a.n ? a.holder[0].id : "", rows[i].id, "row %zu: %s", i,
				 a.n ? a.holder[0].id : "none");
	}
	lease_index_free(x);
}

Test(lease_index, a_clock_set_back_during_a_lease_leaves_it_the_seconds_of_both)
{
	struct lease_index *x = begin();

	start(x, T0, 1, "alice", "nas/1");
	stop(x, T0 - 3600, 1, "alice", "nas/1");
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 - 3600, 1, "alice");
	assert_who(x, T0 - 10, 1, "alice");
	assert_who(x, T0, 1, "alice");
	lease_index_free(x);
}

Test(lease_index, seconds_whose_events_were_lost_have_no_record)
{
	struct lease_index *x = begin();

	mark(x, T0);
	feed(x, LEASE_LOST, T0 + 20, 0, "", "", T0 + 10, T0 + 20);
	feed(x, LEASE_BEGIN, T0 + 50, 0, "", "", T0 + 40, TIME_OPEN);
	mark(x, T0 + 100);
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 9, 1, "no-lease");
	assert_who(x, T0 + 15, 1, "no-record");
	assert_who(x, T0 + 30, 1, "no-lease");
	assert_who(x, T0 + 45, 1, "no-record");
	assert_who(x, T0 + 60, 1, "no-lease");
	lease_index_free(x);
}

Test(lease_index, a_source_that_was_added_later_has_no_record_of_before)
{
	struct lease_index *x = begin();
	struct lease_addr one = lease_addr_of(1);
	struct lease_answer a;

	feed(x, LEASE_BEGIN, T0, 0, "", "radius 192.0.2.1:1813", TIME_NONE, TIME_OPEN);
	start(x, T0, 2, "alice", "nas/1");
	feed(x, LEASE_BEGIN, T0 + 500, 0, "", "dnsmasq /var/lib/misc/dnsmasq.leases", 0, TIME_OPEN);
	mark(x, T0 + 1000);
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 499, 2, "alice");
	assert_who(x, T0 + 499, 1, "no-record");
	assert_who(x, T0 + 500, 1, "no-lease");
	lease_ask(x, &one, NULL, T0 + 100, &a);
	cr_expect(lease_same(x, &one, NULL, T0 - 100, T0 + 499, &a));
	cr_expect_not(lease_same(x, &one, NULL, T0 + 100, T0 + 500, &a));
	lease_index_free(x);
}

Test(lease_index, between_imported_lines_and_the_first_recording_there_is_no_record)
{
	for (int late = 0; late < 2; late++) {
		struct lease_index *x = begin();

		if (late)
			feed(x, LEASE_BEGIN, T0, 0, "", "", TIME_NONE, TIME_OPEN);
		start(x, T0 - 900, 1, "alice", "nas/1");
		stop(x, T0 - 800, 1, "alice", "nas/1");
		if (!late)
			feed(x, LEASE_BEGIN, T0, 0, "", "", TIME_NONE, TIME_OPEN);
		mark(x, T0 + 100);
		cr_assert_eq(lease_index_finish(x), 0);
		assert_who(x, T0 - 901, 1, "no-record");
		assert_who(x, T0 - 850, 1, "alice");
		assert_who(x, T0 - 850, 2, "no-lease");
		assert_who(x, T0 - 400, 1, "no-record");
		assert_who(x, T0 + 50, 1, "no-lease");
		lease_index_free(x);
	}
}

Test(lease_index, lines_may_come_in_any_order)
{
	struct lease_index *x = begin();

	stop(x, T0 + 10, 1, "alice", "nas/1");
	start(x, T0 + 20, 1, "bob", "nas/2");
	start(x, T0, 1, "alice", "nas/1");
	stop(x, T0 + 30, 1, "bob", "nas/2");
	cr_assert_eq(lease_index_finish(x), 0);
	assert_who(x, T0 + 5, 1, "alice");
	assert_who(x, T0 + 15, 1, "no-lease");
	assert_who(x, T0 + 25, 1, "bob");
	lease_index_free(x);
}

Test(lease_index, the_seconds_around_are_the_same_only_if_one_customer_has_them_all)
{
	struct lease_index *x = begin();
	struct lease_addr one;
	struct lease_answer a;

	start(x, T0, 1, "alice", "nas/1");
	stop(x, T0 + 1000, 1, "alice", "nas/1");
	start(x, T0 + 1001, 1, "alice", "nas/2");
	stop(x, T0 + 2000, 1, "alice", "nas/2");
	start(x, T0 + 2100, 1, "bob", "nas/3");
	cr_assert_eq(lease_index_finish(x), 0);
	one = lease_addr_of(1);
	lease_ask(x, &one, NULL, T0 + 1000, &a);
	cr_expect(lease_same(x, &one, NULL, T0, T0 + 2000, &a));
	cr_expect_not(lease_same(x, &one, NULL, T0 - 1, T0 + 2000, &a));
	cr_expect_not(lease_same(x, &one, NULL, T0, T0 + 2001, &a));
	lease_ask(x, &one, NULL, T0 + 2050, &a);
	cr_expect_eq(a.result, LEASE_NO_LEASE);
	cr_expect(lease_same(x, &one, NULL, T0 + 2001, T0 + 2099, &a));
	cr_expect_not(lease_same(x, &one, NULL, T0 + 2000, T0 + 2099, &a));
	lease_index_free(x);
}

/* A million leases. The model has the seconds that each holds, by construction. */
#define ADDRESSES 20000U
#define LEASES	  50U

struct truth {
	int64_t from, to;
	uint32_t customer;
};

static uint64_t state = 7;

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((state >> 33) % n);
}

/* Draws a lease that begins at *t and leaves *t where the next may begin. The next begins at the end, or later. */
static void draw_lease(struct lease_index *x, uint32_t addr, unsigned k, int64_t *t, struct truth *ret)
{
	char id[16], session[32];
	uint32_t way = draw(10), length = 60 + draw(5000), pause = draw(4) ? draw(400) : 0;

	*ret = (struct truth){ .from = *t, .customer = draw(500000) };
	snprintf(id, sizeof(id), "c%u", ret->customer);
	snprintf(session, sizeof(session), "nas%u/%u-%u", addr % 50, addr, k);
	start(x, *t, addr, id, session);
	if (way < 7) {
		ret->to = *t + length;
		stop(x, ret->to, addr, id, session);
	} else if (way < 9) {
		feed(x, LEASE_INTERIM, *t + 60, addr, id, session, *t, TIME_OPEN);
		ret->to = *t + 60 + 3 * 60;
	} else {
		/* Nothing more is heard of it: the next ends it. */
		ret->to = *t + length + pause;
		*t = ret->to;
		return;
	}
	*t = ret->to + pause;
}

/* Whom the model has at a time: 0, the customer plus one, or UINT32_MAX for two. */
static uint32_t model(const struct truth *leases, int64_t t)
{
	uint32_t found = 0;

	for (unsigned i = 0; i < LEASES; i++) {
		if (t < leases[i].from || t > leases[i].to)
			continue;
		if (found && found != leases[i].customer + 1)
			return UINT32_MAX;
		found = leases[i].customer + 1;
	}
	return found;
}

static void check(const struct lease_index *x, const struct truth *leases, uint32_t addr, int64_t t)
{
	uint32_t wanted = model(leases, t);
	const char *answer = ask(x, t, addr);
	char id[16];

	snprintf(id, sizeof(id), "c%u", wanted - 1);
	cr_assert_str_eq(answer,
			 !wanted		? "no-lease"
			 : wanted == UINT32_MAX ? "two-leases"
						: id,
			 "address %u at %lld", addr, (long long)t);
}

Test(lease_index, leases_of_a_tenant_are_no_customers_of_another)
{
	struct lease_index *x = begin();
	struct lease_addr one = lease_addr_of(1);
	struct lease_answer a;

	mark(x, T0 - 100);
	start_of(x, "ispA", T0, 1, "alice");
	start_of(x, "ispB", T0, 1, "bob");
	start_of(x, "ispB", T0, 2, "carol");
	start_of(x, "", T0, 3, "dave");
	mark(x, T0 + 100);
	cr_assert_eq(lease_index_finish(x), 0);
	cr_expect_str_eq(ask_of(x, "ispA", T0 + 5, 1), "alice");
	cr_expect_str_eq(ask_of(x, "ispB", T0 + 5, 1), "bob");
	assert_who(x, T0 + 5, 1, "two-leases");
	cr_expect_str_eq(ask_of(x, "ispA", T0 + 5, 2), "no-lease");
	assert_who(x, T0 + 5, 2, "carol");
	/* One that names no tenant may be of any. */
	cr_expect_str_eq(ask_of(x, "ispA", T0 + 5, 3), "dave");
	lease_ask(x, &one, "ispA", T0 + 5, &a);
	cr_expect(lease_same(x, &one, "ispA", T0, T0 + 50, &a));
	cr_expect_not(lease_same(x, &one, "ispB", T0, T0 + 50, &a));
	lease_index_free(x);
}

/* Of the processor, so that what else runs does not count. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

Test(lease_index, a_million_leases_and_a_hundred_thousand_questions_agree_with_a_model, .timeout = 300)
{
	unsigned addresses = rounds_of(ADDRESSES), questions = rounds_of(100000);
	struct truth *truth = calloc((size_t)addresses * LEASES, sizeof(*truth));
	struct lease_index *x = begin();
	double begun = seconds(), fed, sorted, asked = 0;

	mark(x, T0 - 100);
	for (uint32_t addr = 0; addr < addresses; addr++) {
		int64_t t = T0 + draw(1000);

		for (unsigned k = 0; k < LEASES; k++)
			draw_lease(x, addr + 1, k, &t, &truth[(size_t)addr * LEASES + k]);
	}
	mark(x, T0 + 10000000);
	fed = seconds();
	cr_assert_eq(lease_index_finish(x), 0);
	sorted = seconds();
	cr_expect_eq(lease_index_count(x), (size_t)addresses * LEASES);
	for (unsigned i = 0; i < questions; i++) {
		uint32_t addr = draw(addresses);
		const struct truth *leases = &truth[(size_t)addr * LEASES];
		/* Half of them at the edges; the last lease is left alone. */
		unsigned k = draw(LEASES - 1);
		int64_t t = draw(2) ? leases[k].from + draw(3) - 1 : leases[k].to + draw(3) - 1;
		struct lease_answer a;
		struct lease_addr at = lease_addr_of(addr + 1);
		double now;

		t = t < leases[LEASES - 1].from ? t : leases[LEASES - 1].from - 1;
		now = seconds();
		lease_ask(x, &at, NULL, t, &a);
		asked += seconds() - now;
		check(x, leases, addr + 1, t);
	}
	printf("leases %zu: read in %.2f s (with drawing), sorted in %.2f s; %u questions in %.3f s, of the "
	       "processor\n",
	       lease_index_count(x), fed - begun, sorted - fed, questions, asked);
	lease_index_free(x);
	free(truth);
}
