/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 10^5 grants: groups of them, some of which take effect in part, restarts, kills, reboots, other sizes of blocks, and
 * lists, written by the agent's own module and read as detnatctl does, against a model that just remembers.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include <detnat/growth.h>

#include "history_fixture.h"
#include "base/log.h"
#include "history/history_read.h"
#include "history/history_who.h"
#include "recorder/history.h"
#include "recorder/history_private.h"
#include "rounds.h"

#define BEGIN	   1767225600LL
#define DAY	   86400
#define GROUPS	   6400
#define GROUP	   60
#define ADDRS	   8U
#define OUT_ADDR   0xc0000200U /* 192.0.2.0 */
#define IN_ADDR	   0x0a000000U
#define SHARED	   58368U /* 128 blocks of 448 ports from 1024 on are below */
#define UNIT	   64U	  /* ports; a block is one or two of them */
#define UNITS	   ((65536U - SHARED) / UNIT)
#define MAX_EVENTS 40000

/* From the first second to the last, a subscriber may have had a unit. */
struct hold {
	uint32_t in;
	int64_t from;
	int64_t ended; /* by the record of its end; TIME_OPEN: still has */
	int64_t to;    /* when that was confirmed */
};

static struct holds {
	struct hold *at;
	size_t n;
} held[ADDRS][UNITS];

static uint32_t now_has[ADDRS][UNITS]; /* of the first unit of each block; 0: nobody */
static unsigned units = 2;	       /* of a block */
static size_t n_grants, n_parts;
static struct {
	int64_t from, to;
} gaps[MAX_EVENTS];
static unsigned n_gaps;
static int64_t now = BEGIN, known = BEGIN;
static char directory[] = "/dev/shm/detnat-history-XXXXXX";
static struct history *history;
static int pin;
static unsigned seed = 1;

static unsigned below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

/* The other clock is as far as this one, which is never set here. */
static struct clock_reading model_clock(void)
{
	return (struct clock_reading){ now * 1000000000, now * 1000000000, 0 };
}

static struct history_mapping whole(void)
{
	return (struct history_mapping){
		.in = { IN_ADDR, 22, 0 },
		.out = { OUT_ADDR, 29, 0 },
		.blocks = { .ratio = 128, .first_port = 1024, .pitch = 448, .ports_per_host = 448 },
		.from = TIME_NONE,
	};
}

static struct history_grant grant_of(unsigned addr, unsigned unit, uint32_t in)
{
	return (struct history_grant){ .in = in,
				       .out = OUT_ADDR + addr,
				       .port_lo = (uint16_t)(SHARED + unit * UNIT),
				       .ports = (uint16_t)(units * UNIT),
				       .from = TIME_NONE };
}

static void remember(unsigned addr, unsigned unit, struct hold one)
{
	for (unsigned u = unit; u < unit + units; u++) {
		struct holds *h = &held[addr][u];

		h->at = reallocarray(h->at, h->n + 1, sizeof(*h->at));
		cr_assert(h->at);
		h->at[h->n++] = one;
	}
}

static void end(unsigned addr, unsigned unit, int64_t ended, int64_t to)
{
	for (unsigned u = unit; u < unit + units; u++) {
		struct hold *last = &held[addr][u].at[held[addr][u].n - 1];

		last->ended = ended;
		last->to = to;
	}
	now_has[addr][unit] = 0;
}

static void end_all(int64_t to)
{
	for (unsigned a = 0; a < ADDRS; a++)
		for (unsigned u = 0; u < UNITS; u += units)
			if (now_has[a][u])
				end(a, u, to, to);
}

/* ---- A group */

struct step {
	unsigned addr, unit;
	uint32_t was, then;
	bool made; /* it takes effect */
};

static struct step step[GROUP];
static unsigned n_steps;

static void write_group(void)
{
	struct history_grant ends[GROUP], begins[GROUP];
	struct history_change c = { .del[FACT_GRANT] = { ends, 0 }, .add[FACT_GRANT] = { begins, 0 } };
	struct error err = { 0 };

	for (unsigned i = 0; i < n_steps; i++) {
		if (step[i].was)
			ends[c.del[FACT_GRANT].n++] = grant_of(step[i].addr, step[i].unit, step[i].was);
		if (step[i].then)
			begins[c.add[FACT_GRANT].n++] = grant_of(step[i].addr, step[i].unit, step[i].then);
	}
	cr_assert_eq(history_change(history, &c, &err), 0, "%s", err.text);
	n_grants += c.add[FACT_GRANT].n;
	known = n_steps ? now : known;
}

static bool is_drawn(unsigned addr, unsigned unit)
{
	for (unsigned i = 0; i < n_steps; i++)
		if (step[i].addr == addr && step[i].unit == unit)
			return true;
	return false;
}

static void choose(unsigned made_of_10)
{
	n_steps = 0;
	for (unsigned n = 1 + below(GROUP); n; n--) {
		unsigned addr = below(ADDRS), unit = below(UNITS / units) * units;
		uint32_t in = IN_ADDR + addr * 128 + below(5), was = now_has[addr][unit];

		if (is_drawn(addr, unit))
			continue;
		step[n_steps++] = (struct step){
			.addr = addr,
			.unit = unit,
			.was = was,
			.then = in == was || (was && below(4)) ? 0 : in,
			.made = below(10) < made_of_10,
		};
	}
}

/* What takes effect does so between the record and now; what does not may have, until now. */
static void apply(int64_t recorded)
{
	for (unsigned i = 0; i < n_steps; i++) {
		const struct step *s = &step[i];

		if (s->was)
			end(s->addr, s->unit, recorded, now);
		if (s->then)
			remember(s->addr, s->unit,
				 (struct hold){ s->then, recorded, s->made ? TIME_OPEN : recorded,
						s->made ? TIME_OPEN : now });
		if (!s->made && s->was)
			remember(s->addr, s->unit, (struct hold){ s->was, recorded, TIME_OPEN, TIME_OPEN });
		now_has[s->addr][s->unit] = s->made ? s->then : s->was;
		n_parts += !s->made;
	}
}

static void tell_present(void)
{
	static struct history_grant list[ADDRS * UNITS];
	size_t n = 0;

	for (unsigned a = 0; a < ADDRS; a++)
		for (unsigned u = 0; u < UNITS; u += units)
			if (now_has[a][u])
				list[n++] = grant_of(a, u, now_has[a][u]);
	cr_assert_eq(history_present(history, FACT_GRANT, list, n), 0);
}

static void confirm(void)
{
	cr_assert_eq(history_confirm(history, model_clock().steady_ns, NULL), 0);
}

static void begin(bool taken_over)
{
	const struct history_mapping m = whole();
	struct error err = { 0 };

	cr_assert_eq(history_open(directory, dup(pin), &history, &err), 0, "%s", err.text);
	tell_present();
	cr_assert_eq(history_begin(history, taken_over, &m, taken_over), 0);
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
	known = now;
}

static void change_mapping(bool add)
{
	const struct history_mapping m = whole();
	const struct history_change none = { 0 };
	struct error err = { 0 };

	cr_assert_eq(lab_change(history, &m, !add, &m, add, &none, NULL, &err), 0, "%s", err.text);
	confirm();
	known = now;
}

static void begin_afresh(void)
{
	begin(false);
	change_mapping(true);
}

static void pass(void)
{
	now += below(3) ? below(400) : below(3);
}

static void do_group(void)
{
	choose(10);
	write_group();
	apply(now);
	confirm();
}

/* The tables take a part of it only. */
static void do_part(void)
{
	const struct history_mapping m = whole();
	int64_t recorded = now;

	choose(below(10));
	write_group();
	now += below(3);
	apply(recorded);
	tell_present();
	cr_assert_eq(history_reconcile(history, &m, 1, model_clock().steady_ns, NULL), 0);
	known = now;
}

static void do_kill(void)
{
	int64_t recorded = now;

	choose(below(11));
	write_group();
	history_close(history);
	now += below(100);
	apply(recorded);
	begin(true);
}

static void do_restart(void)
{
	if (below(2))
		history_stop(history);
	history_close(history);
	pass();
	begin(true);
}

static void do_reboot(void)
{
	end_all(known);
	history_close(history);
	gaps[n_gaps].from = known;
	pass();
	if (now > known)
		gaps[n_gaps++].to = now;
	begin_afresh();
}

/* With the mapping all grants end; it comes back later. */
static void do_remove(void)
{
	change_mapping(false);
	end_all(now);
	pass();
	change_mapping(true);
}

static void do_resize(void)
{
	for (unsigned a = 0; a < ADDRS; a++) {
		n_steps = 0;
		for (unsigned u = 0; u < UNITS; u += units)
			if (now_has[a][u] && n_steps < GROUP)
				step[n_steps++] = (struct step){ a, u, now_has[a][u], 0, true };
		write_group();
		apply(now);
		confirm();
		for (unsigned u = 0; n_steps == GROUP && u < UNITS; u += units)
			if (now_has[a][u])
				return;
	}
	units = 3 - units;
}

static void do_tick(void)
{
	now += below(8) ? 0 : DAY;
	cr_assert_eq(history_tick(history, NULL), 0);
	known = now;
}

static void live(void)
{
	static void (*const rare[])(void) = { do_reboot, do_remove, do_resize, do_restart, do_restart, do_tick };

	for (unsigned i = 0; i < rounds_of(GROUPS); i++) {
		unsigned kind = below(1000);

		pass();
		if (kind < ARRAY_SIZE(rare))
			rare[kind]();
		else if (kind < 12 && kind % 2)
			do_kill();
		else if (kind < 60)
			do_part();
		else
			do_group();
	}
	do_tick();
}

/* ---- Comparing */

#define expect(condition, ...)                       \
	do {                                         \
		if (!(condition))                    \
			cr_assert_fail(__VA_ARGS__); \
	} while (0)

static bool names(const struct who_answer *a, uint32_t in)
{
	for (size_t i = 0; i < a->n_holders; i++)
		if (a->holders[i].in_addr == in)
			return true;
	return false;
}

static bool is_unknown(int64_t t)
{
	for (unsigned i = 0; i < n_gaps; i++)
		if (t >= gaps[i].from && t < gaps[i].to)
			return true;
	return t < BEGIN;
}

static size_t n_questions, n_many;

static void compare(struct who *w, unsigned addr, unsigned unit, int64_t t)
{
	const struct holds *h = &held[addr][unit];
	const unsigned port = SHARED + unit * UNIT + below(UNIT);
	const struct hold *last = NULL;
	uint32_t seen[64];
	struct who_answer a;
	struct error why = { 0 };
	enum who_result r = who_ask(w, (struct endpoint){ OUT_ADDR + addr, (uint16_t)port }, t, &a, &why);
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++) {
		bool again = false;

		if (h->at[i].from > t || h->at[i].to < t)
			continue;
		for (size_t k = 0; k < n; k++)
			again |= seen[k] == h->at[i].in;
		if (!again)
			seen[n++] = h->at[i].in;
		if (h->at[i].ended > t)
			last = &h->at[i];
		expect(names(&a, h->at[i].in), "%u:%u at %ld: %08x is not named", addr, port, (long)t, h->at[i].in);
	}
	expect(a.n_holders == n, "%u:%u at %ld: %zu are named, not %zu", addr, port, (long)t, a.n_holders, n);
	expect((r == WHO_NO_RECORD) == (is_unknown(t) && !last), "%u:%u at %ld: %d, %s", addr, port, (long)t, r,
	       why.text);
	if (n == 1 && last) {
		expect(r == WHO_FOUND && a.best.in_addr == last->in && !a.other, "%u:%u at %ld: %d, %s", addr, port,
		       (long)t, r, why.text);
		expect(a.best.from == last->from && a.best.to == last->to, "%u:%u at %ld: %ld to %ld, not %ld to %ld",
		       addr, port, (long)t, (long)a.best.from, (long)a.best.to, (long)last->from, (long)last->to);
		expect(a.best.port_lo <= port && port < a.best.port_lo + a.best.ports, "%u:%u", addr, port);
	}
	if (!n && !is_unknown(t))
		expect(r == WHO_NOBODY, "%u:%u at %ld: %d", addr, port, (long)t, r);
	n_many += n > 1;
	n_questions++;
}

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);
	if (pin < 0)
		cr_skip("BPF maps need root");
	history_clock = model_clock;
	log_set_level(LOG_LEVEL_ERROR);
}

static void teardown(void)
{
	char command[128];

	history_close(history);
	close(pin);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(history_grants_model, .init = setup, .fini = teardown, .timeout = 300);

Test(history_grants_model, who_is_right_at_every_boundary_of_a_hundred_thousand_grants)
{
	struct history_files f;
	struct error err = { 0 };
	struct who *w;

	begin_afresh();
	live();
	cr_assert_gt(n_grants, rounds_of(100000));
	cr_assert_eq(history_files_read(directory, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.index.n_damages, 0, "%s", f.index.damages[0].text);
	cr_assert_eq(f.end, END_AGREES);
	cr_assert_eq(who_new(&f.index, &w), 0);
	for (unsigned a = 0; a < ADDRS; a++)
		for (unsigned u = 0; u < UNITS; u++)
			for (size_t i = 0; i < held[a][u].n; i++)
				for (int64_t d = -1; d <= 1; d++) {
					compare(w, a, u, held[a][u].at[i].from + d);
					if (held[a][u].at[i].to != TIME_OPEN)
						compare(w, a, u, held[a][u].at[i].to + d);
				}
	cr_log_info("%zu grants, %zu that did not take effect, %zu questions, %zu with several holders", n_grants,
		    n_parts, n_questions, n_many);
	cr_assert(n_parts > rounds_of(1000) && n_many > rounds_of(1000) && n_gaps >= (rounds_of(100) + 20) / 40);
	who_free(w);
	history_files_free(&f);
}
