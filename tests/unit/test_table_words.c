// SPDX-License-Identifier: BSD-2-Clause
/* Small functions that programs and agent share, by numbers: <detnat/tables.h>, <detnat/fib.h> and limits. */
#include <stdint.h>

#include <criterion/criterion.h>

#include <detnat/fib.h>
#include <detnat/slots.h>
#include <detnat/tables.h>

#define ADDR(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* RFC 1918 and RFC 6598: the first and the last address of each range, and those beside them. */
static const struct {
	uint32_t first, last;
} private[] = {
	{ ADDR(10, 0, 0, 0), ADDR(10, 255, 255, 255) },
	{ ADDR(172, 16, 0, 0), ADDR(172, 31, 255, 255) },
	{ ADDR(192, 168, 0, 0), ADDR(192, 168, 255, 255) },
	{ ADDR(100, 64, 0, 0), ADDR(100, 127, 255, 255) },
};

static void expect_private(uint32_t addr, bool is)
{
	cr_expect_eq(address_is_private(addr), is, "%#x", addr);
	cr_expect_eq(unmatched_drops(UNMATCHED_DROP_PRIVATE, addr), is, "%#x", addr);
	cr_expect_eq(unmatched_drops(UNMATCHED_STRICT, addr), is, "%#x", addr);
	cr_expect_eq(unmatched_drops(UNMATCHED_DROP, addr), 1, "%#x", addr);
	cr_expect_eq(unmatched_drops(UNMATCHED_ROUTE, addr), 0, "%#x", addr);
}

Test(table_words, private_addresses_are_those_of_four_ranges)
{
	for (unsigned i = 0; i < sizeof(private) / sizeof(*private); i++) {
		expect_private(private[i].first, true);
		expect_private(private[i].last, true);
		expect_private(private[i].first - 1, false);
		expect_private(private[i].last + 1, false);
	}
}

Test(table_words, a_hint_is_for_the_addresses_of_its_prefix)
{
	for (uint32_t plen = 1; plen <= 32; plen++) {
		uint32_t base = ADDR(90, 90, 90, 90) & prefix_mask(plen), last = base | ~prefix_mask(plen);
		__u64 hint = fib_hint(base, plen, 0x8007);

		cr_expect_eq(hint & 0xffff, 0x8007);
		cr_expect(fib_hint_is(hint, base), "/%u", plen);
		cr_expect(fib_hint_is(hint, last), "/%u", plen);
		cr_expect_not(fib_hint_is(hint, last + 1), "/%u", plen);
		cr_expect_not(fib_hint_is(hint, base - 1), "/%u", plen);
	}
	cr_expect(fib_hint_is(FIB_NO_HINT, 0), "which is in no mapping");
	cr_expect_not(fib_hint_is(FIB_NO_HINT, 1));
}

Test(table_words, shares_shrink_with_what_is_free)
{
	static const struct {
		__u64 entries, free, parts, share;
	} rows[] = {
		{ 16384, 16384, 8, 2048 }, { 16384, 8192, 8, 512 }, { 16384, 362, 8, 1 },
		{ 16384, 363, 8, 2 },	   { 16384, 1, 8, 1 },	    { 16384, 0, 8, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(table_share(rows[i].entries, rows[i].free, rows[i].parts), rows[i].share, "row %u: %llu",
			     i, table_share(rows[i].entries, rows[i].free, rows[i].parts));
}

Test(table_words, the_first_slots_beyond_ones_own_are_granted_more_readily)
{
	static const struct {
		__u64 sessions, free, share;
	} rows[] = {
		{ 65536, 0, 0 },     { 65536, 1, 1 },	  { 65536, 8, 1 },
		{ 65536, 9, 2 },     { 65536, 504, 63 },  { 65536, 505, 64 },
		{ 65536, 5418, 64 }, { 65536, 5461, 66 }, { 65536, 65536, 9363 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(extent_share(rows[i].sessions, rows[i].free), rows[i].share, "row %u: %llu", i,
			     extent_share(rows[i].sessions, rows[i].free));
}

Test(table_words, times_are_rounded_for_the_subscriber)
{
	cr_expect_eq(ticks_of_seconds(300, 250), 1172);
	cr_expect_eq(ticks_of_seconds(16, 100), 25, "exactly");
	cr_expect_eq(ticks_of_seconds(1, 1000), 16);
	cr_expect_eq(seconds_of_ticks(1172, 250), 300);
	cr_expect_eq(seconds_of_ticks(1171, 250), 299);
}
