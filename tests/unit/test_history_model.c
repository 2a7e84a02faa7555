/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ten years of changes, restarts, crashes and reboots, written by the agent's own module and read as detnatctl does,
 * against a model that just remembers. Every answer is compared at every second at which anything changed, the one
 * before and the one after.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

#include "history_fixture.h"
#include "base/address.h"
#include "base/log.h"
#include "history/history_read.h"
#include "history/history_who.h"
#include "recorder/history.h"
#include "recorder/history_private.h"
#include "rounds.h"

#define DAY	  86400
#define TEN_YEARS 3653 /* days */
#define BEGIN	  1767225600LL
#define MAX_HELD  20000
#define MAX_TIMES 40000

static const struct history_change no_portmaps;

/*
 * Mappings to choose from; those whose outside prefixes overlap, or whose inside prefixes are equal, are never there at
 * the same time. Of inside prefixes within each other the longest has the address.
 */
static const struct {
	const char *in, *out;
	struct plan_blocks blocks;
} pairs[] = {
	{ "10.0.0.0/18", "192.0.2.0/30" },
	{ "10.1.0.0/24", "192.0.2.0/28" },
	{ "10.0.0.0/24", "192.0.2.0/30" },
	{ "10.2.0.0/24", "192.0.2.2/32" },
	{ "10.3.0.0/20", "198.51.100.0/24" },
	{ "10.3.0.0/24", "198.51.100.0/24" },
	{ "10.4.0.0/30", "203.0.113.9/32" },
	{ "10.4.0.0/29", "203.0.113.8/29" },
	{ "10.0.0.0/20", "203.0.113.64/28" },
	{ "10.3.0.77/32", NULL },
	{ "10.4.0.1/32", "203.0.113.33/32" },
	{ "10.3.0.64/26", "203.0.113.96/27" },
	/* Other blocks of the same prefixes. */
	{ "10.0.0.0/18", "192.0.2.0/30", { 4097, 1000, 15, 14, 0 } },
	{ "10.0.0.0/18", "192.0.2.0/30", { 4096, 1, 15, 15, 1 } },
	{ "10.0.0.0/24", "192.0.2.0/30", { 64, 1026, 1000, 998, 1 } },
	{ "10.3.0.0/20", "198.51.100.0/24", { 33, 1024, 1954, 1954, 0 } },
	{ "10.3.0.0/20", "198.51.100.0/24", { 32, 1536, 2000, 2000, 1 } },
	{ "10.4.0.0/29", "203.0.113.8/29", { 7, 0, 9000, 8999, 0 } },
};
#define N_PAIRS (sizeof(pairs) / sizeof(*pairs))

/* Each is in several of the pools; most in blocks of other subscribers with other blocks. */
static const char *const endpoints[] = {
	"192.0.2.0:1024",    "192.0.2.2:40000", "192.0.2.3:65534",   "198.51.100.77:5000", "203.0.113.9:64000",
	"203.0.113.9:65535", "192.0.2.1:2025",	"198.51.100.9:2990", "203.0.113.8:8999",
};
#define N_ENDPOINTS (sizeof(endpoints) / sizeof(*endpoints))

struct held {
	unsigned pair;
	int64_t from, to;
	unsigned begun_by, ended_by; /* numbers of changes, as there may be several in a second */
};

static char directory[] = "/dev/shm/detnat-history-XXXXXX";
static struct held held[MAX_HELD];
static unsigned n_held, n_changes;
static int open_by_pair[N_PAIRS]; /* number in held, or -1 */
static struct {
	int64_t from, to;
} gaps[MAX_HELD];
static unsigned n_gaps;
/* From a record until it was taken back, it is not certain that it never took effect. */
static struct {
	int64_t from, to;
} doubts[MAX_HELD];
static unsigned n_doubts;
static int64_t times[MAX_TIMES];
static unsigned n_times;
static int64_t now = BEGIN, known = BEGIN;
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

static struct history_mapping mappings[N_PAIRS];

static void parse_pairs(void)
{
	for (unsigned p = 0; p < N_PAIRS; p++) {
		mappings[p].from = TIME_NONE;
		cr_assert_eq(prefix_parse(pairs[p].in, &mappings[p].in), 0);
		mappings[p].blocks = pairs[p].blocks;
		mappings[p].out = PREFIX_NONE;
		if (pairs[p].out)
			cr_assert_eq(prefix_parse(pairs[p].out, &mappings[p].out), 0);
	}
}

static struct history_mapping mapping_of(unsigned pair)
{
	return mappings[pair];
}

static bool overlaps(unsigned a, unsigned b)
{
	struct history_mapping x = mapping_of(a), y = mapping_of(b);

	if (x.in.base == y.in.base && x.in.plen == y.in.plen)
		return true;
	return !prefix_is_none(x.out) && !prefix_is_none(y.out) &&
	       prefix_overlaps(x.out.base, x.out.plen, y.out.base, y.out.plen);
}

static void note_time(void)
{
	cr_assert_lt(n_times, MAX_TIMES);
	if (!n_times || times[n_times - 1] != now)
		times[n_times++] = now;
	known = now;
}

static size_t tables(struct history_mapping *ret)
{
	size_t n = 0;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (open_by_pair[p] >= 0)
			ret[n++] = mapping_of(p);
	return n;
}

/* What one change does: deletes some of what is there, adds what fits then. */
struct change_plan {
	struct history_mapping del[N_PAIRS], add[N_PAIRS];
	unsigned del_pair[N_PAIRS], add_pair[N_PAIRS];
	size_t n_del, n_add;
};

static struct change_plan choose(void)
{
	struct change_plan c = { 0 };
	bool there[N_PAIRS];

	for (unsigned p = 0; p < N_PAIRS; p++) {
		there[p] = open_by_pair[p] >= 0;
		if (!there[p] || below(3))
			continue;
		there[p] = false;
		c.del_pair[c.n_del] = p;
		c.del[c.n_del++] = mapping_of(p);
	}
	for (unsigned attempt = 0; attempt < 3; attempt++) {
		unsigned p = below(N_PAIRS);
		bool fits = !there[p] && open_by_pair[p] < 0;

		for (unsigned q = 0; q < N_PAIRS; q++)
			fits &= !there[q] || !overlaps(p, q);
		if (!fits)
			continue;
		there[p] = true;
		c.add_pair[c.n_add] = p;
		c.add[c.n_add++] = mapping_of(p);
	}
	return c;
}

static void apply(const struct change_plan *c)
{
	n_changes++;
	for (size_t i = 0; i < c->n_del; i++) {
		held[open_by_pair[c->del_pair[i]]].to = now;
		held[open_by_pair[c->del_pair[i]]].ended_by = n_changes;
		open_by_pair[c->del_pair[i]] = -1;
	}
	for (size_t i = 0; i < c->n_add; i++) {
		cr_assert_lt(n_held, MAX_HELD);
		open_by_pair[c->add_pair[i]] = (int)n_held;
		held[n_held++] = (struct held){ c->add_pair[i], now, TIME_OPEN, n_changes, UINT_MAX };
	}
}

static void end_all(int64_t at)
{
	n_changes++;
	for (unsigned p = 0; p < N_PAIRS; p++) {
		if (open_by_pair[p] >= 0) {
			held[open_by_pair[p]].to = at;
			held[open_by_pair[p]].ended_by = n_changes;
		}
		open_by_pair[p] = -1;
	}
}

static void write_change(const struct change_plan *c)
{
	struct error err;

	cr_assert_eq(lab_change(history, c->del, c->n_del, c->add, c->n_add, &no_portmaps, NULL, &err), 0, "%s",
		     err.text);
	if (c->n_del || c->n_add)
		note_time();
}

static void do_change(void)
{
	struct change_plan c = choose();

	write_change(&c);
	apply(&c);
	cr_assert_eq(history_confirm(history, model_clock().steady_ns, NULL), 0);
}

static void note_doubt(int64_t from)
{
	cr_assert_lt(n_doubts, MAX_HELD);
	doubts[n_doubts].from = from;
	doubts[n_doubts++].to = now;
}

static void do_failed_change(void)
{
	struct change_plan c = choose();
	struct history_mapping present[N_PAIRS];

	write_change(&c);
	history_reconcile(history, present, tables(present), model_clock().steady_ns, NULL);
	note_doubt(now);
}

static void begin(bool taken_over)
{
	struct history_mapping present[N_PAIRS];
	struct error err;

	cr_assert_eq(history_open(directory, dup(pin), &history, &err), 0, "%s", err.text);
	cr_assert_eq(history_begin(history, taken_over, present, tables(present)), 0);
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
	note_time();
}

static void pass(void)
{
	now += below(4) ? below(3 * DAY / 2) : below(3);
}

static void do_restart(void)
{
	if (below(2)) {
		history_stop(history);
		note_time();
	}
	history_close(history);
	pass();
	begin(true);
}

/* Killed between the record and the change. */
static void do_crash_in_change(void)
{
	struct change_plan c = choose();
	int64_t recorded = now;

	write_change(&c);
	history_close(history);
	pass();
	begin(true);
	note_doubt(recorded);
}

static void do_reboot(void)
{
	bool empty = true;

	for (unsigned p = 0; p < N_PAIRS; p++)
		empty &= open_by_pair[p] < 0;
	end_all(known);
	history_close(history);
	gaps[n_gaps].from = known;
	pass();
	if (!empty && now > known)
		gaps[n_gaps++].to = now;
	begin(false);
}

static void do_detach(void)
{
	history_detach(history);
	end_all(now);
	note_time();
	history_close(history);
	pass();
	begin(false);
}

static void do_tick(void)
{
	history_tick(history, NULL);
	note_time();
}

static void live(void)
{
	static void (*const rare[])(void) = { do_reboot, do_detach, do_restart, do_crash_in_change };

	while (now < BEGIN + rounds_of(TEN_YEARS) * DAY) {
		unsigned kind = below(250);

		pass();
		if (kind < sizeof(rare) / sizeof(*rare))
			rare[kind]();
		else if (kind < 25)
			do_failed_change();
		else if (kind < 140)
			do_change();
		else
			do_tick();
	}
}

/* The arithmetic of RFC 7422, written independently. */
static bool owner(unsigned pair, struct endpoint e, uint32_t *ret)
{
	struct history_mapping m = mapping_of(pair);

	if (prefix_is_none(m.out))
		return false;

	struct plan_blocks b = m.blocks;
	uint32_t block, subscriber, out_size = ~prefix_mask(m.out.plen) + 1, number = e.addr - m.out.base;

	if (!b.ratio) {
		b.ratio = (uint16_t)(1U << (m.out.plen - m.in.plen));
		b.first_port = 1024;
		b.pitch = b.ports_per_host = (uint16_t)(64512 / b.ratio);
	}
	if ((e.addr & prefix_mask(m.out.plen)) != m.out.base || e.port < b.first_port || !e.port)
		return false;
	block = ((uint32_t)e.port - b.first_port) / b.pitch;
	if (block >= b.ratio || ((uint32_t)e.port - b.first_port) % b.pitch >= b.ports_per_host)
		return false;
	subscriber = b.netmap ? number + block * out_size : number * b.ratio + block;
	if (subscriber > ~prefix_mask(m.in.plen))
		return false;
	*ret = m.in.base + subscriber;
	return true;
}

/* Those that held an endpoint at any time, without the times at which another mapping had their address. */
static struct held owners[4 * MAX_HELD];
static uint32_t owner_in[4 * MAX_HELD];
static unsigned n_owners;

/* Whether a mapping is an exception of another for an address. */
static bool excepts(unsigned pair, unsigned from, uint32_t in_addr)
{
	struct history_mapping inner = mapping_of(pair), outer = mapping_of(from);

	return inner.in.plen > outer.in.plen && prefix_contains(inner.in.base, inner.in.plen, in_addr);
}

/* Splits what is left of an interval at one exception after the other, in order of time. */
static void add_pieces(struct held h, uint32_t in_addr)
{
	for (unsigned i = 0; i < n_held; i++) {
		const struct held *e = &held[i];

		if (!excepts(e->pair, h.pair, in_addr) || e->ended_by <= h.begun_by || e->begun_by >= h.ended_by)
			continue;
		if (e->begun_by > h.begun_by) {
			struct held before = { h.pair, h.from, e->from, h.begun_by, e->begun_by };

			add_pieces(before, in_addr);
		}
		if (e->ended_by >= h.ended_by)
			return;
		h.from = e->to;
		h.begun_by = e->ended_by;
	}
	cr_assert_lt(n_owners, 4 * MAX_HELD);
	owner_in[n_owners] = in_addr;
	owners[n_owners++] = h;
}

static void find_owners(struct endpoint e)
{
	uint32_t in_addr;

	n_owners = 0;
	for (unsigned i = 0; i < n_held; i++)
		if (owner(held[i].pair, e, &in_addr))
			add_pieces(held[i], in_addr);
}

/* Assertions that hold take long, too, and there are a million. */
#define expect(condition, ...)                       \
	do {                                         \
		if (!(condition))                    \
			cr_assert_fail(__VA_ARGS__); \
	} while (0)

static void compare_found(const struct who_answer *a, const struct held *best, uint32_t in_addr, int64_t t)
{
	struct history_mapping m = mapping_of(best->pair);

	expect(a->best.in_addr == in_addr, "at %ld", (long)t);
	expect(a->best.from == best->from && a->best.to == best->to, "at %ld: %ld to %ld, not %ld to %ld", (long)t,
	       (long)a->best.from, (long)a->best.to, (long)best->from, (long)best->to);
	expect(a->best.in.base == m.in.base && a->best.in.plen == m.in.plen && a->best.out.base == m.out.base, "at %ld",
	       (long)t);
}

static void compare_at(struct who *w, struct endpoint e, int64_t t)
{
	const struct held *best = NULL;
	bool unknown = t < BEGIN, ambiguous = false, doubtful = false;
	uint32_t best_in = 0;
	struct who_answer a;
	struct error why = { 0 };
	enum who_result result = who_ask(w, e, t, &a, &why);

	for (unsigned i = 0; i < n_owners; i++) {
		if (t < owners[i].from || t >= owners[i].to)
			continue;
		expect(!best, "%s", "the model has two");
		best = &owners[i];
		best_in = owner_in[i];
	}
	for (unsigned i = 0; i < n_owners; i++)
		ambiguous |= t >= owners[i].from && t <= owners[i].to && (!best || owner_in[i] != best_in);
	for (unsigned i = 0; i < n_gaps; i++)
		unknown |= t >= gaps[i].from && t < gaps[i].to;
	if (best) {
		expect(result == WHO_FOUND, "at %ld: %s", (long)t, why.text);
		compare_found(&a, best, best_in, t);
	} else {
		expect(result == (unknown ? WHO_NO_RECORD : WHO_NOBODY), "at %ld: %s", (long)t, why.text);
	}
	for (unsigned i = 0; i < n_doubts; i++)
		doubtful |= t >= doubts[i].from && t <= doubts[i].to;
	expect(doubtful ? a.other || !ambiguous : !a.other == !ambiguous, "at %ld: %zu holders", (long)t, a.n_holders);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

Test(history_model, who_is_right_at_every_boundary_of_ten_years, .fini = teardown, .timeout = 300)
{
	struct history_files f;
	struct error err;
	struct who *w;

	cr_assert(mkdtemp(directory));
	pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);
	if (pin < 0)
		cr_skip("BPF maps need root");
	history_clock = model_clock;
	log_set_level(LOG_LEVEL_ERROR);
	parse_pairs();
	memset(open_by_pair, -1, sizeof(open_by_pair));
	begin(false);
	live();

	cr_assert_eq(history_files_read(directory, &f, &err), 0, "%s", err.text);
	for (size_t i = 0; i < f.index.n_damages; i++)
		cr_log_error("line %ld %s", (long)f.index.damages[i].line, f.index.damages[i].text);
	cr_assert_eq(f.index.n_damages, 0);
	cr_assert_eq(f.end, END_AGREES);
	cr_assert_eq(who_new(&f.index, &w), 0);
	cr_assert_gt(n_held, rounds_of(1000));
	cr_assert_gt(n_gaps, rounds_of(10));
	for (unsigned k = 0; k < N_ENDPOINTS; k++) {
		struct endpoint e;

		cr_assert_eq(endpoint_parse(endpoints[k], &e), 0);
		find_owners(e);
		cr_assert_gt(n_owners, rounds_of(50));
		for (unsigned i = 0; i < n_times; i++)
			for (int64_t t = times[i] - 1; t <= times[i] + 1; t++)
				compare_at(w, e, t);
	}
	who_free(w);
	history_files_free(&f);
	history_close(history);
	close(pin);
}
