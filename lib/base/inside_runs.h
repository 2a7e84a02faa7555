/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides to which of several ranges an address belongs if one may lie within another: the smallest. Ranges become runs
 * of addresses, disjoint and in order. No two overlap in part.
 *
 * Addresses are places: the number of the tenant, 0 without tenants, and the address in host byte order. So the ranges
 * of two tenants never meet, whatever their addresses, and those of one tenant come before those of the next.
 */
#ifndef DETNAT_INSIDE_RUNS_H
#define DETNAT_INSIDE_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct inside_range {
	uint64_t first;
	uint64_t last;
	uint16_t number;
	uint16_t around; /* private: 1 + the place of the range around it; 0: none */
};

/* Places first..last, both included, of one tenant. */
struct inside_run {
	uint64_t first;
	uint64_t last;
	uint16_t number;
};

/* The place behind all others. */
#define INSIDE_END (1ULL << 40)

static inline uint64_t inside_place(uint8_t tenant, uint32_t addr)
{
	return (uint64_t)tenant << 32 | addr;
}

static inline uint32_t inside_addr(uint64_t place)
{
	return (uint32_t)place;
}

static inline uint8_t inside_tenant(uint64_t place)
{
	return (uint8_t)(place >> 32);
}

/* The range of a tenant's prefix. */
static inline struct inside_range inside_range_of(uint8_t tenant, struct prefix in, unsigned number)
{
	return (struct inside_range){ .first = inside_place(tenant, in.base),
				      .last = inside_place(tenant, prefix_last(in)),
				      .number = (uint16_t)number };
}

/* The addresses of a range, without the tenant. */
static inline struct prefix inside_range_prefix(const struct inside_range *r)
{
	return prefix_of(inside_addr(r->first), inside_addr(r->last));
}

/* Maximum number of runs of n ranges. */
#define INSIDE_RUNS(n) (2 * (size_t)(n))

/* Sorts the ranges, which must differ, by place, the larger first; writes their runs and returns their number. */
size_t inside_runs(struct inside_range *range, size_t n, struct inside_run *ret);

/* Index of the first run that ends at or above a place; n if there is none. */
size_t inside_run_at(const struct inside_run *run, size_t n, uint64_t place);

#endif
