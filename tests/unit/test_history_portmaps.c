/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Portmaps in the mapping history: years of changes, restarts, crashes and reboots, written by the agent's own module
 * and read as detnatctl does, against a model that just remembers.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "history_fixture.h"
#include "base/log.h"
#include "history/history_read.h"
#include "history/history_who.h"
#include "recorder/history.h"
#include "recorder/history_private.h"
#include "rounds.h"

#define BEGIN	  1767225600LL
#define DAY	  86400
#define CHANGES	  4000
#define MAX_HELD  60000
#define MAX_TIMES 40000

#define OUT_ADDR 0xc0000200U /* 192.0.2.0 */
#define IN_ADDR	 0x0a000000U

/* Ports below all blocks, and the first ones of the block of 10.0.0.0, whose mapping gives 15 ports each. */
static const uint16_t ports[] = { 440, 441, 442, 443, 444, 445, 1022, 1023, 1024, 1025, 1026, 1027 };
static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
#define N_PORTS	 ARRAY_SIZE(ports)
#define N_PLACES (N_PORTS * ARRAY_SIZE(protos))

/* What a place leads to; addr 0: nothing. */
static struct endpoint now_at[N_PLACES], planned[N_PLACES];
static struct held {
	unsigned place;
	struct endpoint in;
	int64_t from, to;
	int64_t late;	 /* it may have lasted until then */
	unsigned change; /* number of the one that ended it */
} held[MAX_HELD];
static unsigned n_held, n_changes;
static unsigned n_mentioned;
static struct {
	int64_t from, to;
} gaps[MAX_HELD];
static unsigned n_gaps;
/* From a record until a start, or a reconciliation, it is not certain whether it has taken effect. */
static struct {
	int64_t from, to;
} doubts[MAX_HELD];
static unsigned n_doubts;
static int64_t times[MAX_TIMES];
static unsigned n_times;
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
		.in = { IN_ADDR, 18 },
		.out = { OUT_ADDR, 30 },
		.from = TIME_NONE,
	};
}

static bool same(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

static struct endpoint out_of(unsigned place)
{
	return (struct endpoint){ OUT_ADDR, ports[place % N_PORTS] };
}

static struct history_portmap portmap_of(unsigned place, struct endpoint in)
{
	struct endpoint out = out_of(place);

	return (struct history_portmap){ .in = { in.addr, in.port, in.port },
					 .out = { out.addr, out.port, out.port },
					 .proto = protos[place / N_PORTS] };
}

/* Those of a state as spans. Returns how many. */
static size_t list_of(const struct endpoint state[N_PLACES], struct history_portmap ret[N_PLACES])
{
	size_t n = 0;

	for (unsigned i = 0; i < N_PLACES; i++)
		if (state[i].addr)
			ret[n++] = portmap_of(i, state[i]);
	return history_facts_sort(FACT_PORTMAP, ret, n);
}

static void note_time(void)
{
	cr_assert_lt(n_times, MAX_TIMES);
	if (!n_times || times[n_times - 1] != now)
		times[n_times++] = now;
	known = now;
}

static void tell_present(const struct endpoint state[N_PLACES])
{
	struct history_portmap list[N_PLACES];

	cr_assert_eq(history_present(history, FACT_PORTMAP, list, list_of(state, list)), 0);
}

/* Up to three ranges end, begin, or lead elsewhere. */
static void choose(void)
{
	memcpy(planned, now_at, sizeof(planned));
	for (unsigned n = below(3) + 1; n; n--) {
		unsigned first = below(N_PLACES), last = first + below(5);
		struct endpoint in = { IN_ADDR + below(3), (uint16_t)(8000 + below(3)) };
		bool ends = below(2);

		for (unsigned i = first; i <= last && i < N_PLACES; i++, in.port++)
			planned[i] = ends ? (struct endpoint){ 0 } : in;
	}
}

/* The places in which a differs from b and has something. */
static size_t differences(const struct endpoint a[N_PLACES], const struct endpoint b[N_PLACES],
			  struct history_portmap ret[N_PLACES])
{
	struct endpoint only[N_PLACES] = { 0 };

	for (unsigned i = 0; i < N_PLACES; i++)
		if (!same(a[i], b[i]))
			only[i] = a[i];
	return list_of(only, ret);
}

/* All that the last change ended may have lasted until now. */
static void note_doubt(int64_t from)
{
	cr_assert_lt(n_doubts, MAX_HELD);
	doubts[n_doubts].from = from;
	doubts[n_doubts++].to = now;
	for (unsigned k = 0; k < n_held; k++)
		if (held[k].change == n_changes && held[k].to != TIME_OPEN)
			held[k].late = now;
}

static void confirm(void)
{
	cr_assert_eq(history_confirm(history, model_clock().steady_ns, NULL), 0);
}

static void write_change(bool with_mapping)
{
	struct history_portmap del[N_PLACES], add[N_PLACES];
	const struct history_change c = { .del[FACT_PORTMAP] = { del, differences(now_at, planned, del) },
					  .add[FACT_PORTMAP] = { add, differences(planned, now_at, add) } };
	const struct history_mapping m = whole();
	struct error err;

	cr_assert_eq(lab_change(history, NULL, 0, &m, with_mapping, &c, NULL, &err), 0, "%s", err.text);
	if (c.del[FACT_PORTMAP].n || c.add[FACT_PORTMAP].n || with_mapping)
		note_time();
}

static void apply(void)
{
	n_changes++;
	for (unsigned i = 0; i < N_PLACES; i++) {
		if (same(now_at[i], planned[i]))
			continue;
		for (unsigned k = n_held; now_at[i].addr && k-- > 0;)
			if (held[k].place == i) {
				held[k].to = now;
				held[k].late = now;
				held[k].change = n_changes;
				break;
			}
		cr_assert_lt(n_held, MAX_HELD);
		if (planned[i].addr)
			held[n_held++] = (struct held){ i, planned[i], now, TIME_OPEN, TIME_OPEN, 0 };
		now_at[i] = planned[i];
	}
}

static void end_all(int64_t at)
{
	for (unsigned k = 0; k < n_held; k++)
		if (held[k].to == TIME_OPEN)
			held[k].to = held[k].late = at;
	memset(now_at, 0, sizeof(now_at));
}

static void begin(bool taken_over)
{
	const struct history_mapping m = whole();
	struct error err;

	cr_assert_eq(history_open(directory, dup(pin), &history, &err), 0, "%s", err.text);
	tell_present(now_at);
	cr_assert_eq(history_begin(history, taken_over, &m, taken_over), 0);
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
	note_time();
}

/* A datapath without anything gets its mapping. */
static void begin_afresh(void)
{
	begin(false);
	memset(planned, 0, sizeof(planned));
	write_change(true);
	confirm();
}

static void pass(void)
{
	now += below(4) ? below(3 * DAY / 2) : below(3);
}

static void do_change(void)
{
	choose();
	write_change(false);
	apply();
	confirm();
}

static void do_failed_change(void)
{
	const struct history_mapping m = whole();

	choose();
	write_change(false);
	n_changes++;
	tell_present(now_at);
	history_reconcile(history, &m, 1, model_clock().steady_ns, NULL);
	note_doubt(now);
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

/* Killed after the record, before the change or after it. */
static void do_crash_in_change(void)
{
	int64_t recorded = now;

	choose();
	write_change(false);
	n_changes++;
	if (below(2))
		apply();
	history_close(history);
	pass();
	begin(true);
	note_doubt(recorded);
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

static void do_detach(void)
{
	history_detach(history);
	end_all(now);
	note_time();
	history_close(history);
	pass();
	begin_afresh();
}

static void do_tick(void)
{
	history_tick(history, NULL);
	note_time();
}

static void live(void)
{
	static void (*const rare[])(void) = { do_reboot, do_detach, do_restart, do_crash_in_change,
					      do_crash_in_change };

	for (unsigned i = 0; i < rounds_of(CHANGES); i++) {
		unsigned kind = below(100);

		pass();
		if (kind < ARRAY_SIZE(rare))
			rare[kind]();
		else if (kind < 15)
			do_failed_change();
		else if (kind < 70)
			do_change();
		else
			do_tick();
	}
}

/* Assertions that hold take long, too. */
#define expect(condition, ...)                       \
	do {                                         \
		if (!(condition))                    \
			cr_assert_fail(__VA_ARGS__); \
	} while (0)

static const struct held *holder(unsigned place, int64_t t)
{
	for (unsigned k = 0; k < n_held; k++)
		if (held[k].place == place && held[k].from <= t && t < held[k].to)
			return &held[k];
	return NULL;
}

/* The subscriber of the port's block, which portmaps of other subscribers do not concern. */
#define OWNER IN_ADDR

static bool is_doubtful(int64_t t)
{
	for (unsigned i = 0; i < n_doubts; i++)
		if (t >= doubts[i].from && t <= doubts[i].to)
			return true;
	return false;
}

static bool names(const struct who_answer *a, uint32_t in_addr)
{
	for (size_t i = 0; i < a->n_holders; i++)
		if (a->holders[i].in_addr == in_addr)
			return true;
	return false;
}

/* Of a port of no block: whoever else had it for the beginning of the second t is named, and nobody but they. */
static void compare_ended(const struct who_answer *a, unsigned port, int64_t t, const struct held *const wanted[],
			  unsigned n)
{
	bool any = false;
	const struct held *told[ARRAY_SIZE(protos)];

	/* Who has a protocol by the answer. */
	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++) {
		told[i] = holder((unsigned)(i * N_PORTS) + port, t);
		told[i] = told[i] || !n ? told[i] : wanted[0];
	}

	for (unsigned k = 0; k < n_held; k++) {
		const struct held *h = &held[k];

		if (h->place % N_PORTS != port || h->from > t || h->to != t ||
		    (told[h->place / N_PORTS] && h->in.addr == told[h->place / N_PORTS]->in.addr))
			continue;
		any = true;
		expect(names(a, h->in.addr), "port %u at %ld: another is not named", ports[port], (long)t);
	}
	expect(is_doubtful(t) ? a->other || !any : !a->other == !any, "port %u at %ld: another is %snamed", ports[port],
	       (long)t, any ? "not " : "");
	n_mentioned += any;
}

static void compare_at(struct who *w, unsigned port, int64_t t)
{
	const bool below_blocks = ports[port] < 1024;
	const struct held *wanted[2];
	struct who_answer a;
	struct error why = { 0 };
	enum who_result result = who_ask(w, (struct endpoint){ OUT_ADDR, ports[port] }, t, &a, &why);
	bool unknown = t < BEGIN;
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++) {
		const struct held *h = holder((unsigned)(i * N_PORTS) + port, t);

		if (h && (below_blocks || h->in.addr == OWNER))
			wanted[n++] = h;
	}
	for (unsigned i = 0; i < n_gaps; i++)
		unknown |= t >= gaps[i].from && t < gaps[i].to;
	if (below_blocks)
		compare_ended(&a, port, t, wanted, n);
	if (!n && below_blocks) {
		expect(result == (unknown ? WHO_NO_RECORD : WHO_NOBODY), "port %u at %ld: %d, %s", ports[port], (long)t,
		       result, why.text);
		return;
	}
	if (result != WHO_FOUND) {
		expect(!n, "port %u at %ld: not found, %s", ports[port], (long)t, why.text);
		return;
	}
	expect(a.n_portmaps == n, "port %u at %ld: %u portmaps, not %u", ports[port], (long)t, a.n_portmaps, n);
	for (unsigned i = 0; i < n; i++) {
		expect(same((struct endpoint){ a.portmap[i].portmap.in.addr, a.portmap[i].portmap.in.first },
			    wanted[i]->in),
		       "port %u at %ld", ports[port], (long)t);
		expect(a.portmap[i].portmap.from == wanted[i]->from && a.portmap[i].to == wanted[i]->late,
		       "port %u at %ld: %ld to %ld, not %ld to %ld", ports[port], (long)t,
		       (long)a.portmap[i].portmap.from, (long)a.portmap[i].to, (long)wanted[i]->from,
		       (long)wanted[i]->late);
	}
	if (below_blocks)
		expect(a.best.in_addr == wanted[0]->in.addr, "port %u at %ld", ports[port], (long)t);
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

TestSuite(history_portmaps, .init = setup, .fini = teardown, .timeout = 300);

static struct who *read_back(void)
{
	struct history_files f;
	struct error err;
	struct who *w;

	cr_assert_eq(history_files_read(directory, &f, &err), 0, "%s", err.text);
	for (size_t i = 0; i < f.index.n_damages; i++)
		cr_log_error("line %ld %s", (long)f.index.damages[i].line, f.index.damages[i].text);
	cr_assert_eq(f.index.n_damages, 0);
	cr_assert_eq(f.end, END_AGREES);
	cr_assert_eq(who_new(&f.index, &w), 0);
	history_files_free(&f);
	return w;
}

Test(history_portmaps, who_is_right_at_every_boundary_of_thousands_of_changes)
{
	struct who *w;

	begin_afresh();
	live();
	cr_assert_gt(n_held, rounds_of(3000));
	cr_assert_geq(n_gaps, rounds_of(10));
	w = read_back();
	for (unsigned port = 0; port < N_PORTS; port++)
		for (unsigned i = 0; i < n_times; i++)
			for (int64_t t = times[i] - 1; t <= times[i] + 1; t++)
				compare_at(w, port, t);
	cr_assert_gt(n_mentioned, rounds_of(1000));
	who_free(w);
}

/* A kill amid the change of a range leaves some of its ports in the datapath: the next start records which. */
Test(history_portmaps, a_change_that_was_cut_short_is_recorded_as_far_as_it_went)
{
	begin_afresh();
	for (unsigned attempt = 0; attempt < rounds_of(300); attempt++) {
		struct history_portmap list[N_PLACES];
		unsigned done = below(N_PLACES);
		struct who *w;

		pass();
		choose();
		write_change(false);
		for (unsigned i = 0; i < N_PLACES; i++)
			if (i < done)
				now_at[i] = planned[i];
		history_close(history);
		pass();
		begin(true);
		cr_assert(history_holds(history, FACT_PORTMAP, list, list_of(now_at, list), NULL));
		w = read_back();
		for (unsigned i = 0; i < N_PLACES; i++) {
			struct who_answer a;
			struct error why;
			enum who_result result = who_ask(w, out_of(i), now, &a, &why);
			bool there = false;

			for (unsigned k = 0; result == WHO_FOUND && k < a.n_portmaps; k++)
				there |= a.portmap[k].portmap.proto == protos[i / N_PORTS] &&
					 same((struct endpoint){ a.portmap[k].portmap.in.addr,
								 a.portmap[k].portmap.in.first },
					      now_at[i]);
			if (now_at[i].addr && (out_of(i).port < 1024 || now_at[i].addr == OWNER))
				cr_assert(there, "place %u after attempt %u", i, attempt);
			else
				cr_assert_not(there && now_at[i].addr);
		}
		who_free(w);
	}
}

Test(history_portmaps, a_portmap_that_the_datapath_lost_or_gained_is_noticed)
{
	struct history_portmap list[N_PLACES];
	struct endpoint more[N_PLACES];
	struct error err = { 0 };
	size_t n;

	begin_afresh();
	planned[2] = (struct endpoint){ IN_ADDR + 1, 8443 };
	planned[3] = (struct endpoint){ IN_ADDR + 1, 8444 };
	write_change(false);
	apply();
	confirm();
	n = list_of(now_at, list);
	cr_assert_eq(n, 1, "two ports of one range");
	cr_expect(history_holds(history, FACT_PORTMAP, list, n, NULL));
	cr_expect_not(history_holds(history, FACT_PORTMAP, list, 0, &err));
	cr_expect_str_eq(err.text,
			 "portmap tcp 192.0.2.0:442 to 10.0.0.1:8443 is in the history, and not in the tables", "%s",
			 err.text);
	memcpy(more, now_at, sizeof(more));
	more[5] = (struct endpoint){ IN_ADDR + 2, 22 };
	n = list_of(more, list);
	cr_expect_not(history_holds(history, FACT_PORTMAP, list, n, &err));
	cr_expect(strstr(err.text, " is in the tables, and not in the history"), "%s", err.text);
	memcpy(more, now_at, sizeof(more));
	more[3].port++;
	n = list_of(more, list);
	cr_expect_not(history_holds(history, FACT_PORTMAP, list, n, NULL), "it leads elsewhere");
}

static bool holds(struct history_portmap *made, struct history_portmap *ended, struct error *err)
{
	const struct history_change c = { .add[FACT_PORTMAP] = { made, made != NULL },
					  .del[FACT_PORTMAP] = { ended, ended != NULL } };

	return history_holds_change(history, &c, err);
}

Test(history_portmaps, one_port_is_compared_with_what_the_tables_have_there)
{
	struct history_portmap there, other, gone;
	struct error err = { 0 };

	begin_afresh();
	planned[2] = (struct endpoint){ IN_ADDR + 1, 8443 };
	write_change(false);
	apply();
	confirm();
	there = other = portmap_of(2, now_at[2]);
	other.in.first++;
	gone = portmap_of(3, (struct endpoint){ IN_ADDR, 80 });
	cr_expect(holds(&there, NULL, &err) && holds(NULL, &gone, &err));
	cr_expect_not(holds(NULL, &there, &err));
	cr_expect(strstr(err.text, " is in the history, and not in the tables"), "%s", err.text);
	cr_expect_not(holds(&other, NULL, &err), "it leads elsewhere");
	cr_expect_not(holds(&gone, NULL, &err));
	cr_expect(strstr(err.text, " is in the tables, and not in the history"), "%s", err.text);
}
