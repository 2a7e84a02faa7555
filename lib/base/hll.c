/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hll.h"

/* Ranks are 1 to MAX_RANK; 0: the register is empty. */
#define MAX_RANK (64U - HLL_BITS)

/* 1 / (2 ln 2) */
#define ALPHA 0.721347520444481704

/* The sum of x^(2^k) * 2^(k-1) from k = 1 on, plus x; x: the share of empty registers, below 1. */
static double sigma(double x)
{
	double sum = x, before, weight = 1;

	do {
		x *= x;
		before = sum;
		sum += x * weight;
		weight += weight;
	} while (sum > before);
	return sum;
}

uint32_t hll_count(const struct hll *h)
{
	uint32_t n[MAX_RANK + 1] = { 0 };
	double z = 0;

	for (unsigned i = 0; i < HLL_REGISTERS; i++)
		n[h->rank[i]]++;
	if (n[0] == HLL_REGISTERS)
		return 0;
	for (unsigned rank = MAX_RANK; rank; rank--)
		z = (z + n[rank]) / 2;
	z += HLL_REGISTERS * sigma((double)n[0] / HLL_REGISTERS);
	return (uint32_t)(ALPHA * HLL_REGISTERS * HLL_REGISTERS / z + 0.5);
}
