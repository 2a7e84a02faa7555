// SPDX-License-Identifier: BSD-2-Clause
#include "judge.h"

#include <stddef.h>
#include <stdlib.h>

/* With fewer values, none is left out of their spread. */
#define ENOUGH_TO_TRIM 5

/* The two fastest runs differ by no more. */
#define SETTLED 0.01

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n & 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double spread(double *values, unsigned n)
{
	double middle = median(values, n);
	unsigned trimmed = n >= ENOUGH_TO_TRIM;

	return (values[n - 1 - trimmed] - values[trimmed]) / middle;
}

void series_add(struct series *s, struct sample sample)
{
	if (s->n < MAX_SAMPLES)
		s->sample[s->n++] = sample;
}

/* A figure of the values of one member. */
typedef double (*figure)(double *values, unsigned n);

static double member(const struct series *s, size_t offset, figure of)
{
	double values[MAX_SAMPLES];

	for (unsigned i = 0; i < s->n; i++)
		values[i] = *(const double *)((const char *)&s->sample[i] + offset);
	return of(values, s->n);
}

static uint64_t least_moved(const struct series *s)
{
	uint64_t least = s->sample[0].moved;

	for (unsigned i = 1; i < s->n; i++)
		if (s->sample[i].moved < least)
			least = s->sample[i].moved;
	return least;
}

static struct sample of_each(const struct series *s, figure of)
{
	return (struct sample){
		.ns = member(s, offsetof(struct sample, ns), of),
		.floor = member(s, offsetof(struct sample, floor), of),
		.generator = member(s, offsetof(struct sample, generator), of),
		.speedup = member(s, offsetof(struct sample, speedup), of),
		.moved = least_moved(s),
	};
}

struct sample series_median(const struct series *s)
{
	return of_each(s, median);
}

static double least(double *values, unsigned n)
{
	median(values, n); /* sorts them */
	return values[0];
}

struct sample series_least(const struct series *s)
{
	return of_each(s, least);
}

/* How much more than the lowest the next one is. */
static double next_to_least(double *values, unsigned n)
{
	median(values, n);
	return values[1] / values[0] - 1;
}

bool series_settled(const struct series *s)
{
	return s->n > 1 && member(s, offsetof(struct sample, ns), next_to_least) <= SETTLED &&
	       member(s, offsetof(struct sample, generator), next_to_least) <= SETTLED;
}

/* Nanoseconds above the generator; none above 0 where there is nothing to compare. */
static double net(const struct sample *s)
{
	return s->moved ? s->ns - s->generator : 0;
}

bool ratio_of_pairs(const struct series *row, const struct series *other, struct ratio *ret)
{
	unsigned pairs = row->n < other->n ? row->n : other->n;
	double values[MAX_SAMPLES];

	for (unsigned i = 0; i < pairs; i++) {
		double a = net(&row->sample[i]), b = net(&other->sample[i]);

		if (a <= 0 || b <= 0)
			return false;
		values[i] = a / b;
	}
	if (!pairs)
		return false;
	*ret = (struct ratio){ .value = median(values, pairs), .spread = spread(values, pairs), .pairs = pairs };
	return true;
}

enum verdict_word verdict_of(double value, double limit, bool at_least, double apart)
{
	if (apart > MOST_SPREAD)
		return VERDICT_NOISY;
	return (at_least ? value >= limit : value <= limit) ? VERDICT_MET : VERDICT_MISSED;
}

const char *verdict_word_text(enum verdict_word word)
{
	static const char *const texts[] = {
		[VERDICT_MET] = "ok",
		[VERDICT_MISSED] = "missed",
		[VERDICT_NOISY] = "noisy",
		[VERDICT_UNMEASURED] = "not measured",
	};

	return texts[word];
}
