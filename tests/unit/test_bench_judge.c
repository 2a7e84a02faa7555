// SPDX-License-Identifier: BSD-2-Clause
/* The arithmetic of the benchmark's comparisons: tests/bench/judge.h. */
#include <criterion/criterion.h>

#include "../bench/judge.h"

#define NEAR 1e-9

static void expect_near(double value, double wanted)
{
	cr_expect_float_eq(value, wanted, NEAR, "%g, not %g", value, wanted);
}

Test(bench_judge, median_is_the_middle_of_odd_and_between_the_middle_two_of_even)
{
	double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 100 }, one[] = { 7 };

	expect_near(median(odd, 3), 5);
	expect_near(median(even, 4), 3.5);
	expect_near(median(one, 1), 7);
}

Test(bench_judge, spread_is_a_share_of_the_median)
{
	double values[] = { 2.2, 2.0, 1.9 }, same[] = { 3, 3, 3 };

	expect_near(spread(values, 3), 0.15);
	expect_near(spread(same, 3), 0);
}

Test(bench_judge, one_disturbed_value_on_each_side_widens_no_spread_of_five_or_more)
{
	double seven[] = { 1.01, 0.2, 1, 1, 1, 9, 0.99 }, two_high[] = { 1, 1, 1, 1, 1, 9, 9 };
	double four[] = { 1, 1, 1, 2 };

	expect_near(spread(seven, 7), 0.02);
	expect_near(spread(two_high, 7), 8);
	expect_near(spread(four, 4), 1);
}

/* A run of so many nanoseconds above the generator's 20. */
static void add(struct series *s, double net)
{
	series_add(s, (struct sample){ .ns = 20 + net, .generator = 20, .floor = 25, .moved = 1000 });
}

Test(bench_judge, ratio_is_the_median_of_the_pairs)
{
	struct series row = { .n = 0 }, plain = { .n = 0 };
	/* The machine grows slower by and by, and then at once: each pair says 1.5 all the same. */
	const double slower[] = { 40, 44, 48, 60, 160 };
	struct ratio r;

	for (unsigned i = 0; i < 5; i++) {
		add(&plain, slower[i]);
		add(&row, 1.5 * slower[i]);
	}
	cr_assert(ratio_of_pairs(&row, &plain, &r));
	expect_near(r.value, 1.5);
	expect_near(r.spread, 0);
	cr_expect_eq(r.pairs, 5);
	/* Of seven pairs one says 1, and one 3. */
	add(&plain, 40);
	add(&row, 40);
	add(&plain, 40);
	add(&row, 120);
	cr_assert(ratio_of_pairs(&row, &plain, &r));
	expect_near(r.value, 1.5);
	expect_near(r.spread, 0);
}

Test(bench_judge, each_row_has_its_own_generator_taken_off)
{
	struct series row = { .n = 0 }, plain = { .n = 0 };
	struct ratio r;

	/* The row's list of flows is longer than a cache. */
	series_add(&row, (struct sample){ .ns = 100, .generator = 40, .moved = 1 });
	series_add(&plain, (struct sample){ .ns = 60, .generator = 20, .moved = 1 });
	cr_assert(ratio_of_pairs(&row, &plain, &r));
	expect_near(r.value, 1.5);
}

Test(bench_judge, what_has_no_partner_is_left_out)
{
	struct series row = { .n = 0 }, plain = { .n = 0 };
	struct ratio r;

	add(&plain, 10);
	add(&row, 20);
	add(&plain, 10);
	cr_assert(ratio_of_pairs(&row, &plain, &r));
	expect_near(r.value, 2);
	cr_expect_eq(r.pairs, 1);
}

/* Whether there is a ratio with such a pair among others. */
static bool pairs_say(struct sample a, struct sample b)
{
	struct series row = { .n = 0 }, plain = { .n = 0 };
	struct ratio r;

	add(&row, 40);
	add(&plain, 40);
	series_add(&row, a);
	series_add(&plain, b);
	return ratio_of_pairs(&row, &plain, &r);
}

Test(bench_judge, rows_that_moved_nothing_have_no_ratio)
{
	const struct sample good = { .ns = 60, .generator = 20, .moved = 1 }, still = { .ns = 60, .generator = 20 },
			    as_none = { .ns = 20, .generator = 20, .moved = 1 };
	struct series none = { .n = 0 };
	struct ratio r;

	cr_expect(pairs_say(good, good));
	cr_expect_not(pairs_say(still, good));
	cr_expect_not(pairs_say(good, still));
	cr_expect_not(pairs_say(still, still), "a pair in which both moved nothing is no ratio of 1");
	cr_expect_not(pairs_say(good, as_none), "nothing above the generator is nothing to divide by");
	cr_expect_not(pairs_say(as_none, good));
	cr_expect_not(ratio_of_pairs(&none, &none, &r));
}

Test(bench_judge, least_of_a_series_is_of_each_member)
{
	struct series s = { .n = 0 };
	struct sample m;

	series_add(&s, (struct sample){ .ns = 3, .generator = 10, .floor = 9, .moved = 5 });
	series_add(&s, (struct sample){ .ns = 1, .generator = 30, .floor = 8, .moved = 0 });
	series_add(&s, (struct sample){ .ns = 2, .generator = 20, .floor = 7, .moved = 9 });
	m = series_least(&s);
	expect_near(m.ns, 1);
	expect_near(m.generator, 10);
	expect_near(m.floor, 7);
	cr_expect_eq(m.moved, 0, "one run that moved nothing is not passed over");
}

Test(bench_judge, series_is_settled_when_its_fastest_runs_agree)
{
	struct series s = { .n = 0 };

	series_add(&s, (struct sample){ .ns = 100, .generator = 20 });
	cr_expect_not(series_settled(&s));
	series_add(&s, (struct sample){ .ns = 180, .generator = 20.1 });
	cr_expect_not(series_settled(&s));
	series_add(&s, (struct sample){ .ns = 100.9, .generator = 44 });
	cr_expect(series_settled(&s));
	/* A faster one: the others were disturbed. */
	series_add(&s, (struct sample){ .ns = 90, .generator = 20 });
	cr_expect_not(series_settled(&s));
	series_add(&s, (struct sample){ .ns = 90, .generator = 15 });
	cr_expect_not(series_settled(&s));
	series_add(&s, (struct sample){ .ns = 200, .generator = 15 });
	cr_expect(series_settled(&s));
}

Test(bench_judge, median_of_a_series_is_of_each_member_and_of_the_least_that_moved)
{
	struct series s = { .n = 0 };
	struct sample m;

	series_add(&s, (struct sample){ .ns = 3, .generator = 10, .floor = 7, .speedup = 2, .moved = 5 });
	series_add(&s, (struct sample){ .ns = 1, .generator = 30, .floor = 8, .speedup = 1, .moved = 0 });
	series_add(&s, (struct sample){ .ns = 2, .generator = 20, .floor = 9, .speedup = 3, .moved = 9 });
	m = series_median(&s);
	expect_near(m.ns, 2);
	expect_near(m.generator, 20);
	expect_near(m.floor, 8);
	expect_near(m.speedup, 2);
	cr_expect_eq(m.moved, 0);
}

Test(bench_judge, series_that_is_full_takes_no_more)
{
	struct series s = { .n = 0 };

	for (unsigned i = 0; i < MAX_SAMPLES + 3; i++)
		add(&s, 1);
	cr_expect_eq(s.n, MAX_SAMPLES);
}

Test(bench_judge, noisy_is_no_pass_and_a_limit_may_be_reached)
{
	cr_expect_eq(verdict_of(2.0, 2.0, false, 0), VERDICT_MET);
	cr_expect_eq(verdict_of(2.01, 2.0, false, 0), VERDICT_MISSED);
	cr_expect_eq(verdict_of(1.95, 1.95, true, 0), VERDICT_MET);
	cr_expect_eq(verdict_of(1.94, 1.95, true, 0), VERDICT_MISSED);
	cr_expect_eq(verdict_of(1.0, 2.0, false, MOST_SPREAD), VERDICT_MET);
	cr_expect_eq(verdict_of(1.0, 2.0, false, MOST_SPREAD + 0.001), VERDICT_NOISY);
	cr_expect_eq(verdict_of(3.0, 2.0, false, MOST_SPREAD + 0.001), VERDICT_NOISY);
}
