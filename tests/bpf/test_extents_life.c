// SPDX-License-Identifier: BSD-2-Clause
/*
 * Extents come and go, <detnat/extents.h>: they are retired, made free by the agent, used again, and found by a start
 * if an agent was killed meanwhile.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "extents_fixture.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_tables.h"
#include "told_routes.h"

TestSuite(extents_life, .init = set_up_extents, .fini = tear_down, .timeout = 240);

/* The lists of extents that were given up, by size. */
static unsigned retired(unsigned size)
{
	unsigned n = 0;

	for (uint32_t at = (uint32_t)datapath.pool->retired[size]; at; n++)
		at = (uint32_t)datapath.extent[at - 1].slot[0].key;
	return n;
}

Test(extents_life, a_replaced_extent_is_empty_and_in_no_use_before_an_agent_says_so)
{
	uint32_t first;

	extents_open_those(UDP, 0, SLOTS + 1, 0);
	first = extent_first(subscriber_extent(extents_record()));
	extents_open_until(64);
	cr_expect_eq(retired(0), 1);
	cr_expect_eq(retired(1), 1);
	cr_expect_eq(retired(2), 1);
	cr_expect_eq((uint32_t)datapath.pool->retired[0], first + 1);
	for (unsigned i = 0; i < SLOTS; i++)
		cr_expect(word_is_free(datapath.extent[first].slot[i].truth));
	cr_expect_eq(datapath.pool->used, 1 + 4 + 16 + 64);
	/* Another subscriber gets none of them. */
	for (unsigned i = 0; i < SLOTS + 1; i++)
		cr_assert_geq(open_flow_of(IN + 1, UDP, extents_port(i), 53, 0), 0);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 3))), 85);
}

Test(extents_life, a_free_extent_is_used_again)
{
	datapath.extent[100].slot[0].key = 200 + 1;
	datapath.pool->free[0] = 100 + 1;
	datapath.pool->next = 300;
	for (uint32_t host = 0; host < 3; host++)
		for (unsigned i = 0; i < SLOTS + 1; i++)
			cr_assert_geq(open_flow_of(IN + host, UDP, extents_port(i), 53, 0), 0);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 2))), 100);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 3))), 200);
	cr_expect_eq(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 4))), 300);
	cr_expect_eq((uint32_t)datapath.pool->free[0], 0);
	cr_expect_eq(datapath.pool->free[0] >> 32, 2);
}

/* The next sweep makes them free, and empty. */
Test(extents_life, the_sweep_makes_replaced_extents_free)
{
	unsigned flows = extents_open_until(64);

	extents_sweep();
	for (unsigned size = 0; size < 3; size++) {
		cr_expect_eq(retired(size), 0, "size %u", size);
		cr_expect_neq((uint32_t)datapath.pool->free[size], 0, "size %u", size);
	}
	cr_expect_eq(datapath.pool->used, 64);
	for (unsigned i = 0; i < SLOTS + 1; i++)
		cr_assert_geq(open_flow_of(IN + 1, UDP, extents_port(i), 53, 0), 0);
	cr_expect_lt(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 3))), 85);
	cr_expect_eq(datapath.pool->used, 65);
	extents_tables_right();
	for (unsigned k = 0; k < flows; k += 3)
		extents_expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

/* Their sessions are told as those in slots are. */
Test(extents_life, a_deleted_mapping_gives_its_extents_back)
{
	const struct prefix in = { .base = ADDR(10, 1, 0, 0), .plen = 24 }, out = { .base = OUT, .plen = 30 };
	unsigned told = 0, flows;

	sessions_on_close(mappings, extents_keep, &told);
	flows = extents_open_until(16);
	cr_assert_eq(mappings_del_of(mappings, 0, in, out), 0);
	extents_reclaim_all();
	cr_expect_eq(told, flows);
	extents_sweep();
	cr_expect_eq(datapath.pool->used, 0);
	/* A mapping in its place begins without. */
	extents_mapping(4000);
	cr_expect_eq(extents_record()->hairpins, 0);
	extents_open_those(UDP, 0, SLOTS + 1, 0);
	cr_expect_eq(extents_size(), 1);
	cr_expect_eq(datapath.pool->used, 1);
	extents_tables_right();
}

/* Those of an address that an exception takes end with it. */
Test(extents_life, an_exception_ends_the_sessions_there)
{
	struct mapping_spec spec = { .in = { IN, 32 },
				     .out = { ADDR(203, 0, 113, 210), 32 },
				     .sessions_per_user = 100,
				     .session_slots = SLOTS };
	const struct subscriber *s = extents_record();
	unsigned told = 0;

	sessions_on_close(mappings, extents_keep, &told);
	extents_open_those(UDP, 0, 30, 0);
	memcpy(spec.timeout_ticks, datapath.mapping[0].timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	refresh_followed_routes();
	extents_reclaim_all();
	cr_expect_eq(told, 30);
	cr_expect_eq(s->sessions, 0);
	extents_tables_right();
	cr_assert_eq(mappings_del_of(mappings, 0, spec.in, spec.out), 0);
	extents_reclaim_all();
	refresh_followed_routes();
	extents_open_those(UDP, 0, 30, 0);
	cr_expect_eq(sessions_of(IN), 30);
	extents_tables_right();
}

Test(extents_life, the_sweep_ends_those_that_have_expired)
{
	extents_open_those(UDP, 0, SLOTS + 20, 0);
	age_sessions(IN, 400);
	extents_open_those(UDP, SLOTS + 20, SLOTS + 22, 0);
	/* As if it had been looked at long ago. */
	mappings_sweep_due(mappings, extents_number())[IN - ADDR(10, 1, 0, 0)] = 0;
	extents_sweep();
	cr_expect_eq(extents_record()->sessions, 2);
	cr_expect_eq(sessions_of(IN), 2);
	extents_tables_right();
}

Test(extents_life, a_session_there_can_be_closed_and_listed)
{
	const struct endpoint in = { IN, extents_port(SLOTS) }, ext = { EXTERNAL, extents_ext(SLOTS) };
	const struct endpoint out = { OUT, extents_out_port(SLOTS + 1) }, its = { EXTERNAL, extents_ext(SLOTS + 1) };
	struct session_walk *w;
	unsigned listed = 0;

	extents_open_those(UDP, 0, SLOTS + 4, 0);
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 1);
	cr_expect_eq(sessions_close_in(mappings, 0, in, ext, UDP), 0);
	cr_expect_eq(sessions_close_out(mappings, out, its, UDP), 1);
	cr_expect_eq(extents_record()->sessions, SLOTS + 2);
	cr_assert_eq(session_walk_new_subscriber(mappings, IN, &w), 0);
	while (session_walk_step(w, 1000000, extents_keep, &listed) > 0)
		;
	session_walk_free(w);
	cr_expect_eq(listed, SLOTS + 2);
}

static void set_up_few(void)
{
	settings.extent_buckets = 16;
	set_up();
	extents_mapping(4000);
}

/* Not all of the pool is for one subscriber; what is left is for others. */
Test(extents_life, a_full_pool_refuses_sessions_and_counts_that, .init = set_up_few)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < 200; i++)
		opened += extents_open_nth(UDP, i, 0) >= 0;
	cr_expect_geq(opened, SLOTS + 8);
	cr_expect_lt(opened, 200);
	cr_expect_eq(counted(REASON_drop_overflow_full), 200 - opened);
	cr_expect_eq(extents_record()->refused, 200 - opened);
	cr_expect_gt(datapath.pool->refused, 0);
	cr_expect_eq(extents_record()->sessions, opened);
	cr_expect_eq(sessions_of(IN), opened);
	for (unsigned i = 0; i < SLOTS + 3; i++)
		cr_expect_geq(open_flow_of(IN + 1, UDP, extents_port(i), 53, 0), 0, "the other's flow %u", i);
	extents_tables_right();
}

static void set_up_shares(void)
{
	settings.extent_buckets = 64;
	set_up();
	extents_mapping(4000);
}

/* A size of which there would be one still, but which is more than one subscriber's share of what is free. */
Test(extents_life, one_subscriber_gets_no_more_than_its_share, .init = set_up_shares)
{
	const uint64_t all = 64 * BUCKET_SLOTS, left = all - (1 + 4) * BUCKET_SLOTS;

	cr_assert_leq(4 * BUCKET_SLOTS, extent_share(all, all - BUCKET_SLOTS));
	cr_assert_leq(16 * BUCKET_SLOTS, left);
	cr_assert_gt(16 * BUCKET_SLOTS, extent_share(all, left));
	for (unsigned i = 0; i < 200; i++)
		extents_open_nth(UDP, i, 0);
	cr_expect_eq(extents_size(), 4);
	cr_expect_gt(datapath.pool->refused, 0);
	for (uint32_t host = 1; host < 8; host++)
		for (unsigned i = 0; i < SLOTS + 8; i++)
			cr_expect_geq(open_flow_of(IN + host, UDP, extents_port(i), 53, 0), 0, "host %u, flow %u", host,
				      i);
	extents_tables_right();
}

/* While flows are opened, so that extents grow, others end: by packets, by the agent, and by a sweep. */
static volatile int opening;

static void *end_flows(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (opening) {
		unsigned flow = (unsigned)rand_r(&seed) % 1200;
		const struct endpoint in = { IN, extents_port(flow) }, ext = { EXTERNAL, extents_ext(flow) };

		if (rand_r(&seed) % 2)
			sessions_close_in(mappings, 0, in, ext, 0);
		else
			open_flow_of(IN, TCP, extents_port(flow), extents_ext(flow),
				     rand_r(&seed) % 2 ? RST | ACK : FIN | ACK);
	}
	return NULL;
}

Test(extents_life, moves_lose_no_end_and_count_each_once)
{
	pthread_t ending;

	opening = 1;
	cr_assert_eq(pthread_create(&ending, NULL, end_flows, NULL), 0);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 1200; i++)
			extents_open_nth(TCP, i, i % 2 ? SYN : ACK);
	opening = 0;
	pthread_join(ending, NULL);
	cr_expect_gt(datapath.pool->grown, 1);
	extents_tables_right();
	age_sessions(IN, 8000);
	cr_expect_eq(sessions_of(IN), 0);
	mappings_sweep_due(mappings, extents_number())[IN - ADDR(10, 1, 0, 0)] = 0;
	extents_sweep();
	cr_expect_eq(extents_record()->sessions, 0);
}

/* When all sessions there have ended, and not before. */
Test(extents_life, the_sweep_gives_up_an_extent_that_is_empty)
{
	uint32_t extent;

	extents_open_those(UDP, 0, SLOTS + 20, 0);
	extent = subscriber_extent(extents_record());
	extent_give_up(&datapath, extents_number(), IN - ADDR(10, 1, 0, 0), extent);
	extents_sweep();
	cr_expect_eq(subscriber_extent(extents_record()), extent);
	for (unsigned i = 0; i < SLOTS + 20; i++)
		extents_expect_passes(UDP, i, 0, XDP_INSIDE, XDP_OUTSIDE);
	age_sessions(IN, 400);
	mappings_sweep_due(mappings, extents_number())[IN - ADDR(10, 1, 0, 0)] = 0;
	extents_sweep();
	cr_expect_eq(extents_size(), 0);
	cr_expect_eq(extents_record()->sessions, 0);
	cr_expect_eq(datapath.pool->used, 0);
	extents_open_those(UDP, 0, SLOTS + 20, 0);
	cr_expect_eq(sessions_of(IN), SLOTS + 20);
	extents_tables_right();
}

/* Neither another's extent nor one that has been replaced is given up. */
Test(extents_life, an_extent_that_is_another_one_by_now_stays)
{
	uint32_t before;

	extents_open_those(UDP, 0, SLOTS + 1, 0);
	before = subscriber_extent(extents_record());
	extents_open_until(4);
	extent_give_up(&datapath, extents_number(), IN - ADDR(10, 1, 0, 0), before);
	cr_expect_eq(extents_size(), 4);
	extent_give_up(&datapath, extents_number(), IN + 1 - ADDR(10, 1, 0, 0), subscriber_extent(extents_record()));
	extent_give_up(&datapath, extents_number(), UINT32_MAX, subscriber_extent(extents_record()));
	extent_give_up(&datapath, -1, IN - ADDR(10, 1, 0, 0), subscriber_extent(extents_record()));
	cr_expect_eq(extents_size(), 4);
	extents_tables_right();
}

static uint64_t free_buckets(void)
{
	uint64_t n = 0;

	for (unsigned size = 0; size < EXTENT_SIZES; size++)
		for (uint32_t at = (uint32_t)datapath.pool->free[size]; at;
		     at = (uint32_t)datapath.extent[at - 1].slot[0].key)
			n += 1ULL << size * EXTENT_GROWS_BY;
	return n;
}

Test(extents_life, a_start_finds_those_that_a_killed_agent_held)
{
	unsigned flows = extents_open_until(64);

	/* It had taken all out of the lists, and lowered the count for one of them. */
	memset(datapath.pool->retired, 0, sizeof(datapath.pool->retired));
	datapath.pool->used -= 4;
	cr_expect_eq(extents_recover(mappings), 1 + 4 + 16);
	cr_expect_eq(datapath.pool->used, 64);
	cr_expect_eq(free_buckets(), 1 + 4 + 16);
	cr_expect_eq(extents_recover(mappings), 0, "those in lists of free ones are no loss");
	cr_expect_eq(datapath.pool->used, 64);
	for (unsigned i = 0; i < SLOTS + 1; i++)
		cr_assert_geq(open_flow_of(IN + 1, UDP, extents_port(i), 53, 0), 0);
	cr_expect_lt(extent_first(subscriber_extent(mappings_subscriber(mappings, extents_number(), 3))), 21);
	cr_expect_eq(extents_recover(mappings), 0);
	cr_expect_eq(datapath.pool->used, 65);
	extents_tables_right();
	for (unsigned k = 0; k < flows; k += 3)
		extents_expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

Test(extents_life, a_start_frees_what_is_retired_and_keeps_what_is_used)
{
	unsigned flows = extents_open_until(64);

	cr_expect_eq(extents_recover(mappings), 0, "retired ones and those in use are no loss");
	cr_expect_eq(datapath.pool->used, 64);
	cr_expect_eq(free_buckets(), 1 + 4 + 16);
	cr_expect_eq(extents_recover(mappings), 0);
	for (unsigned k = 0; k < flows; k += 3)
		extents_expect_passes(UDP, k, 0, XDP_INSIDE, XDP_OUTSIDE);
}

/* Openers of several cores retire theirs of one size, while the agent takes them all the time: none is lost. */
static void *retire_many(void *arg)
{
	const uint32_t first = *(const uint32_t *)arg;

	for (uint32_t host = first; host < first + 40; host++)
		for (unsigned i = 0; i < SLOTS + 24; i++)
			open_flow_of(IN + host, UDP, extents_port(i), (uint16_t)(53 + i), 0);
	return NULL;
}

Test(extents_life, none_that_two_cores_retire_at_once_is_lost)
{
	const uint32_t first[] = { 1, 41, 81, 121 };
	pthread_t opener[ARRAY_SIZE(first)];

	refresh_followed_routes();
	for (unsigned i = 0; i < ARRAY_SIZE(first); i++)
		cr_assert_eq(pthread_create(&opener[i], NULL, retire_many, (void *)&first[i]), 0);
	for (unsigned i = 0; i < 200; i++)
		extents_reclaim(&datapath);
	for (unsigned i = 0; i < ARRAY_SIZE(first); i++)
		pthread_join(opener[i], NULL);
	cr_expect_gt(datapath.pool->grown, 100);
	extents_reclaim(&datapath);
	cr_expect_eq(extents_recover(mappings), 0);
	cr_expect_eq(datapath.pool->used + free_buckets(), datapath.pool->next);
	extents_tables_right();
}

static void expect_finding(const char *where, const char *text)
{
	struct findings f = extents_findings();
	bool found = false;

	for (unsigned i = 0; i < f.n; i++)
		found |= f.finding[i].kind == FINDING_PLACE && !strcmp(f.finding[i].where, where) &&
			 !strcmp(f.finding[i].text, text);
	cr_expect(found, "%s: %s", where, text);
	findings_free(&f);
}

Test(extents_life, a_check_finds_records_that_share_one_or_lead_nowhere)
{
	struct subscriber *other = mappings_subscriber(mappings, extents_number(), IN + 1 - ADDR(10, 1, 0, 0));
	uint32_t size;

	extents_open_until(4);
	extents_tables_right();
	cr_assert_geq(open_flow_of(IN + 1, UDP, 7000, 53, 0), 0);
	size = subscriber_extent(extents_record());
	/* The last of the four buckets. */
	other->hairpins |= extent_of(extent_first(size) + 3, 0) << EXTENT_AT;
	expect_finding("10.1.0.3", "its record leads to a bucket beyond its slots, number 4, as that of 10.1.0.2 does");
	other->hairpins = (other->hairpins & 1) | extent_of(1U << 20, 2) << EXTENT_AT;
	expect_finding("10.1.0.3", "its record leads to 4 buckets from number 1048576 on, which do not exist");
	other->hairpins &= 1;
	extents_tables_right();
}

/* The one seen later loses it, with what it had opened there. */
Test(extents_life, a_repair_leaves_an_extent_to_one_subscriber)
{
	struct subscriber *other = mappings_subscriber(mappings, extents_number(), IN + 1 - ADDR(10, 1, 0, 0));
	const struct {
		uint32_t extent;
		const char *text;
	} rows[] = {
		{ extent_of(1U << 20, 2), "its record leads to 4 buckets from number 1048576 on, which do not exist" },
		{ 0, "its record leads to a bucket beyond its slots, number 1, as that of 10.1.0.2 does" },
	};

	extents_open_until(4);
	cr_assert_geq(open_flow_of(IN + 1, UDP, 7000, 53, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t extent = subscriber_extent(extents_record()), sessions = extents_record()->sessions;
		unsigned repaired = 0;
		struct findings f;

		other->hairpins |= (rows[i].extent ? rows[i].extent : extent) << EXTENT_AT;
		f = extents_repair();
		for (unsigned k = 0; k < f.n; k++)
			repaired += f.finding[k].repaired && !strcmp(f.finding[k].where, "10.1.0.3") &&
				    !strcmp(f.finding[k].text, rows[i].text);
		cr_expect_eq(repaired, 1, "%s", rows[i].text);
		findings_free(&f);
		cr_expect_eq(subscriber_extent(other), 0);
		cr_expect_eq(subscriber_extent(extents_record()), extent);
		cr_expect_eq(extents_record()->sessions, sessions);
		extents_tables_right();
	}
	cr_expect_eq(extents_reclaim(&datapath), 1, "the one that was too small; not the one that another has");
}

/* Extents grow and are retired while a start looks for lost ones: none is used twice. */
static void *open_many(void *arg)
{
	(void)arg;
	for (uint32_t host = 1; host < 12; host++)
		for (unsigned i = 0; i < 180; i++)
			open_flow_of(IN + host, UDP, extents_port(i), (uint16_t)(53 + i), 0);
	opening = 0;
	return NULL;
}

Test(extents_life, a_start_takes_none_that_is_being_used)
{
	static uint8_t user[4096];
	pthread_t opener;

	refresh_followed_routes();
	opening = 1;
	cr_assert_eq(pthread_create(&opener, NULL, open_many, NULL), 0);
	while (opening)
		cr_expect_eq(extents_recover(mappings), 0);
	pthread_join(opener, NULL);
	cr_expect_gt(datapath.pool->grown, 5);
	for (uint32_t host = 1; host < 12; host++) {
		uint32_t extent = subscriber_extent(mappings_subscriber(mappings, extents_number(), 2 + host));

		for (uint32_t i = 0; i < extent_buckets(extent); i++)
			cr_expect(!user[extent_first(extent) + i]++, "two subscribers have bucket %u",
				  extent_first(extent) + i);
	}
	cr_expect_eq(extents_recover(mappings), 0);
	extents_tables_right();
}
