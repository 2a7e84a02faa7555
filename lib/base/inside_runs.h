/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides to which of several prefixes an address belongs if one may lie within another: the longest. Prefixes become
 * runs of addresses, disjoint and in order. Addresses are in host byte order.
 */
#ifndef DETNAT_INSIDE_RUNS_H
#define DETNAT_INSIDE_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct inside_prefix {
	uint32_t base;
	uint8_t plen;
	uint16_t number;
};

/* Addresses first..last, both included. */
struct inside_run {
	uint32_t first;
	uint32_t last;
	uint16_t number;
};

/* Maximum number of runs of n prefixes. */
#define INSIDE_RUNS(n) (2 * (size_t)(n))

/* Sorts the prefixes, which must differ, by address, the shorter first; writes their runs and returns their number. */
size_t inside_runs(struct inside_prefix *prefix, size_t n, struct inside_run *ret);

/* Index of the first run that ends at or above an address; n if there is none. */
size_t inside_run_at(const struct inside_run *run, size_t n, uint32_t addr);

#endif
