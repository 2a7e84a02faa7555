/* SPDX-License-Identifier: BSD-2-Clause */
/* Acts of peers on granted blocks that are not so here yet: they wait, are lacking, and come to be. */
#include <errno.h>

#include "base/act_stamp.h"
#include "base/trouble.h"
#include "copies/copying_private.h"
#include "growing_fixture.h"

static struct copying *c;
static struct copying_counts counts;

static void set_up(void)
{
	static const struct copying_limits limits = { .min_age_s = 3, .interval_ms = 1000 };

	growing_setup_agent();
	cr_assert_eq(copying_new(gr.m, &limits, NULL, &c), 0);
	copying_set_growth(c, gr.growth, gr.g);
	c->peer[1].exchanged[gr.number] = c->peer[2].exchanged[gr.number] = true;
	counts = (struct copying_counts){ 0 };
}

static void tear_down(void)
{
	copying_free(c);
	growing_teardown_agent();
}

TestSuite(copying_grants, .init = set_up, .fini = tear_down, .timeout = 60);

static struct wire_grant record(uint32_t in_addr, uint32_t block, uint64_t stamp)
{
	return (struct wire_grant){ .in_addr = htobe32(in_addr),
				    .out_addr = htobe32(gr.out),
				    .port_lo = htobe16((uint16_t)(SHARED + block * BLOCK)),
				    .ports = htobe16(BLOCK),
				    .stamp = htobe64(stamp) };
}

static void hear(unsigned peer, const struct wire_grant *w)
{
	cr_assert_eq(copying_apply(c, peer, WIRE_GRANTS, w, sizeof(*w), &counts), 0);
}

/* All that wait are tried so often, a while after each other. */
static void tries(unsigned n)
{
	static uint64_t ahead_us;

	for (; n; n--)
		copied_grants_retry(c, monotonic_us() + (ahead_us += 60000000));
}

static void wait_until_recorded(void)
{
	while (grants_find(gr.g, gr.out, SHARED + 3 * BLOCK)->recorded)
		event_base_loop(gr.base, EVLOOP_ONCE);
}

Test(copying_grants, an_act_waits_until_it_is_recorded)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	hear(1, &w);
	cr_expect_eq(c->grants.waiting.n, 1);
	wait_until_recorded();
	tries(1);
	cr_expect_eq(c->grants.waiting.n, 0);
	cr_expect_eq(copying_lacks(c, 1).grants, 0);
	cr_expect_not(copying_asks_again(c, 1));
	cr_expect_eq(grants_owner(gr.g, gr.out, SHARED + 3 * BLOCK)->in_addr, gr.in);
}

Test(copying_grants, while_nothing_can_be_recorded_it_is_lacking_and_then_everything_is_asked_for_again)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	trouble_set(TROUBLE_HISTORY, "the disk is full");
	hear(1, &w);
	tries(3);
	cr_expect_eq(copying_lacks(c, 1).grants, 0, "not after a moment");
	tries(100);
	cr_expect_eq(copying_lacks(c, 1).grants, 1);
	cr_expect_eq(copying_lacks(c, 2).grants, 0);
	cr_expect_null(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK));
	cr_expect_not(copying_asks_again(c, 1));
	trouble_clear(TROUBLE_HISTORY);
	tries(1);
	wait_until_recorded();
	tries(1);
	cr_expect_eq(copying_lacks(c, 1).grants, 0);
	cr_expect_eq(grants_owner(gr.g, gr.out, SHARED + 3 * BLOCK)->in_addr, gr.in);
	cr_expect(copying_asks_again(c, 1), "sessions on it were refused meanwhile");
	cr_expect_not(copying_asks_again(c, 1), "once");
	cr_expect_not(copying_asks_again(c, 2));
}

Test(copying_grants, where_blocks_are_granted_in_another_way_it_waits_for_a_change_of_that)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	grow_configure("\"growth\":{\"block\":64}");
	hear(1, &w);
	cr_expect_eq(counts.refused, 1);
	tries(20);
	cr_expect_eq(copying_lacks(c, 1).grants, 1);
	grow_configure("\"growth\":{}");
	tries(1);
	wait_until_recorded();
	tries(1);
	cr_expect_eq(copying_lacks(c, 1).grants, 0);
	cr_expect(copying_asks_again(c, 1));
}

Test(copying_grants, its_end_or_a_whole_copy_without_it_ends_the_waiting)
{
	struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	grow_configure("\"growth\":{\"block\":64}");
	hear(1, &w);
	tries(20);
	hear(2, &w);
	cr_expect_eq(c->grants.waiting.n, 2);
	w.in_addr = 0;
	w.stamp = htobe64(be64toh(w.stamp) + 1);
	hear(1, &w);
	cr_expect_eq(c->grants.waiting.n, 1);
	cr_expect_eq(copying_lacks(c, 1).grants, 0);
	c->peer[2].round++;
	cr_assert_eq(copying_apply(c, 2, WIRE_WHOLE_END, NULL, 0, &counts), 0);
	cr_expect_eq(c->grants.waiting.n, 0);
}

Test(copying_grants, that_an_end_is_one_by_idleness_passes_between_gateways)
{
	struct wire_grant w = record(0, 3, act_stamp_next(0));

	w.flags = htobe32(WIRE_GRANT_IDLE);
	hear(1, &w);
	cr_expect(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK)->idle);
	w = record(0, 4, act_stamp_next(0));
	hear(1, &w);
	cr_expect_not(grants_find(gr.g, gr.out, SHARED + 4 * BLOCK)->idle, "an older gateway does not say it");
}

Test(copying_grants, rules_are_read_again_when_the_blocks_of_a_mapping_are_laid_out_anew)
{
	copied_rules_sync(c);
	cr_assert_not(c->rules_stale);
	grow_configure("\"growth\":{\"block\":64}");
	cr_expect(c->rules_stale);
}
