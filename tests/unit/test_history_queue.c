/* SPDX-License-Identifier: BSD-2-Clause */
/* What is queued for the history is written in order, once, and told of; over real tables and files. */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/trouble.h"
#include "history/history_read.h"
#include "recorder/file.h"
#include "recorder/queue.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define NOON 1767268800LL /* 2026-01-01T12:00:00Z */

static char directory[] = "/tmp/detnat-queue-XXXXXX";
static char state[64];
static int64_t now = NOON;
static int64_t set_by;
static struct datapath d;
static struct mappings *m;
static struct portmaps *p;
static const struct history_by by = { .what = BY_START };
static struct event_base *base;
static struct history_queue *q;
static struct error err;

/* The other clock is as far as this one, unless a test sets it. */
static struct clock_reading test_clock(void)
{
	return (struct clock_reading){ now * 1000000000, (now - set_by) * 1000000000, 0 };
}

static int open_queue(void)
{
	return history_queue_new(base, state, &d, m, p, NULL, &q, &err);
}

static void setup(void)
{
	tables_make(&d);
	d.reused = false;
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(m, &p, &err), 0, "%s", err.text);
	cr_assert(mkdtemp(directory));
	snprintf(state, sizeof(state), "%s/state", directory);
	history_clock = test_clock;
	log_set_level(LOG_LEVEL_ERROR);
	base = event_base_new();
	cr_assert(base);
	cr_assert_eq(open_queue(), 0, "%s", err.text);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(history_queue, .init = setup, .fini = teardown, .timeout = 300);

static struct history_mapping mapping(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	return (struct history_mapping){ .in = spec.in, .out = spec.out, .from = TIME_NONE };
}

static void add_to_tables(const char *in, const char *out)
{
	struct mapping_spec spec = tables_spec(in, out);

	tables_add(m, &spec);
}

struct answer {
	int n, r;
	struct error err;
};

static void answered(void *arg, int r, const struct history_change *c, const struct error *why)
{
	struct answer *a = arg;

	(void)c;
	a->n++;
	a->r = r;
	a->err = *why;
}

static void change(const char *in, const char *out, struct answer *a)
{
	struct history_mapping *add = malloc(sizeof(*add));
	struct history_change c = { .add[FACT_MAPPING] = { add, 1 }, .by = by };

	*add = mapping(in, out);
	cr_assert_eq(history_queue_change(q, &c, answered, a), 0);
	cr_assert_eq(a->n, 0, "never from within");
}

static void run_until(const struct answer *a)
{
	while (!a->n)
		cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
}

/* The events of the file as words, the last line's number behind them. */
static const char *events(void)
{
	static char words[1024];
	struct history_files f;

	cr_assert_eq(history_files_read(state, &f, &err), 0, "%s", err.text);
	cr_expect_eq(f.index.n_damages, 0);
	words[0] = '\0';
	for (char *at = f.text; at < f.text + f.size; at = strchr(at, '\n') + 1) {
		struct history_record r;

		cr_assert_eq(history_record_read(at, strcspn(at, "\n"), &r, &err), 0, "%s", err.text);
		snprintf(words + strlen(words), 32, "%s%s", *words ? " " : "", history_event_word(r.event));
		history_record_free(&r);
	}
	history_files_free(&f);
	return words;
}

Test(history_queue, changes_are_written_in_order_and_answered_once)
{
	struct answer a[3] = { 0 };
	char hash[HASH_TEXT];

	cr_assert_eq(history_queue_end(q, hash), 0);
	change("10.0.0.0/24", "1.1.1.0/30", &a[0]);
	change("10.0.1.0/24", "1.1.2.0/30", &a[1]);
	change("10.0.2.0/24", "1.1.3.0/30", &a[2]);
	cr_assert(history_queue_holds(q, NULL), "what is being written is not told of as missing");
	run_until(&a[2]);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		cr_assert(a[i].n == 1 && !a[i].r);
	cr_assert_str_eq(events(), "start add add add");
	cr_assert_eq(history_queue_end(q, hash), 4);
	cr_assert(history_queue_holds(q, NULL), "what is about to be done is not told of as missing");
	history_queue_confirm(q);
	history_queue_ready(q);
	cr_assert(!history_queue_holds(q, &err), "the tables have none of them");
	cr_assert_str_eq(err.text, "mapping 10.0.0.0/24 to 1.1.1.0/30 is in the history, and not in the tables", "%s",
			 err.text);
	history_queue_drain(q);
	history_queue_close(q, EVENT_STOP);
	cr_assert_str_eq(events(), "start add add add confirm stop");
}

/* On one core that the loop takes away from the thread as soon as it signals the end of a write. */
Test(history_queue, the_next_change_is_written_though_the_thread_of_the_last_has_not_ended_yet)
{
	const struct sched_param first = { .sched_priority = 1 };
	const struct timeval patience = { .tv_sec = 60 };
	struct answer a[3] = { 0 };
	cpu_set_t core;

	CPU_ZERO(&core);
	CPU_SET((size_t)sched_getcpu(), &core);
	cr_assert_eq(sched_setaffinity(0, sizeof(core), &core), 0);
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		cr_skip_test("may not have a priority");
	change("10.0.0.0/24", "1.1.1.0/30", &a[0]);
	change("10.0.1.0/24", "1.1.2.0/30", &a[1]);
	change("10.0.2.0/24", "1.1.3.0/30", &a[2]);
	event_base_loopexit(base, &patience);
	while (!a[2].n && !event_base_got_exit(base))
		cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
	cr_assert_eq(a[2].n, 1);
}

Test(history_queue, the_end_is_written_behind_what_waits)
{
	static const struct {
		enum history_event event;
		const char *events;
	} rows[] = {
		{ EVENT_STOP, "start add stop" },
		{ EVENT_DETACH, "start add stop start add detach" },
	};
	static const char *const in[] = { "10.0.0.0/24", "10.0.1.0/24" }, *const out[] = { "1.1.1.0/30", "1.1.2.0/30" };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct answer a = { 0 };

		if (i)
			cr_assert_eq(open_queue(), 0, "%s", err.text);
		change(in[i], out[i], &a);
		history_queue_drain(q);
		cr_assert_eq(a.n, 1);
		history_queue_close(q, rows[i].event);
		cr_assert_str_eq(events(), rows[i].events, "%s", events());
	}
	history_queue_drain(NULL);
	history_queue_close(NULL, EVENT_STOP);
}

Test(history_queue, a_change_is_confirmed_once_with_the_time_at_which_it_was_in_force)
{
	static const struct {
		int seconds;
		const char *events;
	} rows[] = {
		{ 0, "start add confirm" },
		{ 7, "start add confirm add confirm" },
	};
	static const char *const in[] = { "10.0.0.0/24", "10.0.1.0/24" }, *const out[] = { "1.1.1.0/30", "1.1.2.0/30" };
	struct history_files f;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct answer a = { 0 };

		change(in[i], out[i], &a);
		run_until(&a);
		now += rows[i].seconds;
		history_queue_confirm(q);
		history_queue_ready(q);
		now += 100;
		history_queue_confirm(q); /* of another change, which changed no mapping */
		history_queue_ready(q);
		cr_assert_str_eq(events(), rows[i].events, "%s", events());
	}
	cr_assert_eq(history_files_read(state, &f, &err), 0);
	cr_assert_eq(f.index.times.n, 3, "of the start, and of each change");
	cr_expect_eq(f.index.times.moment[1].early, NOON);
	cr_expect_eq(f.index.times.moment[1].late, NOON);
	cr_expect_eq(f.index.times.moment[2].early, NOON + 100);
	cr_expect_eq(f.index.times.moment[2].late, NOON + 107);
	history_files_free(&f);
	history_queue_close(q, EVENT_STOP);
}

Test(history_queue, a_clock_that_is_set_is_written_down_within_the_second)
{
	struct answer a = { 0 };

	change("10.0.0.0/24", "1.1.1.0/30", &a);
	run_until(&a);
	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	history_queue_confirm(q);
	history_queue_ready(q);
	now += 5;
	history_queue_second(q);
	history_queue_drain(q);
	now -= 3;
	set_by -= 3;
	history_queue_second(q);
	history_queue_drain(q);
	cr_assert_str_eq(events(), "start add confirm clock");
	history_queue_close(q, EVENT_STOP);
}

Test(history_queue, a_change_that_did_not_take_place_is_taken_back)
{
	struct answer a = { 0 }, b = { 0 };

	change("10.0.0.0/24", "1.1.1.0/30", &a);
	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	run_until(&a);
	cr_assert(history_queue_holds(q, NULL));
	change("10.0.1.0/24", "1.1.2.0/30", &b);
	history_queue_forget(q, &a); /* nobody waits with this one */
	history_queue_forget(q, &b);
	history_queue_ready(q);
	cr_assert_eq(b.n, 0);
	cr_assert_str_eq(events(), "start add add undo");
	cr_assert(history_queue_holds(q, NULL));
	history_queue_close(q, EVENT_STOP);
}

Test(history_queue, mappings_that_came_without_a_record_are_in_that_of_the_start)
{
	struct history_files f;

	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	history_queue_assume(q);
	now += 50;
	history_queue_ready(q);
	cr_assert(history_queue_holds(q, NULL));
	cr_assert_str_eq(events(), "start");
	cr_assert_eq(history_files_read(state, &f, &err), 0);
	cr_assert_eq(f.index.mappings.n_open, 1);
	cr_assert_eq(f.index.mappings.interval[f.index.mappings.open[0]].mapping.from, NOON);
	history_files_free(&f);
	history_queue_close(q, EVENT_STOP);
}

struct granting {
	int n, r;
	int64_t from;
};

static void granted(void *arg, int r, const struct history_change *c, const struct error *why)
{
	struct granting *g = arg;

	g->n++;
	g->r = r;
	g->from = c->add[FACT_GRANT].n ? ((struct history_grant *)c->add[FACT_GRANT].of)->from : TIME_NONE;
}

static void grant(uint16_t port_lo, struct granting *g)
{
	struct history_grant *begin = malloc(sizeof(*begin));
	struct history_change c = { .add[FACT_GRANT] = { begin, 1 } };

	*begin = (struct history_grant){ 0x0a000001, 0x01010100, port_lo, 64, false, TIME_NONE };
	cr_assert_eq(history_queue_change(q, &c, granted, g), 0);
	cr_assert(!c.add[FACT_GRANT].of && !g->n, "never from within");
}

static void run_until_granted(const struct granting *g)
{
	while (!g->n)
		cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
}

Test(history_queue, grants_and_changes_take_effect_in_turns)
{
	struct granting first = { 0 }, second = { 0 };
	struct answer a = { 0 };

	change("10.0.0.0/24", "1.1.1.0/30", &a);
	grant(512, &first);
	run_until(&a);
	history_queue_ready(q);
	cr_assert_eq(first.n, 0, "the change is not in the tables yet");
	history_queue_confirm(q);
	run_until_granted(&first);
	cr_assert(!first.r && first.from == NOON);
	a.n = 0;
	change("10.0.1.0/24", "1.1.2.0/30", &a);
	grant(576, &second);
	history_queue_ready(q);
	cr_assert_eq(a.n, 0, "the grant is not in the tables yet");
	history_queue_confirm(q);
	run_until(&a);
	cr_assert_eq(second.n, 0);
	history_queue_drain(q);
	history_queue_close(q, EVENT_STOP);
	cr_assert_eq(second.n, 0, "what has not begun is dropped");
	cr_assert_str_eq(events(), "start add confirm grant confirm add stop", "%s", events());
}

Test(history_queue, a_file_that_was_taken_away_is_trouble_until_it_is_back)
{
	char path[128], away[128];
	struct answer a = { 0 }, b = { 0 };

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, state);
	snprintf(away, sizeof(away), "%s/away", state);
	history_queue_ready(q);
	cr_assert_null(trouble_get(TROUBLE_HISTORY));
	cr_assert_eq(rename(path, away), 0);
	change("10.0.0.0/24", "1.1.1.0/30", &a);
	run_until(&a);
	cr_assert_eq(a.r, -ESTALE);
	cr_assert(strstr(a.err.text, "was moved or removed"), "%s", a.err.text);
	cr_assert(trouble_get(TROUBLE_HISTORY) &&
		  strstr(trouble_get(TROUBLE_HISTORY)->text, "no mapping can be changed until this is mended"));
	cr_assert(history_queue_holds(q, NULL), "told of elsewhere");
	cr_assert_eq(rename(away, path), 0);
	history_queue_second(q); /* each second while there is trouble */
	change("10.0.0.0/24", "1.1.1.0/30", &b);
	run_until(&b);
	cr_assert_eq(b.r, 0);
	cr_assert_null(trouble_get(TROUBLE_HISTORY));
	cr_assert_str_eq(events(), "start add");
	history_queue_drain(q);
	history_queue_close(q, EVENT_STOP);
}

Test(history_queue, the_sign_that_the_agent_lives_is_written_in_turn)
{
	struct answer a = { 0 };
	struct history_files f;

	change("10.0.0.0/24", "1.1.1.0/30", &a);
	run_until(&a);
	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	history_queue_confirm(q);
	history_queue_ready(q);
	for (unsigned second = 1; second <= HISTORY_TICK_S; second++) {
		now++;
		cr_assert_eq(event_base_loop(base, EVLOOP_NONBLOCK) < 0, 0);
		history_queue_second(q);
		if (second == HISTORY_TICK_S)
			history_queue_drain(q);
		cr_assert_eq(history_files_read(state, &f, &err), 0);
		cr_assert_eq(history_files_known_until(&f), second == HISTORY_TICK_S ? NOON + HISTORY_TICK_S : NOON,
			     "one tick is written, in the last second");
		history_files_free(&f);
	}
	history_queue_close(q, EVENT_STOP);
}

Test(history_queue, a_history_that_cannot_be_opened_is_an_error_or_trouble)
{
	static const struct {
		const char *name;
		bool reused, other;
		int r;
		const char *said;
	} rows[] = {
		{ "another agent at a first start", false, true, -EWOULDBLOCK, "another agent uses it" },
		{ "another agent over a datapath", true, true, -EWOULDBLOCK, "another agent uses it" },
		{ "a directory that is a file at a first start", false, false, -ENOTDIR, "Not a directory" },
		{ "the same over a datapath", true, false, 0, "Not a directory" },
	};
	struct history_queue *first = q;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct trouble_state *trouble;

		if (!rows[i].other && first) {
			history_queue_close(first, EVENT_STOP);
			first = NULL;
			teardown();
			cr_assert(mkdir(directory, 0755) == 0 && mknod(state, S_IFREG | 0644, 0) == 0);
		}
		d.reused = rows[i].reused;
		q = NULL;
		trouble_clear(TROUBLE_HISTORY);
		cr_expect_eq(open_queue(), rows[i].r, "%s", rows[i].name);
		trouble = trouble_get(TROUBLE_HISTORY);
		cr_expect_eq(trouble != NULL, !rows[i].r, "%s", rows[i].name);
		cr_expect(strstr(rows[i].r || !trouble ? err.text : trouble->text, rows[i].said), "%s: %s",
			  rows[i].name, err.text);
		if (!rows[i].r)
			history_queue_close(q, EVENT_STOP);
	}
}

/* A turn of the comparison: a second of each kind of facts, and whatever is written then. */
static void compare_all(void)
{
	for (unsigned i = 0; i <= FACT_KINDS; i++) {
		history_queue_second(q);
		history_queue_ready(q);
	}
}

Test(history_queue, a_difference_from_the_tables_is_a_trouble_until_a_comparison_finds_none)
{
	const struct portmap unrecorded = {
		.in = { 0x0a000003, 8443 }, .out = { 0x01010100, 443 }, .proto = IPPROTO_TCP, .origin = PORTMAP_STATIC
	};
	struct answer a = { 0 };

	change("10.0.0.0/24", "1.1.1.0/30", &a);
	run_until(&a);
	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	history_queue_confirm(q);
	history_queue_ready(q);
	compare_all();
	cr_assert_null(trouble_get(TROUBLE_RECORDS));
	cr_assert_eq(portmaps_put(p, &unrecorded), 0);
	/* The next change looks at all of them, not at its own alone. */
	a = (struct answer){ 0 };
	change("10.0.1.0/24", "1.1.2.0/30", &a);
	run_until(&a);
	add_to_tables("10.0.1.0/24", "1.1.2.0/30");
	history_queue_confirm(q);
	history_queue_ready(q);
	for (unsigned i = 0; i < FACT_KINDS && !trouble_get(TROUBLE_RECORDS); i++)
		history_queue_second(q);
	cr_assert_not_null(trouble_get(TROUBLE_RECORDS));
	cr_assert_not_null(strstr(trouble_get(TROUBLE_RECORDS)->text, "portmap tcp 1.1.1.0:443 to 10.0.0.3:8443"), "%s",
			   trouble_get(TROUBLE_RECORDS)->text);
	history_queue_ready(q);
	cr_assert(history_queue_holds(q, &err), "it was recorded: %s", err.text);
	compare_all();
	cr_assert_null(trouble_get(TROUBLE_RECORDS));
}

Test(history_queue, a_difference_without_a_change_is_found_within_minutes)
{
	compare_all();
	add_to_tables("10.0.0.0/24", "1.1.1.0/30");
	for (unsigned i = 0; i < 300 + FACT_KINDS && !trouble_get(TROUBLE_RECORDS); i++) {
		history_queue_second(q);
		history_queue_ready(q);
	}
	cr_assert_not_null(trouble_get(TROUBLE_RECORDS));
	compare_all();
	cr_assert_null(trouble_get(TROUBLE_RECORDS));
}
