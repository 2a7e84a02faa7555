/* SPDX-License-Identifier: BSD-2-Clause */
/* The subscribers with most sessions or refusals, against a list of all that is sorted. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <string.h>

#include "sessions/top.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define NOW 100000U

static struct datapath datapath;
static struct mappings *m;

static void setup(void)
{
	struct error err = { 0 };
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	tables_make(&datapath);
	cr_assert_eq(mappings_open(&datapath, &m, &err), 0, "%s", err.text);
	tables_add(m, &spec);
	spec = tables_spec("10.0.1.0/24", "1.1.2.0/28");
	tables_add(m, &spec);
}

TestSuite(top, .init = setup, .timeout = 300);
TestSuite(top_heap, .timeout = 300);

static struct subscriber *record(uint32_t in_addr)
{
	int number = mappings_find_any(m, in_addr);

	return mappings_subscriber(m, number, mapping_subscriber(&mappings_get(m, number)->geo, in_addr));
}

static struct session session_at(uint32_t in_addr, uint32_t n, uint8_t state)
{
	const struct geometry *g = &mappings_get(m, mappings_find_any(m, in_addr))->geo;

	return (struct session){
		.ext_addr = 0xc0000201 + n / 100,
		.in_port = (uint16_t)(5000 + n),
		.out_port = (uint16_t)(mapping_port_lo(g, mapping_subscriber(g, in_addr)) + n),
		.ext_port = 443,
		.proto = state == SESSION_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.state = state,
	};
}

static void put(uint32_t in_addr, uint32_t n, uint32_t seen)
{
	for (uint32_t i = 0; i < n; i++) {
		struct session s = session_at(in_addr, i, SESSION_UDP);

		tables_put(m, in_addr, i, &s, seen);
	}
}

static struct top *all_of(enum top_order order, uint32_t n, unsigned budget_us)
{
	struct top *t;
	int r;

	cr_assert_eq(top_new(m, NULL, order, n, &t), 0);
	while ((r = top_step(t, budget_us)) > 0)
		;
	cr_assert_eq(r, 0);
	return t;
}

/* What is asked for, compared with a model that sorts everybody. */
static void compare(const uint32_t sessions[512], const uint32_t refused[512], enum top_order order, uint32_t limit,
		    unsigned budget_us)
{
	struct top *t = all_of(order, limit, budget_us);
	struct top_rank model[512];
	const struct top_entry *e;
	size_t n, wanted = 0;

	for (uint32_t i = 0; i < 512; i++) {
		struct top_rank rank = { sessions[i], refused[i], 0x0a000000 + i };

		if (order == TOP_BY_QUOTA)
			rank = (struct top_rank){ refused[i], sessions[i], 0x0a000000 + i };
		if (rank.first)
			model[wanted++] = rank;
	}
	qsort(model, wanted, sizeof(*model), top_rank_compare);
	wanted = wanted < limit ? wanted : limit;
	e = top_entries(t, &n);
	cr_assert_eq(n, wanted, "%zu of %zu", n, wanted);
	for (size_t i = 0; i < n; i++) {
		uint32_t k = e[i].in_addr - 0x0a000000;

		cr_assert_eq(e[i].in_addr, model[i].in_addr, "limit %u, place %zu: %x %x", limit, i, e[i].in_addr,
			     model[i].in_addr);
		cr_expect_eq(e[i].sessions, sessions[k]);
		cr_expect_eq(e[i].quota_exceeded, refused[k]);
	}
	top_free(t);
}

Test(top, are_those_of_a_model_that_sorts_everybody)
{
	uint32_t sessions[512] = { 0 }, refused[512] = { 0 };
	static const uint32_t limits[] = { 1, 2, 7, 64, 100, 511, 512, TOP_MAX };

	srand(7);
	for (uint32_t i = 0; i < 512; i++) {
		uint32_t expired = rand() % 3 ? 0 : rand() % 20;

		sessions[i] = rand() % 3 ? 0 : rand() % 12;
		refused[i] = rand() % 4 ? 0 : rand() % 5;
		put(0x0a000000 + i, sessions[i], NOW);
		for (uint32_t k = 0; k < expired; k++) {
			struct session s = session_at(0x0a000000 + i, 100 + k, SESSION_UDP);

			tables_put(m, 0x0a000000 + i, sessions[i] + k, &s, NOW - 301);
		}
		record(0x0a000000 + i)->refused = refused[i];
	}
	tables_set_ticks(&datapath, NOW);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		for (unsigned budget_us = 0; budget_us <= 1000; budget_us += 1000) {
			compare(sessions, refused, TOP_BY_SESSIONS, limits[i], budget_us);
			compare(sessions, refused, TOP_BY_QUOTA, limits[i], budget_us);
		}
	}
}

Test(top, counts_sessions_beyond_the_slots_and_ports_once)
{
	uint32_t in_addr = tables_addr("10.0.0.9");
	const struct top_entry *e;
	struct session s;
	struct top *t;
	size_t n;

	tables_set_ticks(&datapath, NOW);
	put(in_addr, 3, NOW);
	s = session_at(in_addr, 0, SESSION_UDP); /* the same port to another destination */
	s.ext_addr++;
	tables_put(m, in_addr, 3, &s, NOW);
	s = session_at(in_addr, 4, SESSION_TIME_WAIT);
	tables_put(m, in_addr, 4, &s, NOW);
	s = session_at(in_addr, 5, SESSION_ESTABLISHED);
	tables_put(m, in_addr, 5, &s, NOW);
	s = session_at(in_addr, 20, SESSION_UDP);
	tables_put_beyond(m, in_addr, &s, NOW);
	s = session_at(in_addr, 21, SESSION_UDP);
	tables_put_beyond(m, in_addr, &s, NOW - 301);
	t = all_of(TOP_BY_SESSIONS, 5, 1000);
	e = top_entries(t, &n);
	cr_assert_eq(n, 1);
	cr_expect_eq(e->sessions, 6);
	cr_expect_eq(e->ports_used, 4, "%u", e->ports_used);
	cr_expect_eq(e->ports_per_host, 4032);
	top_free(t);
}

Test(top, each_port_of_a_block_counts_once_and_none_beyond_it)
{
	static const uint32_t ports[] = { 0, 1, 62, 63, 64, 65, 127, 128, 4030, 4031 };
	uint32_t in_addr = tables_addr("10.0.0.9"), slot = 0;
	struct session s = session_at(in_addr, 4032, SESSION_UDP);
	const struct top_entry *e;
	struct top *t;
	size_t n;

	tables_set_ticks(&datapath, NOW);
	tables_put(m, in_addr, slot++, &s, NOW);
	for (uint32_t ext = 0; ext < 2; ext++)
		for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
			s = session_at(in_addr, ports[i], SESSION_UDP);
			s.ext_addr += ext;
			tables_put(m, in_addr, slot++, &s, NOW);
		}
	t = all_of(TOP_BY_SESSIONS, 5, 1000);
	e = top_entries(t, &n);
	cr_assert_eq(n, 1);
	cr_expect_eq(e->sessions, 21, "%u", e->sessions);
	cr_expect_eq(e->ports_used, 10, "%u", e->ports_used);
	top_free(t);
}

Test(top, a_mapping_that_goes_in_between_takes_its_subscribers_along)
{
	struct prefix in, out;
	struct top *t;
	size_t n;

	tables_set_ticks(&datapath, NOW);
	put(tables_addr("10.0.0.9"), 1, NOW);
	put(tables_addr("10.0.1.9"), 1, NOW);
	cr_assert_eq(top_new(m, NULL, TOP_BY_SESSIONS, 5, &t), 0);
	prefix_parse("10.0.1.0/24", &in);
	prefix_parse("1.1.2.0/28", &out);
	/* Stops after each subscriber measured at the earliest; whenever it does, nothing of the mapping may be read.
	 */
	for (int i = 0; top_step(t, 0) > 0; i++)
		if (i == 0)
			cr_assert_eq(mappings_del_of(m, 0, in, out), 0);
	top_entries(t, &n);
	cr_expect(n == 1 || n == 2);
	top_free(t);
	t = all_of(TOP_BY_SESSIONS, 5, 0);
	mappings_del_of(m, 0, in, out);
	top_free(t);
	t = all_of(TOP_BY_SESSIONS, 5, 0);
	top_entries(t, &n);
	cr_expect_eq(n, 1);
	top_free(t);
}

Test(top_heap, keeps_the_highest_whatever_the_order)
{
	for (int turn = 0; turn < 3; turn++) {
		struct top_heap h = { .limit = 100 };

		for (uint32_t i = 0; i < 10000; i++) {
			uint32_t k = turn == 0 ? i : turn == 1 ? 9999 - i : (i * 7919) % 10000;
			struct top_rank rank = { .first = k / 10, .in_addr = k };

			if (top_heap_takes(&h, &rank))
				cr_assert_eq(top_heap_put(&h, &rank), 0);
			cr_assert(h.heap.n <= 100 && h.heap.room <= 100);
		}
		struct top_rank *rank = h.heap.items;

		cr_assert_eq(h.heap.n, 100);
		qsort(rank, h.heap.n, sizeof(*rank), top_rank_compare);
		for (uint32_t i = 0; i < 100; i++)
			cr_expect_eq(rank[i].in_addr, 9990 - i / 10 * 10 + i % 10, "turn %d, %u: %u", turn, i,
				     rank[i].in_addr);
		top_heap_free(&h);
	}
}
