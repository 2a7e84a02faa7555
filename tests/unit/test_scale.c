// SPDX-License-Identifier: BSD-2-Clause
/* The simulation of tests/scale against closed forms, and its arguments. */
#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "../scale/failures.h"
#include "../scale/hashing.h"
#include "../scale/model.h"

static void near(double found, double wanted, double tolerance, const char *what)
{
	cr_assert(fabs(found - wanted) <= tolerance * fabs(wanted), "%s: %.9g where %.9g was due, within %.1f %%", what,
		  found, wanted, 100 * tolerance);
}

static struct tally simulated(const struct options *options)
{
	struct model model = model_of(options);
	struct tally tally;

	cr_assert_eq(failures_simulate(options, &model, &tally), 0);
	return tally;
}

/* A few gateways that fail so often that chance hardly shows. */
static struct options often_failing(enum layout layout)
{
	struct options options = default_options;

	options.layout = layout;
	options.subscribers = 100000;
	options.mtbf = 100;
	options.repair = 10;
	options.upgrades = 0;
	options.years = 500;
	return options;
}

Test(scale, a_worked_example)
{
	struct options options = default_options;
	struct model model;

	/* 100,000 * 3 Mbit/s in packets of 800 octets, of which 16 cores at 70 % translate 15.68 million a second. */
	options.subscribers = 100000;
	model = model_of(&options);
	near(model.packets, 46.875e6, 1e-9, "packets");
	near(model.cores, 33.482142857, 1e-9, "cores");
	cr_assert_eq(model.needed, 3);
	cr_assert_eq(model.gateways, 6);
	near(model.openings, 100000 * 50 / (0.95 * 30 + 0.05 * 900), 1e-9, "openings");
	options.layout = LAYOUT_RING;
	model = model_of(&options);
	cr_assert_eq(model.gateways, 6);
	near(model.mapped, 2 * 100000 / 6.0, 1e-9, "subscribers in the tables");
	options.layout = LAYOUT_ECMP;
	model = model_of(&options);
	cr_assert_eq(model.gateways, 4);
	cr_assert_eq(model.mapped, 100000);
}

Test(scale, sessions_in_use_are_as_old_as_exponential_lives_make_them)
{
	struct options options = default_options;

	options.long_percent = 0;
	near(model_younger(&options, 30), 1 - exp(-1), 1e-12, "a mean life");
	cr_assert_eq(model_younger(&options, 0), 0);
	options.long_percent = 100;
	near(model_younger(&options, 900 * log(2)), 0.5, 1e-12, "half of them");
}

Test(scale, a_group_is_without_a_gateway_as_often_as_both_are_down)
{
	for (enum layout layout = LAYOUT_PAIR; layout <= LAYOUT_RING; layout++) {
		struct options options = often_failing(layout);
		struct model model = model_of(&options);
		struct tally tally = simulated(&options);
		double down = model_down(&options), seconds = options.years * SECONDS_A_YEAR;

		near(tally.outage / (options.subscribers * seconds), down * down, 0.03,
		     "share of time without a gateway");
		near(tally.failures, model.gateways * options.years * 8766 / (options.mtbf + options.repair), 0.01,
		     "failures");
		near(tally.alone / (model.groups * seconds), 2 * down, 0.02, "machines down a group");
	}
}

Test(scale, sessions_lost_in_a_failover_are_the_share_that_the_model_has)
{
	struct options options = often_failing(LAYOUT_PAIR);
	double sessions = model_of(&options).group * options.sessions, copied = 0;
	struct tally tally = simulated(&options);

	for (unsigned i = 0; i < 1000; i++)
		copied += model_lost_copied(&options, options.min_age + options.interval * (i + 0.5) / 1000) / 1000;
	near(tally.lost / tally.failovers / sessions, model_lost(&options), 0.01, "without copies");
	near(tally.lost_copied / tally.failovers / sessions, copied, 0.02, "with copies");
	near(tally.gap / tally.failovers, options.detection * 0.9 + options.convergence, 0.01, "mean gap");
	cr_assert(tally.gap_most <= options.detection + options.convergence);
}

Test(scale, upgrades_of_pairs_and_rings_lose_nothing)
{
	for (enum layout layout = LAYOUT_PAIR; layout <= LAYOUT_RING; layout++) {
		struct options options = often_failing(layout);
		struct tally tally;

		options.mtbf = 1e7;
		options.upgrades = 12;
		/* So long that the next one is often due before it is over, and has to wait. */
		options.upgrade = 300;
		options.years = 10;
		tally = simulated(&options);
		near(tally.upgrades, model_of(&options).gateways * 120, 0.1, "upgrades");
		near(tally.lost + tally.cut + tally.outage + 1, 1, 0, "sessions and time lost");
	}
}

Test(scale, ecmp_moves_the_share_of_rfc_2992)
{
	struct options options = default_options;

	options.subscribers = 400000;
	for (enum rehash rehash = REHASH_THRESHOLD; rehash <= REHASH_RESILIENT; rehash++) {
		options.rehash = rehash;
		for (unsigned n = 2; n < 9; n++) {
			for (unsigned k = 0; k < n; k++) {
				double found = hashing_moved(&options, n, k), wanted = model_moved(rehash, n, k);

				cr_assert(fabs(found - wanted) < 0.005, "%d, %u of %u: %f, not %f", (int)rehash, k, n,
					  found, wanted);
			}
		}
	}
	/* RFC 2992: a quarter to a half of all, with the share of the gateway that went. */
	near(1.0 / 100 + 0.99 * model_moved(REHASH_THRESHOLD, 100, 0), 0.5, 1e-9, "at the edge");
	near(1.0 / 101 + (1 - 1.0 / 101) * model_moved(REHASH_THRESHOLD, 101, 50), 0.25, 0.02, "in the middle");
}

Test(scale, a_failure_behind_ecmp_ends_its_own_sessions_and_those_that_move)
{
	struct options options = often_failing(LAYOUT_ECMP);
	double n = model_of(&options).gateways, sessions = options.subscribers * options.sessions, moved = 0;
	struct tally tally;

	options.repair = 0.01;
	options.years = 100;
	for (unsigned k = 0; k < n; k++)
		moved += model_moved(REHASH_THRESHOLD, (unsigned)n, k) / n;
	tally = simulated(&options);
	/* As many again when it returns. */
	near(tally.lost / tally.failovers / sessions, 2 * (1 / n + (1 - 1 / n) * moved), 0.01,
	     "of all sessions, a failure");
	options.rehash = REHASH_RESILIENT;
	tally = simulated(&options);
	near(tally.lost / tally.failovers / sessions, 1 / n, 0.01, "resilient");
}

Test(scale, hashes_spread_subscribers_sessions_and_answers)
{
	struct options options = default_options;

	options.subscribers = 1e6;
	options.destinations = 3;
	cr_assert_eq(hashing_scattered(&options, 4), 0, "by source");
	options.hash = HASH_ADDRESSES;
	near(hashing_scattered(&options, 4), 1 - 1.0 / 16, 0.005, "three destinations");
	near(model_scattered(&options, 4), 1 - 1.0 / 16, 1e-12, "the same, in closed form");
	near(hashing_met(&options, 2), 0.5, 0.01, "two gateways");
	near(hashing_met(&options, 8), 0.125, 0.02, "eight");
	cr_assert(hashing_fullest(&options, 4) > 1 && hashing_fullest(&options, 4) < 1.01);
}

Test(scale, the_same_seed_gives_the_same)
{
	struct options options = often_failing(LAYOUT_RING);
	struct tally one, again, other;

	options.years = 10;
	one = simulated(&options);
	again = simulated(&options);
	options.seed = 2;
	other = simulated(&options);
	cr_assert_eq(memcmp(&one, &again, sizeof(one)), 0);
	cr_assert_neq(one.outage, other.outage);
}

Test(scale, too_many_events_are_refused)
{
	struct options options = often_failing(LAYOUT_PAIR);
	struct model model;
	struct tally tally;

	options.years = 1e6;
	model = model_of(&options);
	cr_assert_eq(failures_simulate(&options, &model, &tally), -E2BIG);
}

struct argument_row {
	char *argument[4];
	int result;
	const char *said;
};

Test(scale, arguments_are_read_or_refused_with_a_reason)
{
	static struct argument_row table[] = {
		{ { "--cores", "32" }, 0, "" },
		{ { "--layout", "ring", "--compare" }, 0, "" },
		{ { "--help" }, 1, "" },
		{ { "--core", "32" }, -EINVAL, "no argument '--core'; --help lists them" },
		{ { "cores", "32" }, -EINVAL, "no argument 'cores'" },
		{ { "--cores" }, -EINVAL, "--cores needs a value" },
		{ { "--cores", "many" }, -EINVAL, "--cores is not a number: many" },
		{ { "--cores", "1.5" }, -EINVAL, "--cores is not a whole number from 1 to 4096: 1.5" },
		{ { "--cores", "0" }, -EINVAL, "from 1 to 4096: 0" },
		{ { "--mtbf", "nan" }, -EINVAL, "--mtbf is not a number: nan" },
		{ { "--mtbf", "-1" }, -EINVAL, "from 0.01 to 10000000 h: -1" },
		{ { "--mtbf", "10h" }, -EINVAL, "--mtbf is not a number: 10h" },
		{ { "--layout", "star" }, -EINVAL, "--layout is none of pair, ring, ecmp: star" },
		{ { "--cores", "32", "--seed", "x" }, -EINVAL, "--seed is not a number: x" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char *argv[6] = { "simulate" };
		char said[512] = "", help[8192] = "";
		FILE *err = fmemopen(said, sizeof(said), "w"), *out = fmemopen(help, sizeof(help), "w");
		struct options options = default_options;
		int argc = 1, result;

		while (argc <= 4 && table[i].argument[argc - 1]) {
			argv[argc] = table[i].argument[argc - 1];
			argc++;
		}
		result = options_read(argc, argv, &options, out, err);
		fclose(err);
		fclose(out);
		cr_assert_eq(result, table[i].result, "row %zu: %d", i, result);
		cr_assert(strstr(said, table[i].said) && !*said == !*table[i].said, "row %zu: %s", i, said);
		cr_assert(result == 0 || !memcmp(&options, &default_options, sizeof(options)), "row %zu changed them",
			  i);
		cr_assert(!*help == (result != 1) && (result != 1 || strstr(help, "Examples:")), "row %zu: %s", i,
			  help);
	}
}
