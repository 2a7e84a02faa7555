// SPDX-License-Identifier: BSD-2-Clause
/* Acts of peers on granted blocks. */
#include <errno.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "growing_fixture.h"

TestSuite(growth_peers, .init = growing_setup_agent, .fini = growing_teardown_agent, .timeout = 60);

static struct grant_act act(uint32_t in_addr, uint32_t block, uint64_t stamp)
{
	return (struct grant_act){ in_addr, gr.out, (uint16_t)(SHARED + block * BLOCK), BLOCK, stamp };
}

Test(growth_peers, of_two_acts_on_a_block_the_later_counts)
{
	struct grant_act a = act(gr.in, 3, act_stamp_next(0)), b = act(gr.in + 1, 3, a.stamp + (1 << 16)), end = b;

	cr_assert_eq(growth_apply(gr.growth, 1, &b), 0);
	wait_owned(1);
	cr_expect_eq(growth_apply(gr.growth, 1, &a), 0, "an earlier one changes nothing");
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in + 1);
	a.stamp = b.stamp + (1 << 16);
	cr_expect_eq(growth_apply(gr.growth, 1, &a), -EAGAIN, "sessions end first");
	wait_owned(0);
	cr_assert_eq(growth_apply(gr.growth, 1, &a), 0);
	wait_owned(1);
	cr_expect_eq(grants_owner(gr.g, gr.out, a.port_lo)->in_addr, gr.in);
	end.in_addr = 0;
	end.stamp = a.stamp - 1;
	cr_expect_eq(growth_apply(gr.growth, 1, &end), 0);
	cr_expect_eq(owned(), 1);
	end.stamp = a.stamp + 1;
	cr_expect_eq(growth_apply(gr.growth, 1, &end), 0);
	wait_owned(0);
	cr_expect_eq(grants_find(gr.g, gr.out, a.port_lo)->stamp, end.stamp);
}

Test(growth_peers, acts_on_blocks_that_no_subscriber_here_can_have_are_refused)
{
	struct grant_act ok = act(gr.in, 3, act_stamp_next(0)), wrong;

	wrong = ok;
	wrong.in_addr = tables_addr("10.0.1.3");
	cr_expect_eq(growth_apply(gr.growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo++;
	cr_expect_eq(growth_apply(gr.growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.ports = 64;
	cr_expect_eq(growth_apply(gr.growth, 1, &wrong), -EINVAL);
	wrong = ok;
	wrong.port_lo = 1024;
	cr_expect_eq(growth_apply(gr.growth, 1, &wrong), -EINVAL);
	cr_expect_eq(growth_apply(gr.growth, 1, &ok), 0);
	wait_owned(1);
}
