/* SPDX-License-Identifier: BSD-2-Clause */
/* The outside addresses of all mappings one by one: their state, the number of their subscribers, and spare ones. */
#ifndef DETNAT_POOL_STATES_H
#define DETNAT_POOL_STATES_H

#include "config/config.h"
#include "tables/mappings.h"

#define POOL_STATES(X)                                                                  \
	X(POOL_IN_USE, "in use")	 /* it has subscribers */                       \
	X(POOL_DRAINING, "draining")	 /* it has none, but earlier sessions */        \
	X(POOL_OUT_OF_USE, "out of use") /* neither; exceptions have its subscribers */ \
	X(POOL_SPARE, "spare")		 /* in `spare` of a mapping, and in no pool */

enum pool_state {
#define X(constant, text) constant,
	POOL_STATES(X)
#undef X
		N_POOL_STATES
};

extern const char *const pool_state_texts[N_POOL_STATES];

/* Outside addresses of one mapping: its pool, or the free part of a spare prefix. */
struct pool {
	struct prefix out;
	struct prefix in; /* of the mapping */
	struct prefix of; /* outside prefix of the mapping */
	char name[LABEL_TEXT];
	int number; /* of the mapping in the tables; -1: spare */
	uint8_t tenant;
	struct geometry geo;
};

struct pool_address {
	const struct pool *pool;
	enum pool_state state;
	uint32_t addr;
	uint64_t subscribers;
	uint64_t sessions; /* from the subscribers' records, so expired ones not yet swept count */
};

struct pool_states;

/*
 * Takes a snapshot of the pools, only of those within a prefix if that is not NULL. 0, -ENOENT: there are none,
 * -ENOMEM.
 */
int pool_states_new(const struct mappings *m, const struct config *c, const struct prefix *within,
		    struct pool_states **ret);
void pool_states_free(struct pool_states *p); /* NULL is allowed */

/* The next address, in order; false: that was the last. Mappings may be added and deleted between calls. */
bool pool_states_next(struct pool_states *p, struct pool_address *ret);

/* Skips a pool that is wholly in use, if the next address is its first. Returns its number of addresses. */
uint64_t pool_states_pass(struct pool_states *p);

#endif
