/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random walks of all that can happen to a history at once: mappings that pass pools from one to another, exceptions,
 * drains, portmaps, slow disks, failures, kills at each point, restarts, reboots, and a clock that is set. The model
 * remembers each state of the tables, and between which readings of the clock it may have been in force. In each second
 * at which anything can change, `who` must name exactly those who had an endpoint in a state that was possible then.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <limits.h>
#include <string.h>

#include <detnat/mapping.h>

#include "base/log.h"
#include "history/pin.h"
#include "history_fixture.h"
#include "proto/history_who.h"

#define WALKS  150
#define EVENTS 90

/* Of equal inside prefixes one is in use at a time; a pool is of one mapping at a time. */
static const char *const pairs[][2] = {
	{ "10.0.0.0/24", "1.1.1.0/32" },  { "10.0.0.0/24", "1.1.3.0/32" },  { "10.0.0.64/26", "1.1.2.0/32" },
	{ "10.0.0.64/26", "1.1.5.0/32" }, { "10.0.0.80/28", "1.1.4.0/32" }, { "10.7.0.0/24", "1.1.1.0/32" },
	{ "10.8.0.0/24", "1.1.1.0/32" },  { "10.6.0.64/26", "1.1.2.0/32" }, { "10.6.0.0/24", "1.1.3.0/32" },
};
#define N_PAIRS ARRAY_SIZE(pairs)

/* The last octets of the subscribers that are asked for: in no exception, in one, in both. */
static const uint32_t hosts[] = { 1, 64, 81 };
#define N_HOSTS ARRAY_SIZE(hosts)

static struct history_mapping mapping[N_PAIRS];

struct drain {
	unsigned pair, of;
};

/* What the tables say. */
struct tables {
	bool in_use[N_PAIRS], retired[N_PAIRS];
	bool may[N_PAIRS][N_HOSTS]; /* may have sessions */
	struct drain drain[32];
	unsigned n_drains;
	uint32_t portmap[N_PAIRS]; /* of TCP port 80 of the pool: to this address; 0: none */
};

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

static int64_t steady_ms, offset_ms, looked_ms, known;
static int64_t set_by_ms; /* since the last look */
static struct history *history;
static int pin;
static struct tables now; /* in the datapath */
static unsigned seed;

static unsigned below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

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
}

static struct reading reading(void)
{
	return (struct reading){ n_epochs - 1, steady_ms + offset_ms };
}

static void parse(void)
{
	for (unsigned p = 0; p < N_PAIRS; p++) {
		cr_assert_eq(prefix_parse(pairs[p][0], &mapping[p].in), 0);
		cr_assert_eq(prefix_parse(pairs[p][1], &mapping[p].out), 0);
		mapping[p].from = TIME_NONE;
	}
}

/* The address of a subscriber of a mapping; 0: it has none with that octet. */
static uint32_t host_of(unsigned pair, unsigned of)
{
	uint32_t addr = (mapping[pair].in.base & 0xffffff00) + hosts[of];

	return prefix_contains(mapping[pair].in.base, mapping[pair].in.plen, addr) ? addr : 0;
}

static bool same_prefix(struct prefix a, struct prefix b)
{
	return a.base == b.base && a.plen == b.plen;
}

static bool within(struct prefix inner, struct prefix outer)
{
	return inner.plen >= outer.plen && prefix_contains(outer.base, outer.plen, inner.base);
}

/* The mapping in use with the longest inside prefix around one, or that prefix itself; -1: none. */
static int around(const struct tables *t, struct prefix in, bool itself)
{
	int found = -1;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] && mapping[p].in.plen < in.plen + itself && within(in, mapping[p].in) &&
		    (found < 0 || mapping[p].in.plen > mapping[found].in.plen))
			found = (int)p;
	return found;
}

static struct history_drain drain_of(struct drain d)
{
	return (struct history_drain){ mapping[d.pair].in, mapping[d.pair].out, mapping[d.of].in, TIME_NONE };
}

static void begin_drain(struct tables *t, unsigned pair, unsigned of)
{
	for (unsigned i = t->n_drains; i-- > 0;)
		if (t->drain[i].pair == pair && within(mapping[t->drain[i].of].in, mapping[of].in))
			t->drain[i] = t->drain[--t->n_drains];
	t->drain[t->n_drains++] = (struct drain){ pair, of };
}

/* Ends the drains that have an end now, as the tables do. Returns whether there were any. */
static bool end_drains(struct tables *t)
{
	unsigned n = t->n_drains;

	for (unsigned i = t->n_drains; i-- > 0;) {
		unsigned p = t->drain[i].pair;

		if ((!t->in_use[p] && !t->retired[p]) || around(t, mapping[t->drain[i].of].in, true) == (int)p)
			t->drain[i] = t->drain[--t->n_drains];
	}
	return n != t->n_drains;
}

/* Works out who may have sessions. */
static void settle(struct tables *t)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned a = 0; a < N_HOSTS; a++) {
			struct prefix host = { host_of(p, a), 32 };
			bool there = t->in_use[p] || t->retired[p], drained = false;

			for (unsigned i = 0; i < t->n_drains; i++)
				drained |= t->drain[i].pair == p && within(host, mapping[t->drain[i].of].in);
			t->may[p][a] =
				host.base && (around(t, host, true) == (int)p || (t->may[p][a] && drained && there));
		}
}

static bool pool_taken(const struct tables *t, unsigned pair)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (p != pair && (t->in_use[p] || t->retired[p]) && same_prefix(mapping[p].out, mapping[pair].out))
			return true;
	return false;
}

static bool inside_taken(const struct tables *t, unsigned pair)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] && same_prefix(mapping[p].in, mapping[pair].in))
			return true;
	return false;
}

/*
 * A change: as it is recorded, what the tables are by that, and what they are in fact: drains of addresses that their
 * mapping has again have ended without a record, which follows.
 */
struct change {
	struct tables recorded;
	struct tables after;
	bool more; /* they differ */
	struct history_mapping del[N_PAIRS], add[N_PAIRS];
	struct history_drain ended[N_PAIRS], begun[N_PAIRS];
	struct history_portmap gone[N_PAIRS], come[N_PAIRS];
	size_t n_del, n_add;
	struct history_drain_change drains;
	struct history_portmap_change portmaps;
};

static struct history_portmap portmap(unsigned pair, uint32_t to)
{
	return (struct history_portmap){
		.in = { to, 80, 80 }, .out = { mapping[pair].out.base, 80, 80 }, .proto = 6, .from = TIME_NONE
	};
}

static void set_portmap(struct change *c, unsigned pair, uint32_t to)
{
	uint32_t *at = &c->after.portmap[pair];

	if (*at == to)
		return;
	if (*at)
		c->gone[c->portmaps.n_del++] = portmap(pair, *at);
	if (to)
		c->come[c->portmaps.n_add++] = portmap(pair, to);
	*at = to;
}

static void take_out(struct change *c, unsigned p, bool drains)
{
	set_portmap(c, p, 0);
	c->after.in_use[p] = false;
	c->after.retired[p] = drains;
	if (!drains) {
		c->del[c->n_del++] = mapping[p];
		return;
	}
	c->begun[c->drains.n_begin++] = drain_of((struct drain){ p, p });
	begin_drain(&c->after, p, p);
}

static void put_in(struct change *c, unsigned p, bool drains)
{
	int outer = drains ? around(&c->after, mapping[p].in, false) : -1;

	if (c->after.retired[p])
		c->ended[c->drains.n_end++] = drain_of((struct drain){ p, p });
	else
		c->add[c->n_add++] = mapping[p];
	for (unsigned i = c->after.n_drains; i-- > 0;)
		if (c->after.drain[i].pair == p && c->after.drain[i].of == p)
			c->after.drain[i] = c->after.drain[--c->after.n_drains];
	if (outer >= 0) {
		c->begun[c->drains.n_begin++] = drain_of((struct drain){ (unsigned)outer, p });
		begin_drain(&c->after, (unsigned)outer, p);
	}
	c->after.in_use[p] = true;
	c->after.retired[p] = false;
}

static void choose(struct change *c)
{
	bool drains = !below(3);
	unsigned p = below(N_PAIRS);

	*c = (struct change){ .after = now };
	if (!below(6) && now.n_drains) {
		unsigned part = below(now.n_drains);
		struct drain d = now.drain[part];

		/* A part has drained, or all of a retired mapping has. */
		if (now.retired[d.pair] && d.of == d.pair) {
			c->after.retired[d.pair] = false;
			c->del[c->n_del++] = mapping[d.pair];
		} else {
			c->ended[c->drains.n_end++] = drain_of(d);
		}
		c->after.drain[part] = c->after.drain[--c->after.n_drains];
	} else if (!below(4) && now.in_use[p]) {
		set_portmap(c, p, now.portmap[p] && below(2) ? 0 : (mapping[p].in.base & 0xffffff00) + 1 + below(2));
		if (c->after.portmap[p] &&
		    !prefix_contains(mapping[p].in.base, mapping[p].in.plen, c->after.portmap[p]))
			*c = (struct change){ .after = now };
	} else if (now.in_use[p]) {
		take_out(c, p, drains);
	}
	/* What has come free goes to another at once, or what is free at all. */
	for (unsigned attempt = 0; attempt < 4; attempt++) {
		unsigned q = below(N_PAIRS);

		if (q != p && !c->after.in_use[q] && !pool_taken(&c->after, q) && !inside_taken(&c->after, q) &&
		    (now.in_use[p] || below(2)) && !c->n_add) {
			put_in(c, q, drains);
			break;
		}
	}
	c->drains.end = c->ended;
	c->drains.begin = c->begun;
	c->portmaps.del = c->gone;
	c->portmaps.add = c->come;
	c->recorded = c->after;
	settle(&c->recorded);
	c->more = end_drains(&c->after);
	memcpy(c->after.may, c->recorded.may, sizeof(c->after.may));
	settle(&c->after);
}

static size_t listed(const struct tables *t, struct history_mapping *ret)
{
	size_t n = 0;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (t->in_use[p] || t->retired[p])
			ret[n++] = mapping[p];
	return n;
}

static void tell_others(void)
{
	struct history_drain drains[ARRAY_SIZE(now.drain)];
	struct history_portmap portmaps[N_PAIRS];
	size_t n = 0;

	for (unsigned i = 0; i < now.n_drains; i++)
		drains[i] = drain_of(now.drain[i]);
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (now.portmap[p])
			portmaps[n++] = portmap(p, now.portmap[p]);
	cr_assert_eq(history_drains_present(history, drains, now.n_drains), 0);
	cr_assert_eq(history_portmaps_present(history, portmaps, history_portmaps_merge(portmaps, n)), 0);
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
	steady_ms += below(ms);
}

static void look(void)
{
	clock_watch_look(history_clock_watch(history));
	looks();
}

/* Time goes by, and perhaps the clock is set. An agent looks at it once a second. */
static void go_on(bool looking)
{
	unsigned kind = below(8);
	int64_t by = (int64_t)(below(2) ? below(3000) : below(100000)) + 50;

	pass(kind < 4 ? 700 : kind < 7 ? 20000 : 40000000);
	if (below(5))
		return;
	if (looking)
		look();
	pass(900);
	set_by_ms = below(2) ? by : -by;
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
	tell_others();
	cr_assert_eq(history_begin(history, taken_over, present, listed(&now, present)), 0);
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
	pass(below(2) ? 300 : 30000);
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

	choose(&c);
	cr_assert_eq(history_change(history, c.del, c.n_del, c.add, c.n_add, &c.portmaps, &c.drains, &err), 0, "%s",
		     err.text);
	looks();
	early = reading();
	if (!history_waits(history))
		return;
	writes();
	/* What an agent sees that is killed before it writes is lost. */
	if (!below(3))
		go_on(outcome == IN_FORCE || outcome == FAILED);
	if (outcome == IN_FORCE || outcome == KILLED_AFTER)
		now = c.after;
	at = steady_ms;
	if (outcome == KILLED_BEFORE || outcome == KILLED_AFTER) {
		be_killed(&c, &before, early, outcome == KILLED_AFTER);
		return;
	}
	if (!below(3))
		go_on(true);
	if (outcome == FAILED || before.n_drains || now.n_drains) {
		tell_others();
		cr_assert_eq(history_reconcile(history, present, listed(&now, present), at * 1000000, &err), 0);
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

static void do_restart(void)
{
	history_stop(history);
	writes();
	history_close(history);
	go_on(false);
	begin(true);
}

static void do_reboot(void)
{
	struct reading end;

	cr_assert_eq(history_tick(history, NULL), 0);
	writes();
	end = (struct reading){ n_epochs - 1, known * 1000 };
	pass(50000);
	history_close(history);
	now = (struct tables){ 0 };
	add_state(&now, end, end);
	steady_ms += below(100000);
	begin(false);
}

static void live(void)
{
	for (unsigned i = 0; i < EVENTS; i++) {
		unsigned kind = below(40);

		go_on(true);
		if (kind == 0) {
			do_reboot();
		} else if (kind < 3) {
			do_restart();
		} else if (kind < 6) {
			cr_assert_eq(history_tick(history, NULL), 0);
			writes();
		} else {
			do_change(kind < 11 ? (enum outcome)(kind % OUTCOMES) : IN_FORCE);
		}
	}
	cr_assert_eq(history_tick(history, NULL), 0);
	writes();
}

/* ---- Comparing */

/* Who has the endpoint of a block, or of port 80, in a state; 0: nobody. The arithmetic of RFC 7422 by other means. */
static uint32_t holder(const struct tables *t, uint32_t pool, unsigned port)
{
	for (unsigned p = 0; p < N_PAIRS; p++) {
		unsigned bits = 32U - mapping[p].in.plen;

		if (mapping[p].out.base != pool || (!t->in_use[p] && !t->retired[p]))
			continue;
		if (port == 80)
			return t->portmap[p];
		for (unsigned a = 0; a < N_HOSTS; a++) {
			uint32_t addr = host_of(p, a), size = 64512U >> bits;
			uint32_t first = 1024 + size * (addr - mapping[p].in.base);

			if (addr && t->may[p][a] && port >= first && port < first + size)
				return addr;
		}
	}
	return 0;
}

static bool possible(unsigned i, unsigned epoch, int64_t t)
{
	const struct reading *begun = &states[i].early, *ended = &states[i + 1].late;

	if (t < epochs[epoch].start || t > epochs[epoch].end)
		return false;
	if (i && (begun->epoch > epoch || (begun->epoch == epoch && second(begun->ms) > t)))
		return false;
	return i + 1 == n_states || ended->epoch > epoch || (ended->epoch == epoch && t <= second(ended->ms));
}

static bool is_in(uint32_t addr, const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == addr)
			return true;
	return false;
}

static unsigned n_many;

static void compare(struct who *w, uint32_t pool, unsigned port, int64_t t)
{
	uint32_t wanted[64];
	size_t n = 0;
	struct who_answer a;
	struct error why = { 0 };
	enum who_result r = who_ask(w, (struct endpoint){ pool, (uint16_t)port }, t, &a, &why);

	for (unsigned k = 0; k < n_epochs; k++)
		for (unsigned i = 0; i < n_states; i++) {
			uint32_t addr = possible(i, k, t) ? holder(&states[i].t, pool, port) : 0;

			if (addr && !is_in(addr, wanted, n) && n < ARRAY_SIZE(wanted))
				wanted[n++] = addr;
		}
	for (size_t i = 0; i < a.n_holders; i++)
		if (!is_in(a.holders[i].in_addr, wanted, n))
			cr_assert_fail("%08x:%u at %ld: %08x is named, and was not possible", pool, port, (long)t,
				       a.holders[i].in_addr);
	if (a.n_holders != n)
		cr_assert_fail("%08x:%u at %ld: %zu named of %zu, %08x among them", pool, port, (long)t, a.n_holders, n,
			       wanted[0]);
	if (r == WHO_FOUND && !is_in(a.best.in_addr, wanted, n))
		cr_assert_fail("%08x:%u at %ld: %08x is the answer", pool, port, (long)t, a.best.in_addr);
	if (r == WHO_FOUND ? !a.other != (n == 1) : !a.other != !n)
		cr_assert_fail("%08x:%u at %ld: %zu are possible, and another is %s", pool, port, (long)t, n,
			       a.other ? "named" : "not named");
	n_many += n > 1;
}

static void compare_at(struct who *w, int64_t t)
{
	for (uint32_t pool = 0x01010100; pool <= 0x01010500; pool += 0x100) {
		/* Bits of a subscriber in the mappings of 1.1.1.0 to 1.1.5.0, and their first address. */
		static const unsigned bits[] = { 0, 8, 6, 8, 4, 6 }, bases[] = { 0, 0, 64, 0, 80, 64 };
		unsigned of = 64512U >> bits[pool >> 8 & 7], base = bases[pool >> 8 & 7];

		compare(w, pool, 80, t);
		for (unsigned a = 0; a < N_HOSTS; a++) {
			if (hosts[a] >= base)
				compare(w, pool, 1024 + of * (hosts[a] - base) + 7, t);
		}
	}
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
	history_files_free(&f);
}

static void walk(unsigned number)
{
	seed = number;
	steady_ms = 1000000;
	offset_ms = NOON * 1000;
	n_states = n_epochs = 0;
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

Test(history_walk, who_names_exactly_those_that_were_possible, .init = lab_setup, .fini = lab_teardown, .timeout = 300)
{
	history_close(lab.history);
	lab.history = NULL;
	pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);
	if (pin < 0)
		cr_skip_test("BPF maps need root");
	history_clock = walk_clock;
	parse();
	for (unsigned number = 1; number <= WALKS; number++) {
		char command[128];

		cr_log_info("walk %u", number);
		snprintf(command, sizeof(command), "rm -rf %s/a/b", lab.directory);
		cr_assert_eq(system(command), 0);
		walk(number);
	}
	cr_assert_gt(n_many, 1000);
}
