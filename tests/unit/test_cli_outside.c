// SPDX-License-Identifier: BSD-2-Clause
/* The addresses that a gateway has or had, by its history. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "outside_ranges.h"

#define OUT(first, last)                                      \
	{                                                     \
		.mapping.out = {(first), PLEN_RANGE, (last) } \
	}

static struct outside_ranges read_ranges(struct history_interval *intervals, size_t n, size_t n_damages)
{
	struct history_index x = { .mappings = { .interval = intervals, .n = n }, .n_damages = n_damages };
	struct outside_ranges ranges = { 0 };

	cr_assert_eq(outside_ranges_read(&x, &(struct history_claims){ 0 }, &ranges), 0);
	return ranges;
}

Test(cli_outside, every_range_that_a_mapping_ever_had_counts)
{
	struct history_interval intervals[] = { OUT(0xcb007120, 0xcb00712f),
						OUT(0x01010100, 0x01010103),
						OUT(0xcb007128, 0xcb007137),
						OUT(0xcb007138, 0xcb00713f),
						{ .mapping.out = PREFIX_NONE } };
	struct outside_ranges r = read_ranges(intervals, ARRAY_SIZE(intervals), 0);
	static const struct {
		uint32_t addr;
		bool held;
	} rows[] = { { 0, false },	    { 0x010100ff, false }, { 0x01010100, true }, { 0x01010103, true },
		     { 0x01010104, false }, { 0xcb00711f, false }, { 0xcb007120, true }, { 0xcb00713f, true },
		     { 0xcb007140, false }, { UINT32_MAX, false } };

	cr_expect(r.known);
	cr_expect_eq(r.n, 2, "neighbours are one range: %zu", r.n);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(outside_ranges_hold(&r, rows[i].addr), rows[i].held, "%08x", rows[i].addr);
	outside_ranges_free(&r);
}

Test(cli_outside, what_may_be_missing_makes_nothing_foreign)
{
	struct history_interval intervals[] = { OUT(0, UINT32_MAX) };
	struct outside_ranges damaged = read_ranges(intervals, 1, 1), none = read_ranges(intervals, 0, 0);

	cr_expect_not(damaged.known);
	cr_expect_not(none.known);
	cr_expect(outside_ranges_hold(&damaged, UINT32_MAX));
	outside_ranges_free(&damaged);
	outside_ranges_free(&none);
}

Test(cli_outside, a_claim_counts)
{
	struct claim_block blocks[] = { { .in = 1, .out = 0xcb007101, .lo = 1, .hi = 2 } };
	struct history_claim claim = { .block = blocks, .n_blocks = 1 };
	struct outside_ranges r = { 0 };

	cr_assert_eq(outside_ranges_read(&(struct history_index){ 0 },
					 &(struct history_claims){ .claim = &claim, .n = 1 }, &r),
		     0);
	cr_expect(r.known && outside_ranges_hold(&r, 0xcb007101) && !outside_ranges_hold(&r, 0xcb007102));
	outside_ranges_free(&r);
}
