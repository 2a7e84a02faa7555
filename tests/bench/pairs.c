// SPDX-License-Identifier: BSD-2-Clause
/*
 * A row and the one that it is compared with, run by run in turn: A B A B. Minutes apart, or seconds, what else the
 * machine does would decide about their ratio. Each pair makes programs and tables of both anew: where memory happens
 * to lie, and code, favours one of them by some percent as long as it stays there. Both do the same in their turns.
 */
#include "stand.h"

#include <string.h>

/* Comparisons of which some goal's ratios lie too far apart are made again. */
#define MOST_ATTEMPTS 3U

/* Pairs of rows that take seconds to fill. */
#define BIG_SESSIONS 1100000U
#define BIG_PAIRS    5U

/* Runs of either row in a pair, until the fastest of them was no accident. */
#define LEAST_RUNS 3U
#define MOST_RUNS  20U

/* A step of each row in turn; false where one of them has no such step. */
static bool step_both(struct bench *b, struct stand *st, const struct step *step, struct sample *ret,
		      struct sample *ret_beside, struct result *res)
{
	const struct step other = { step->what, row_beside(step->row), step->path };

	return partner_step(b->partner, &other, ret_beside, res) && stand_step(st, step, ret);
}

/* Runs in turn, until the fastest ones say what the row and the other one take: a pair. */
static void alternate(struct bench *b, struct stand *st, const struct step *step, struct result *res)
{
	struct series row = { .n = 0 }, beside = { .n = 0 };
	struct sample sample, sample_beside;

	while (row.n < MOST_RUNS && step_both(b, st, step, &sample, &sample_beside, res)) {
		series_add(&row, sample);
		series_add(&beside, sample_beside);
		if (row.n >= LEAST_RUNS && series_settled(&row) && series_settled(&beside))
			break;
	}
	if (!row.n)
		return;
	series_add(&res->path[step->path], series_least(&row));
	series_add(&res->beside[step->path], series_least(&beside));
}

static bool make_pair(struct bench *b, struct stand *st, const struct row *row, struct result *res)
{
	const struct step ways[] = { { STEP_OPEN, row, PATH_OPEN },
				     { STEP_RUN, row, PATH_IN },
				     { STEP_RUN, row, PATH_OUT } };
	const struct step begin = { .what = STEP_BEGIN, .row = row }, end = { .what = STEP_END, .row = row };
	struct sample none;

	if (!step_both(b, st, &begin, &none, &none, res))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		alternate(b, st, &ways[i], res);
	return step_both(b, st, &end, &none, &none, res);
}

/* Whether a goal is about ratios that lie too far apart to say anything. */
static bool is_noisy(const struct result *res)
{
	struct ratio ratio;

	for (unsigned path = 0; path < N_PATHS; path++)
		if (goal_compares(res->row, (enum path)path) && compared(res, (enum path)path, &ratio) &&
		    ratio.spread > MOST_SPREAD)
			return true;
	return false;
}

/* Both rows have the way, and it cannot be said what it takes. */
static void expect_ratios(struct result *res)
{
	struct ratio ratio;

	for (unsigned path = 0; path < N_PATHS; path++) {
		if (!res->beside[path].n || compared(res, (enum path)path, &ratio))
			continue;
		fprintf(stderr, "bench: %s, %s: no packet moved, or as fast as none\n", res->csit,
			path_text((enum path)path));
		res->wrong = true;
	}
}

static void attempt(struct bench *b, const struct row *row, const struct options *o, struct result *res)
{
	static struct stand st;
	unsigned pairs = row_sessions(row) > BIG_SESSIONS && o->rounds > BIG_PAIRS ? BIG_PAIRS : o->rounds;

	st = (struct stand){ .b = b, .o = o };
	for (unsigned i = 0; i < pairs; i++) {
		if (make_pair(b, &st, row, res))
			continue;
		if (st.res.skipped[0])
			memcpy(res->skipped, st.res.skipped, sizeof(res->skipped));
		return;
	}
	memcpy(st.res.path, res->path, sizeof(res->path));
	memcpy(st.res.beside, res->beside, sizeof(res->beside));
	st.res.wrong |= res->wrong;
	*res = st.res;
}

void pairs_run(struct bench *b, const struct row *row, const struct options *o, struct result *ret)
{
	unsigned attempts = 0;

	do {
		*ret = (struct result){ .row = row };
		row_csit_name(row, ret->csit);
		attempt(b, row, o, ret);
		ret->attempts = ++attempts;
		if (ret->skipped[0])
			return;
	} while (!ret->wrong && is_noisy(ret) && attempts < MOST_ATTEMPTS);
	expect_ratios(ret);
}
