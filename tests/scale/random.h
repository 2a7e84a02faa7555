/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers of the simulation: splitmix64, the same on every machine for a seed. */
#ifndef DETNAT_SCALE_RANDOM_H
#define DETNAT_SCALE_RANDOM_H

#include <math.h>
#include <stdint.h>

static inline uint64_t random_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline uint64_t random_next(uint64_t *seed)
{
	return random_mix(*seed += 0x9e3779b97f4a7c15ULL);
}

/* In [0, 1). */
static inline double random_share(uint64_t *seed)
{
	return (double)(random_next(seed) >> 11) * 0x1p-53;
}

/* Exponentially distributed. */
static inline double random_exponential(uint64_t *seed, double mean)
{
	return -mean * log1p(-random_share(seed));
}

#endif
