/* SPDX-License-Identifier: BSD-2-Clause */
/* Acts of peers on granted blocks that are not so here yet: they wait, are lacking, and come to be. */
#include <errno.h>
#include <string.h>

#include "base/act_stamp.h"
#include "base/clock.h"
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

static bool none_is_owned(const void *arg, struct prefix in, struct prefix out)
{
	return false;
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

Test(copying_grants, a_whole_copy_of_another_peer_or_one_that_has_it_does_not_end_the_waiting)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	grow_configure("\"growth\":{\"block\":64}");
	hear(1, &w);
	hear(2, &w);
	cr_assert_eq(copying_apply(c, 2, WIRE_WHOLE_END, NULL, 0, &counts), 0);
	cr_expect_eq(c->grants.waiting.n, 2, "it was told in this round");
	c->peer[1].round++;
	c->peer[2].round++;
	cr_assert_eq(copying_apply(c, 2, WIRE_WHOLE_END, NULL, 0, &counts), 0);
	cr_expect_eq(c->grants.waiting.n, 1, "that of the first peer waits on");
	hear(1, &w);
	cr_assert_eq(copying_apply(c, 1, WIRE_WHOLE_END, NULL, 0, &counts), 0);
	cr_expect_eq(c->grants.waiting.n, 1, "it was told again");
	grow_configure("\"growth\":{}");
	tries(1);
	wait_until_recorded();
	tries(1);
	cr_expect_eq(c->grants.waiting.n, 0);
}

Test(copying_grants, it_is_tried_after_a_quarter_of_a_second_and_then_after_twice_as_long_each_time)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));
	uint64_t before = monotonic_us(), at = before + 10000000;

	trouble_set(TROUBLE_HISTORY, "the disk is full");
	hear(1, &w);
	trouble_clear(TROUBLE_HISTORY);
	copied_grants_retry(c, before + 249999);
	cr_expect_null(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK), "too soon");
	trouble_set(TROUBLE_HISTORY, "the disk is full");
	copied_grants_retry(c, at);
	copied_grants_retry(c, at += 250000);
	copied_grants_retry(c, at += 500000);
	trouble_clear(TROUBLE_HISTORY);
	copied_grants_retry(c, at + 999999);
	cr_expect_null(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK), "too soon after three tries");
	copied_grants_retry(c, at + 1000000);
	cr_expect(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK));
}

Test(copying_grants, of_two_acts_on_a_block_that_wait_the_one_that_was_told_last_is_tried)
{
	const struct wire_grant first = record(gr.in, 3, act_stamp_next(0)),
				later = record(gr.in + 1, 3, be64toh(first.stamp) + 1);

	trouble_set(TROUBLE_HISTORY, "the disk is full");
	hear(1, &first);
	hear(1, &later);
	cr_expect_eq(c->grants.waiting.n, 1);
	trouble_clear(TROUBLE_HISTORY);
	tries(1);
	wait_until_recorded();
	tries(1);
	cr_expect_eq(c->grants.waiting.n, 0);
	cr_expect_eq(grants_owner(gr.g, gr.out, SHARED + 3 * BLOCK)->in_addr, gr.in + 1);
}

Test(copying_grants, of_a_mapping_that_is_not_exchanged_with_the_peer_it_waits)
{
	const struct wire_grant w = record(gr.in, 3, act_stamp_next(0));

	c->peer[1].exchanged[gr.number] = false;
	hear(1, &w);
	cr_expect_eq(counts.refused, 1);
	tries(1);
	cr_expect_null(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK));
	c->peer[1].exchanged[gr.number] = true;
	tries(1);
	wait_until_recorded();
	cr_expect_eq(grants_owner(gr.g, gr.out, SHARED + 3 * BLOCK)->in_addr, gr.in);
}

Test(copying_grants, what_no_gateway_can_have_told_is_refused_and_does_not_wait)
{
	static const struct {
		const char *what;
		uint64_t stamp;
		uint16_t port_lo, ports;
	} rows[] = {
		{ "without a stamp", 0, SHARED, BLOCK },
		{ "later than any clock", ACT_STAMP_MAX + 1, SHARED, BLOCK },
		{ "below the ports that may be shared", 1, 1023, BLOCK },
		{ "a block that is too small", 1, SHARED, GROWTH_MIN_BLOCK - 1 },
		{ "a block that is too large", 1, 1024, GROWTH_MAX_BLOCK + 1 },
		{ "a block that ends behind the ports", 1, 65500, BLOCK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_grant w = record(gr.in, 3, rows[i].stamp);

		w.port_lo = htobe16(rows[i].port_lo);
		w.ports = htobe16(rows[i].ports);
		hear(1, &w);
		cr_expect_eq(counts.refused, i + 1, "%s", rows[i].what);
		cr_expect_eq(c->grants.waiting.n, 0, "%s", rows[i].what);
		cr_expect_null(grants_find(gr.g, gr.out, rows[i].port_lo), "%s", rows[i].what);
	}
}

/* The records of a pass or a whole copy. */
static struct wire_grant told[16];
static unsigned n_told;

static int take(unsigned type, const void *payload, size_t length, void *arg)
{
	if (type != WIRE_GRANTS)
		return 0;
	cr_assert_leq(n_told + length / sizeof(*told), ARRAY_SIZE(told));
	memcpy(told + n_told, payload, length);
	n_told += (unsigned)(length / sizeof(*told));
	return 0;
}

static unsigned of_a_pass(void)
{
	n_told = 0;
	cr_assert_eq(copied_grants_tell(c, take, NULL), 0);
	return n_told;
}

static unsigned of_a_whole_copy(void)
{
	static struct draft draft;
	uint32_t at = 0;

	n_told = 0;
	cr_assert_eq(copied_grants_whole(c, &at, &draft, UINT64_MAX, take, NULL), 0);
	return n_told;
}

static void expect_told(const struct grant *i, bool is_end, uint32_t flags)
{
	const struct wire_grant wanted = { .in_addr = is_end ? 0 : htobe32(i->in_addr),
					   .out_addr = htobe32(gr.out),
					   .port_lo = htobe16(i->port_lo),
					   .ports = htobe16(BLOCK),
					   .flags = htobe32(flags),
					   .stamp = htobe64(i->stamp) };

	cr_expect_eq(memcmp(&told[0], &wanted, sizeof(wanted)), 0);
}

Test(copying_grants, each_act_of_this_gateway_is_told_once)
{
	struct grant *i = granted(gr.in);

	cr_expect_eq(of_a_pass(), 0, "what exists at a start goes with whole copies");
	c->primed = true;
	cr_expect_eq(of_a_pass(), 0);
	for (unsigned k = 0; k < 2; k++) {
		i = granted(gr.in + 1);
		cr_assert_eq(of_a_pass(), 1);
		expect_told(i, false, 0);
		cr_expect_eq(of_a_pass(), 0, "once");
		if (k)
			cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), 0);
		else
			i->seen_s = 1;
		passes_go_by(2);
		wait_owned(1);
		cr_assert_eq(of_a_pass(), 1);
		expect_told(i, true, k ? 0 : WIRE_GRANT_IDLE);
	}
}

Test(copying_grants, nothing_is_told_of_mappings_that_are_another_gateways_to_tell)
{
	c->primed = true;
	c->limits.owned = none_is_owned;
	granted(gr.in);
	cr_expect_eq(of_a_pass(), 0);
	cr_expect_eq(of_a_whole_copy(), 0);
	c->limits.owned = NULL;
	cr_expect_eq(of_a_whole_copy(), 1);
}

Test(copying_grants, a_whole_copy_has_what_is_granted_and_what_has_ended_not_what_is_asked_for_or_yields)
{
	const struct wire_grant of_peer = record(gr.in + 1, 3, act_stamp_next(0)),
				end = record(0, 3, be64toh(of_peer.stamp) + 1);
	struct grant *i;

	/* It is being recorded. */
	hear(1, &of_peer);
	cr_expect_eq(of_a_whole_copy(), 0);
	wait_until_recorded();
	cr_assert_eq(of_a_whole_copy(), 1);
	expect_told(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK), false, 0);
	i = granted(gr.in);
	cr_expect_eq(of_a_whole_copy(), 2);
	/* Its sessions have to end first; the peer tells of that end. */
	hear(1, &end);
	cr_assert(grants_find(gr.g, gr.out, SHARED + 3 * BLOCK)->yields);
	cr_assert_eq(of_a_whole_copy(), 1);
	expect_told(i, false, 0);
	wait_owned(1);
	cr_expect_eq(of_a_whole_copy(), 2);
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
