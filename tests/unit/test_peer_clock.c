// SPDX-License-Identifier: BSD-2-Clause
/* How far a peer's clock is ahead, from signs of life that take a time on their way. */
#include <criterion/criterion.h>

#include "peers/peer_clock.h"

TestSuite(peer_clock);

static int64_t ahead_of(const struct peer_clock *c)
{
	int64_t ahead = -1;

	cr_assert(peer_clock_ahead(c, &ahead));
	return ahead;
}

Test(peer_clock, nothing_is_known_before_the_first_sign)
{
	const struct peer_clock c = { 0 };
	int64_t ahead = 7;

	cr_expect_not(peer_clock_ahead(&c, &ahead));
	cr_expect_eq(ahead, 7);
}

Test(peer_clock, the_sign_that_came_soonest_counts)
{
	struct peer_clock c = { 0 };

	peer_clock_note(&c, 10000, 10900);
	cr_expect_eq(ahead_of(&c), -900);
	peer_clock_note(&c, 11000, 11020);
	peer_clock_note(&c, 12000, 15000);
	cr_expect_eq(ahead_of(&c), -20);
}

Test(peer_clock, of_the_last_ones_alone)
{
	struct peer_clock c = { 0 };

	peer_clock_note(&c, 90000, 1000);
	for (unsigned i = 1; i < PEER_CLOCK_SIGNS; i++) {
		peer_clock_note(&c, 2000, 2010);
		cr_expect_eq(ahead_of(&c), 89000, "sign %u", i);
	}
	peer_clock_note(&c, 2000, 2010);
	cr_expect_eq(ahead_of(&c), -10, "it was set");
}

Test(peer_clock, either_may_be_ahead_by_any_time)
{
	struct peer_clock c = { 0 };

	peer_clock_note(&c, 0, 1764000000000);
	cr_expect_eq(ahead_of(&c), -1764000000000);
	c = (struct peer_clock){ 0 };
	peer_clock_note(&c, UINT64_MAX, 1764000000000);
	cr_expect_eq(ahead_of(&c), -1764000000001);
}

Test(peer_clock, five_seconds_either_way_are_told_in_whole_ones)
{
	cr_expect_not(peer_clock_differs(0));
	cr_expect_not(peer_clock_differs(4999));
	cr_expect_not(peer_clock_differs(-4999));
	cr_expect(peer_clock_differs(5000));
	cr_expect(peer_clock_differs(-5000));
	cr_expect_eq(peer_clock_seconds(3599600), 3600);
	cr_expect_eq(peer_clock_seconds(-3599600), -3600);
	cr_expect_eq(peer_clock_seconds(400), 0);
	cr_expect_eq(peer_clock_seconds(-400), 0);
}
