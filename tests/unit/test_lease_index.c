// SPDX-License-Identifier: BSD-2-Clause
/* Answers by the indexes of days are those of all lines, whatever becomes of lines and indexes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/chain.h"
#include "leases/lease_days.h"
#include "leases/lease_files.h"
#include "rounds.h"

#define DAY   86400LL
#define FIRST (20000 * DAY)
#define DAYS  8U
#define ADDRS 3U

static char dir[] = "/tmp/lease-index-XXXXXX";
static struct chain_tip tip[DAYS + 1];
static FILE *file[DAYS + 1];
static uint64_t seed;

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

TestSuite(lease_index, .init = set_up, .fini = tear_down);

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static const char *file_of(size_t day)
{
	static char path[128];
	char name[LEDGER_NAME];

	snprintf(path, sizeof(path), "%s/%s", dir, ledger_file_name(LEDGER_LEASES, FIRST + (int64_t)day * DAY, name));
	return path;
}

static const char *index_of(size_t day)
{
	static char path[128];
	char text[TIME_TEXT];

	snprintf(path, sizeof(path), "%s/leases.index-%.10s", dir, time_format(FIRST + (int64_t)day * DAY, text));
	return path;
}

static void add(const struct lease_line *l)
{
	size_t day = (size_t)((l->time - FIRST) / DAY);
	_cleanup_free_ char *body = NULL;
	size_t size;
	FILE *text;

	if (l->time < FIRST || day > DAYS)
		return;
	text = open_memstream(&body, &size);
	cr_assert_not_null(text);
	lease_line_write(text, l);
	fclose(text);
	if (!file[day])
		file[day] = fopen(file_of(day), "a");
	if (!tip[day].line)
		memcpy(tip[day].hash, HASH_NONE, sizeof(tip[day].hash));
	cr_assert(file[day] && !chain_write(file[day], body, size, &tip[day]));
}

static void close_all(void)
{
	for (size_t i = 0; i <= DAYS; i++) {
		if (file[i])
			fclose(file[i]);
		file[i] = NULL;
	}
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
	if (event == LEASE_STOP && !below(8))
		l.to = t + below(100);
	if (!below(8) && addr)
		l.early = t - (below(3) ? below(500) : below(40000));
	if (!*session && event != LEASE_STOP)
		l.to = t + below(50000);
	add(&l);
}

static int64_t any_time(void)
{
	return FIRST + below(DAYS * DAY);
}

/* Sessions of hours or days, some of which move, fall silent, or have a number that comes again. */
static void make_sessions(uint32_t addr)
{
	int64_t t = FIRST + below(9000);

	for (unsigned n = 0; t < FIRST + (int64_t)DAYS * DAY; n++) {
		int64_t end = t + below(4) * DAY + below(40000) + 1;
		bool dhcp = !below(5), silent = !below(3);
		char id[16], session[32];

		snprintf(id, sizeof(id), "c%u", below(4));
		*session = '\0';
		if (!dhcp)
			snprintf(session, sizeof(session), "nas/%u-%u", addr, n % 3);
		tell(LEASE_START, t, addr, id, session, t);
		for (int64_t at = t + 9000; !silent && at < end; at += 9000)
			tell(LEASE_INTERIM, at, below(30) ? addr : 1 + below(ADDRS), id, session,
			     below(3) ? t : TIME_NONE);
		if (dhcp && !below(4))
			tell(LEASE_STOP, end, addr, "", "", TIME_NONE);
		else if (below(3))
			tell(LEASE_STOP, end, addr, id, session, t);
		t = end + below(below(2) ? 9000 : 300);
	}
}

/* The sessions that a writer repeats at midnight, whether they are whole. */
static void repeat(int64_t day, uint32_t addr, int64_t seen, bool broken)
{
	struct lease_line l;

	lease_line_init(&l, FIRST + day * DAY, LEASE_OPEN);
	l.addr = lease_addr_of(addr);
	l.early = seen;
	l.from = seen;
	l.broken = broken;
	snprintf(l.id, sizeof(l.id), "c9");
	snprintf(l.session, sizeof(l.session), "nas/%u-9", addr);
	add(&l);
}

/* A long session without a sign of life, as only `open` lines and its ends tell. */
static void make_long(uint32_t addr)
{
	char session[32];
	int64_t t = FIRST + below(DAY);
	bool broken = false;

	snprintf(session, sizeof(session), "nas/%u-9", addr);
	tell(LEASE_START, t, addr, "c9", session, t);
	for (int64_t day = 1; day < (int64_t)DAYS - 1; day++) {
		broken |= !below(20);
		repeat(day, addr, t, broken);
	}
	tell(LEASE_STOP, FIRST + (DAYS - 1) * DAY + below(DAY), addr, "c9", session, t);
}

static void make_remarks(void)
{
	struct lease_line l;

	for (unsigned i = 0; i < 3; i++) {
		static const enum lease_event events[] = { LEASE_BEGIN, LEASE_LOST, LEASE_STEP };
		int64_t t = any_time();

		lease_line_init(&l, t, events[below(3)]);
		l.from = l.event == LEASE_STEP ? t + below(900) : t - below(2 * DAY);
		l.to = l.event == LEASE_BEGIN ? TIME_OPEN : t;
		if (l.event == LEASE_BEGIN && !below(3))
			l.from = 0;
		if (l.event == LEASE_BEGIN)
			snprintf(l.session, sizeof(l.session), "radius x");
		add(&l);
	}
	if (!below(3))
		tell(LEASE_OFF, any_time(), 0, "", "nas/", TIME_NONE);
	/* Somebody who says that he was there all the time. */
	if (!below(2))
		for (unsigned i = 0, n = 1 + below(3); i < n; i++)
			tell(LEASE_INTERIM, any_time(), 1, "forged", "nas/forged", TIME_NONE);
	for (size_t day = 0; day <= DAYS; day++)
		tell(LEASE_MARK, FIRST + (int64_t)day * DAY + 1, 0, "", "", TIME_NONE);
}

/* Changes an octet of some line. */
static void damage(size_t day)
{
	int fd = open(file_of(day), O_RDWR);
	off_t at = (off_t)below((uint32_t)tip[day].size);
	char c;

	cr_assert(fd >= 0 && pread(fd, &c, 1, at) == 1);
	c ^= c == '\n' ? 0 : 1;
	c = c == '\n' ? 'x' : c;
	cr_assert_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* ---- All lines */

struct all {
	struct statements *x;
	struct lease_addr addr;
	int64_t time, begin;
	char hash[HASH_TEXT];
	bool damaged;
};

static void end_damage(struct all *a, int64_t t)
{
	int64_t from = a->time == TIME_NONE ? a->begin : a->time;

	if (a->damaged)
		statements_doubt(a->x, from < t ? from : t, (from < t ? t : from) + 1, DOUBT_DAMAGED);
	a->damaged = false;
	a->time = t;
}

static int feed(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct all *a = arg;
	struct lease_line l;
	int r = chain_check(line, size, a->hash, a->hash);

	(void)name;
	(void)number;
	a->damaged |= r != 0;
	if (r || lease_line_read(line, size, &l, NULL))
		return 0;
	end_damage(a, l.time);
	statements_note(a->x, l.time);
	/* Of other addresses, sessions alone say something. */
	if (lease_event_of_session(l.event) && memcmp(&l.addr, &a->addr, sizeof(l.addr)) != 0 &&
	    (!*l.session || l.event == LEASE_OPEN))
		return 0;
	return statements_feed(a->x, &l);
}

static struct statements *of_all(uint32_t addr)
{
	const struct lease_addr at = lease_addr_of(addr);
	struct all a = { .addr = at };

	cr_assert_eq(statements_new(&at, &a.x), 0);
	for (size_t day = 0; day <= DAYS; day++) {
		int fd = open(file_of(day), O_RDONLY);
		size_t torn;

		memcpy(a.hash, HASH_NONE, HASH_TEXT);
		a.time = TIME_NONE;
		a.begin = FIRST + (int64_t)day * DAY;
		a.damaged = false;
		cr_assert_eq(chain_read_part(fd, "", 0, UINT64_MAX, feed, &a, &torn), 0);
		if (a.damaged)
			end_damage(&a, a.begin + DAY);
		close(fd);
	}
	cr_assert_eq(statements_finish(a.x), 0);
	return a.x;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static const char *text_of(const struct lease_answer *a, char text[static 512])
{
	char holder[LEASE_HOLDERS][64];
	int n = snprintf(text, 512, "%s%s%s", a->certain ? "certain" : lease_doubt_word(a->doubt),
			 a->others ? " others" : "", a->more ? " more" : "");

	for (unsigned i = 0; i < a->n; i++)
		snprintf(holder[i], sizeof(holder[i]), ", %.16s %s", a->holder[i].id,
			 lease_doubt_word(a->holder[i].doubt));
	qsort(holder, a->n, sizeof(*holder), by_text);
	for (unsigned i = 0; i < a->n; i++)
		n += snprintf(text + n, 512 - (size_t)n, "%s", holder[i]);
	return text;
}

static unsigned n_certain, n_doubt;

static void compare(struct lease_days *d, uint32_t addr, const struct statements *whole, const char *what)
{
	const struct lease_addr at = lease_addr_of(addr);

	for (int64_t t = FIRST + below(977); t < FIRST + (int64_t)DAYS * DAY; t += 977 + below(5000)) {
		char own[512], wanted[512];
		struct lease_answer a, b;
		struct statements *x;
		struct error err;

		cr_assert_eq(lease_days_about(d, &at, NULL, t - 60, t + 60, &x, &err), 0, "%s", err.text);
		statements_ask(x, NULL, t, &a);
		statements_ask(whole, NULL, t, &b);
		text_of(&a, own);
		text_of(&b, wanted);
		cr_assert_str_eq(own, wanted, "%s: address %u at %lld: %s, of all lines %s", what, addr,
				 (long long)(t - FIRST), own, wanted);
		cr_assert_eq(statements_same(x, NULL, t - 60, t + 60, &a),
			     statements_same(whole, NULL, t - 60, t + 60, &b), "%s: margin of address %u at %lld", what,
			     addr, (long long)(t - FIRST));
		n_certain += b.certain;
		n_doubt += !b.certain;
		statements_free(x);
	}
}

static void compare_all(const char *what)
{
	struct lease_days *d;
	struct error err;

	cr_assert_eq(lease_days_open(dir, &d, &err), 0);
	for (uint32_t addr = 1; addr <= ADDRS; addr++) {
		struct statements *whole = of_all(addr);

		compare(d, addr, whole, what);
		statements_free(whole);
	}
	lease_days_free(d);
}

static bool has_index(size_t day)
{
	return !access(index_of(day), R_OK);
}

static void make(void)
{
	memset(tip, 0, sizeof(tip));
	for (uint32_t addr = 1; addr <= ADDRS; addr++)
		make_sessions(addr);
	make_long(2);
	make_remarks();
	close_all();
}

static void clean(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -f %s/*", dir);
	cr_assert_eq(system(command), 0);
}

Test(lease_index, an_answer_is_that_of_all_lines, .timeout = 300)
{
	const unsigned rounds = rounds_of(8) + 1;

	for (unsigned round = 0; round < rounds; round++) {
		char what[32];

		seed = 77 + round;
		make();
		snprintf(what, sizeof(what), "%u: first", round);
		compare_all(what);
		cr_assert(has_index(0));
		snprintf(what, sizeof(what), "%u: by index", round);
		compare_all(what);
		for (size_t i = 0; i < 2; i++)
			damage(below(DAYS));
		snprintf(what, sizeof(what), "%u: damaged", round);
		compare_all(what);
		clean();
	}
	cr_expect_gt(n_certain, 120 * rounds);
	cr_expect_gt(n_doubt, 120 * rounds);
}

static void session(size_t day, uint32_t addr, const char *id)
{
	int64_t t = FIRST + (int64_t)day * DAY + 100;
	char name[32];

	snprintf(name, sizeof(name), "nas/%u-%zu", addr, day);
	tell(LEASE_START, t, addr, id, name, t);
	tell(LEASE_STOP, t + 1000, addr, id, name, t);
}

static const char *who(uint32_t addr, int64_t t)
{
	const struct lease_addr at = lease_addr_of(addr);
	static char text[512];
	struct lease_answer a;
	struct statements *x;
	struct lease_days *d;
	struct error err;

	cr_assert_eq(lease_days_open(dir, &d, &err), 0);
	cr_assert_eq(lease_days_about(d, &at, NULL, t, t, &x, &err), 0, "%s", err.text);
	statements_ask(x, NULL, t, &a);
	text_of(&a, text);
	statements_free(x);
	lease_days_free(d);
	return text;
}

static void put(const char *path, off_t at, const char *text, size_t size)
{
	int fd = open(path, O_RDWR);

	cr_assert(fd >= 0 && pwrite(fd, text, size, at) == (ssize_t)size);
	close(fd);
}

Test(lease_index, what_is_wrong_with_an_index_changes_no_answer)
{
	char other[128];
	struct stat st;

	for (size_t day = 0; day < 3; day++)
		for (uint32_t addr = 1; addr < 400; addr++)
			session(day, addr, addr % 2 ? "odd" : "even");
	close_all();
	cr_expect_str_eq(who(7, FIRST + 600), "certain, odd ");
	cr_assert(has_index(0));
	snprintf(other, sizeof(other), "%s", index_of(1));
	stat(index_of(0), &st);
	for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 97) {
		put(index_of(0), at, "\x5a\x5a\x5a", 3);
		cr_expect_str_eq(who(7, FIRST + 600), "certain, odd ", "octet %lld", (long long)at);
		cr_expect_str_eq(who(8, FIRST + 600), "certain, even ", "octet %lld", (long long)at);
	}
	cr_assert_eq(truncate(index_of(0), st.st_size / 2), 0);
	cr_expect_str_eq(who(7, FIRST + 600), "certain, odd ");
	cr_assert_eq(rename(other, index_of(0)), 0);
	cr_expect_str_eq(who(7, FIRST + 600), "certain, odd ");
	cr_expect_str_eq(who(7, FIRST + DAY + 600), "certain, odd ");
}

Test(lease_index, lines_that_are_added_are_found)
{
	for (uint32_t addr = 1; addr < 2000; addr++)
		session(0, addr, "early");
	close_all();
	cr_expect_str_eq(who(7, FIRST + 600), "certain, early ");
	tell(LEASE_START, FIRST + 5000, 7, "late", "nas/late", FIRST + 5000);
	tell(LEASE_STOP, FIRST + 6000, 7, "late", "nas/late", FIRST + 5000);
	close_all();
	cr_expect_str_eq(who(7, FIRST + 5500), "certain, late ");
	cr_expect_str_eq(who(7, FIRST + 600), "certain, early ");
	/* In place, beside an addition: the time of change says nothing any more. */
	put(file_of(0), 40, "x", 1);
	tell(LEASE_START, FIRST + 7000, 7, "last", "nas/last", FIRST + 7000);
	close_all();
	cr_expect_str_eq(who(7, FIRST + 600), "damaged others, early damaged");
}

/* A length that tells of the earlier beginning makes it count. */
Test(lease_index, a_beginning_that_is_told_twice_is_read)
{
	const int64_t t = FIRST + 40000;
	struct statements *whole;
	struct lease_days *d;
	struct error err;

	seed = 2;
	for (int64_t session = 0; session < 3; session++) {
		const int64_t from = t + session * 30000;

		tell(LEASE_START, from, 2, "c1", "nas/1", from);
		tell(LEASE_START, from + 7, 2, "c1", "nas/1", from + 7);
		tell(LEASE_INTERIM, from + 9000, 2, "c1", "nas/1", from);
		tell(LEASE_STOP, from + 20000, 2, "c1", "nas/1", from);
	}
	for (int64_t day = 0; day <= (int64_t)DAYS; day++)
		tell(LEASE_MARK, FIRST + day * DAY + 1, 0, "", "", TIME_NONE);
	close_all();
	whole = of_all(2);
	cr_assert_eq(lease_days_open(dir, &d, &err), 0);
	n_certain = 0;
	compare(d, 2, whole, "told twice");
	cr_expect_gt(n_certain, 12);
	statements_free(whole);
	lease_days_free(d);
}

/* How many files of days were opened since a watch began, each counted once. */
static unsigned days_opened(int watch)
{
	_Alignas(struct inotify_event) char events[65536];
	ssize_t n = read(watch, events, sizeof(events));
	bool opened[DAYS + 1] = { 0 };
	unsigned sum = 0;

	for (char *at = events; at < events + n;) {
		const struct inotify_event *e = (void *)at;

		for (size_t day = 0; day <= DAYS; day++)
			opened[day] |= !strcmp(e->name, strrchr(file_of(day), '/') + 1);
		at += sizeof(*e) + e->len;
	}
	for (size_t day = 0; day <= DAYS; day++)
		sum += opened[day];
	return sum;
}

Test(lease_index, a_session_of_many_days_opens_no_day_but_its_own)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct lease_days *d;
	struct statements *x;
	const struct lease_addr at = lease_addr_of(2);
	struct lease_answer a;
	struct error err;

	seed = 5;
	make_long(2);
	for (size_t day = 0; day < DAYS; day++)
		session(day, 9, "else");
	close_all();
	who(2, FIRST + 4 * DAY);
	/* Only the lines of its beginning, of before the question and of its end are read. */
	cr_assert(watch >= 0 && inotify_add_watch(watch, dir, IN_OPEN) >= 0);
	cr_assert_eq(lease_days_open(dir, &d, &err), 0);
	cr_assert_eq(lease_days_about(d, &at, NULL, FIRST + 4 * DAY, FIRST + 4 * DAY, &x, &err), 0, "%s", err.text);
	statements_ask(x, NULL, FIRST + 4 * DAY, &a);
	cr_expect(a.n == 1 && !strcmp(a.holder[0].id, "c9"));
	cr_expect_leq(days_opened(watch), 3);
	statements_free(x);
	lease_days_free(d);
	close(watch);
}
