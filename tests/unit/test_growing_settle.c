// SPDX-License-Identifier: BSD-2-Clause
/* What becomes of granted blocks when mappings, or the figures of growth, change under them. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "growing_fixture.h"
#include "growth/growth_private.h"

TestSuite(growth_settle, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

#define GROWING "\"growth\":{\"max_blocks\":2}"

static struct growth_layout layout(void)
{
	return mappings_get(gr.m, gr.number)->growth;
}

static void del(const char *in, const char *out)
{
	struct prefix i, o;

	prefix_parse(in, &i);
	prefix_parse(out, &o);
	cr_assert_eq(mappings_del_of(gr.m, 0, i, o), 0);
}

/* The mapping and its configuration are gone. */
static void without_mappings(void)
{
	del("10.0.0.0/25", "203.0.113.200/32");
	grow_configure_text("{\"interfaces\":{\"inside\":[],\"outside\":[]},\"mappings\":[]}");
}

static void expect_rest(const struct grant *i, uint32_t seconds)
{
	cr_expect(i->until_s >= boottime_s() + seconds - 1 && i->until_s <= boottime_s() + seconds,
		  "%lld seconds, not %u", (long long)(i->until_s - boottime_s()), seconds);
}

Test(growth_settle, the_same_configuration_again_changes_nothing)
{
	struct grant *i = granted(gr.in), was = *i;

	grow_configure(GROWING);
	passes_go_by(2);
	cr_expect(i->state == GRANT_OPEN && i->stamp == was.stamp && i->number == was.number);
	cr_expect(layout().block == BLOCK && layout().max_blocks == 2);
	cr_expect_eq(gr.told.n, 1);
}

Test(growth_settle, blocks_of_the_former_size_end_after_the_drain_and_then_the_others_begin)
{
	struct grant *i = granted(gr.in);
	const uint16_t port = i->port_lo;

	put_session(gr.in, 5000, port);
	grow_configure("\"drain\":500,\"growth\":{\"max_blocks\":3,\"block\":64}");
	cr_expect(i->state == GRANT_CLOSED && !i->idle);
	cr_expect(i->until_s >= boottime_s() + 499 && i->until_s <= boottime_s() + 500);
	cr_expect(layout().block == BLOCK && !layout().max_blocks, "none opens, and those that are there are found");
	ask_block(gr.in + 1);
	cr_expect_null(grants_of(gr.g, gr.in + 1, NULL));
	passes_go_by(2);
	cr_expect_eq(i->state, GRANT_CLOSED);
	time_is_up(i);
	passes_go_by(2);
	wait_owned(0);
	passes_go_by(1);
	cr_expect(layout().block == 64 && layout().max_blocks == 3);
	i = granted(gr.in);
	cr_expect_eq(i->ports, 64);
	cr_expect(i->port_lo + 64 <= port || i->port_lo >= port + BLOCK, "the former one rests");
	cr_expect_eq(faults(false), 0);
}

Test(growth_settle, a_shorter_drain_counts_and_a_longer_one_does_not)
{
	struct grant *i = granted(gr.in);
	uint64_t until;

	put_session(gr.in, 5000, i->port_lo);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 200), 0);
	until = i->until_s;
	grow_configure("\"drain\":500,\"growth\":{\"max_blocks\":3,\"block\":64}");
	cr_expect_eq(i->until_s, until);
	grow_configure("\"drain\":100,\"growth\":{\"max_blocks\":3,\"block\":64}");
	cr_expect(i->until_s >= boottime_s() + 99 && i->until_s <= boottime_s() + 100);
}

Test(growth_settle, without_growth_they_end_too)
{
	struct grant *i = granted(gr.in);

	grow_configure("\"name\":\"fixed\"");
	cr_expect_eq(i->state, GRANT_CLOSED);
	cr_expect_leq(i->until_s, boottime_s());
	passes_go_by(2);
	wait_owned(0);
	passes_go_by(1);
	cr_expect_eq(layout().block, 0);
}

/* A mapping that does not grow has a drain all the same. */
Test(growth_settle, without_growth_they_end_after_the_drain)
{
	struct grant *i = granted(gr.in);

	put_session(gr.in, 5000, i->port_lo);
	grow_configure("\"drain\":500");
	cr_expect_eq(i->state, GRANT_CLOSED);
	cr_expect(i->until_s >= boottime_s() + 499 && i->until_s <= boottime_s() + 500);
	passes_go_by(2);
	cr_expect_eq(owned(), 1);
}

Test(growth_settle, fewer_blocks_close_those_beyond_whenever_their_sessions_end)
{
	struct grant *i, *k;

	granted(gr.in);
	granted(gr.in);
	for (i = grants_of(gr.g, gr.in, NULL); i->number != 1; i = grants_of(gr.g, gr.in, i))
		;
	k = grants_of(gr.g, gr.in, NULL) == i ? grants_of(gr.g, gr.in, i) : grants_of(gr.g, gr.in, NULL);
	put_session(gr.in, 5000, i->port_lo);
	grow_configure("\"growth\":{\"max_blocks\":1}");
	cr_expect(i->state == GRANT_CLOSED && i->until_s == GRANT_WHENEVER && !i->idle);
	cr_expect_eq(k->state, GRANT_OPEN);
	cr_expect_eq(layout().max_blocks, 1);
	passes_go_by(3);
	cr_expect_eq(i->state, GRANT_CLOSED, "one that is not idle is not opened again");
	ask_block(gr.in);
	cr_expect_eq(owned(), 2);
}

Test(growth_settle, with_their_mapping_they_are_gone_at_once_and_rest)
{
	struct grant *i = granted(gr.in);
	const uint16_t port = i->port_lo;
	const uint64_t stamp = i->stamp;

	without_mappings();
	i = grants_find(gr.g, gr.out, port);
	cr_assert(i);
	cr_expect(i->state == GRANT_RESTS && !i->in_addr);
	expect_rest(i, CONFIG_REST_S);
	cr_expect_leq(i->stamp, stamp, "that is no act: peers decide for themselves");
	cr_expect(has_entry(gr.out, port, GRANT_OF_OUTSIDE) && !has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_assert_eq(gr.told.n, 2);
	cr_expect(!gr.told.made[1] && gr.told.grant[1].in_addr == gr.in && gr.told.grant[1].port_lo == port);
	cr_expect_eq(gr.told.n_acts, 1);
	cr_expect_eq(faults(false), 0);
}

Test(growth_settle, with_a_mapping_that_gets_a_tenant_they_stay_and_to_another_tenant_they_do_not_go)
{
	struct grant *i = granted(gr.in);

	mappings_set_tenant(gr.m, gr.number, 1);
	grow_configure(GROWING);
	cr_expect_eq(i->state, GRANT_OPEN);
	cr_expect_eq(i->tenant, 1);
	mappings_set_tenant(gr.m, gr.number, 2);
	grow_configure(GROWING);
	cr_expect_eq(i->state, GRANT_RESTS);
	cr_expect_eq(i->in_addr, 0);
}

Test(growth_settle, with_their_mapping_they_rest_as_long_as_it_says_last)
{
	struct grant *i = granted(gr.in);
	const uint16_t port = i->port_lo;

	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	without_mappings();
	expect_rest(grants_find(gr.g, gr.out, port), 3000);
}

Test(growth_settle, they_rest_as_long_as_their_mapping_said_if_it_goes_while_no_agent_runs)
{
	struct grant *i;

	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	i = granted(gr.in);

	const uint16_t port = i->port_lo;

	agent_starts_again();
	without_mappings();
	expect_rest(grants_find(gr.g, gr.out, port), 3000);
	cr_expect_eq(faults(false), 0);
}

Test(growth_settle, they_rest_as_long_as_their_mapping_said_while_it_grew)
{
	struct grant *i;

	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	i = granted(gr.in);

	const uint16_t port = i->port_lo;

	grow_configure("\"name\":\"fixed\"");
	passes_go_by(2);
	wait_owned(0);
	expect_rest(grants_find(gr.g, gr.out, port), 3000);
}

Test(growth_settle, those_of_a_datapath_that_is_gone_rest_once_for_what_is_left)
{
	struct grant *i;
	uint16_t port;

	port = granted(gr.in)->port_lo;
	datapath_is_another();
	cr_expect_null(grants_find(gr.g, gr.out, port));
	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	i = grants_find(gr.g, gr.out, port);
	cr_assert(i);
	cr_expect(i->state == GRANT_RESTS && !i->in_addr && i->ports == BLOCK);
	/* Seconds of the history and of the boot begin at different times. */
	cr_expect(i->until_s > boottime_s() + 2990 && i->until_s <= boottime_s() + 3001, "%lld seconds",
		  (long long)(i->until_s - boottime_s()));
	cr_expect_eq(owned(), 0);
	cr_expect_eq(faults(false), 0);
	grants_drop(gr.g, i);
	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	cr_expect_null(grants_find(gr.g, gr.out, port), "it rests only once");
}

Test(growth_settle, those_of_a_datapath_that_is_gone_do_not_rest_where_nothing_grows)
{
	uint16_t port = granted(gr.in)->port_lo;

	datapath_is_another();
	grow_configure("\"name\":\"fixed\"");
	cr_expect_null(grants_find(gr.g, gr.out, port));
}

Test(growth_settle, one_that_another_agent_holds_already_is_not_held_twice)
{
	struct grant *i;
	uint16_t port = granted(gr.in)->port_lo;

	datapath_is_another();
	i = made(gr.in + 1, (port - SHARED) / BLOCK);
	grow_configure("\"growth\":{\"max_blocks\":2,\"rest\":3000}");
	cr_expect_eq(grants_find(gr.g, gr.out, port), i);
	cr_expect(i->state == GRANT_OPEN && i->in_addr == gr.in + 1);
	cr_expect_eq(faults(false), 0);
}

Test(growth_settle, one_that_is_asked_for_meanwhile_comes_to_nothing)
{
	ask_block(gr.in);
	cr_assert_eq(grants_of(gr.g, gr.in, NULL)->state, GRANT_ASKED);
	without_mappings();
	while (grants_of(gr.g, gr.in, NULL))
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_expect_eq(owned(), 0);
	cr_expect_str_eq(grant_lines(), "");
	cr_expect_eq(gr.told.n, 0);
	cr_expect_eq(faults(false), 0);
}

Test(growth_settle, one_whose_subscriber_gets_another_mapping_while_it_is_written_is_closed_at_once)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/28", "203.0.113.208/32");
	struct grant *i;

	ask_block(gr.in);
	i = grants_of(gr.g, gr.in, NULL);
	/* The group is on its way to the disk; that it is there is heard in a later turn of the loop. */
	while (!gr.growth->batch.n_running)
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_assert_eq(i->state, GRANT_ASKED);
	tables_add(gr.m, &spec);
	wait_owned(1);
	cr_expect(i->state == GRANT_CLOSED && i->until_s <= boottime_s());
	grow_configure(GROWING);
	passes_go_by(2);
	wait_owned(0);
}

Test(growth_settle, sessions_of_a_subscriber_who_has_another_mapping_end_with_those_of_the_former)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/28", "203.0.113.208/32");
	struct grant *i = granted(gr.in);

	tables_add(gr.m, &spec);
	grow_configure(GROWING);
	cr_expect(i->state == GRANT_CLOSED && i->until_s <= boottime_s());
	passes_go_by(2);
	wait_owned(0);
	/* Its rest is over, and the exception, too: it may have one again. */
	time_is_up(i);
	passes_go_by(1);
	del("10.0.0.0/28", "203.0.113.208/32");
	grow_configure(GROWING);
	cr_expect_eq(granted(gr.in)->state, GRANT_OPEN);
}

Test(growth_settle, an_address_that_was_full_is_not_once_its_blocks_are_smaller)
{
	for (uint32_t k = 0; k < 56; k++)
		ask_block(tables_addr("10.0.0.0") + k);
	wait_owned(56);
	cr_assert(grants_none_left(gr.g, gr.out));
	grow_configure("\"growth\":{\"max_blocks\":2,\"block\":64}");
	cr_expect_not(grants_none_left(gr.g, gr.out), "nothing is to be had by waiting for a size that has gone");
	passes_go_by(2);
	wait_owned(0);
}

Test(growth_settle, more_than_a_group_is_written_in_several)
{
	struct mapping_spec spec = tables_spec("10.1.0.0/22", "203.0.113.216/29");
	const struct mapping_parameters p = { .in_base = tables_addr("10.1.0.0"),
					      .last_subscriber = 1023,
					      .out_base = tables_addr("203.0.113.216"),
					      .last_out = 7,
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = 400,
					      .ports_per_host = 400 };

	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	tables_add(gr.m, &spec);
	grow_configure_text("{\"interfaces\":{\"inside\":[],\"outside\":[]},\"mappings\":[{\"in\":\"10.1.0.0/22\","
			    "\"out\":\"203.0.113.216/29\",\"ports_per_host\":400,\"growth\":{\"block\":64}}]}");
	for (uint32_t k = 0; k < 1000; k++)
		ask_block(tables_addr("10.1.0.0") + k);
	wait_owned(1000);
	cr_expect_eq(gr.told.n, 1000);
	cr_expect_eq(faults(false), 0);
	history_queue_drain(gr.q);
}
