/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks that grow in the planner: what a replayed subscriber is granted, and what the addresses have of it. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <detnat/binding.h>

#include "planner/plan_file.h"
#include "planner/planner.h"
#include "proto/defaults.h"

#define START_MS 1700000000000LL
#define UDP_S	 300

/* So many UDP flows of one subscriber, some time apart, towards one endpoint or each towards its own. */
static size_t flows(struct plan_flow *flow, size_t n, int64_t step_ms, bool apart)
{
	for (size_t i = 0; i < n; i++)
		flow[i] = (struct plan_flow){ .first_ms = START_MS + (int64_t)i * step_ms,
					      .last_ms = START_MS + (int64_t)i * step_ms,
					      .in_addr = 0x64400001,
					      .ext_addr = apart ? 0x08000000 + (uint32_t)i : 0x08080808,
					      .in_port = (uint16_t)(1024 + i * 7),
					      .ext_port = 53,
					      .proto = 17,
					      .state = SESSION_UDP };
	return n;
}

struct told {
	struct {
		uint32_t number, from, to;
	} grant[64];
	unsigned n;
	uint32_t most; /* offset */
};

static void on_grant(void *arg, uint32_t number, uint32_t from, uint32_t to)
{
	struct told *t = arg;

	cr_assert_lt(t->n, 64);
	t->grant[t->n].number = number;
	t->grant[t->n].from = from;
	t->grant[t->n++].to = to;
}

static void on_flow(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t offset)
{
	struct told *t = arg;

	t->most = offset > t->most ? offset : t->most;
}

static struct replay_result replayed(struct replay_plan plan, const struct plan_flow *flow, size_t n, struct told *told)
{
	const struct replay_ears ears = { .told = on_flow, .grant = on_grant, .arg = told };
	struct replay_result result = { 0 };
	struct replay *r;

	plan.timeout_s[TIMEOUT_UDP] = UDP_S;
	plan.quota = plan.quota ? plan.quota : 10000;
	*told = (struct told){ 0 };
	r = replay_new(&plan);
	cr_assert(r);
	cr_assert_eq(replay_subscriber(r, flow, n, NULL, 0, &result, &ears), 0);
	replay_free(r);
	return result;
}

static struct replay_plan growing(uint32_t ports, uint32_t block, uint32_t blocks)
{
	return (struct replay_plan){ .ports = ports,
				     .slots = 256,
				     .grow_block = block,
				     .grow_blocks = blocks,
				     .grow_idle_ticks = DEFAULT_GROWTH_IDLE_S * 1000 / REPLAY_TICK_MS };
}

Test(planner_growth, as_many_sessions_towards_one_endpoint_as_the_block_and_its_grants_have_ports)
{
	static const struct {
		uint32_t blocks;
		uint64_t refused;
		unsigned grants;
	} rows[] = { { 0, 74, 0 }, { 1, 10, 1 }, { 2, 0, 2 }, { 8, 0, 2 } };
	struct plan_flow flow[200];
	size_t n = flows(flow, 200, 10, false);
	uint64_t beyond = 0;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct told t;
		struct replay_result r = replayed(growing(126, 64, rows[i].blocks), flow, n, &t);

		cr_expect_eq(r.refused_ports, rows[i].refused, "%u blocks", rows[i].blocks);
		cr_expect_eq(t.n, rows[i].grants, "%u blocks: %u grants", rows[i].blocks, t.n);
		beyond = i ? beyond : r.beyond;
		cr_expect_eq(r.beyond, beyond + 74 - r.refused_ports, "those on granted ports are beyond the slots");
	}
}

Test(planner_growth, with_endpoint_independent_mapping_inside_endpoints_get_granted_ports)
{
	struct plan_flow flow[500];
	size_t n = flows(flow, 500, 10, true);
	struct replay_plan plan = growing(63, 64, 4);
	struct told t;

	plan.bindings = BINDING_UDP;
	cr_expect_eq(replayed(plan, flow, n, &t).refused_ports, 500 - 63 - 4 * 64);
	/* An endpoint keeps its granted port for all that it opens. */
	for (size_t i = 0; i < n; i++)
		flow[i].in_port = (uint16_t)(1024 + i % 100);
	cr_expect_eq(replayed(plan, flow, n, &t).refused_ports, 0);
	cr_expect_eq(t.n, 1);
	cr_expect_lt(t.most, 63 + 64);
}

Test(planner_growth, a_block_is_taken_back_once_it_has_been_idle)
{
	struct plan_flow flow[30];
	size_t n = flows(flow, 30, 10, false);
	const uint32_t held = (UDP_S + DEFAULT_GROWTH_IDLE_S) * 1000 / REPLAY_TICK_MS;
	struct told t;

	/* Twenty at first, which take a block of ten and a grant; much later ten more, which need none. */
	for (size_t i = 20; i < 30; i++)
		flow[i].first_ms = flow[i].last_ms = START_MS + 1000000;
	cr_expect_eq(replayed(growing(10, 10, 4), flow, n, &t).refused_ports, 0);
	cr_assert_eq(t.n, 1);
	cr_expect(t.grant[0].to - t.grant[0].from >= held && t.grant[0].to - t.grant[0].from <= held + 3, "%u ticks",
		  t.grant[0].to - t.grant[0].from);
	/* While the first grant is still busy: another one of the block's number is a grant of its own later. */
	for (size_t i = 10; i < 30; i++)
		flow[i].first_ms = flow[i].last_ms = START_MS + (i < 20 ? 0 : 1000000);
	for (size_t i = 0; i < 10; i++)
		flow[i].last_ms = START_MS + 2000000;
	cr_expect_eq(replayed(growing(10, 10, 4), flow, n, &t).refused_ports, 0);
	cr_assert_eq(t.n, 2);
	cr_expect(t.grant[0].number == 0 && t.grant[1].number == 0 && t.grant[1].from >= t.grant[0].to);
}

/* ---- Supply, against a model that lets every millisecond pass. */

enum { MOST = 60, LONG = 200, MOST_OPEN = 5 };

struct wish {
	int64_t from, to, opened[MOST_OPEN];
	unsigned n_opened;
	uint32_t subscriber;
	bool was_refused; /* for other reasons */
	int64_t got;	  /* -1: never */
};

static struct supply_result modelled(struct wish *wish, unsigned n, uint32_t ratio, uint32_t blocks, int64_t rest)
{
	struct supply_result r = { .grants = n };
	bool refused[MOST] = { 0 }, granted[MOST] = { 0 };

	for (uint32_t address = 0; address <= MOST / ratio; address++)
		for (int64_t t = 0; t < 2 * LONG; t++) {
			uint32_t used = 0;

			for (unsigned i = 0; i < n; i++)
				used += wish[i].subscriber / ratio == address && wish[i].got >= 0 && wish[i].got <= t &&
					t < wish[i].to + rest;
			/* In the order of their asking; the wishes are sorted by that. */
			for (unsigned i = 0; i < n; i++) {
				if (wish[i].subscriber / ratio != address || wish[i].got >= 0 || wish[i].from > t ||
				    wish[i].to <= t || used == blocks)
					continue;
				wish[i].got = t;
				used++;
			}
			r.peak = used > r.peak ? used : r.peak;
		}
	for (unsigned i = 0; i < n; i++) {
		unsigned missed = 0;

		for (unsigned k = 0; k < wish[i].n_opened; k++)
			missed += wish[i].got < 0 || wish[i].opened[k] < wish[i].got;
		r.denied += wish[i].got != wish[i].from;
		r.sessions_refused += missed;
		refused[wish[i].subscriber] |= missed && !wish[i].was_refused;
		granted[wish[i].subscriber] = true;
	}
	for (unsigned i = 0; i < MOST; i++) {
		r.subscribers += granted[i];
		r.subscribers_refused += refused[i];
	}
	return r;
}

static uint32_t drawn(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % n;
}

/* Each subscriber's wishes, sorted by time as a whole. */
static unsigned draw(uint32_t seed, struct wish *wish)
{
	unsigned n = 1 + drawn(&seed, MOST);

	for (unsigned i = 0; i < n; i++) {
		/* No two ask in the same millisecond. */
		int64_t from = (int64_t)i * LONG / MOST + 1, to = from + 1 + drawn(&seed, 80);

		wish[i] = (struct wish){ .from = from, .to = to, .subscriber = drawn(&seed, MOST), .got = -1 };
		wish[i].was_refused = wish[i].subscriber % 3 == 0;
		wish[i].n_opened = drawn(&seed, MOST_OPEN + 1);
		for (unsigned k = 0; k < wish[i].n_opened; k++)
			wish[i].opened[k] = from + drawn(&seed, (uint32_t)(to - from));
	}
	return n;
}

Test(planner_growth, who_shares_an_address_gets_what_it_has_in_the_order_of_asking)
{
	struct supply_result sum = { 0 };

	for (uint32_t seed = 1; seed <= 3000; seed++) {
		uint32_t more = seed, ratio = 1 + drawn(&more, 40), blocks = drawn(&more, 8), rest = drawn(&more, 30);
		struct wish wish[MOST];
		unsigned n = draw(seed * 77, wish);
		struct supply_result wanted = modelled(wish, n, ratio, blocks, rest), r;
		struct supply s = { 0 };

		for (uint32_t k = 0; k < MOST; k++) {
			for (unsigned i = 0; i < n; i++) {
				if (wish[i].subscriber != k)
					continue;
				for (unsigned o = 0; o < wish[i].n_opened; o++)
					supply_opened(&s, i % 32, wish[i].opened[o]);
				supply_granted(&s, i % 32, wish[i].from, wish[i].to);
			}
			supply_next(&s, k % 3 == 0);
		}
		cr_assert_eq(supply_judge(&s, ratio, blocks, rest, &r), 0);
		cr_assert(r.grants == wanted.grants && r.denied == wanted.denied &&
				  r.sessions_refused == wanted.sessions_refused &&
				  r.subscribers == wanted.subscribers &&
				  r.subscribers_refused == wanted.subscribers_refused && r.peak == wanted.peak,
			  "seed %u: %lu denied of %lu, %lu sessions, peak %u; not %lu, %lu, %u", seed,
			  (unsigned long)r.denied, (unsigned long)r.grants, (unsigned long)r.sessions_refused, r.peak,
			  (unsigned long)wanted.denied, (unsigned long)wanted.sessions_refused, wanted.peak);
		sum.denied += r.denied;
		sum.sessions_refused += r.sessions_refused;
		sum.subscribers_refused += r.subscribers_refused;
		supply_free(&s);
	}
	cr_assert(sum.denied > 1000 && sum.sessions_refused > 1000 && sum.subscribers_refused > 1000);
}

Test(planner_growth, a_row_has_the_blocks_that_its_shared_range_has)
{
	const struct planner_settings s = { .reserve = PLANNER_GROWTH_RESERVE, .growth = { 128, 4 } }, none = { 0 };
	struct planner_row row = planner_row_of(&s, 128);

	cr_expect(row.ports == 448 && row.blocks == 56 && row.reach == 448 + 4 * 128, "%u ports, %u blocks, %u",
		  row.ports, row.blocks, row.reach);
	row = planner_row_of(&none, 128);
	cr_expect(row.ports == 504 && row.blocks == 0 && row.reach == 504);
}

/* ---- Configurations */

static struct plan_file read_file(const char *mapping)
{
	char path[] = "/tmp/detnat-plan-XXXXXX";
	struct error err = { 0 };
	struct plan_file f;
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	cr_assert(file);
	fprintf(file, "{ \"mappings\": [ %s ] }", mapping);
	fclose(file);
	cr_assert_eq(plan_file_read(path, NULL, &f, &err), 0, "%s", err.text);
	unlink(path);
	return f;
}

#define MAPPING                                                                               \
	"{ \"in\": \"100.64.0.0/18\", \"out\": \"203.0.113.0/25\", \"ports_per_host\": 448, " \
	"\"subscribers_per_address\": 128"

Test(planner_growth, a_configuration_that_grows_gives_each_subscriber_the_block_that_he_had)
{
	struct plan_file without = read_file(MAPPING " }"), with = read_file(MAPPING ", \"growth\": {} }"),
			 other = read_file(MAPPING ", \"growth\": { \"block\": 64, \"max_blocks\": 8 } }");
	struct plan_changes c = { 0 };

	cr_expect_eq(without.part[0].growth.block, 0);
	cr_expect(with.part[0].growth.block == 128 && with.part[0].growth.max_blocks == 4);
	cr_expect(other.part[0].growth.block == 64 && other.part[0].growth.max_blocks == 8);
	cr_expect_eq(growth_blocks(&with.part[0].geo, 128), 56);
	cr_assert_eq(plan_file_compare(&without, &with, NULL, NULL, &c), 0);
	cr_expect(c.subscribers == 16384 && c.kept == 16384);
	cr_assert_eq(plan_file_compare(&with, &other, NULL, NULL, &c), 0);
	cr_expect_eq(c.kept, c.subscribers);
	plan_file_free(&without);
	plan_file_free(&with);
	plan_file_free(&other);
}
