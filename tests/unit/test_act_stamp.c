// SPDX-License-Identifier: BSD-2-Clause
/* Stamps of acts that gateways share. */
#include <criterion/criterion.h>

#include "base/act_stamp.h"
#include "base/clock.h"

Test(act_stamp, is_the_time_in_milliseconds_above_sixteen_bits)
{
	const uint64_t before = wall_clock_ms(), stamp = act_stamp_next(0), after = wall_clock_ms();

	cr_expect(stamp >> 16 >= before && stamp >> 16 <= after);
	cr_expect_lt(stamp, ACT_STAMP_MAX);
}

Test(act_stamp, is_a_millisecond_later_than_one_that_is_ahead)
{
	const uint64_t ahead = act_stamp_next(0) + (3600000ULL << 16);

	cr_expect_eq(act_stamp_next(ahead) >> 16, (ahead >> 16) + 1);
	cr_expect_eq(act_stamp_next(ahead | 0xffff) >> 16, (ahead >> 16) + 1);
}

Test(act_stamp, of_two_gateways_in_one_millisecond_differs)
{
	const uint64_t ahead = act_stamp_next(0) + (3600000ULL << 16);
	unsigned same = 0;

	for (unsigned i = 0; i < 64; i++)
		same += act_stamp_next(ahead) == act_stamp_next(ahead);
	cr_expect_lt(same, 8, "%u of 64", same);
}
