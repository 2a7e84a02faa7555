// SPDX-License-Identifier: BSD-2-Clause
/* Random days of customers, servers and clocks: what the days around a question say is what all lines say. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/ledger.h"
#include "leases/lease_days.h"
#include "leases/lease_files.h"
#include "rounds.h"

#define DAY	  86400LL
#define FIRST	  (20000 * DAY)
#define DAYS	  7U
#define ADDRESSES 3U
#define HEARD_S	  9000
#define WORLDS	  60U

static char dir[] = "/tmp/lease-days-model-XXXXXX";
static struct lease_line line[6000];
static size_t n_lines;
static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static struct lease_line *draw(enum lease_event event, int64_t t)
{
	struct lease_line *l = &line[n_lines++];

	cr_assert_lt(n_lines, sizeof(line) / sizeof(*line));
	lease_line_init(l, t, event);
	return l;
}

struct session {
	char name[32]; /* "": a lease with a term */
	unsigned customer;
	int64_t from;
	bool told; /* each record says when it began */
};

/* A record of a session, at times one that was on its way for long. */
static void draw_record(enum lease_event event, int64_t t, uint32_t addr, const struct session *s)
{
	struct lease_line *l = draw(event, t);

	if (addr)
		l->addr = lease_addr_of(addr);
	snprintf(l->id, sizeof(l->id), "c%u", s->customer);
	if (s->customer % 2)
		snprintf(l->mac, sizeof(l->mac), "02:00:00:00:00:%02x", s->customer);
	snprintf(l->session, sizeof(l->session), "%s", s->name);
	l->from = event == LEASE_START || s->told ? s->from : TIME_NONE;
	l->to = event == LEASE_STOP ? t : *s->name ? TIME_OPEN : t + 2 * HEARD_S;
	if (!below(16))
		l->early = t - below(below(4) ? 60 : 100000);
}

static void draw_session(int64_t t, int64_t end, uint32_t addr, const struct session *s)
{
	bool moves = *s->name && !below(6);

	if (below(8))
		draw_record(LEASE_START, t, addr, s);
	for (int64_t at = t + HEARD_S; below(8) && at < end; at += HEARD_S)
		draw_record(LEASE_INTERIM, at, moves && at > t + 20000 ? addr % ADDRESSES + 1 : addr, s);
	if (below(3))
		draw_record(LEASE_STOP, end, !*s->name || below(4) ? addr : 0, s);
}

static void draw_sessions(uint32_t addr)
{
	int64_t t = FIRST + below(9000);

	for (unsigned n = 0; t < FIRST + (int64_t)DAYS * DAY; n++) {
		int64_t end = t + (below(3) ? 0 : below(3) * DAY) + below(40000) + 1;
		struct session s = { .customer = below(6), .from = t, .told = below(2) };

		if (below(5))
			snprintf(s.name, sizeof(s.name), "nas%u/%u-%u", below(2), addr, n % 3);
		draw_session(t, end, addr, &s);
		t = end + below(4) * below(9000);
	}
}

static void draw_trouble(void)
{
	int64_t t = FIRST + below(DAYS * DAY);
	struct lease_line *l;

	switch (below(4)) {
	case 0:
		snprintf(draw(LEASE_OFF, t)->session, LEASE_SESSION, "nas%u/", below(2));
		break;
	case 1:
		draw(LEASE_LOST, t)->from = t - below(below(2) ? 100 : 50000);
		break;
	case 2:
		l = draw(LEASE_STEP, t);
		l->from = t + below(40000) - 20000;
		l->to = t;
		break;
	default:
		draw(LEASE_MARK, t);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct lease_line *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

static void write_days(void)
{
	struct chain_tip tip;
	FILE *out = NULL;
	int64_t day = -1;

	for (size_t i = 0; i < n_lines; i++) {
		_cleanup_free_ char *body = NULL;
		char name[LEDGER_NAME], path[64 + LEDGER_NAME];
		size_t size;
		FILE *text = open_memstream(&body, &size);

		cr_assert_not_null(text);
		lease_line_write(text, &line[i]);
		fclose(text);
		if (line[i].time / DAY != day) {
			if (out)
				fclose(out);
			day = line[i].time / DAY;
			snprintf(path, sizeof(path), "%s/%s", dir, ledger_file_name(LEDGER_LEASES, line[i].time, name));
			out = fopen(path, "w");
			cr_assert_not_null(out);
			tip = (struct chain_tip){ 0 };
			memcpy(tip.hash, HASH_NONE, sizeof(tip.hash));
		}
		cr_assert_eq(chain_write(out, body, size, &tip), 0);
	}
	fclose(out);
}

/* Of a lease without a session, its lines at other addresses say nothing. */
static bool is_elsewhere(const struct lease_line *l, const struct lease_addr *at)
{
	return lease_event_of_session(l->event) && !*l->session && memcmp(&l->addr, at, sizeof(*at));
}

static struct statements *of_all_lines(const struct lease_addr *at)
{
	struct statements *x;

	cr_assert_eq(statements_new(at, &x), 0);
	for (size_t i = 0; i < n_lines; i++)
		if (is_elsewhere(&line[i], at))
			statements_note(x, line[i].time);
		else
			cr_assert_eq(statements_feed(x, &line[i]), 0);
	cr_assert_eq(statements_finish(x), 0);
	return x;
}

static unsigned certain, doubtful;

static bool is_said(const struct lease_answer *a, const struct lease_holder *h)
{
	for (unsigned i = 0; i < a->n; i++)
		if (lease_same_customer(&a->holder[i], h))
			return true;
	return false;
}

static void compare(struct lease_days *d, const struct lease_addr *at, const struct statements *whole, int64_t t,
		    unsigned world)
{
	struct lease_answer a, b;
	struct statements *x;
	struct error err;

	cr_assert_eq(lease_days_about(d, at, NULL, t, t, &x, &err), 0, "%s", err.text);
	statements_ask(x, NULL, t, &a);
	statements_ask(whole, NULL, t, &b);
	cr_expect_eq(a.certain, b.certain, "world %u at %lld: %s %s, of all lines %s %s", world, (long long)(t - FIRST),
		     a.n ? a.holder[0].id : "-", lease_doubt_word(a.doubt), b.n ? b.holder[0].id : "-",
		     lease_doubt_word(b.doubt));
	cr_expect(!b.certain || (a.n == b.n && (!a.n || lease_same_customer(&a.holder[0], &b.holder[0]))));
	for (unsigned i = 0; i < b.n; i++)
		cr_expect(is_said(&a, &b.holder[i]), "world %u at %lld: %s is lacking", world, (long long)(t - FIRST),
			  b.holder[i].id);
	certain += b.certain;
	doubtful += !b.certain;
	statements_free(x);
}

static void remove_days(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s/*", dir);
	cr_assert_eq(system(command), 0);
}

static void play(unsigned world)
{
	struct lease_days *d;
	struct error err;

	seed = world;
	n_lines = 0;
	for (uint32_t addr = 1; addr <= ADDRESSES; addr++)
		draw_sessions(addr);
	for (unsigned i = below(10); i; i--)
		draw_trouble();
	qsort(line, n_lines, sizeof(*line), by_time);
	write_days();
	cr_assert_eq(lease_days_open(dir, &d, &err), 0, "%s", err.text);
	for (uint32_t addr = 1; addr <= ADDRESSES; addr++) {
		const struct lease_addr at = lease_addr_of(addr);
		struct statements *whole = of_all_lines(&at);

		for (int64_t t = FIRST + below(1500); t < FIRST + (int64_t)DAYS * DAY; t += 1777)
			compare(d, &at, whole, t, world);
		for (size_t i = 0; i < n_lines; i += 7)
			compare(d, &at, whole, line[i].time + below(3) - 1, world);
		statements_free(whole);
	}
	lease_days_free(d);
	remove_days();
}

Test(lease_days_model, what_is_said_of_the_days_around_is_said_of_all_lines)
{
	cr_assert_not_null(mkdtemp(dir));
	for (unsigned world = 1, n = rounds_of(WORLDS); world <= n; world++)
		play(world);
	rmdir(dir);
	cr_expect_gt(certain, 100);
	cr_expect_gt(doubtful, 100);
}
