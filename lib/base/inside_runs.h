/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides to which of several ranges an address belongs if one may lie within another: the smallest. Ranges become runs
 * of addresses, disjoint and in order. No two overlap in part. Addresses are in host byte order.
 */
#ifndef DETNAT_INSIDE_RUNS_H
#define DETNAT_INSIDE_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct inside_range {
	uint32_t first;
	uint32_t last;
	uint16_t number;
	uint16_t around; /* private: 1 + the place of the range around it; 0: none */
};

/* Addresses first..last, both included. */
struct inside_run {
	uint32_t first;
	uint32_t last;
	uint16_t number;
};

/* Maximum number of runs of n ranges. */
#define INSIDE_RUNS(n) (2 * (size_t)(n))

/* Sorts the ranges, which must differ, by address, the larger first; writes their runs and returns their number. */
size_t inside_runs(struct inside_range *range, size_t n, struct inside_run *ret);

/* Index of the first run that ends at or above an address; n if there is none. */
size_t inside_run_at(const struct inside_run *run, size_t n, uint32_t addr);

#endif
