// SPDX-License-Identifier: BSD-2-Clause
/* What a session becomes that changes while it is moved to another extent, and the count of its subscriber. */
#include <stdint.h>

#include <criterion/criterion.h>

#include <detnat/extents.h>

#define SEEN 1000

/* Words of one session, and that of a slot that was freed. */
static uint64_t word_of(unsigned i)
{
	static const uint8_t states[] = { SESSION_FREE, SESSION_ESTABLISHED, SESSION_FIN_WAIT,
					  SESSION_ESTABLISHED | SESSION_RESET, SESSION_TIME_WAIT };

	return i ? state_word(2000, 6, states[i], SEEN) : 0;
}

#define WORDS 5

/* The count of the subscriber is as if each end had been counted once. */
Test(extents, a_session_that_is_moved_is_counted_once_whatever_ends_meanwhile)
{
	for (unsigned c = 1; c < WORDS; c++)
		for (unsigned o = 0; o < WORDS; o++)
			for (unsigned n = 0; n < WORDS; n++) {
				uint64_t copied = word_of(c), old = word_of(o), now = word_of(n);
				uint64_t merged = extent_merged(copied, old, now);
				int count = word_is_counted(copied);

				/* Whoever ended it on either side has counted down. */
				count -= word_is_counted(copied) - word_is_counted(old);
				count -= word_is_counted(copied) - word_is_counted(now);
				count += extent_correction(copied, old, now, merged);
				cr_expect_eq(count, word_is_counted(merged), "%u, %u, %u", c, o, n);
			}
}

Test(extents, an_end_on_either_side_ends_a_session_that_is_moved)
{
	for (unsigned i = 1; i < WORDS; i++) {
		cr_expect(word_is_free(extent_merged(word_of(1), 0, word_of(i))), "%u", i);
		cr_expect(word_is_free(extent_merged(word_of(1), word_of(i), 0)), "%u", i);
	}
}

Test(extents, a_change_of_state_comes_along)
{
	for (unsigned i = 1; i < WORDS; i++) {
		cr_expect_eq(extent_merged(word_of(1), word_of(i), word_of(1)), word_of(i), "of the old slot, %u", i);
		cr_expect_eq(extent_merged(word_of(1), word_of(1), word_of(i)), word_of(i), "of the copy, %u", i);
	}
	/* Both have changed: the one that is nearer to the end. */
	cr_expect_eq(extent_merged(word_of(1), word_of(4), word_of(2)), word_of(4));
	cr_expect_eq(extent_merged(word_of(1), word_of(2), word_of(4)), word_of(4));
}

Test(extents, the_later_refresh_comes_along)
{
	const uint64_t copied = word_of(1);

	cr_expect_eq(extent_merged(copied, copied + 5, copied), copied + 5);
	cr_expect_eq(extent_merged(copied, copied, copied + 5), copied + 5);
	cr_expect_eq(extent_merged(copied, word_of(2) + 3, copied + 5), word_of(2) + 5);
	/* Across the end of the clock. */
	cr_expect_eq(word_seen(extent_merged(word_with(copied, 8, UINT32_MAX), word_with(copied, 8, 3),
					     word_with(copied, 8, UINT32_MAX))),
		     3);
}

Test(extents, a_place_holds_bucket_and_size)
{
	for (unsigned shift = 0; shift <= EXTENT_MAX_SHIFT; shift += EXTENT_GROWS_BY) {
		uint32_t extent = extent_of(0x5ffffff - shift, shift);

		cr_expect_eq(extent_first(extent), 0x5ffffff - shift);
		cr_expect_eq(extent_buckets(extent), 1U << shift);
		cr_expect_eq((extent << EXTENT_AT) >> EXTENT_AT, extent, "beside the flag");
	}
	cr_expect_eq(extent_buckets(0), 0);
}

Test(extents, a_list_changes_with_each_word)
{
	uint64_t list = extent_list_with(0, 7);

	cr_expect_eq((uint32_t)list, 7);
	list = extent_list_with(list, 0);
	cr_expect_eq((uint32_t)list, 0);
	cr_expect_eq(list >> 32, 2);
}
