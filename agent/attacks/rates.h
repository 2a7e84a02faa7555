/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to attacks/: counters of the datapath for each pool address, and the rates that they give. */
#ifndef DETNAT_ATTACK_RATES_H
#define DETNAT_ATTACK_RATES_H

#include "tables/mappings.h"

/* Outside addresses of a mapping, which may drain. */
struct rate_pool {
	int number; /* of the mapping */
	uint32_t first;
	uint32_t n;
	uint32_t place; /* of the first address in the lists below */
};

/* Zero-initialised: nothing is counted. */
struct rates {
	struct rate_pool *pool; /* by number of the mapping */
	size_t n_pools;
	uint32_t n;	   /* addresses */
	uint32_t *counted; /* by place: the sum of the counters at the last reading */
	uint32_t *rate;	   /* packets a second */
};

/* Whether the pools of the tables are those that are counted. */
bool rates_fit(const struct rates *r, const struct mappings *m);

/*
 * Has the datapath count for the pools of the tables, from 0; those that drain only while there is room. 0, or -ENOMEM
 * and nothing is counted.
 */
int rates_begin(struct rates *r, const struct mappings *m);

/* Nothing is counted any more. */
void rates_end(struct rates *r, const struct mappings *m);

/* Computes the rates since the last call, elapsed_us ago. */
void rates_read(struct rates *r, const struct mappings *m, uint64_t elapsed_us);

/* The place of an address; -1: it is not counted. */
int64_t rates_place(const struct rates *r, int number, uint32_t addr);

#endif
