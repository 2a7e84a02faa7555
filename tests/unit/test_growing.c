// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks: the table over a real map, and what the agent grants, over real tables, files and the event loop. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "base/log.h"
#include "growth/block_growth.h"
#include "recorder/queue.h"
#include "tables/grant_table.h"
#include "tables_fixture.h"

/* 10.0.0.0/25 shares 203.0.113.200: 448 ports each leave 56 blocks of 128 from 58368 on. */
#define FEW    448U
#define SHARED (1024U + 128U * FEW)
#define BLOCK  128U

static struct datapath d;
static struct mappings *m;
static struct grants *g;
static struct error err;
static uint32_t out, in;
static int number;

static struct mapping_spec growing(uint16_t block, uint16_t max_blocks)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/25", "203.0.113.200/32");
	const struct mapping_parameters p = { .in_base = tables_addr("10.0.0.0"),
					      .last_subscriber = 127,
					      .out_base = tables_addr("203.0.113.200"),
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = FEW,
					      .ports_per_host = FEW };

	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	spec.growth = (struct growth_layout){ block, max_blocks };
	return spec;
}

static void setup(void)
{
	struct mapping_spec spec = growing(BLOCK, 2);

	log_set_level(LOG_LEVEL_ERROR);
	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	number = tables_add(m, &spec);
	cr_assert_eq(grants_open(m, &g, &err), 0, "%s", err.text);
	out = tables_addr("203.0.113.200");
	in = tables_addr("10.0.0.3");
}

static void teardown(void)
{
	grants_close(g);
	mappings_close(m);
}

TestSuite(grants, .init = setup, .fini = teardown, .timeout = 60);

static struct grant *made(uint32_t in_addr, uint32_t block)
{
	struct grant like = {
		.in_addr = in_addr, .out_addr = out, .port_lo = (uint16_t)(SHARED + block * BLOCK), .ports = BLOCK
	};
	struct grant *grant;

	like.number = (uint8_t)grants_number(g, in_addr, out, GROWTH_MAX_BLOCKS);
	grant = grants_reserve(g, &like);
	cr_assert(grant);
	cr_assert_eq(grants_make(g, grant), 0);
	return grant;
}

static void reopen(void)
{
	grants_close(g);
	cr_assert_eq(grants_open(m, &g, &err), 0, "%s", err.text);
}

static void drop_entry(uint32_t addr, uint16_t at, uint8_t direction)
{
	struct grant_key key = { addr, at, direction, 0 };

	cr_assert_eq(bpf_map_delete_elem(d.grants, &key), 0);
}

static bool has_entry(uint32_t addr, uint16_t at, uint8_t direction)
{
	struct grant_key key = { addr, at, direction, 0 };
	struct grant_value value;

	return !bpf_map_lookup_elem(d.grants, &key, &value);
}

static size_t faults(bool repair)
{
	struct findings f = { 0 };
	size_t n;

	grants_audit(g, repair, &f);
	n = f.total;
	findings_free(&f);
	return n;
}

Test(grants, one_is_its_subscribers_in_every_state_but_at_rest)
{
	struct grant *i = made(in, 5);
	uint16_t port = SHARED + 5 * BLOCK + 7;

	cr_expect_eq(grants_owner(g, out, port)->in_addr, in);
	cr_expect_null(grants_owner(g, out, port + BLOCK));
	cr_assert_eq(grants_shut(g, i, GRANT_WHENEVER), 0);
	cr_expect_not(has_entry(in, 0, GRANT_OF_INSIDE));
	cr_expect_eq(grants_owner(g, out, port)->in_addr, in);
	cr_assert_eq(grants_reopen(g, i, 2), 0);
	cr_expect(has_entry(in, 0, GRANT_OF_INSIDE));
	cr_assert_eq(grants_shut(g, i, boottime_s()), 0);
	cr_assert_eq(grants_rest(g, i, 1000, boottime_s() + 60), 0);
	cr_expect_null(grants_owner(g, out, port));
	cr_expect_eq(grants_at(g, out, port)->state, GRANT_RESTS);
	cr_expect_null(grants_of(g, in, NULL));
	cr_expect_eq(faults(false), 0);
}

Test(grants, an_open_one_without_its_second_entry_is_removed_at_the_next_start)
{
	made(in, 1);
	made(in + 1, 2);
	drop_entry(in, 0, GRANT_OF_INSIDE);
	reopen();
	cr_expect_null(grants_find(g, out, SHARED + BLOCK));
	cr_expect_not(has_entry(out, SHARED + BLOCK, GRANT_OF_OUTSIDE));
	cr_expect_eq(grants_find(g, out, SHARED + 2 * BLOCK)->state, GRANT_OPEN);
	cr_expect_eq(faults(false), 0);
}

Test(grants, an_entry_of_an_inside_address_alone_is_removed_at_the_next_start)
{
	made(in, 1);
	drop_entry(out, SHARED + BLOCK, GRANT_OF_OUTSIDE);
	reopen();
	cr_expect_not(has_entry(in, 0, GRANT_OF_INSIDE));
	cr_expect_null(grants_of(g, in, NULL));
}

Test(grants, closed_and_resting_ones_are_taken_over)
{
	uint64_t until = boottime_s() + 100;
	struct grant *closed = made(in, 1), *rests = made(in, 2);

	cr_assert_eq(grants_shut(g, closed, until), 0);
	cr_assert_eq(grants_shut(g, rests, GRANT_WHENEVER), 0);
	cr_assert_eq(grants_rest(g, rests, 1000, until + 1), 0);
	grants_tell_none_left(g, out, true);
	reopen();
	closed = grants_find(g, out, SHARED + BLOCK);
	rests = grants_find(g, out, SHARED + 2 * BLOCK);
	cr_expect(closed->state == GRANT_CLOSED && closed->in_addr == in && closed->until_s == until);
	cr_expect(rests->state == GRANT_RESTS && !rests->in_addr && rests->from == 1000 && rests->until_s == until + 1);
	cr_expect(grants_none_left(g, out));
	cr_expect_eq(faults(false), 0);
}

Test(grants, check_finds_what_the_map_lacks_and_has_too_much_and_repairs_it)
{
	struct grant_key key = { in + 9, 0, GRANT_OF_INSIDE, 0 };
	struct grant_value value = { .addr = out, .port_lo = SHARED, .ports = BLOCK };

	made(in, 1);
	drop_entry(in, 0, GRANT_OF_INSIDE);
	drop_entry(out, SHARED + BLOCK, GRANT_OF_OUTSIDE);
	cr_assert_eq(bpf_map_update_elem(d.grants, &key, &value, BPF_ANY), 0);
	cr_expect_eq(faults(false), 3);
	cr_expect_eq(faults(true), 3);
	cr_expect_eq(faults(false), 0);
	cr_expect(has_entry(in, 0, GRANT_OF_INSIDE) && has_entry(out, SHARED + BLOCK, GRANT_OF_OUTSIDE));
	cr_expect_not(has_entry(in + 9, 0, GRANT_OF_INSIDE));
}

Test(grants, a_free_block_has_no_port_of_another_also_not_of_one_of_another_size)
{
	struct grant like = { .out_addr = out, .in_addr = in, .port_lo = SHARED + BLOCK - 8, .ports = 16 };
	uint32_t n_free;

	cr_expect_eq(grants_free_block(g, mappings_get(m, number), out, 0, &n_free), 0);
	cr_expect_eq(n_free, 56);
	cr_assert(grants_reserve(g, &like));
	cr_expect_eq(grants_free_block(g, mappings_get(m, number), out, 0, &n_free), 2);
	cr_expect_eq(n_free, 54);
	for (uint32_t k = 2; k < 56; k++)
		made(in + k, k);
	cr_expect_eq(grants_free_block(g, mappings_get(m, number), out, 7, &n_free), -1);
	cr_expect_eq(n_free, 0);
}

/* The agent's part. */

static char directory[] = "/tmp/detnat-growth-XXXXXX";
static struct portmaps *portmaps;
static struct event_base *base;
static struct history_queue *q;
static struct growth *growth;
static struct config *config;

static void setup_agent(void)
{
	static const char text[] =
		"{\"interfaces\":{\"inside\":[],\"outside\":[]},\"mappings\":[{\"in\":\"10.0.0.0/25\","
		"\"out\":\"203.0.113.200/32\",\"ports_per_host\":448,\"growth\":{\"max_blocks\":2}}]}";

	setup();
	d.reused = false;
	cr_assert(mkdtemp(directory));
	cr_assert_eq(portmaps_open(m, &portmaps, &err), 0, "%s", err.text);
	base = event_base_new();
	cr_assert_eq(history_queue_new(base, directory, &d, m, portmaps, g, &q, &err), 0, "%s", err.text);
	history_queue_ready(q);
	cr_assert_eq(growth_new(base, m, g, q, &growth, &err), 0, "%s", err.text);
	cr_assert_eq(config_parse(text, strlen(text), "FILE", &config, &err), 0, "%s", err.text);
	growth_settle(growth, config);
}

static void teardown_agent(void)
{
	char command[128];

	growth_free(growth);
	history_queue_drain(q);
	history_queue_close(q, EVENT_STOP);
	portmaps_close(portmaps);
	config_free(config);
	teardown();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(growth, .init = setup_agent, .fini = teardown_agent, .timeout = 60);

static uint32_t owned(void)
{
	struct grant_figures f;

	grants_count(g, &f);
	return f.grants;
}

static void wait_owned(uint32_t n)
{
	while (owned() != n)
		event_base_loop(base, EVLOOP_ONCE);
}

Test(growth, events_of_one_subscriber_before_the_grant_are_answered_by_it)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	growth_ask(growth, in, now);
	growth_ask(growth, in, now);
	wait_owned(1);
	growth_ask(growth, in, now);
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(owned(), 1);
	/* A later one says that the block is full, too. */
	growth_ask(growth, in, clock_ns(CLOCK_MONOTONIC));
	wait_owned(2);
	growth_ask(growth, in, clock_ns(CLOCK_MONOTONIC));
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(owned(), 2, "max_blocks");
}

Test(growth, many_subscribers_get_different_blocks_and_the_history_agrees)
{
	for (uint32_t k = 0; k < 128; k++)
		growth_ask(growth, tables_addr("10.0.0.0") + k, clock_ns(CLOCK_MONOTONIC));
	wait_owned(56);
	cr_expect(grants_none_left(g, out));
	for (uint32_t k = 0; k < 56; k++)
		cr_expect(grants_owner(g, out, (uint16_t)(SHARED + k * BLOCK)));
	history_queue_drain(q);
	cr_expect_eq(faults(false), 0);
}

static struct grant_act act(uint32_t in_addr, uint32_t block, uint64_t stamp)
{
	return (struct grant_act){ in_addr, out, (uint16_t)(SHARED + block * BLOCK), BLOCK, stamp };
}

Test(growth, of_two_acts_on_a_block_the_later_counts)
{
	struct grant_act a = act(in, 3, act_stamp_next(0)), b = act(in + 1, 3, a.stamp + (1 << 16)), end = b;

	cr_assert_eq(growth_apply(growth, 1, &b), 0);
	wait_owned(1);
	cr_expect_eq(growth_apply(growth, 1, &a), 0, "an earlier one changes nothing");
	cr_expect_eq(grants_owner(g, out, a.port_lo)->in_addr, in + 1);
	a.stamp = b.stamp + (1 << 16);
	cr_expect_eq(growth_apply(growth, 1, &a), -EAGAIN, "sessions end first");
	wait_owned(0);
	cr_assert_eq(growth_apply(growth, 1, &a), 0);
	wait_owned(1);
	cr_expect_eq(grants_owner(g, out, a.port_lo)->in_addr, in);
	end.in_addr = 0;
	end.stamp = a.stamp - 1;
	cr_expect_eq(growth_apply(growth, 1, &end), 0);
	cr_expect_eq(owned(), 1);
	end.stamp = a.stamp + 1;
	cr_expect_eq(growth_apply(growth, 1, &end), 0);
	wait_owned(0);
	cr_expect_eq(grants_find(g, out, a.port_lo)->stamp, end.stamp);
}

Test(growth, acts_on_blocks_that_no_subscriber_here_can_have_are_refused)
{
	struct grant_act ok = act(in, 3, act_stamp_next(0)), wrong;

	wrong = ok;
	wrong.in_addr = tables_addr("10.0.1.3");
	cr_expect_eq(growth_apply(growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo++;
	cr_expect_eq(growth_apply(growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.ports = 64;
	cr_expect_eq(growth_apply(growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo = 1024;
	cr_expect_eq(growth_apply(growth, 1, &wrong), -EINVAL);
	cr_expect_eq(growth_apply(growth, 1, &ok), 0);
	wait_owned(1);
}
