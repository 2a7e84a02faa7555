// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks that change while a pass or a write is under way, and when the next pass is due. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "growing_fixture.h"
#include "growth/growth_private.h"

TestSuite(growth_under_way, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

#define IDLE_S 300U

/* A pass that has begun, and has judged no block yet. */
static void begin_pass(void)
{
	while (gr.growth->under_way)
		event_base_loop(gr.base, EVLOOP_ONCE);
	growth_hurry(gr.growth);
	while (!gr.growth->under_way)
		event_base_loop(gr.base, EVLOOP_ONCE);
}

static void end_pass(void)
{
	while (gr.growth->under_way)
		event_base_loop(gr.base, EVLOOP_ONCE);
}

static void rests(struct grant *i)
{
	cr_assert_eq(growth_revoke(gr.growth, i->out_addr, i->port_lo, 0), 0);
	while (i->state != GRANT_RESTS)
		event_base_loop(gr.base, EVLOOP_ONCE);
	end_pass();
}

static void on_counted(void *arg)
{
	*(bool *)arg = true;
}

Test(growth_under_way, a_block_that_is_closed_during_a_pass_is_judged_by_the_next_one)
{
	struct grant *i = granted(gr.in);

	begin_pass();
	put_session(gr.in, 5000, i->port_lo);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 600), 0);
	end_pass();
	cr_expect(!gr.growth->due_us, "the next one follows at once");
	cr_expect(i->state == GRANT_CLOSED && !i->recorded);
	passes_go_by(1);
	cr_expect(i->state == GRANT_CLOSED && !i->recorded && i->sessions == 1);
}

Test(growth_under_way, who_asks_for_a_count_waits_for_one_that_begins_later)
{
	bool counted = false;

	granted(gr.in);
	begin_pass();
	cr_assert_eq(growth_count(gr.growth, on_counted, &counted), 0);
	end_pass();
	cr_expect_not(counted);
	begin_pass();
	end_pass();
	cr_expect(counted);
}

Test(growth_under_way, a_block_of_an_earlier_agent_is_idle_from_now_on)
{
	struct grant *i = granted(gr.in);

	cr_expect(i->seen_s >= boottime_s() - 2 && i->from >= 1600000000);
	/* As one is that was read from the tables. */
	i->seen_s = 0;
	passes_go_by(1);
	cr_expect(i->state == GRANT_OPEN && i->seen_s >= boottime_s() - 1);
}

Test(growth_under_way, one_that_was_opened_again_is_idle_from_its_last_session_on)
{
	const uint32_t life = mappings_get(gr.m, gr.number)->timeout_ticks[TIMEOUT_UDP];
	struct grant *i = granted(gr.in);

	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(1);
	put_session(gr.in, 5000, i->port_lo);
	passes_go_by(1);
	cr_assert_eq(i->state, GRANT_OPEN);
	tables_set_ticks(&gr.d, datapath_ticks(&gr.d) + life + 1);
	passes_go_by(1);
	cr_expect(i->state == GRANT_OPEN && !i->sessions);
}

Test(growth_under_way, one_that_is_revoked_stays_closed_though_it_was_idle)
{
	struct grant *i = granted(gr.in);

	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(1);
	cr_assert(i->state == GRANT_CLOSED && i->idle);
	put_session(gr.in, 5000, i->port_lo);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 600), 0);
	passes_go_by(2);
	cr_expect(i->state == GRANT_CLOSED && i->until_s != GRANT_WHENEVER);
}

Test(growth_under_way, one_beyond_max_blocks_stays_closed_when_another_ends)
{
	struct grant *i, *k;

	granted(gr.in);
	granted(gr.in);
	i = grants_of(gr.g, gr.in, NULL);
	k = grants_of(gr.g, gr.in, i);
	if (i->number != 1) {
		struct grant *other = i;

		i = k;
		k = other;
	}
	put_session(gr.in, 5000, i->port_lo);
	grow_configure("\"growth\":{\"max_blocks\":1}");
	rests(k);
	passes_go_by(2);
	cr_expect_eq(i->state, GRANT_CLOSED);
}

/* Each second: `due` is up. */
static bool begins(void)
{
	bool begun;

	end_pass();
	event_del(gr.growth->slice);
	gr.growth->due_us = 1;
	growth_pass_second(gr.growth);
	begun = gr.growth->under_way;
	if (begun)
		end_pass();
	return begun;
}

Test(growth_under_way, passes_go_on_while_there_is_anything_to_be_found)
{
	struct grant *i;

	passes_go_by(1);
	cr_expect_not(begins(), "nothing is granted");
	i = granted(gr.in);
	cr_expect(begins(), "a grant");
	rests(i);
	cr_expect(begins(), "one that rests");
	grants_drop(gr.g, i);
	cr_expect_not(begins());
	gr.growth->unsettled = true;
	cr_expect(begins(), "a mapping waits for its layout");
}

Test(growth_under_way, passes_are_ten_in_the_shortest_time_but_one_a_second_at_most)
{
	static const struct {
		uint32_t idle, rest, interval;
	} rows[] = { { 5, 3600, 1 },  { 3600, 5, 1 },	 { 19, 100, 1 },   { 20, 100, 2 },   { 100, 50, 5 },
		     { 95, 3600, 9 }, { 3600, 105, 10 }, { 109, 110, 10 }, { 110, 120, 10 }, { 3600, 3600, 10 } };

	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		char members[96];

		snprintf(members, sizeof(members), "\"growth\":{\"idle\":%u,\"rest\":%u}", rows[k].idle, rows[k].rest);
		grow_configure(members);
		cr_expect_eq(gr.growth->interval_s, rows[k].interval, "idle %u, rest %u: %u", rows[k].idle,
			     rows[k].rest, gr.growth->interval_s);
		cr_expect(!gr.growth->due_us || gr.growth->under_way, "it is looked at once");
	}
}

Test(growth_under_way, a_mapping_that_grows_no_more_drains)
{
	struct grant *i = granted(gr.in);

	put_session(gr.in, 5000, i->port_lo);
	grow_configure("\"name\":\"fixed\",\"drain\":500");
	cr_expect(i->state == GRANT_CLOSED && i->until_s >= boottime_s() + 499 && i->until_s <= boottime_s() + 500);
}

Test(growth_under_way, the_same_configuration_leaves_a_rest_alone)
{
	struct grant *i = granted(gr.in), was;

	rests(i);
	i->until_s -= 50;
	i->from -= 10;
	was = *i;
	grow_configure("\"growth\":{\"max_blocks\":2}");
	passes_go_by(1);
	cr_expect(i->state == GRANT_RESTS && i->until_s == was.until_s && i->from == was.from && i->stamp == was.stamp);
	cr_expect_eq(gr.told.n, 2);
}

Test(growth_under_way, with_the_configuration_an_open_block_becomes_its_tenants)
{
	struct mapping_spec spec = growing_spec(BLOCK, 2);
	const struct grant *i = granted(gr.in);

	spec.tenant = 7;
	cr_assert_eq(mappings_update(gr.m, &spec), 0);
	grow_configure("\"growth\":{\"max_blocks\":2}");
	cr_expect_eq(i->tenant, 7);
	cr_expect_eq(faults(false), 0);
}

Test(growth_under_way, an_address_is_full_as_soon_as_its_last_block_is_asked_for_until_that_comes_to_nothing)
{
	struct mapping_spec spec = tables_spec("10.0.0.100/32", "203.0.113.208/32");
	const uint32_t last = tables_addr("10.0.0.100");

	for (uint32_t k = 0; k < 55; k++)
		ask_block(tables_addr("10.0.0.0") + k);
	wait_owned(55);
	cr_expect_not(grants_none_left(gr.g, gr.out));
	ask_block(last);
	cr_expect(grants_none_left(gr.g, gr.out));
	/* His address gets a mapping of its own before the grant is written. */
	tables_add(gr.m, &spec);
	while (grants_of(gr.g, last, NULL))
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_expect_eq(owned(), 55);
	cr_expect_not(grants_none_left(gr.g, gr.out));
}

Test(growth_under_way, an_address_is_full_when_a_peer_has_granted_the_last_block)
{
	struct grant_act a = { gr.in, gr.out, 0, BLOCK, act_stamp_next(0) };

	for (uint32_t k = 0; k < 55; k++)
		ask_block(tables_addr("10.0.0.0") + k);
	wait_owned(55);
	a.port_lo = (uint16_t)(SHARED + BLOCK * (uint32_t)grants_free_block(gr.g, mappings_get(gr.m, gr.number), gr.out,
									    0, NULL));
	cr_assert_eq(growth_apply(gr.growth, 1, &a), -EAGAIN);
	wait_owned(56);
	cr_expect(grants_none_left(gr.g, gr.out));
	cr_expect_eq(gr.told.n_acts, 55, "a peer's act is not told of again");
}

/* Events of one search in vain, of which the first has been answered. */
Test(growth_under_way, an_event_from_before_the_grant_asks_for_nothing)
{
	uint64_t before = clock_ns(CLOCK_MONOTONIC);
	const struct grant *i = granted(gr.in);

	growth_ask(gr.growth, gr.in, before);
	cr_expect(grants_of(gr.g, gr.in, NULL) == i && !grants_of(gr.g, gr.in, i));
}

static unsigned bindings(void)
{
	struct grant_binding_key key, *at = NULL;
	unsigned n = 0;

	for (; !bpf_map_get_next_key(gr.d.grant_bindings, at, &key); n++)
		at = &key;
	return n;
}

/* Ports at both ends of a block, bound to its subscriber. */
static void bind_ends(const struct grant *i)
{
	static const uint16_t offset[] = { 0, BLOCK - 1 };

	if (gr.d.grant_bindings <= 0)
		gr.d.grant_bindings =
			bpf_map_create(BPF_MAP_TYPE_HASH, "grant_bindings", sizeof(struct grant_binding_key),
				       sizeof(struct grant_binding), 64, NULL);
	for (size_t k = 0; k < ARRAY_SIZE(offset); k++) {
		uint16_t port = (uint16_t)(i->port_lo + offset[k]), in_port = (uint16_t)(5000 + k);
		struct grant_binding_key inside = { i->in_addr, i->out_addr, in_port, IPPROTO_UDP, GRANT_BOUND_INSIDE },
					 outside = { 0, i->out_addr, port, IPPROTO_UDP, GRANT_BOUND_OUTSIDE };
		struct grant_binding to = { .addr = i->out_addr, .port = port },
				     from = { .addr = i->in_addr, .port = in_port };

		cr_assert_eq(bpf_map_update_elem(gr.d.grant_bindings, &inside, &to, BPF_ANY), 0);
		cr_assert_eq(bpf_map_update_elem(gr.d.grant_bindings, &outside, &from, BPF_ANY), 0);
	}
	cr_assert_eq(bindings(), 4);
}

Test(growth_under_way, bindings_of_its_ports_go_with_a_block)
{
	struct grant *i = granted(gr.in);
	struct prefix in, out;

	bind_ends(i);
	rests(i);
	cr_expect_eq(bindings(), 0, "it was taken back");
	i = granted(gr.in + 1);
	bind_ends(i);
	prefix_parse("10.0.0.0/25", &in);
	prefix_parse("203.0.113.200/32", &out);
	cr_assert_eq(mappings_del_of(gr.m, 0, in, out), 0);
	grow_configure_text("{\"interfaces\":{\"inside\":[],\"outside\":[]},\"mappings\":[]}");
	cr_expect_eq(bindings(), 0, "its mapping is gone");
}
