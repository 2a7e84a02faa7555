/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What measured samples say: medians, the ratio of two rows that were measured in turn, and whether a goal is met.
 * Arithmetic alone, which tests/unit/test_bench_judge.c has the cases of.
 */
#ifndef DETNAT_BENCH_JUDGE_H
#define DETNAT_BENCH_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_SAMPLES 80

/* Ratios that lie further apart than this, as a share of their median, say nothing. */
#define MOST_SPREAD 0.03

/* Nanoseconds a packet, of the thread's own time. */
struct sample {
	double ns;
	double floor;	  /* of the floor, measured just before */
	double generator; /* of the generator alone */
	double speedup;	  /* of two cores */
	uint64_t moved;	  /* packets that were counted as they should be */
};

struct series {
	struct sample sample[MAX_SAMPLES];
	unsigned n;
};

/* Sorts the values, of which there is at least one. */
double median(double *values, unsigned n);

/*
 * How far n values lie apart, as a share of their median: the highest less the lowest, without one of each where there
 * are five or more, as one disturbance of the machine does not move the median either. Sorts them.
 */
double spread(double *values, unsigned n);

/* Adds a sample; what has no more room is left out. */
void series_add(struct series *s, struct sample sample);

/* The median of each member by itself; of at least one sample. moved is the least. */
struct sample series_median(const struct series *s);

/* The lowest of each member by itself: of runs of the same, as whatever disturbs a run only adds. */
struct sample series_least(const struct series *s);

/* Whether another run has come as near as a hundredth to the fastest one, and to the fastest one of the generator. */
bool series_settled(const struct series *s);

struct ratio {
	double value;  /* median of the pairs' ratios */
	double spread; /* of them */
	unsigned pairs;
};

/*
 * What a packet of a row takes of one of another row: the first sample of either make a pair, and so on. Both are net,
 * each row's own generator taken off, as it would hide what the rows differ by. False if it cannot be said: there is no
 * pair, or in one of them no packet moved, or took longer than the generator alone.
 */
bool ratio_of_pairs(const struct series *row, const struct series *other, struct ratio *ret);

enum verdict_word {
	VERDICT_MET,
	VERDICT_MISSED,
	VERDICT_NOISY,	    /* the ratios lay too far apart, however near the goal their median is */
	VERDICT_UNMEASURED, /* there is no figure: the row was left out, could not be made or moved nothing */
};

/* The word of a figure with its spread, 0 where it has none, for a limit. */
enum verdict_word verdict_of(double value, double limit, bool at_least, double spread);

/* "ok", "missed", "noisy" or "not measured". */
const char *verdict_word_text(enum verdict_word word);

#endif
