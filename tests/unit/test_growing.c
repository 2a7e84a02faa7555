// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks: the table over a real map, and which block a subscriber gets. */
#include <bpf/bpf.h>
#include <errno.h>

#include "base/clock.h"
#include "growing_fixture.h"
#include "sessions/top.h"

TestSuite(grants, .init = growing_setup, .fini = growing_teardown, .timeout = 60);

static void reopen(void)
{
	grants_close(gr.g);
	cr_assert_eq(grants_open(gr.m, &gr.g, &gr.err), 0, "%s", gr.err.text);
}

Test(grants, one_is_its_subscribers_in_every_state_but_at_rest)
{
	struct grant *i = made(gr.in, 5);
	uint16_t port = SHARED + 5 * BLOCK + 7;

	cr_expect_eq(grants_owner(gr.g, gr.out, port)->in_addr, gr.in);
	cr_expect_null(grants_owner(gr.g, gr.out, port + BLOCK));
	cr_assert_eq(grants_shut(gr.g, i, GRANT_WHENEVER), 0);
	cr_expect_not(has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_expect_eq(grants_owner(gr.g, gr.out, port)->in_addr, gr.in);
	cr_assert_eq(grants_reopen(gr.g, i, 2), 0);
	cr_expect(has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_assert_eq(grants_shut(gr.g, i, boottime_s()), 0);
	cr_assert_eq(grants_rest(gr.g, i, 1000, boottime_s() + 60), 0);
	cr_expect_null(grants_owner(gr.g, gr.out, port));
	cr_expect_eq(grants_at(gr.g, gr.out, port)->state, GRANT_RESTS);
	cr_expect_null(grants_of(gr.g, gr.in, NULL));
	cr_expect_eq(faults(false), 0);
}

/* The epoch has been raised since the last call: the datapath forgets whose blocks were. */
static bool forgets(void)
{
	static uint32_t seen;
	uint32_t before = seen;

	seen = gr.d.table->limits.grants_epoch;
	return seen != before;
}

Test(grants, datapath_forgets_whose_a_block_was_when_it_is_his_no_more_and_at_no_other_time)
{
	struct grant_key stray = { gr.out, SHARED + 9 * BLOCK, GRANT_OF_OUTSIDE, 0 };
	struct grant_value value = { .addr = gr.in + 9, .port_lo = SHARED + 9 * BLOCK, .ports = BLOCK };
	struct grant *i;

	forgets();
	i = made(gr.in, 5);
	cr_expect_eq(grants_shut(gr.g, i, GRANT_WHENEVER), 0);
	cr_expect_eq(grants_reopen(gr.g, i, 2), 0);
	cr_expect_eq(grants_touch(gr.g, i), 0);
	cr_expect_not(forgets(), "it was his all the time");
	cr_assert_eq(grants_shut(gr.g, i, boottime_s()), 0);
	cr_assert_eq(grants_rest(gr.g, i, 1000, boottime_s() + 60), 0);
	cr_expect(forgets(), "it rests");
	grants_drop(gr.g, i);
	i = made(gr.in, 6);
	forgets();
	grants_drop(gr.g, i);
	cr_expect(forgets(), "it is gone");
	cr_assert_eq(bpf_map_update_elem(gr.d.grants, &stray, &value, BPF_ANY), 0);
	cr_expect_eq(faults(false), 1);
	cr_expect_not(forgets());
	cr_expect_eq(faults(true), 1);
	cr_expect(forgets(), "check has repaired it");
	made(gr.in + 1, 2);
	drop_entry(gr.in + 1, 0, GRANT_OF_INSIDE);
	forgets();
	reopen();
	cr_expect(forgets(), "a start has removed it");
}

Test(grants, an_open_one_without_its_second_entry_is_removed_at_the_next_start)
{
	made(gr.in, 1);
	made(gr.in + 1, 2);
	drop_entry(gr.in, 0, GRANT_OF_INSIDE);
	reopen();
	cr_expect_null(grants_find(gr.g, gr.out, SHARED + BLOCK));
	cr_expect_not(has_entry(gr.out, SHARED + BLOCK, GRANT_OF_OUTSIDE));
	cr_expect_eq(grants_find(gr.g, gr.out, SHARED + 2 * BLOCK)->state, GRANT_OPEN);
	cr_expect_eq(faults(false), 0);
}

Test(grants, an_entry_of_an_inside_address_alone_is_removed_at_the_next_start)
{
	made(gr.in, 1);
	drop_entry(gr.out, SHARED + BLOCK, GRANT_OF_OUTSIDE);
	reopen();
	cr_expect_not(has_entry(gr.in, 0, GRANT_OF_INSIDE));
	cr_expect_null(grants_of(gr.g, gr.in, NULL));
}

Test(grants, closed_and_resting_ones_are_taken_over)
{
	uint64_t until = boottime_s() + 100;
	struct grant *closed = made(gr.in, 1), *rests = made(gr.in, 2);

	cr_assert_eq(grants_shut(gr.g, closed, until), 0);
	cr_assert_eq(grants_shut(gr.g, rests, GRANT_WHENEVER), 0);
	cr_assert_eq(grants_rest(gr.g, rests, 1000, until + 1), 0);
	grants_tell_none_left(gr.g, gr.out, true);
	reopen();
	closed = grants_find(gr.g, gr.out, SHARED + BLOCK);
	rests = grants_find(gr.g, gr.out, SHARED + 2 * BLOCK);
	cr_expect(closed->state == GRANT_CLOSED && closed->in_addr == gr.in && closed->until_s == until);
	cr_expect(rests->state == GRANT_RESTS && !rests->in_addr && rests->from == 1000 && rests->until_s == until + 1);
	cr_expect(grants_none_left(gr.g, gr.out));
	cr_expect_eq(faults(false), 0);
}

Test(grants, check_finds_what_the_map_lacks_and_has_too_much_and_repairs_it)
{
	struct grant_key key = { gr.in + 9, 0, GRANT_OF_INSIDE, 0 };
	struct grant_value value = { .addr = gr.out, .port_lo = SHARED, .ports = BLOCK };

	made(gr.in, 1);
	drop_entry(gr.in, 0, GRANT_OF_INSIDE);
	drop_entry(gr.out, SHARED + BLOCK, GRANT_OF_OUTSIDE);
	cr_assert_eq(bpf_map_update_elem(gr.d.grants, &key, &value, BPF_ANY), 0);
	cr_expect_eq(faults(false), 3);
	cr_expect_eq(faults(true), 3);
	cr_expect_eq(faults(false), 0);
	cr_expect(has_entry(gr.in, 0, GRANT_OF_INSIDE) && has_entry(gr.out, SHARED + BLOCK, GRANT_OF_OUTSIDE));
	cr_expect_not(has_entry(gr.in + 9, 0, GRANT_OF_INSIDE));
}

Test(grants, a_free_block_has_no_port_of_another_also_not_of_one_of_another_size)
{
	struct grant like = { .out_addr = gr.out, .in_addr = gr.in, .port_lo = SHARED + BLOCK - 8, .ports = 16 };
	uint32_t n_free;

	cr_expect_eq(grants_free_block(gr.g, mappings_get(gr.m, gr.number), gr.out, 0, &n_free), 0);
	cr_expect_eq(n_free, 56);
	cr_assert(grants_reserve(gr.g, &like));
	cr_expect_eq(grants_free_block(gr.g, mappings_get(gr.m, gr.number), gr.out, 0, &n_free), 2);
	cr_expect_eq(n_free, 54);
	for (uint32_t k = 2; k < 56; k++)
		made(gr.in + k, k);
	cr_expect_eq(grants_free_block(gr.g, mappings_get(gr.m, gr.number), gr.out, 7, &n_free), -1);
	cr_expect_eq(n_free, 0);
}

static bool opens(uint8_t tenant)
{
	const struct grant_key key = { gr.in, 0, GRANT_OF_INSIDE, tenant };
	struct grant_value value;

	return !bpf_map_lookup_elem(gr.d.grants, &key, &value);
}

static void set_tenant(uint8_t tenant)
{
	struct mapping_spec spec = growing_spec(BLOCK, 2);

	spec.tenant = tenant;
	cr_assert_eq(mappings_update(gr.m, &spec), 0);
	grants_settle_tenants(gr.g);
}

/* The programs look for the tenant of its mapping. */
Test(grants, sessions_open_on_a_block_by_the_tenant_of_its_mapping)
{
	struct grant *i;

	set_tenant(7);
	i = made(gr.in, 1);
	cr_expect(opens(7) && !opens(0));
	cr_expect_eq(faults(false), 0);
	set_tenant(200);
	cr_expect(opens(200) && !opens(7));
	cr_expect_eq(faults(false), 0);
	/* Another agent takes over. */
	grants_close(gr.g);
	cr_assert_eq(grants_open(gr.m, &gr.g, &gr.err), 0, "%s", gr.err.text);
	cr_expect(opens(200));
	cr_expect_eq(faults(false), 0);
	set_tenant(0);
	cr_expect(opens(0) && !opens(200));
	i = grants_of(gr.g, gr.in, NULL);
	cr_assert(i);
	cr_assert_eq(grants_shut(gr.g, i, GRANT_WHENEVER), 0);
	cr_expect_not(opens(0));
}

/* The agent's part. */

TestSuite(growth, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

Test(growth, events_of_one_subscriber_before_the_grant_are_answered_by_it)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	growth_ask(gr.growth, gr.in, now);
	growth_ask(gr.growth, gr.in, now);
	wait_owned(1);
	growth_ask(gr.growth, gr.in, now);
	event_base_loop(gr.base, EVLOOP_NONBLOCK);
	cr_expect_eq(owned(), 1);
	/* A later one says that the block is full, too. */
	growth_ask(gr.growth, gr.in, clock_ns(CLOCK_MONOTONIC));
	wait_owned(2);
	growth_ask(gr.growth, gr.in, clock_ns(CLOCK_MONOTONIC));
	event_base_loop(gr.base, EVLOOP_NONBLOCK);
	cr_expect_eq(owned(), 2, "max_blocks");
}

Test(growth, many_subscribers_get_different_blocks_and_the_history_agrees)
{
	for (uint32_t k = 0; k < 128; k++)
		growth_ask(gr.growth, tables_addr("10.0.0.0") + k, clock_ns(CLOCK_MONOTONIC));
	wait_owned(56);
	cr_expect(grants_none_left(gr.g, gr.out));
	for (uint32_t k = 0; k < 56; k++)
		cr_expect(grants_owner(gr.g, gr.out, (uint16_t)(SHARED + k * BLOCK)));
	history_queue_drain(gr.q);
	cr_expect_eq(faults(false), 0);
}

static struct top_entry top_of(uint32_t in_addr)
{
	const struct top_entry *e;
	struct top_entry found = { 0 };
	struct top *t;
	size_t n;
	int r;

	cr_assert_eq(top_new(gr.m, gr.g, TOP_BY_SESSIONS, 5, &t), 0);
	while ((r = top_step(t, 1000)) > 0)
		;
	cr_assert_eq(r, 0);
	e = top_entries(t, &n);
	for (size_t i = 0; i < n; i++)
		if (e[i].in_addr == in_addr)
			found = e[i];
	top_free(t);
	return found;
}

Test(grants, top_has_granted_ports_among_those_of_the_subscriber)
{
	struct grant *i = made(gr.in, 5);
	struct top_entry e;

	/* Beyond the slots: three on granted ports, one on a port of the block. */
	for (uint16_t k = 0; k < 3; k++)
		put_session(gr.in, (uint16_t)(5000 + k), (uint16_t)(i->port_lo + k));
	put_session(gr.in, 6000, 1024 + 3 * FEW);
	e = top_of(gr.in);
	cr_expect(e.sessions == 4 && e.ports_used == 4, "%u sessions, %u ports", e.sessions, e.ports_used);
	cr_expect(e.ports_per_host == FEW && e.ports == FEW + BLOCK, "%u and %u ports", e.ports_per_host, e.ports);
	/* The ports of a block that is closed are the subscriber's, until it rests. */
	cr_assert_eq(grants_shut(gr.g, i, GRANT_WHENEVER), 0);
	cr_expect_eq(top_of(gr.in).ports, FEW + BLOCK);
	cr_assert_eq(grants_rest(gr.g, i, 1000, boottime_s() + 60), 0);
	e = top_of(gr.in);
	cr_expect(e.ports == FEW && e.ports_used == 1, "%u of %u", e.ports_used, e.ports);
	/* No more ports than there are. */
	for (uint16_t k = 0; k <= BLOCK; k++)
		put_session(gr.in + 1, (uint16_t)(5000 + k), SHARED + 6 * BLOCK);
	made(gr.in + 1, 6);
	cr_expect_eq(top_of(gr.in + 1).ports_used, BLOCK);
}

Test(grants, one_that_is_made_lets_its_subscriber_search_again_and_one_that_rests_says_since_when)
{
	struct subscriber *s = mappings_subscriber(gr.m, gr.number, 3);
	struct grant *i;

	s->growth_vain = 12345;
	i = made(gr.in, 1);
	cr_expect_eq(s->growth_vain, 0);
	cr_assert_eq(grants_shut(gr.g, i, GRANT_WHENEVER), 0);
	cr_assert_eq(grants_rest(gr.g, i, 1000, boottime_s() + 60), 0);
	cr_expect_eq(i->from, 1000);
}
