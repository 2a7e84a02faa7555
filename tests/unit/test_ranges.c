/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tables/ranges.h"

Test(ranges, takes_the_first_fit_and_keeps_alignment)
{
	static const struct {
		uint64_t count, align;
		int r;
		uint64_t first;
	} rows[] = {
		{ 3, 1, 0, 0 },
		{ 8, 8, 0, 8 },
		{ 5, 1, 0, 3 },
		{ 1, 16, 0, 16 },
		{ 16, 16, 0, 32 },
		{ 15, 1, 0, 17 },
		{ 52, 4, 0, 48 },
		{ 1, 1, -ENOSPC, 0 },
		{ 0, 1, -EINVAL, 0 },
		{ 1, 0, -EINVAL, 0 },
		{ 1ULL << 40, 1, -ENOSPC, 0 },
	};
	struct ranges r;

	ranges_init(&r, 100);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t first = 12345;

		cr_assert_eq(ranges_alloc(&r, rows[i].count, rows[i].align, &first), rows[i].r, "row %zu", i);
		cr_assert_eq(first, rows[i].r ? 12345 : rows[i].first, "row %zu: %lu", i, first);
	}
	ranges_free_all(&r);
}

Test(ranges, takes_given_ranges_only_where_free_and_gives_back_only_what_was_taken)
{
	struct ranges r;
	struct range next;

	ranges_init(&r, 100);
	cr_assert_eq(ranges_take(&r, 10, 10), 0);
	cr_assert_eq(ranges_take(&r, 20, 1), 0);
	cr_assert_eq(ranges_take(&r, 9, 2), -EEXIST);
	cr_assert_eq(ranges_take(&r, 19, 1), -EEXIST);
	cr_assert_eq(ranges_take(&r, 0, 100), -EEXIST);
	cr_assert_eq(ranges_take(&r, 99, 2), -ERANGE);
	cr_assert_eq(ranges_take(&r, 5, UINT64_MAX), -ERANGE);
	cr_assert_eq(ranges_take(&r, 100, 1), -ERANGE);
	cr_assert_eq(ranges_take(&r, 50, 0), -EINVAL);
	cr_assert_eq(ranges_give(&r, 10, 9), -ENOENT);
	cr_assert_eq(ranges_give(&r, 11, 9), -ENOENT);
	cr_assert(ranges_next(&r, 0, &next) && next.first == 10 && next.count == 10);
	cr_assert(ranges_next(&r, 19, &next) && next.first == 10);
	cr_assert(ranges_next(&r, 20, &next) && next.first == 20);
	cr_assert(!ranges_next(&r, 21, &next));
	cr_assert_eq(ranges_give(&r, 10, 10), 0);
	cr_assert_eq(ranges_give(&r, 10, 10), -ENOENT);
	cr_assert(ranges_next(&r, 0, &next) && next.first == 20);
	ranges_free_all(&r);
}

/* Against a map of octets, one a number. */
Test(ranges, agrees_with_a_plain_model_over_many_random_operations)
{
	enum { SIZE = 256, HELD = 64 };
	struct range held[HELD] = { 0 };
	unsigned char model[SIZE] = { 0 };
	struct ranges r;

	ranges_init(&r, SIZE);
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct range *h = &held[random() % HELD];

		if (h->count) {
			cr_assert_eq(ranges_give(&r, h->first, h->count), 0);
			memset(&model[h->first], 0, h->count);
			h->count = 0;
			continue;
		}

		uint64_t count = 1 + random() % 24, align = 1ULL << random() % 4, expected, first;

		for (expected = 0; expected + count <= SIZE; expected += align)
			if (!memchr(&model[expected], 1, count))
				break;

		int result = ranges_alloc(&r, count, align, &first);

		if (expected + count > SIZE) {
			cr_assert_eq(result, -ENOSPC);
			continue;
		}
		cr_assert_eq(result, 0);
		cr_assert_eq(first, expected);
		memset(&model[first], 1, count);
		*h = (struct range){ first, count };
	}
	ranges_free_all(&r);
}
