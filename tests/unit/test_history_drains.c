/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drains in the mapping history: who held an endpoint of a mapping that was retired or lost addresses to an exception;
 * case by case, and by random changes, kills and restarts against a model that just remembers.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include <detnat/mapping.h>

#include "history_fixture.h"
#include "base/log.h"
#include "history/history_read.h"
#include "history/history_record.h"
#include "history/history_who.h"
#include "recorder/history.h"
#include "recorder/history_private.h"

/* The mappings to choose from. Their pools are apart; of equal inside prefixes one is in use at a time. */
static const char *const pairs[][2] = {
	{ "10.0.0.0/24", "1.1.1.0/32" },  { "10.0.0.0/24", "1.1.3.0/32" },  { "10.0.0.64/26", "1.1.2.0/32" },
	{ "10.0.0.64/26", "1.1.5.0/32" }, { "10.0.0.80/28", "1.1.4.0/32" },
};
#define N_PAIRS ARRAY_SIZE(pairs)
enum { M, N, E, F, G };

/* 10.0.0.1, which no exception takes, 10.0.0.64, which E and F do, and 10.0.0.81, which G does, too. */
static const char *const hosts[] = { "10.0.0.1", "10.0.0.64", "10.0.0.81" };
#define N_HOSTS ARRAY_SIZE(hosts)
enum { PLAIN, EXCEPTED, INNER };

static struct history_mapping mapping[N_PAIRS];
static uint32_t host[N_HOSTS];

static void parse(void)
{
	struct endpoint e;
	char text[32];

	for (unsigned p = 0; p < N_PAIRS; p++) {
		cr_assert_eq(prefix_parse(pairs[p][0], &mapping[p].in), 0);
		cr_assert_eq(prefix_parse(pairs[p][1], &mapping[p].out), 0);
		mapping[p].from = TIME_NONE;
	}
	for (unsigned a = 0; a < N_HOSTS; a++) {
		snprintf(text, sizeof(text), "%s:1", hosts[a]);
		cr_assert_eq(endpoint_parse(text, &e), 0);
		host[a] = e.addr;
	}
}

static bool within(uint32_t addr, struct prefix in)
{
	return prefix_contains(in.base, in.plen, addr);
}

/* The first endpoint of a host's block in a mapping. */
static struct endpoint block_of(unsigned pair, unsigned of)
{
	const struct history_mapping *m = &mapping[pair];
	uint32_t ports = 64512U >> (32 - m->in.plen);

	return (struct endpoint){ m->out.base, (uint16_t)(1024 + ports * (host[of] - m->in.base)) };
}

/* ---- Case by case */

#define MAX_LINES 8
#define MAX_ASKED 6
#define STILL	  TIME_OPEN

struct line {
	int64_t time;
	enum history_event event;
	unsigned pair, of; /* of: the pair whose inside prefix drains */
};

struct asked {
	unsigned pair, of;
	int64_t t;
	int64_t from, to; /* 0, 0: no subscriber held it */
};

static const struct {
	const char *name;
	struct line lines[MAX_LINES];
	struct asked asked[MAX_ASKED];
	struct line rests[2]; /* the mappings that have drained, and when they ended; STILL: they drain yet */
} cases[] = {
	{ "sessions of an exception's address keep their endpoint until they have drained",
	  { { 100, EVENT_ADD, M, 0 },
	    { 200, EVENT_RETIRE, M, E },
	    { 200, EVENT_ADD, E, 0 },
	    { 300, EVENT_DRAINED, M, E } },
	  { { M, EXCEPTED, 150, 100, 300 },
	    { M, EXCEPTED, 200, 100, 300 },
	    { M, EXCEPTED, 299, 100, 300 },
	    { M, EXCEPTED, 300, 0, 0 },
	    { E, EXCEPTED, 200, 200, STILL },
	    { M, PLAIN, 400, 100, STILL } } },
	{ "without a drain they end when the exception begins",
	  { { 100, EVENT_ADD, M, 0 }, { 200, EVENT_ADD, E, 0 } },
	  { { M, EXCEPTED, 199, 100, 200 }, { M, EXCEPTED, 200, 0, 0 } } },
	{ "an exception that is deleted while they drain leaves no gap",
	  { { 100, EVENT_ADD, M, 0 },
	    { 200, EVENT_RETIRE, M, E },
	    { 200, EVENT_ADD, E, 0 },
	    { 250, EVENT_DEL, E, 0 },
	    { 251, EVENT_DRAINED, M, E } },
	  { { M, EXCEPTED, 225, 100, STILL },
	    { M, EXCEPTED, 250, 100, STILL },
	    { M, EXCEPTED, 900, 100, STILL },
	    { E, EXCEPTED, 249, 200, 250 } } },
	{ "a mapping that is replaced has its endpoints until it has drained",
	  { { 100, EVENT_ADD, M, 0 }, { 200, EVENT_RETIRE, M, M }, { 200, EVENT_ADD, N, 0 }, { 300, EVENT_DEL, M, 0 } },
	  { { M, PLAIN, 200, 100, 300 },
	    { N, PLAIN, 200, 200, STILL },
	    { M, PLAIN, 299, 100, 300 },
	    { M, PLAIN, 301, 0, 0 },
	    { N, PLAIN, 400, 200, STILL } },
	  { { .time = 300, .pair = M } } },
	{ "exceptions of its successor take nothing from a mapping that drains",
	  { { 100, EVENT_ADD, M, 0 }, { 200, EVENT_RETIRE, M, M }, { 200, EVENT_ADD, N, 0 }, { 220, EVENT_ADD, E, 0 } },
	  { { M, EXCEPTED, 250, 100, STILL }, { N, EXCEPTED, 210, 200, 220 }, { N, EXCEPTED, 220, 0, 0 } },
	  { { .time = STILL, .pair = M } } },
	{ "an address that was an exception's has nothing that drains",
	  { { 100, EVENT_ADD, M, 0 },
	    { 150, EVENT_ADD, E, 0 },
	    { 200, EVENT_RETIRE, M, M },
	    { 200, EVENT_ADD, N, 0 },
	    { 220, EVENT_DEL, E, 0 } },
	  { { M, EXCEPTED, 160, 0, 0 },
	    { M, EXCEPTED, 210, 0, 0 },
	    { M, EXCEPTED, 230, 0, 0 },
	    { N, EXCEPTED, 230, 220, STILL },
	    { M, PLAIN, 230, 100, STILL } },
	  { { .time = STILL, .pair = M } } },
	{ "an exception that drains itself has given its addresses back",
	  { { 100, EVENT_ADD, M, 0 }, { 150, EVENT_ADD, E, 0 }, { 200, EVENT_RETIRE, E, E }, { 300, EVENT_DEL, E, 0 } },
	  { { M, EXCEPTED, 199, 0, 0 },
	    { M, EXCEPTED, 200, 200, STILL },
	    { E, EXCEPTED, 250, 150, 300 },
	    { E, EXCEPTED, 300, 0, 0 } },
	  { { .time = 300, .pair = E } } },
	{ "a retired mapping that is taken into use again leaves no gap",
	  { { 100, EVENT_ADD, M, 0 }, { 200, EVENT_RETIRE, M, M }, { 250, EVENT_DRAINED, M, M } },
	  { { M, PLAIN, 225, 100, STILL }, { M, PLAIN, 300, 100, STILL }, { M, EXCEPTED, 150, 100, STILL } } },
	{ "a mapping that is retired takes over what drains from it",
	  { { 100, EVENT_ADD, M, 0 },
	    { 150, EVENT_RETIRE, M, E },
	    { 150, EVENT_ADD, E, 0 },
	    { 200, EVENT_RETIRE, M, M },
	    { 200, EVENT_ADD, N, 0 },
	    { 300, EVENT_DEL, M, 0 } },
	  { { M, EXCEPTED, 250, 100, 300 }, { M, EXCEPTED, 301, 0, 0 }, { N, EXCEPTED, 250, 0, 0 } },
	  { { .time = 300, .pair = M } } },
	{ "a mapping that drains, is taken into use again and deleted at once does not rest",
	  { { 100, EVENT_ADD, M, 0 },
	    { 200, EVENT_RETIRE, M, M },
	    { 250, EVENT_DRAINED, M, M },
	    { 300, EVENT_DEL, M, 0 } },
	  { { M, PLAIN, 299, 100, 300 } } },
};

static void ask(struct who *w, const char *name, const struct asked *q)
{
	struct who_answer a = { 0 };
	struct error why = { 0 };
	enum who_result r = who_ask(w, block_of(q->pair, q->of), q->t, &a, &why);

	if (!q->to) {
		cr_assert_eq(r, WHO_NOBODY, "%s: %u of %u at %ld", name, q->of, q->pair, (long)q->t);
		return;
	}
	cr_assert_eq(r, WHO_FOUND, "%s: %u of %u at %ld: %s", name, q->of, q->pair, (long)q->t, why.text);
	cr_assert(a.best.in_addr == host[q->of] && a.best.from == q->from && a.best.to == q->to,
		  "%s: %u of %u at %ld: %ld to %ld, not %ld to %ld", name, q->of, q->pair, (long)q->t,
		  (long)a.best.from, (long)a.best.to, (long)q->from, (long)q->to);
}

/* What rests at 310, if what drains yet ended at that time, or goes on. */
static void expect_rests(const struct history_index *x, const char *name, const struct line *wanted, int64_t still)
{
	struct history_rest *found;
	size_t n, expected = 0;

	cr_assert_eq(history_rests(x, 310 - 120, still, &found, &n), 0);
	for (unsigned i = 0; i < 2 && wanted[i].time; i++) {
		const struct history_mapping *m = &mapping[wanted[i].pair];

		if (wanted[i].time == STILL && still == TIME_NONE)
			continue;
		cr_assert_lt(expected, n, "%s", name);
		cr_expect(found[expected].out.base == m->out.base && found[expected].in.plen == m->in.plen, "%s", name);
		cr_expect_eq(found[expected].ended, wanted[i].time == STILL ? still : wanted[i].time, "%s", name);
		expected++;
	}
	cr_expect_eq(n, expected, "%s: %zu rest", name, n);
	free(found);
	cr_assert_eq(history_rests(x, 310, TIME_NONE, &found, &n), 0);
	cr_expect_eq(n, 0, "%s: %zu rest for too long", name, n);
	free(found);
}

Test(history_drains, who_names_the_owner_of_both_endpoints)
{
	parse();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct history_record start = {
			.time = 50, .event = EVENT_START, .since = TIME_NONE, .host = "h", .mappings = mapping
		};
		struct chain_tip tip = { .hash = HASH_NONE };
		char *text;
		struct history_index x;
		struct who *w;
		uint64_t confirmed = 1;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		cr_assert_eq(history_record_write(out, &start, &tip), 0);
		for (unsigned k = 0; k < MAX_LINES && cases[i].lines[k].time; k++) {
			const struct line *l = &cases[i].lines[k];
			struct history_record r = { .time = l->time, .event = l->event };

			if (l->event == EVENT_RETIRE || l->event == EVENT_DRAINED) {
				r.drain = (struct history_drain){ mapping[l->pair].in, mapping[l->pair].out,
								  mapping[l->of].in, l->time };
			} else {
				r.mapping = mapping[l->pair];
				r.mapping.from = l->time;
			}
			cr_assert_eq(history_record_write(out, &r, &tip), 0);
			if (k + 1 < MAX_LINES && cases[i].lines[k + 1].time == l->time)
				continue;
			r = (struct history_record){ .time = l->time,
						     .event = EVENT_CONFIRM,
						     .first = confirmed + 1,
						     .last = tip.line,
						     .until = l->time };
			cr_assert_eq(history_record_write(out, &r, &tip), 0);
			confirmed = tip.line;
		}
		fclose(out);
		history_index_init(&x);
		cr_assert_eq(history_index_feed_all(&x, text, size, NULL), 0);
		cr_assert_eq(x.n_damages, 0, "%s: %s", cases[i].name, x.damages[0].text);
		cr_assert_eq(who_new(&x, &w), 0);
		for (unsigned k = 0; k < MAX_ASKED && cases[i].asked[k].t; k++)
			ask(w, cases[i].name, &cases[i].asked[k]);
		who_free(w);
		expect_rests(&x, cases[i].name, cases[i].rests, TIME_NONE);
		expect_rests(&x, cases[i].name, cases[i].rests, 310);
		history_index_free(&x);
		free(text);
	}
}

/* ---- Against a model */

#define CHANGES 1200
#define BEGIN	1767225600LL

struct drain {
	unsigned pair, of;
};

static char directory[] = "/dev/shm/detnat-history-XXXXXX";
static struct history *history;
static int pin;
static int64_t now = BEGIN;
static bool in_use[N_PAIRS], retired[N_PAIRS];
static struct drain drains[64];
static unsigned n_drains;
/* Which hosts may have sessions in which mapping. */
static bool may[N_PAIRS][N_HOSTS];
static struct moment {
	int64_t time;
	bool may[N_PAIRS][N_HOSTS];
} moment[CHANGES + 1];
static unsigned n_moments;
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

static struct history_drain drain_of(struct drain d)
{
	return (struct history_drain){ mapping[d.pair].in, mapping[d.pair].out, mapping[d.of].in, TIME_NONE };
}

/* The mapping in use with the longest inside prefix around one, or that prefix itself; -1: none. */
static int around(struct prefix in, bool itself)
{
	int found = -1;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (in_use[p] && mapping[p].in.plen < in.plen + itself && within(in.base, mapping[p].in) &&
		    (found < 0 || mapping[p].in.plen > mapping[found].in.plen))
			found = (int)p;
	return found;
}

/* Ends the drains that have an end now, as the tables do. */
static void forget_drains(void)
{
	for (unsigned i = n_drains; i-- > 0;) {
		unsigned p = drains[i].pair;

		if ((!in_use[p] && !retired[p]) || around(mapping[drains[i].of].in, true) == (int)p)
			drains[i] = drains[--n_drains];
	}
}

static void begin_drain(unsigned pair, unsigned of)
{
	for (unsigned i = n_drains; i-- > 0;)
		if (drains[i].pair == pair && mapping[of].in.plen <= mapping[drains[i].of].in.plen &&
		    within(mapping[drains[i].of].in.base, mapping[of].in))
			drains[i] = drains[--n_drains];
	drains[n_drains++] = (struct drain){ pair, of };
}

static void remember(void)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned a = 0; a < N_HOSTS; a++) {
			bool drained = false;

			for (unsigned i = 0; i < n_drains; i++)
				drained |= drains[i].pair == p && within(host[a], mapping[drains[i].of].in);
			may[p][a] = around((struct prefix){ host[a], 32 }, true) == (int)p || (may[p][a] && drained);
		}
	moment[n_moments].time = now;
	memcpy(moment[n_moments++].may, may, sizeof(may));
}

static size_t tables(struct history_mapping *ret)
{
	size_t n = 0;

	for (unsigned p = 0; p < N_PAIRS; p++)
		if (in_use[p] || retired[p])
			ret[n++] = mapping[p];
	return n;
}

static void tell_drains(void)
{
	struct history_drain list[ARRAY_SIZE(drains)];

	for (unsigned i = 0; i < n_drains; i++)
		list[i] = drain_of(drains[i]);
	cr_assert_eq(history_present(history, FACT_DRAIN, list, n_drains), 0);
}

static void begin(void)
{
	struct history_mapping present[N_PAIRS];
	struct error err = { 0 };

	cr_assert_eq(history_open(directory, dup(pin), &history, &err), 0, "%s", err.text);
	tell_drains();
	cr_assert_eq(history_begin(history, n_moments > 0, present, tables(present)), 0);
	cr_assert_eq(history_settle(history, &err), 0, "%s", err.text);
}

static bool inside_taken(unsigned pair)
{
	for (unsigned p = 0; p < N_PAIRS; p++)
		if (in_use[p] && mapping[p].in.base == mapping[pair].in.base &&
		    mapping[p].in.plen == mapping[pair].in.plen)
			return true;
	return false;
}

/* One mapping is deleted, or begins to drain, or has drained; one is added, or taken into use again. */
static void change(void)
{
	static const struct history_change no_portmaps;
	struct history_mapping present[N_PAIRS], del[1], add[1];
	struct history_drain ended[2], begun[2];
	struct history_change c = { .del[FACT_DRAIN] = { ended, 0 }, .add[FACT_DRAIN] = { begun, 0 } };
	struct error err = { 0 };
	bool drain = below(3), fails = !below(8), killed = !below(8);
	unsigned p = below(N_PAIRS), n_del = 0, n_add = 0, part = n_drains ? below(n_drains) : 0;
	bool replaced = in_use[p] && drain && below(2);
	unsigned q = replaced ? p ^ 1 : p; /* of the same inside prefix */
	bool ends = retired[p] && below(2), part_ends = n_drains && !below(3) && in_use[drains[part].pair];
	bool adds = part_ends ? false : replaced ? p != G && !retired[q] : !ends && !inside_taken(p);
	bool deletes = !part_ends && (in_use[p] || ends);
	int outer = adds && !replaced && drain ? around(mapping[q].in, false) : -1;

	if (part_ends)
		ended[c.del[FACT_DRAIN].n++] = drain_of(drains[part]);
	if (deletes && (ends || !drain))
		del[n_del++] = mapping[p];
	if (deletes && !ends && drain)
		begun[c.add[FACT_DRAIN].n++] = drain_of((struct drain){ p, p });
	if (adds && !retired[q])
		add[n_add++] = mapping[q];
	if (adds && retired[q])
		ended[c.del[FACT_DRAIN].n++] = drain_of((struct drain){ q, q });
	if (outer >= 0)
		begun[c.add[FACT_DRAIN].n++] = drain_of((struct drain){ (unsigned)outer, q });
	cr_assert_eq(lab_change(history, del, n_del, add, n_add, &no_portmaps, &c, &err), 0, "%s", err.text);
	if (!fails && part_ends)
		drains[part] = drains[--n_drains];
	if (!fails && deletes) {
		if (!ends && drain)
			begin_drain(p, p);
		retired[p] = !ends && drain;
		in_use[p] = false;
	}
	if (!fails && adds) {
		if (outer >= 0)
			begin_drain((unsigned)outer, q);
		in_use[q] = true;
		retired[q] = false;
	}
	forget_drains();
	remember();
	if (killed) {
		history_close(history);
		begin();
		return;
	}
	tell_drains();
	cr_assert_eq(history_reconcile(history, present, tables(present), model_clock().steady_ns, &err), 0, "%s",
		     err.text);
}

static void compare(struct who *w, unsigned pair, unsigned of)
{
	for (unsigned i = 0; i < n_moments; i++) {
		struct asked q = { pair, of, moment[i].time, 0, 0 };
		unsigned first = i, last = i;

		if (moment[i].may[pair][of]) {
			while (first && moment[first - 1].may[pair][of])
				first--;
			while (last < n_moments && moment[last].may[pair][of])
				last++;
			q.from = moment[first].time;
			q.to = last < n_moments ? moment[last].time : TIME_OPEN;
		}
		ask(w, "the model", &q);
		q.t++;
		ask(w, "the model", &q);
	}
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

Test(history_drains, who_is_right_after_thousands_of_changes_and_kills, .fini = teardown, .timeout = 300)
{
	struct history_files f;
	struct error err = { 0 };
	struct who *w;

	cr_assert(mkdtemp(directory));
	pin = bpf_map_create(BPF_MAP_TYPE_ARRAY, "history", 4, sizeof(struct history_pin), 1, NULL);
	if (pin < 0)
		cr_skip("BPF maps need root");
	history_clock = model_clock;
	log_set_level(LOG_LEVEL_ERROR);
	parse();
	begin();
	for (unsigned i = 0; i < CHANGES; i++) {
		now += 2 + below(5);
		change();
	}
	cr_assert_eq(history_files_read(directory, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.index.n_damages, 0, "line %d %s", (int)f.index.damages[0].line, f.index.damages[0].text);
	cr_assert_gt(f.index.drains.n, 200);
	cr_assert_eq(who_new(&f.index, &w), 0);
	for (unsigned p = 0; p < N_PAIRS; p++)
		for (unsigned a = 0; a < N_HOSTS; a++)
			if (within(host[a], mapping[p].in))
				compare(w, p, a);
	who_free(w);
	history_files_free(&f);
	history_close(history);
	close(pin);
}
