// SPDX-License-Identifier: BSD-2-Clause
/* Attacks on pool addresses: where the datapath counts, the rates of what it counted, and what they begin and end. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "attacks/attacks.h"
#include "attacks/exec.h"
#include "attacks/rates.h"
#include "mappings_fixture.h"

static struct event_base *base;
static struct attacks *a;

static void set_up(void)
{
	mappings_set_up();
	d.stranger = calloc(STRANGER_LINES, sizeof(*d.stranger));
	d.stranger_pool = calloc(MAX_MAPPINGS, sizeof(*d.stranger_pool));
	open_again();
	base = event_base_new();
	cr_assert(d.stranger && d.stranger_pool && base);
	cr_assert_eq(attacks_new(base, m, &a), 0);
}

static void tear_down(void)
{
	attacks_free(a);
	event_base_free(base);
	free(d.stranger);
	free(d.stranger_pool);
}

TestSuite(attacks, .init = set_up, .fini = tear_down);

/* Packets of strangers to an address of a pool, counted on a core. */
static void strangers(int number, const char *addr, unsigned core, uint32_t packets)
{
	const struct stranger_pool *p = &d.stranger_pool[number];
	uint32_t offset = tables_addr(addr) - p->first;
	uint32_t stripe = core & p->stripe_mask;

	cr_assert_lt(offset, p->n, "%s is not counted", addr);
	d.stranger[p->line + stripe * stranger_stripe_lines(p->n) + offset / STRANGER_LINE]
		.packets[offset % STRANGER_LINE] += packets;
}

static uint32_t rate_of(const struct rates *r, int number, const char *addr)
{
	int64_t place = rates_place(r, number, tables_addr(addr));

	cr_assert_geq(place, 0, "%s", addr);
	return r->rate[place];
}

/* As many as cores, in a power of two: there is room for all. */
static void expect_stripes(uint32_t stripes)
{
	long cores = sysconf(_SC_NPROCESSORS_CONF);

	cr_expect_eq(stripes & (stripes - 1), 0, "%u", stripes);
	cr_expect(stripes >= cores || stripes == STRANGER_STRIPES, "%u stripes for %ld cores", stripes, cores);
	cr_expect(stripes / 2 < cores, "%u stripes for %ld cores", stripes, cores);
}

Test(attacks, without_maps_nothing_can_be_counted)
{
	struct stranger_line *lines = d.stranger;
	struct rates r = { 0 };

	d.stranger = NULL;
	cr_expect_eq(rates_begin(&r, m), -EINVAL);
	cr_expect_eq(r.n, 0);
	d.stranger = lines;
}

Test(attacks, each_pool_has_its_own_lines_and_each_address_its_own_place)
{
	int one = add("100.64.0.0/24", "203.0.113.0/27"), two = add("100.64.1.0/24", "198.51.100.0/30");
	struct rates r = { 0 };

	memset(d.stranger, 0xff, STRANGER_LINES * sizeof(*d.stranger));
	cr_assert_eq(rates_begin(&r, m), 0);
	cr_expect_eq(r.n_pools, 2);
	cr_expect_eq(r.n, 36);
	cr_expect_eq(d.stranger_pool[one].first, tables_addr("203.0.113.0"));
	cr_expect_eq(d.stranger_pool[one].n, 32);
	cr_expect_eq(d.stranger_pool[two].first, tables_addr("198.51.100.0"));
	cr_expect_eq(d.stranger_pool[two].n, 4);
	cr_expect_eq(d.stranger_pool[one].line, 0);
	cr_expect_eq(d.stranger_pool[two].line, 2 * (d.stranger_pool[one].stripe_mask + 1));
	cr_expect_eq(d.stranger_pool[one].stripe_mask, d.stranger_pool[two].stripe_mask);
	cr_expect(tables_zero(d.stranger, STRANGER_LINES * sizeof(*d.stranger)));
	expect_stripes(d.stranger_pool[one].stripe_mask + 1);
	cr_expect_eq(rates_place(&r, one, tables_addr("203.0.113.0")), 0);
	cr_expect_eq(rates_place(&r, one, tables_addr("203.0.113.31")), 31);
	cr_expect_eq(rates_place(&r, one, tables_addr("203.0.113.32")), -1);
	cr_expect_eq(rates_place(&r, one, tables_addr("203.0.112.255")), -1);
	cr_expect_eq(rates_place(&r, two, tables_addr("198.51.100.3")), 35);
	cr_expect_eq(rates_place(&r, two + 1, tables_addr("198.51.100.3")), -1);
	rates_end(&r, m);
	cr_expect_eq(d.stranger_pool[one].n, 0);
	cr_expect_eq(d.stranger_pool[two].n, 0);
	cr_expect_eq(rates_place(&r, one, tables_addr("203.0.113.0")), -1);
}

Test(attacks, a_rate_is_what_all_cores_counted_since_the_last_reading_a_second)
{
	int one = add("100.64.0.0/24", "203.0.113.0/27"), two = add("100.64.1.0/24", "198.51.100.0/30");
	struct rates r = { 0 };

	cr_assert_eq(rates_begin(&r, m), 0);
	strangers(one, "203.0.113.0", 0, 100);
	strangers(one, "203.0.113.17", 0, 30);
	strangers(one, "203.0.113.17", 1, 20);
	strangers(two, "198.51.100.3", 1, 7);
	rates_read(&r, m, 500000);
	cr_expect_eq(rate_of(&r, one, "203.0.113.0"), 200);
	cr_expect_eq(rate_of(&r, one, "203.0.113.1"), 0);
	cr_expect_eq(rate_of(&r, one, "203.0.113.17"), 100);
	cr_expect_eq(rate_of(&r, two, "198.51.100.3"), 14);
	/* The counter passes 2^32. */
	strangers(one, "203.0.113.0", 0, UINT32_MAX - 100);
	rates_read(&r, m, 1);
	cr_expect_eq(rate_of(&r, one, "203.0.113.0"), UINT32_MAX);
	cr_expect_eq(rate_of(&r, one, "203.0.113.17"), 0);
	strangers(one, "203.0.113.0", 0, 50);
	rates_read(&r, m, 2000000);
	cr_expect_eq(rate_of(&r, one, "203.0.113.0"), 25);
	rates_end(&r, m);
}

Test(attacks, pools_fit_until_a_mapping_comes_goes_or_moves)
{
	struct rates r = { 0 };

	cr_assert_eq(rates_begin(&r, m), 0);
	cr_expect(rates_fit(&r, m));
	add("100.64.0.0/24", "203.0.113.0/27");
	cr_expect_not(rates_fit(&r, m));
	cr_assert_eq(rates_begin(&r, m), 0);
	cr_expect(rates_fit(&r, m));
	cr_assert_eq(del("100.64.0.0/24", "203.0.113.0/27"), 0);
	tables_reclaim(m);
	cr_expect_not(rates_fit(&r, m));
	add("100.64.0.0/24", "203.0.113.0/28");
	cr_expect_not(rates_fit(&r, m));
	cr_assert_eq(rates_begin(&r, m), 0);
	cr_assert_eq(del("100.64.0.0/24", "203.0.113.0/28"), 0);
	tables_reclaim(m);
	add("100.64.0.0/24", "203.0.113.16/28");
	cr_expect_not(rates_fit(&r, m));
	rates_end(&r, m);
}

static struct attack_figures figures(void)
{
	return attacks_figures(a);
}

/* More in any time that a test takes than a threshold. */
#define MANY (1U << 30)

/* A look that is not waited for: it comes with a change of the pools. */
static void look(const struct config_attack *c)
{
	static unsigned n;
	char in[32], out[32];

	snprintf(in, sizeof(in), "10.%u.0.0/30", n);
	snprintf(out, sizeof(out), "192.0.2.%u/32", n++);
	add(in, out);
	attacks_configure(a, c);
}

static bool attacked(int number, const char *addr)
{
	uint64_t rate;
	bool is = false;

	cr_assert(attacks_rate(a, number, tables_addr(addr), &rate, &is), "%s", addr);
	return is;
}

Test(attacks, an_address_is_attacked_from_the_threshold_on_until_it_was_below_it_for_the_time_to_hold)
{
	struct config_attack c = { .enabled = true, .packets_per_second = 100000, .hold = 1000 };
	int number = add("100.64.0.0/24", "203.0.113.0/28");
	struct attack_figures f;

	attacks_configure(a, &c);
	cr_expect(figures().enabled);
	strangers(number, "203.0.113.1", 0, 999);
	strangers(number, "203.0.113.2", 0, MANY);
	strangers(number, "203.0.113.3", 1, MANY);
	look(&c);
	f = figures();
	cr_expect_eq(f.attacks, 2);
	cr_expect_eq(f.attacked, 2);
	cr_expect_gt(f.rate, 2 * c.packets_per_second);
	cr_expect_eq(f.unfollowed, 0);
	cr_expect_eq(f.runs, 0);
	cr_expect_not(attacked(number, "203.0.113.1"));
	cr_expect(attacked(number, "203.0.113.2"));
	cr_expect(attacked(number, "203.0.113.3"));
	/* The same settings change nothing: what was counted stays. */
	strangers(number, "203.0.113.1", 0, 1);
	attacks_configure(a, &c);
	cr_expect_not(tables_zero(d.stranger, STRANGER_LINES * sizeof(*d.stranger)));
	/* Nothing more, and the time to hold is not over. */
	look(&c);
	f = figures();
	cr_expect_eq(f.attacks, 2);
	cr_expect_eq(f.attacked, 2);
	cr_expect_eq(f.rate, 0);
	/* It is over at once, but for those that are attacked now. */
	c.hold = 0;
	c.packets_per_second = 1;
	strangers(number, "203.0.113.15", 0, MANY);
	look(&c);
	f = figures();
	cr_expect_eq(f.attacks, 3);
	cr_expect_eq(f.attacked, 1);
	cr_expect_gt(f.rate, 1);
	cr_expect_not(attacked(number, "203.0.113.2"));
	cr_expect_not(attacked(number, "203.0.113.3"));
	cr_expect(attacked(number, "203.0.113.15"));
}

/* libevent has the time of an event by another clock, and looks every few seconds how far that is from the wall's. */
#define CLOCKS_APART_US 10000

/* Of the timer of the looks, the only one: microseconds until it is due. */
static int until_look(const struct event_base *b, const struct event *e, void *ret)
{
	struct timeval due, now;

	(void)b;
	if (event_pending(e, EV_TIMEOUT, &due)) {
		event_base_gettimeofday_cached(base, &now);
		*(int64_t *)ret = (due.tv_sec - now.tv_sec) * 1000000LL + due.tv_usec - now.tv_usec;
	}
	return 0;
}

/* By looks, not by a clock: a machine may be as slow as it likes. */
Test(attacks, the_event_comes_within_2_s)
{
	const struct config_attack c = { .enabled = true, .packets_per_second = 1000, .hold = 1000 };
	int number = add("100.64.0.0/24", "203.0.113.0/28");
	int64_t due_us = INT64_MAX;

	cr_expect_leq(2 * ATTACK_LOOK_US, 2000000, "two looks are within 2 s");
	attacks_configure(a, &c);
	event_base_foreach_event(base, until_look, &due_us);
	cr_expect_leq(due_us, ATTACK_LOOK_US + CLOCKS_APART_US, "the next look is due in %lld us", (long long)due_us);
	/* The attack begins just before a look, which sees too little of it. */
	strangers(number, "203.0.113.9", 0, 1);
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(figures().attacks, 0);
	strangers(number, "203.0.113.9", 0, MANY);
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(figures().attacks, 1);
	cr_expect(attacked(number, "203.0.113.9"));
	due_us = INT64_MAX;
	event_base_foreach_event(base, until_look, &due_us);
	cr_expect_leq(due_us, ATTACK_LOOK_US + CLOCKS_APART_US, "the looks go on, the next in %lld us",
		      (long long)due_us);
}

Test(attacks, an_attack_ends_with_the_pool_of_its_address_and_goes_on_by_the_number_of_another)
{
	const struct config_attack c = { .enabled = true, .packets_per_second = 1000, .hold = 1000 };
	int one = add("100.64.0.0/24", "203.0.113.0/28"), two = add("100.64.1.0/24", "198.51.100.0/30");

	attacks_configure(a, &c);
	strangers(one, "203.0.113.9", 0, MANY);
	strangers(two, "198.51.100.2", 0, MANY);
	look(&c);
	cr_expect_eq(figures().attacked, 2);
	cr_assert_eq(del("100.64.0.0/24", "203.0.113.0/28"), 0);
	tables_reclaim(m);
	attacks_configure(a, &c);
	cr_expect(attacked(two, "198.51.100.2"));
	cr_expect_not(attacked(two, "198.51.100.1"));
	look(&c);
	cr_expect_eq(figures().attacked, 1);
	cr_expect_eq(figures().attacks, 2);
}

Test(attacks, those_that_are_too_many_are_counted_and_not_followed)
{
	const struct config_attack c = { .enabled = true, .packets_per_second = 1, .hold = 1000 };
	int number = add("100.64.0.0/16", "203.0.112.0/21");

	attacks_configure(a, &c);
	for (uint32_t i = 0; i < 1030; i++) {
		const struct stranger_pool *p = &d.stranger_pool[number];

		d.stranger[p->line + i / STRANGER_LINE].packets[i % STRANGER_LINE] = MANY;
	}
	look(&c);
	cr_expect_eq(figures().attacks, 1024);
	cr_expect_eq(figures().attacked, 1024);
	cr_expect_eq(figures().unfollowed, 6);
	look(&c);
	cr_expect_eq(figures().attacked, 1024);
	cr_expect_eq(figures().unfollowed, 0);
}

static int make_due(const struct event_base *b, const struct event *e, void *arg)
{
	(void)b;
	(void)arg;
	event_active((struct event *)e, EV_TIMEOUT, 0);
	return 0;
}

/* A look by the timer, now: the pools are the same as before. */
static void look_again(void)
{
	event_base_foreach_event(base, make_due, NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

Test(attacks, one_that_goes_on_is_the_same_attack_and_one_that_comes_back_is_another)
{
	struct config_attack c = { .enabled = true, .packets_per_second = 1000, .hold = 1000 };
	int number = add("100.64.0.0/24", "203.0.113.0/28");

	attacks_configure(a, &c);
	for (unsigned round = 0; round < 3; round++) {
		strangers(number, "203.0.113.1", 0, MANY);
		strangers(number, "203.0.113.2", 0, MANY);
		strangers(number, "203.0.113.3", 0, MANY);
		look_again();
		cr_expect_eq(figures().attacks, 3);
		cr_expect_eq(figures().attacked, 3);
	}
	/* Over at once; the third one is attacked anew. */
	c.hold = 0;
	attacks_configure(a, &c);
	strangers(number, "203.0.113.3", 0, MANY);
	look_again();
	cr_expect_eq(figures().attacks, 4);
	cr_expect_eq(figures().attacked, 1);
	cr_expect_not(attacked(number, "203.0.113.1"));
	c.hold = 1000;
	attacks_configure(a, &c);
	for (unsigned round = 0; round < 2; round++) {
		strangers(number, "203.0.113.1", 0, MANY);
		strangers(number, "203.0.113.3", 0, MANY);
		look_again();
		cr_expect_eq(figures().attacks, 5);
		cr_expect_eq(figures().attacked, 2);
	}
	cr_expect(attacked(number, "203.0.113.1") && attacked(number, "203.0.113.3"));
}

/* A program in a new directory; the caller frees both. */
static void write_program(char dir[], char path[static 64], const char *text)
{
	FILE *f;

	cr_assert(mkdtemp(dir));
	snprintf(path, 64, "%s/run", dir);
	f = fopen(path, "w");
	cr_assert(f);
	fputs(text, f);
	fclose(f);
	cr_assert_eq(chmod(path, 0700), 0);
}

Test(attacks, the_program_runs_once_an_attack_and_eight_run_at_a_time)
{
	struct config_attack c = { .enabled = true, .packets_per_second = 1000, .hold = 1000 };
	int number = add("100.64.0.0/24", "203.0.113.0/28");
	char dir[] = "/tmp/detnat-attack-XXXXXX", path[64], addr[ADDR_TEXT];

	write_program(dir, path, "#!/bin/sh\ncase $1 in\n*.0) exit 3;;\nesac\nexec sleep 1000\n");
	snprintf(c.exec, sizeof(c.exec), "%s", path);
	attacks_configure(a, &c);
	strangers(number, "203.0.113.0", 0, MANY);
	look_again();
	cr_expect_eq(figures().runs, 1);
	while (!figures().failed) {
		usleep(1000);
		look_again();
	}
	cr_expect_eq(figures().failed, 1);
	cr_expect_eq(figures().runs, 1);
	for (uint32_t i = 1; i < 10; i++)
		strangers(number, addr_format(tables_addr("203.0.113.0") + i, addr), 0, MANY);
	look_again();
	look_again();
	cr_expect_eq(figures().attacked, 10);
	cr_expect_eq(figures().runs, 1 + 8);
	/* Without a program, that of the ninth is not made up for. */
	attacks_configure(a, &(struct config_attack){ .enabled = true, .packets_per_second = 1000, .hold = 1000 });
	attacks_configure(a, &c);
	look_again();
	cr_expect_eq(figures().runs, 1 + 8);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}

Test(attacks, without_attack_nothing_is_counted_and_no_figure_stays)
{
	struct config_attack c = { .enabled = true, .packets_per_second = 1, .hold = 1000 };
	int number = add("100.64.0.0/24", "203.0.113.0/28");
	struct attack_figures f;
	uint64_t rate;
	bool is;

	attacks_configure(a, &c);
	strangers(number, "203.0.113.1", 0, MANY);
	look(&c);
	cr_expect_eq(figures().attacked, 1);
	c.enabled = false;
	attacks_configure(a, &c);
	f = figures();
	cr_expect_not(f.enabled);
	cr_expect_eq(f.attacks, 1);
	cr_expect_eq(f.attacked, 0);
	cr_expect_eq(f.rate, 0);
	cr_expect_eq(d.stranger_pool[number].n, 0);
	cr_expect_not(attacks_rate(a, number, tables_addr("203.0.113.1"), &rate, &is));
	cr_expect_not(attacks_rate(NULL, number, tables_addr("203.0.113.1"), &rate, &is));
}

/* Runs a program to its end; whether it failed. */
static bool fails(const char *path)
{
	struct exec_run *run;
	bool failed = false;

	cr_assert_eq(exec_begin(path, tables_addr("203.0.113.5"), 12345, 60, &run), 0);
	while (!exec_ended(run, &failed))
		usleep(1000);
	return failed;
}

Test(attack_exec, a_program_gets_the_address_the_rate_and_the_time_to_hold_and_fails_by_its_status)
{
	char dir[] = "/tmp/detnat-attack-XXXXXX", path[64], told[64], line[128] = "";
	FILE *f;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/run", dir);
	snprintf(told, sizeof(told), "%s/told", dir);
	f = fopen(path, "w");
	cr_assert(f);
	fprintf(f, "#!/bin/sh\necho $# $1 $2 $DETNAT_HOLD > %s\n", told);
	fclose(f);
	cr_expect(fails(path), "it cannot be executed yet");
	cr_assert_eq(chmod(path, 0700), 0);
	cr_expect_not(fails(path));
	f = fopen(told, "r");
	cr_assert(f && fgets(line, sizeof(line), f));
	fclose(f);
	cr_expect_str_eq(line, "2 203.0.113.5 12345 60\n");
	cr_expect(fails("/bin/false"));
	cr_expect(fails("/nonexistent"));
	cr_assert_eq(unlink(told), 0);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(rmdir(dir), 0);
}

Test(attack_exec, a_program_that_signals_itself_has_failed)
{
	char path[] = "/tmp/detnat-attack-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "#!/bin/sh\nkill -9 $$\n";

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	cr_assert_eq(fchmod(fd, 0700), 0);
	close(fd);
	cr_expect(fails(path));
	cr_assert_eq(unlink(path), 0);
}
