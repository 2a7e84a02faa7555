// SPDX-License-Identifier: BSD-2-Clause
/* Acts of peers on granted blocks. */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "base/trouble.h"
#include "growing_fixture.h"

TestSuite(growth_peers, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

static struct grant_act act(uint32_t in_addr, uint32_t block, uint64_t stamp)
{
	return (struct grant_act){ in_addr, gr.out, (uint16_t)(SHARED + block * BLOCK), BLOCK, stamp, false };
}

/* As growth_apply(); 0 also of one that is being recorded. */
static int apply(unsigned peer, const struct grant_act *act)
{
	int r = growth_apply(gr.growth, peer, act);
	const struct grant *i = grants_find(gr.g, act->out_addr, act->port_lo);

	return r == -EAGAIN && i && i->recorded && i->stamp == act->stamp ? 0 : r;
}

Test(growth_peers, of_two_acts_on_a_block_the_later_counts)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), b = act(gr.in + 1, 3, a.stamp + (1 << 16)), end = b;

	cr_assert_eq(apply(1, &b), 0);
	wait_owned(1);
	cr_expect_eq(apply(1, &a), 0, "an earlier one changes nothing");
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in + 1);
	a.stamp = b.stamp + (1 << 16);
	cr_expect_eq(apply(1, &a), -EAGAIN, "sessions end first");
	wait_owned(0);
	cr_assert_eq(apply(1, &a), 0);
	wait_owned(1);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in);
	end.in_addr = 0;
	end.stamp = a.stamp - 1;
	cr_expect_eq(apply(1, &end), 0);
	cr_expect_eq(owned(), 1);
	end.stamp = a.stamp + 1;
	cr_expect_eq(apply(1, &end), 0);
	wait_owned(0);
	cr_expect_eq(grants_find(gr.g, gr.out, a.port_lo)->stamp, end.stamp);
}

Test(growth_peers, acts_on_blocks_that_no_subscriber_here_can_have_are_refused)
{
	struct grant_act ok = act(gr.in, 3, act_stamp_next(0)), wrong;

	wrong = ok;
	wrong.in_addr = tables_addr("10.0.1.3");
	cr_expect_eq(apply(1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo++;
	cr_expect_eq(apply(1, &wrong), -EINVAL);
	wrong = ok;
	wrong.ports = 64;
	cr_expect_eq(apply(1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo = 1024;
	cr_expect_eq(apply(1, &wrong), -EINVAL);
	cr_expect_eq(apply(1, &ok), 0);
	wait_owned(1);
}

/* A block of the peer's that this gateway has taken back, as the peer is away, and that has rested. */
static struct grant_act rested(void)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0));
	struct grant *i;

	cr_assert_eq(apply(1, &a), 0);
	wait_owned(1);
	i = grants_find(gr.g, gr.out, a.port_lo);
	growth_set_peers(gr.growth, 1U << 1);
	i->seen_s = 1;
	passes_go_by(2);
	cr_assert_eq(i->state, GRANT_OPEN, "while the peer is heard, it decides");
	growth_set_peers(gr.growth, 0);
	passes_go_by(2);
	cr_assert_eq(i->state, GRANT_OPEN, "it is idle since the peer was heard last");
	i->seen_s = 1;
	passes_go_by(2);
	wait_owned(0);
	time_is_up(i);
	passes_go_by(1);
	return a;
}

static uint32_t n_free(void)
{
	struct grant_figures f;

	grants_count(gr.g, &f);
	cr_expect_eq(f.rests, 0);
	return f.free;
}

Test(growth_peers, a_grant_that_was_ended_while_its_gateway_was_away_does_not_come_back_with_it)
{
	struct grant_act a = rested();

	cr_assert_eq(n_free(), 1);
	cr_expect_null(grants_at(gr.g, gr.out, a.port_lo));
	cr_expect_eq(apply(1, &a), 0);
	passes_go_by(1);
	cr_expect_eq(owned(), 0);
	cr_expect_eq(faults(false), 0);
	/* The peer is told the end again. */
	a = growth_act_of(grants_find(gr.g, gr.out, a.port_lo));
	cr_expect_eq(a.in_addr, 0);
	cr_expect_eq(a.stamp, gr.told.act[gr.told.n_acts - 1].stamp);
	/* A later one counts. */
	a.in_addr = gr.in + 1;
	a.stamp++;
	cr_expect_eq(apply(1, &a), 0);
	wait_owned(1);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in + 1);
	cr_expect_eq(n_free(), 0);
}

Test(growth_peers, nor_after_a_restart_of_the_agent)
{
	struct grant_act a = rested();
	struct grants *next;
	struct grant *i;

	cr_assert_eq(grants_open(gr.m, &next, &gr.err), 0, "%s", gr.err.text);
	i = grants_find(next, gr.out, a.port_lo);
	cr_assert(i);
	cr_expect(i->state == GRANT_RESTS && i->until_s <= boottime_s() && i->stamp > a.stamp);
	grants_close(next);
}

Test(growth_peers, an_end_that_is_heard_first_counts_against_the_grant_before_it)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), end = a, wrong;

	end.in_addr = 0;
	end.stamp++;
	wrong = end;
	wrong.port_lo++;
	cr_expect_eq(apply(1, &wrong), 0);
	wrong = end;
	wrong.ports = 64;
	cr_expect_eq(apply(1, &wrong), 0);
	cr_expect_eq(n_free(), 0, "no block of the mapping");
	cr_expect_eq(apply(1, &end), 0);
	cr_expect_eq(n_free(), 1);
	cr_expect_eq(apply(2, &a), 0);
	passes_go_by(1);
	cr_expect_eq(owned(), 0);
	/* A still later end, and the grant that it ended. */
	a.stamp = end.stamp + 1;
	end.stamp += 2;
	cr_expect_eq(apply(1, &end), 0);
	cr_expect_eq(apply(2, &a), 0);
	passes_go_by(1);
	cr_expect_eq(owned(), 0);
	cr_expect_eq(n_free(), 1);
	cr_expect_eq(faults(false), 0);
}

/* Ends of all blocks, by a gateway whose clock is an hour ahead. */
static uint64_t end_all(void)
{
	struct grant_act end = act(0, 0, act_stamp_next(0) + (3600000ULL << 16));

	for (uint32_t k = 0; k < 56; k++) {
		end.port_lo = (uint16_t)(SHARED + k * BLOCK);
		cr_assert_eq(apply(1, &end), 0);
	}
	cr_assert_eq(n_free(), 56);
	return end.stamp;
}

Test(growth_peers, the_next_grant_of_a_block_is_later_though_this_clock_is_behind)
{
	const uint64_t stamp = end_all();
	struct grant *i = granted(gr.in);
	struct grant_act a;

	cr_expect_gt(i->stamp, stamp);
	cr_expect_eq(n_free(), 55);
	a = act(gr.in + 1, (i->port_lo - SHARED) / BLOCK, stamp);
	cr_expect_eq(apply(1, &a), 0);
	passes_go_by(1);
	cr_expect_eq(grants_owner(gr.g, gr.out, i->port_lo)->in_addr, gr.in);
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, one_that_comes_to_nothing_leaves_the_stamp_that_was_known)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/28", "203.0.113.208/32");
	const uint64_t stamp = end_all();
	uint32_t at = 0;

	ask_block(gr.in);
	cr_expect_eq(n_free(), 55);
	tables_add(gr.m, &spec);
	while (grants_of(gr.g, gr.in, NULL))
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_expect_eq(n_free(), 56);
	for (const struct grant *i; (i = grants_walk(gr.g, &at));)
		cr_expect(i->state == GRANT_FREE && i->stamp == stamp);
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, stamps_go_with_the_size_of_blocks_and_with_the_gateways)
{
	end_all();
	grow_configure("\"growth\":{\"block\":64}");
	cr_expect_eq(n_free(), 0);
	grow_configure("\"growth\":{}");
	end_all();
	gr.alone = true;
	grow_configure("\"growth\":{}");
	cr_expect_eq(n_free(), 0);
}

Test(growth_peers, without_gateways_a_block_that_has_rested_is_forgotten)
{
	struct grant *i = granted(gr.in);
	const uint16_t port = i->port_lo;

	gr.alone = true;
	grow_configure("\"growth\":{}");
	cr_assert_eq(growth_revoke(gr.growth, gr.out, port, 0), 0);
	passes_go_by(2);
	wait_owned(0);
	time_is_up(i);
	passes_go_by(1);
	cr_expect_eq(n_free(), 0);
	cr_expect_not(has_entry(gr.out, port, GRANT_OF_OUTSIDE));
	cr_expect_null(grants_find(gr.g, gr.out, port));
}

Test(growth_peers, what_a_change_of_the_configuration_ended_here_is_a_grant_again_with_its_mapping)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0));
	struct mapping_spec spec = growing_spec(BLOCK, 2);
	struct prefix i, o;

	cr_assert_eq(apply(1, &a), 0);
	wait_owned(1);
	prefix_parse("10.0.0.0/25", &i);
	prefix_parse("203.0.113.200/32", &o);
	cr_assert_eq(mappings_del_of(gr.m, 0, i, o), 0);
	grow_configure_text("{\"interfaces\":{\"inside\":[],\"outside\":[]},\"mappings\":[]}");
	cr_expect_eq(owned(), 0);
	cr_expect_eq(apply(1, &a), -EINVAL);
	tables_add(gr.m, &spec);
	grow_configure("\"growth\":{}");
	cr_expect_eq(apply(1, &a), 0);
	wait_owned(1);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in);
}

Test(growth_peers, the_blocks_of_a_peer_without_tables_are_this_gateways_own)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), b = act(gr.in + 1, 4, a.stamp);
	struct grant_value v;
	struct grant_key key = { .addr = gr.out, .at = a.port_lo, .direction = GRANT_OF_OUTSIDE };

	cr_assert_eq(apply(1, &a), 0);
	cr_assert_eq(apply(2, &b), 0);
	wait_owned(2);
	cr_assert(!bpf_map_lookup_elem(gr.d.grants, &key, &v) && v.peer == 1 && v.stamp == a.stamp);
	growth_adopt(gr.growth, 1);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->peer, 0);
	cr_expect_eq(grants_owner(gr.g, gr.out, b.port_lo)->peer, 2);
	cr_assert(!bpf_map_lookup_elem(gr.d.grants, &key, &v) && !v.peer);
}

Test(growth_peers, the_same_grant_with_a_later_stamp_is_the_other_gateways)
{
	struct grant *i = granted(gr.in);
	struct grant_act a = growth_act_of(i);

	a.stamp += 1 << 16;
	cr_expect_eq(apply(2, &a), 0);
	cr_expect(i->state == GRANT_OPEN && i->peer == 2 && i->stamp == a.stamp);
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, an_act_of_a_block_in_the_way_of_another_is_refused)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), b = act(gr.in + 1, 4, a.stamp), c = b;
	struct grant like = { .out_addr = gr.out, .in_addr = gr.in + 5, .port_lo = a.port_lo + 64, .ports = 64 };
	struct grant *i = grants_reserve(gr.g, &like);

	cr_assert(i && !grants_make(gr.g, i));
	cr_expect_eq(apply(1, &a), -EINVAL);
	cr_expect_eq(apply(1, &b), 0, "beside it");
	c.in_addr = gr.in;
	c.port_lo = (uint16_t)(a.port_lo - BLOCK);
	cr_expect_eq(apply(1, &c), 0, "and on the other side");
	wait_owned(3);
}

Test(growth_peers, a_subscriber_may_have_more_blocks_by_peers_than_here_but_not_more_than_there_can_be)
{
	struct grant_act a = act(gr.in, 0, act_stamp_next(0));

	for (uint32_t k = 0; k < GROWTH_MAX_BLOCKS; k++) {
		a.port_lo = (uint16_t)(SHARED + k * BLOCK);
		cr_assert_eq(apply(1, &a), 0, "block %u", k);
	}
	wait_owned(GROWTH_MAX_BLOCKS);
	a.port_lo = (uint16_t)(SHARED + GROWTH_MAX_BLOCKS * BLOCK);
	cr_expect_eq(apply(1, &a), -EINVAL);
	for (uint32_t k = 0; k < GROWTH_MAX_BLOCKS; k++)
		cr_expect(has_entry(gr.in, (uint16_t)k, GRANT_OF_INSIDE), "number %u", k);
}

Test(growth_peers, an_agent_that_has_just_started_forgets_no_stamp)
{
	struct growth *next;

	rested();
	growth_free(gr.growth);
	cr_assert_eq(growth_new(gr.base, gr.m, gr.g, gr.q, &next, &gr.err), 0);
	gr.growth = next;
	pass_is_asked_for();
	cr_expect_eq(n_free(), 1);
	grow_configure("\"growth\":{}");
	passes_go_by(1);
	cr_expect_eq(n_free(), 1);
}

Test(growth_peers, a_peer_that_is_lost_for_some_seconds_keeps_its_blocks_however_short_idle_is)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0));
	struct grant *i;

	grow_configure("\"growth\":{\"idle\":1}");
	cr_assert_eq(apply(1, &a), 0);
	wait_owned(1);
	i = grants_find(gr.g, gr.out, a.port_lo);
	i->seen_s = boottime_s() - 5;
	passes_go_by(2);
	cr_expect_eq(i->state, GRANT_OPEN);
	i->seen_s = boottime_s() - 10;
	passes_go_by(2);
	wait_owned(0);
}

/* The grant of a peer's, with a session here if there is to be one, and its end by idleness. */
static struct grant_act end_idle(bool with_session, struct grant **ret)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), end = a;

	cr_assert_eq(apply(1, &a), 0);
	wait_owned(1);
	*ret = grants_find(gr.g, gr.out, a.port_lo);
	if (with_session)
		put_session(gr.in, 5000, a.port_lo);
	growth_set_peers(gr.growth, 1U << 1);
	end.in_addr = 0;
	end.idle = true;
	end.stamp += 5 << 16;
	cr_assert_eq(apply(1, &end), 0);
	return end;
}

Test(growth_peers, an_end_by_idleness_gives_way_where_the_block_has_sessions_which_is_told)
{
	struct grant *i;
	struct grant_act end = end_idle(true, &i), told;

	passes_go_by(2);
	cr_expect(i->state == GRANT_OPEN && i->in_addr == gr.in && !i->peer && !i->yields && !i->idle);
	cr_assert_eq(gr.told.n_acts, 1);
	told = gr.told.act[0];
	cr_expect_eq(told.in_addr, gr.in);
	cr_expect_eq(told.stamp, end.stamp + 1, "no act that has followed the end is undone");
	cr_assert_eq(gr.told.n, 2);
	cr_expect(gr.told.made[1] && !gr.told.grant[1].peer, "it is reported again");
	cr_expect_eq(apply(1, &end), 0, "the same end again");
	passes_go_by(2);
	cr_expect_eq(i->state, GRANT_OPEN);
	cr_expect_str_eq(grant_lines(), "+10.0.0.3:58752");
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, an_end_by_idleness_ends_a_block_without_sessions)
{
	struct grant *i;
	struct grant_act end = end_idle(false, &i), told;

	wait_owned(0);
	cr_expect(i->state == GRANT_RESTS && i->stamp == end.stamp && i->idle);
	told = growth_act_of(i);
	cr_expect(!told.in_addr && told.idle && told.stamp == end.stamp);
	cr_expect_eq(gr.told.n_acts, 0, "it is the peer's act");
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, a_revocation_by_a_peer_ends_sessions_as_does_a_grant_to_another)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), later = a;

	for (unsigned k = 0; k < 2; k++) {
		cr_assert_eq(apply(1, &a), 0);
		wait_owned(1);
		put_session(gr.in, 5000, a.port_lo);
		later.stamp = a.stamp + (5 << 16);
		later.in_addr = k ? gr.in + 1 : 0;
		cr_expect_eq(apply(1, &later), k ? -EAGAIN : 0);
		wait_owned(0);
		a.stamp = later.stamp + (5 << 16);
	}
}

Test(growth_peers, a_grant_that_follows_an_end_by_idleness_is_the_subscribers_again)
{
	struct grant *i;
	struct grant_act end = end_idle(false, &i), again = act(gr.in, 3, end.stamp + 1);

	cr_assert_eq(i->state, GRANT_CLOSED);
	cr_expect_eq(apply(2, &again), 0);
	passes_go_by(2);
	cr_expect(i->state == GRANT_OPEN && i->peer == 2 && i->stamp == again.stamp && !i->yields);
	cr_expect_eq(faults(false), 0);
}

Test(growth_peers, what_a_block_ended_by_is_known_to_the_next_agent)
{
	struct grant *i;
	struct grants *next;

	end_idle(false, &i);
	wait_owned(0);
	cr_assert_eq(grants_open(gr.m, &next, &gr.err), 0, "%s", gr.err.text);
	cr_expect(growth_act_of(grants_find(next, gr.out, i->port_lo)).idle);
	grants_close(next);
	grants_find(gr.g, gr.out, i->port_lo)->seen_s = 1;
}

Test(growth_peers, a_block_that_this_gateway_takes_back_as_idle_is_told_so_and_a_revoked_one_is_not)
{
	for (unsigned k = 0; k < 2; k++) {
		struct grant *i = granted(gr.in);

		if (k)
			cr_assert_eq(growth_revoke(gr.growth, gr.out, i->port_lo, 0), 0);
		else
			i->seen_s = 1;
		passes_go_by(2);
		wait_owned(0);
		cr_expect_eq(gr.told.act[gr.told.n_acts - 1].in_addr, 0);
		cr_expect_eq(gr.told.act[gr.told.n_acts - 1].idle, !k);
	}
}

static void history_is_full(bool full)
{
	const struct rlimit limit = { full ? 1 : RLIM_INFINITY, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(growth_peers, an_act_that_cannot_be_recorded_is_to_come_again)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0));

	history_is_full(true);
	cr_assert_eq(growth_apply(gr.growth, 1, &a), -EAGAIN);
	while (grants_of(gr.g, gr.in, NULL))
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_expect_eq(growth_apply(gr.growth, 1, &a), -EAGAIN);
	history_is_full(false);
	trouble_clear(TROUBLE_HISTORY);
	while (growth_apply(gr.growth, 1, &a))
		event_base_loop(gr.base, EVLOOP_ONCE);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in);
}
