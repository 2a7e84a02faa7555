/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers of the benchmarks, quickly made: xorshift. */
#ifndef DETNAT_BENCH_RANDOM_H
#define DETNAT_BENCH_RANDOM_H

#include <stdint.h>

/* For numbers that are the same in every run. */
#define RANDOM_SEED 0x9e3779b97f4a7c15ULL

/* seed: any but 0 to begin with. */
static inline uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
