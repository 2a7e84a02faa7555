/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random walks of all that can happen to a history at once: mappings that pass pools from one to another, exceptions,
 * drains, portmaps, grants, slow disks, failures, kills at each point, restarts, reboots, and a clock that is set. The
 * model remembers each state of the tables, and between which readings of the clock it may have been in force. In each
 * second at which anything can change, `who` must name exactly those who had an endpoint in a state that was possible
 * then.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <limits.h>
#include <string.h>

#include <detnat/mapping.h>

#include "base/log.h"
#include "recorder/history_private.h"
#include "history_fixture.h"
#include "history_walk_tables.h"
#include "evidence_decides.h"
#include "history/history_who.h"
#include "rounds.h"

#define WALKS  150
#define EVENTS 90
/* Questions of a walk for which evidence is made, and lines of the history in it. */
#define EVIDENCE   2U
#define MOST_SHOWN 8U

/* A reading of the clock, and its reckoning. */
struct reading {
	unsigned epoch;
	int64_t ms;
};

/* States in order; each but the first came into force between two readings. */
#define MAX_STATES (2 * EVENTS + 2)
static struct {
	struct tables t;
	struct reading early, late;
} states[MAX_STATES];
static unsigned n_states;
static struct {
	int64_t start, end;
} epochs[EVENTS + 2];
static unsigned n_epochs;

/* Reboots: what was mapped ended some time between the last record before and the first one after. */
static struct {
	struct reading from, to;
} gaps[EVENTS];
static unsigned n_gaps;

static int64_t first; /* of a record */
static int64_t steady_ms, offset_ms, looked_ms, known;
static int64_t set_by_ms; /* since the last look */
static struct history *history;
static int pin;
static struct tables now; /* in the datapath */
static bool grows;

static int64_t second(int64_t ms)
{
	return clock_second(ms * 1000000);
}

static struct clock_reading walk_clock(void)
{
	return (struct clock_reading){ (steady_ms + offset_ms) * 1000000, steady_ms * 1000000, 0 };
}

/* The history looks at the clock now, and finds that it was set since the last look. */
static void looks(void)
{
	if (set_by_ms) {
		epochs[n_epochs - 1].end = second(steady_ms + offset_ms - set_by_ms);
		epochs[n_epochs].start = second(looked_ms + offset_ms);
		epochs[n_epochs].end = INT64_MAX;
		if (epochs[n_epochs].start > epochs[n_epochs - 1].end)
			epochs[n_epochs - 1].end = epochs[n_epochs].start;
		n_epochs++;
		set_by_ms = 0;
	}
	looked_ms = steady_ms;
}

/* It writes, too. */
static void writes(void)
{
	looks();
	known = second(steady_ms + offset_ms);
	first = known < first ? known : first;
}

static struct reading reading(void)
{
	return (struct reading){ n_epochs - 1, steady_ms + offset_ms };
}

static bool files_of_days; /* grants are in them */

static void tell_others(void)
{
	struct history_drain drains[ARRAY_SIZE(now.drain)];
	struct history_portmap portmaps[N_PAIRS];
	struct history_grant grants[N_PAIRS * N_GRANTS];
	size_t n = 0;

	for (unsigned i = 0; i < now.n_drains; i++)
		drains[i] = walk_drain(now.drain[i]);
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (now.portmap[p])
			portmaps[n++] = walk_portmap(p, now.portmap[p]);
	cr_assert_eq(history_present(history, FACT_DRAIN, drains, now.n_drains), 0);
	cr_assert_eq(history_present(history, FACT_PORTMAP, portmaps, history_facts_sort(FACT_PORTMAP, portmaps, n)),
		     0);
	cr_assert_eq(history_present(history, FACT_GRANT, grants, walk_granted(&now, grants)), 0);
}

static void add_state(const struct tables *t, struct reading early, struct reading late)
{
	cr_assert_lt(n_states, MAX_STATES);
	states[n_states].t = *t;
	states[n_states].early = early;
	states[n_states++].late = late;
}

static void pass(unsigned ms)
{
	steady_ms += walk_below(ms);
}

static void look(void)
{
	clock_watch_look(history_clock_watch(history));
	looks();
}

/* Time goes by, and perhaps the clock is set. An agent looks at it once a second. */
static void go_on(bool looking)
{
	unsigned kind = walk_below(8);
	int64_t by = (int64_t)(walk_below(2) ? walk_below(3000) : walk_below(100000)) + 50;

	pass(kind < 4 ? 700 : kind < 7 ? 20000 : 40000000);
	if (walk_below(5))
		return;
	if (looking)
		look();
	pass(900);
	set_by_ms = walk_below(2) ? by : -by;
	offset_ms += set_by_ms;
	pass(looking ? 900 : 5000);
	if (looking)
		look();
}

static void begin(bool taken_over)
{
	struct history_mapping present[N_PAIRS];
	struct error err = { 0 };

	cr_assert_eq(history_open(lab.state, dup(pin), &history, &err), 0, "%s", err.text);
	history_set_grants(history, files_of_days ? 36500 : 0);
	tell_others();
	cr_assert_eq(history_begin(history, taken_over, present, walk_listed(&now, present)), 0);
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
	writes();
}

/* What a reading of the steady clock is by the clock as it is now, with what is under way in the kernel. */
static struct reading effect(int64_t at_ms)
{
	return (struct reading){ n_epochs - 1, at_ms + offset_ms + 100 };
}

enum outcome { IN_FORCE, FAILED, KILLED_BEFORE, KILLED_AFTER, OUTCOMES };

/* Killed, and started anew. */
static void be_killed(const struct change *c, const struct tables *before, struct reading early, bool made)
{
	history_close(history);
	pass(walk_below(2) ? 300 : 30000);
	begin(true);
	if (!made) {
		add_state(&c->recorded, early, effect(steady_ms));
		add_state(before, early, effect(steady_ms));
		return;
	}
	add_state(&c->recorded, early, reading());
	if (c->more)
		add_state(&c->after, reading(), reading());
}

static void do_change(enum outcome outcome)
{
	struct tables before = now;
	struct history_mapping present[N_PAIRS];
	struct error err = { 0 };
	struct reading early;
	struct change c;
	int64_t at;

	walk_choose(&now, &c);
	cr_assert_eq(lab_change(history, c.del, c.n_del, c.add, c.n_add, &c.portmaps, &c.drains, &err), 0, "%s",
		     err.text);
	looks();
	early = reading();
	if (!history_waits(history))
		return;
	writes();
	/* What an agent sees that is killed before it writes is lost. */
	if (!walk_below(3))
		go_on(outcome == IN_FORCE || outcome == FAILED);
	if (outcome == IN_FORCE || outcome == KILLED_AFTER)
		now = c.after;
	at = steady_ms;
	if (outcome == KILLED_BEFORE || outcome == KILLED_AFTER) {
		be_killed(&c, &before, early, outcome == KILLED_AFTER);
		return;
	}
	if (!walk_below(3))
		go_on(true);
	if (outcome == FAILED || before.n_drains || now.n_drains) {
		tell_others();
		cr_assert_eq(history_reconcile(history, present, walk_listed(&now, present), at * 1000000, &err), 0);
	} else {
		cr_assert_eq(history_confirm(history, at * 1000000, &err), 0, "%s", err.text);
	}
	writes();
	if (outcome == FAILED) {
		add_state(&c.recorded, early, effect(steady_ms));
		add_state(&before, early, effect(steady_ms));
		return;
	}
	add_state(&c.recorded, early, effect(at));
	if (c.more)
		add_state(&c.after, reading(), effect(at).ms > reading().ms ? effect(at) : reading());
}

/* A group of which nothing, a part or all takes effect. */
static void do_grants(enum outcome outcome)
{
	struct tables before = now;
	struct history_mapping present[N_PAIRS];
	struct error err = { 0 };
	struct walk_group c;
	struct reading early;
	int64_t at;
	bool whole;

	walk_choose_grants(&now, &c);
	cr_assert_eq(history_change(history,
				    &(const struct history_change){ .del[FACT_GRANT] = { c.end, c.n_end },
								    .add[FACT_GRANT] = { c.begin, c.n_begin } },
				    &err),
		     0, "%s", err.text);
	looks();
	early = reading();
	if (!history_waits(history))
		return;
	writes();
	if (!walk_below(3))
		go_on(outcome == IN_FORCE || outcome == FAILED);
	now = outcome == IN_FORCE ? c.recorded : walk_below(2) ? c.part : before;
	at = steady_ms;
	whole = !memcmp(now.grant, c.recorded.grant, sizeof(now.grant));
	if (outcome == KILLED_BEFORE || outcome == KILLED_AFTER) {
		history_close(history);
		pass(walk_below(2) ? 300 : 30000);
		begin(true);
		add_state(&c.recorded, early, whole ? reading() : effect(steady_ms));
		if (!whole)
			add_state(&now, early, effect(steady_ms));
		return;
	}
	if (!walk_below(3))
		go_on(true);
	if (outcome == FAILED) {
		tell_others();
		cr_assert_eq(history_reconcile(history, present, walk_listed(&now, present), at * 1000000, &err), 0);
	} else {
		cr_assert_eq(history_confirm(history, at * 1000000, &err), 0, "%s", err.text);
	}
	writes();
	add_state(&c.recorded, early, effect(whole ? at : steady_ms));
	if (!whole)
		add_state(&now, early, effect(steady_ms));
}

static void do_restart(void)
{
	history_stop(history);
	writes();
	history_close(history);
	go_on(false);
	begin(true);
}

/* While the machine was off. It is noticed if the clock is behind the last record, which may be a tick old. */
static void set_back_unseen(void)
{
	offset_ms -= walk_below(200000);
	if (second(steady_ms + offset_ms) >= known)
		return;
	epochs[n_epochs - 1].end = known + HISTORY_TICK_S;
	epochs[n_epochs].start = second(steady_ms + offset_ms);
	epochs[n_epochs++].end = INT64_MAX;
}

static void do_reboot(void)
{
	struct history_mapping present[N_PAIRS];
	struct reading end;
	bool lost;

	cr_assert_eq(history_tick(history, NULL), 0);
	writes();
	end = (struct reading){ n_epochs - 1, known * 1000 };
	pass(50000);
	history_close(history);
	lost = walk_listed(&now, present) > 0;
	now = (struct tables){ 0 };
	add_state(&now, end, end);
	steady_ms += walk_below(100000);
	if (!walk_below(3))
		set_back_unseen();
	begin(false);
	gaps[n_gaps].from = end;
	gaps[n_gaps].to = (struct reading){ n_epochs - 1, known * 1000 };
	n_gaps += lost;
}

static void live(void)
{
	for (unsigned i = 0; i < EVENTS; i++) {
		unsigned kind = walk_below(40);

		go_on(true);
		if (kind == 0) {
			do_reboot();
		} else if (kind < 3) {
			do_restart();
		} else if (kind < 6) {
			cr_assert_eq(history_tick(history, NULL), 0);
			writes();
		} else if (grows && kind < 24) {
			do_grants(kind < 11 ? (enum outcome)(kind % OUTCOMES) : IN_FORCE);
		} else {
			do_change(kind < 11 ? (enum outcome)(kind % OUTCOMES) : IN_FORCE);
		}
	}
	cr_assert_eq(history_tick(history, NULL), 0);
	writes();
}

/* ---- Comparing */

static bool possible(unsigned i, unsigned epoch, int64_t t)
{
	const struct reading *begun = &states[i].early, *ended = &states[i + 1].late;

	if (t < epochs[epoch].start || t > epochs[epoch].end)
		return false;
	if (i && (begun->epoch > epoch || (begun->epoch == epoch && second(begun->ms) > t)))
		return false;
	return i + 1 == n_states || ended->epoch > epoch || (ended->epoch == epoch && t <= second(ended->ms));
}

/* Whether a second of a reckoning lies in the time between a reboot and the last record before. */
static bool is_unknown(unsigned epoch, int64_t t)
{
	if (t < epochs[epoch].start || t > epochs[epoch].end)
		return false;
	for (unsigned i = 0; i < n_gaps; i++) {
		struct reading from = gaps[i].from, to = gaps[i].to;

		if ((epoch > from.epoch || (epoch == from.epoch && t >= second(from.ms))) &&
		    (epoch < to.epoch || (epoch == to.epoch && t < second(to.ms))))
			return true;
	}
	return false;
}

static bool is_in(uint32_t addr, const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == addr)
			return true;
	return false;
}

static unsigned n_many, n_doubtful;

static void compare(struct who *w, uint32_t pool, unsigned port, int64_t t)
{
	uint32_t wanted[64];
	size_t n = 0;
	struct who_answer a;
	struct error why = { 0 };
	enum who_result r = who_ask(w, (struct endpoint){ pool, (uint16_t)port }, t, &a, &why);
	bool unknown = false;

	for (unsigned k = 0; k < n_epochs; k++)
		unknown |= is_unknown(k, t);
	if ((r == WHO_NO_RECORD) != unknown && (unknown || t >= first))
		cr_assert_fail("%08x:%u at %ld: %s", pool, port, (long)t,
			       unknown ? "definite, and not known" : why.text);
	for (unsigned k = 0; k < n_epochs; k++)
		for (unsigned i = 0; i < n_states; i++) {
			uint32_t addr = possible(i, k, t) ? walk_holder(&states[i].t, pool, port) : 0;

			if (addr && !is_in(addr, wanted, n) && n < ARRAY_SIZE(wanted))
				wanted[n++] = addr;
		}
	for (size_t i = 0; i < a.n_holders; i++)
		if (!is_in(walk_addr(a.holders[i].in_addr, a.holders[i].tenant), wanted, n))
			cr_assert_fail("%08x:%u at %ld: %08x is named, and was not possible", pool, port, (long)t,
				       a.holders[i].in_addr);
	if (a.n_holders != n)
		cr_assert_fail("%08x:%u at %ld: %zu named of %zu, %08x among them", pool, port, (long)t, a.n_holders, n,
			       wanted[0]);
	if (r == WHO_FOUND && !is_in(walk_addr(a.best.in_addr, a.best.tenant), wanted, n))
		cr_assert_fail("%08x:%u at %ld: %08x is the answer", pool, port, (long)t, a.best.in_addr);
	if (r == WHO_FOUND ? !a.other != (n == 1) : !a.other != !n)
		cr_assert_fail("%08x:%u at %ld: %zu are possible, and another is %s", pool, port, (long)t, n,
			       a.other ? "named" : "not named");
	n_many += n > 1;
	n_doubtful += unknown && n;
}

static void compare_at(struct who *w, int64_t t)
{
	for (uint32_t pool = 0x01010100; pool <= 0x01010500; pool += 0x100) {
		compare(w, pool, 80, t);
		for (unsigned a = 0; a < N_HOSTS; a++)
			for (unsigned half = 0; half <= grows && walk_port(pool, a, half); half++)
				compare(w, pool, walk_port(pool, a, half) + 7, t);
		for (unsigned b = 0; grows && b < N_GRANTS; b++)
			compare(w, pool, 1024 + b * GRANT_PORTS + b * (GRANT_PORTS - 2), t);
	}
}

/* The lines that decide an answer give the same one, and are few. */
static void compare_evidence(const struct history_files *f, int64_t ms)
{
	static const uint16_t ports[] = { 80, 1100, 1600, 3000, 65000 };
	_cleanup_free_ char *answer = NULL, *text = NULL;
	struct evidence_question q = { .files = f, .dir = lab.state, .t = second(ms) + walk_below(3) - 1 };
	char endpoint[ADDR_TEXT + 8];
	struct history_files part;
	size_t size;

	snprintf(endpoint, sizeof(endpoint), "1.1.%u.0:%u", 1 + walk_below(9), ports[walk_below(ARRAY_SIZE(ports))]);
	q.endpoint = endpoint;
	cr_assert_eq(evidence_answer(&q, true, &answer), 0);
	q.answer = answer;
	cr_assert_eq(evidence_history(&q, &text, &size), 0);
	cr_assert_eq(history_files_of_text(f, text, size, &part), 0);
	cr_expect(evidence_same_history(&q, text, size), "%s at %ld", endpoint, (long)q.t);
	cr_expect_eq(part.index.lines, f->index.lines);
	cr_expect_str_eq(part.index.hash, f->index.hash);
	cr_expect_leq(part.index.lines - part.index.withheld, MOST_SHOWN, "%s at %ld: %lu %s", endpoint, (long)q.t,
		      (unsigned long)(part.index.lines - part.index.withheld), answer);
	history_files_free(&part);
}

static void compare_all(void)
{
	struct history_files f;
	struct error err = { 0 };
	struct who *w;

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	for (size_t i = 0; i < f.index.n_damages; i++)
		cr_log_error("line %ld %s", (long)f.index.damages[i].line, f.index.damages[i].text);
	cr_assert_eq(f.index.n_damages, 0);
	cr_assert_eq(f.index.times.n_epochs, n_epochs);
	cr_assert_eq(who_new(&f.index, &w), 0);
	for (unsigned i = 1; i < n_states; i++)
		for (int64_t d = -1; d <= 1; d++) {
			compare_at(w, second(states[i].early.ms) + d);
			compare_at(w, second(states[i].late.ms) + d);
		}
	for (unsigned k = 1; k < n_epochs; k++)
		for (int64_t d = -1; d <= 1; d++) {
			compare_at(w, epochs[k].start + d);
			compare_at(w, epochs[k - 1].end + d);
		}
	who_free(w);
	for (unsigned i = 0; i < EVIDENCE; i++)
		compare_evidence(&f, states[walk_below(n_states)].early.ms);
	history_files_free(&f);
}

static void walk(unsigned number, bool tenants)
{
	walk_seed = number;
	grows = number % 2;
	files_of_days = number % 4 == 1;
	walk_parse(grows, tenants);
	steady_ms = 1000000;
	offset_ms = NOON * 1000;
	n_states = n_epochs = n_gaps = 0;
	first = INT64_MAX;
	set_by_ms = 0;
	now = (struct tables){ 0 };
	epochs[n_epochs].start = INT64_MIN;
	epochs[n_epochs++].end = INT64_MAX;
	add_state(&now, reading(), reading());
	begin(false);
	live();
	compare_all();
	history_close(history);
}

static void walk_all(bool tenants)
{
	history_close(lab.history);
	lab.history = NULL;
	pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);
	if (pin < 0)
		cr_skip_test("BPF maps need root");
	history_clock = walk_clock;
	for (unsigned number = 1; number <= rounds_of(WALKS); number++) {
		char command[128];

		cr_log_info("walk %u", number);
		snprintf(command, sizeof(command), "rm -rf %s/a/b", lab.directory);
		cr_assert_eq(system(command), 0);
		walk(number, tenants);
	}
	cr_assert_gt(n_many, rounds_of(1000));
	cr_assert_gt(n_doubtful, rounds_of(1000));
}

Test(history_walk, who_names_exactly_those_that_were_possible, .init = lab_setup, .fini = lab_teardown, .timeout = 300)
{
	walk_all(false);
}

/* Inside prefixes are those of several tenants, and pools go from one to another. */
Test(history_walk, who_names_their_tenants_too, .init = lab_setup, .fini = lab_teardown, .timeout = 300)
{
	walk_all(true);
}
