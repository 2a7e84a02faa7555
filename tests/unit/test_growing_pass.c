// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks that are idle, full, revoked or in use: what a pass over their sessions makes of them. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/trouble.h"
#include "growing_fixture.h"

TestSuite(growth_pass, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

#define IDLE_S 300U
#define REST_S 120U

static uint32_t sessions_of_in(void)
{
	return mappings_subscriber(gr.m, gr.number, 3)->sessions;
}

Test(growth_pass, before_the_configuration_is_known_no_block_is_idle)
{
	const struct grant *i = granted(gr.in);

	growth_free(gr.growth);
	cr_assert_eq(growth_new(gr.base, gr.m, gr.g, gr.q, &gr.growth, &gr.err), 0);
	pass_is_asked_for();
	cr_expect_eq(i->state, GRANT_OPEN);
	grow_configure("\"growth\":{}");
	passes_go_by(1);
	cr_expect_eq(i->state, GRANT_OPEN);
}

Test(growth_pass, an_idle_block_is_closed_then_taken_back_then_rests_then_is_free)
{
	struct grant *i = granted(gr.in);
	const uint16_t port = i->port_lo;
	const uint64_t stamp = i->stamp, from = i->from;
	char lines[128], addr[ADDR_TEXT];

	passes_go_by(1);
	cr_expect_eq(i->state, GRANT_OPEN);
	/* A second before its time is up, at the earliest. */
	i->seen_s = boottime_s() - IDLE_S + 5;
	passes_go_by(1);
	cr_expect_eq(i->state, GRANT_OPEN);
	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(1);
	cr_expect_eq(i->state, GRANT_CLOSED);
	cr_expect(i->until_s == GRANT_WHENEVER && i->idle);
	cr_expect_not(has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_expect(has_entry(gr.out, port, GRANT_OF_OUTSIDE));
	passes_go_by(1);
	wait_owned(0);
	cr_expect_eq(i->state, GRANT_RESTS);
	cr_expect(i->until_s >= boottime_s() + REST_S - 1 && i->until_s <= boottime_s() + REST_S);
	cr_expect(i->stamp > stamp && i->from >= from);
	passes_go_by(1);
	cr_expect_eq(grants_at(gr.g, gr.out, port), i, "it rests");
	cr_expect_eq(faults(false), 0);
	time_is_up(i);
	passes_go_by(1);
	cr_expect_null(grants_owner(gr.g, gr.out, port));

	cr_assert_eq(gr.told.n, 2);
	cr_expect(gr.told.made[0] && !gr.told.made[1]);
	for (unsigned k = 0; k < 2; k++)
		cr_expect(gr.told.grant[k].in_addr == gr.in && gr.told.grant[k].port_lo == port);
	cr_assert_eq(gr.told.n_acts, 2);
	cr_expect(gr.told.act[0].in_addr == gr.in && gr.told.act[0].stamp == stamp);
	cr_expect(!gr.told.act[1].in_addr && gr.told.act[1].stamp > stamp && gr.told.act[1].port_lo == port);
	history_queue_drain(gr.q);
	snprintf(lines, sizeof(lines), "+%s:%u -%s:%u", addr_format(gr.in, addr), port, addr, port);
	cr_expect_str_eq(grant_lines(), lines);
}

Test(growth_pass, a_block_with_a_session_stays)
{
	struct grant *i = granted(gr.in);

	put_session(gr.in, 5000, i->port_lo + 7);
	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(2);
	cr_expect(i->state == GRANT_OPEN && i->sessions == 1);
	cr_expect_geq(i->seen_s, boottime_s() - 1);
}

Test(growth_pass, only_live_sessions_of_the_holder_on_its_ports_count)
{
	struct grant *i = granted(gr.in);
	const uint32_t now = datapath_ticks(&gr.d),
		       late = now + mappings_get(gr.m, gr.number)->timeout_ticks[TIMEOUT_UDP];

	put_session(gr.in, 5000, i->port_lo);
	put_session(gr.in, 5001, (uint16_t)(i->port_lo + BLOCK - 1));
	/* On a port of its block, beyond the slots; of another subscriber; beside the block. */
	put_session(gr.in, 5002, 1024 + 3 * FEW);
	put_session(gr.in + 1, 5003, i->port_lo + 1);
	put_session(gr.in, 5004, (uint16_t)(i->port_lo + (i->port_lo == SHARED + 55 * BLOCK ? -1 : (int)BLOCK)));
	passes_go_by(1);
	cr_expect_eq(i->sessions, 2, "%u", i->sessions);
	tables_set_ticks(&gr.d, late + 1);
	passes_go_by(1);
	cr_expect_eq(i->sessions, 0, "%u", i->sessions);
}

Test(growth_pass, one_that_was_closed_as_idle_opens_again_if_a_session_has_come)
{
	struct grant *i = granted(gr.in);

	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(1);
	cr_assert_eq(i->state, GRANT_CLOSED);
	put_session(gr.in, 5000, i->port_lo);
	passes_go_by(1);
	cr_expect(i->state == GRANT_OPEN && !i->idle && !i->until_s);
	cr_expect(has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_expect_eq(owned(), 1);
	cr_expect_eq(gr.told.n, 1);
	passes_go_by(2);
	cr_expect_eq(i->state, GRANT_OPEN);
}

Test(growth_pass, but_not_beyond_max_blocks)
{
	struct grant *i = granted(gr.in), *k;

	i->seen_s = boottime_s() - IDLE_S;
	passes_go_by(1);
	cr_assert_eq(i->state, GRANT_CLOSED);
	put_session(gr.in, 5000, i->port_lo);
	for (k = granted(gr.in); owned() < 3; k = granted(gr.in))
		;
	passes_go_by(1);
	cr_expect_eq(i->state, GRANT_CLOSED);
	cr_expect(k->state == GRANT_OPEN && k->port_lo != i->port_lo);
}

Test(growth_pass, a_revoked_one_ends_with_its_last_session_or_with_its_drain)
{
	struct grant *i = granted(gr.in), *k = granted(gr.in);

	put_session(gr.in, 5000, i->port_lo);
	put_session(gr.in, 5001, k->port_lo);
	cr_expect_eq(sessions_of_in(), 2);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, (uint16_t)(i->port_lo + BLOCK - 1), 600), 0);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, k->port_lo, 0), 0);
	cr_expect(i->until_s >= boottime_s() + 599 && i->until_s <= boottime_s() + 600);
	passes_go_by(2);
	wait_owned(1);
	cr_expect(i->state == GRANT_CLOSED && i->sessions == 1, "its session goes on");
	cr_expect_eq(k->state, GRANT_RESTS);
	cr_expect_eq(sessions_of_in(), 1);
	time_is_up(i);
	passes_go_by(2);
	wait_owned(0);
	cr_expect_eq(sessions_of_in(), 0);
	cr_expect_eq(tables_beyond(&gr.d), 0);
}

Test(growth_pass, what_nobody_has_or_is_being_changed_cannot_be_revoked)
{
	struct grant *i;

	cr_expect_eq(growth_revoke(gr.growth, gr.out, SHARED, 0), -ENOENT);
	ask_block(gr.in);
	i = grants_of(gr.g, gr.in, NULL);
	cr_assert_eq(i->state, GRANT_ASKED);
	cr_expect_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), -EBUSY);
	wait_owned(1);
	cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), 0);
	passes_go_by(2);
	wait_owned(0);
	cr_expect_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), -ENOENT, "it rests");
	time_is_up(i);
	passes_go_by(1);
	cr_expect_eq(growth_revoke(gr.growth, gr.out, SHARED, 0), -ENOENT, "it is free");
}

Test(growth_pass, a_count_that_nobody_waits_for_any_more_is_not_told)
{
	bool counted = false;
	int other = 0;

	cr_assert_eq(growth_count(gr.growth, (growth_counted)abort, &other), 0);
	growth_forget(gr.growth, &other);
	growth_forget(gr.growth, &counted);
	passes_go_by(2);
}

Test(growth_pass, an_address_is_full_when_its_last_block_is_granted_until_one_has_rested)
{
	for (uint32_t k = 0; k < 55; k++)
		ask_block(tables_addr("10.0.0.0") + k);
	wait_owned(55);
	cr_expect_not(grants_none_left(gr.g, gr.out));
	ask_block(tables_addr("10.0.0.100"));
	wait_owned(56);
	cr_expect(grants_none_left(gr.g, gr.out) && has_entry(gr.out, 0, GRANT_NONE_LEFT));
	ask_block(tables_addr("10.0.0.101"));
	cr_expect_null(grants_of(gr.g, tables_addr("10.0.0.101"), NULL));

	struct grant *i = grants_of(gr.g, tables_addr("10.0.0.100"), NULL);

	cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), 0);
	passes_go_by(2);
	wait_owned(55);
	cr_expect(grants_none_left(gr.g, gr.out), "it rests");
	time_is_up(i);
	passes_go_by(1);
	cr_expect_not(grants_none_left(gr.g, gr.out));
	cr_expect_not(has_entry(gr.out, 0, GRANT_NONE_LEFT));
	ask_block(tables_addr("10.0.0.101"));
	wait_owned(56);
	cr_expect(grants_none_left(gr.g, gr.out));
}

static bool is_served(void)
{
	return (int32_t)(gr.d.table->limits.growth_until - datapath_ticks(&gr.d)) >= 0;
}

Test(growth_pass, the_datapath_is_told_for_seconds_whether_blocks_are_granted)
{
	cr_expect(is_served());
	trouble_set(TROUBLE_HISTORY, "the disk is full");
	ask_block(gr.in);
	cr_expect_null(grants_of(gr.g, gr.in, NULL), "nothing is granted that cannot be recorded");
	grow_configure("\"growth\":{\"max_blocks\":2}");
	cr_expect_not(is_served());
	trouble_clear(TROUBLE_HISTORY);
	grow_configure("\"growth\":{\"max_blocks\":2}");
	cr_expect(is_served());
	cr_expect_lt(gr.d.table->limits.growth_until, datapath_ticks(&gr.d) + 10 * TABLES_HZ);
	grow_configure("\"name\":\"fixed\"");
	cr_expect_not(is_served());
}

Test(growth_pass, who_asks_and_has_no_mapping_that_grows_gets_nothing)
{
	ask_block(tables_addr("10.0.0.128"));
	cr_expect_null(grants_of(gr.g, tables_addr("10.0.0.128"), NULL));
	grow_configure("\"name\":\"fixed\"");
	ask_block(gr.in);
	cr_expect_null(grants_of(gr.g, gr.in, NULL));
}
