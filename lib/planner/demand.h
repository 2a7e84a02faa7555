/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The most that a subscriber needs at one moment, whatever plan there is: unexpired sessions, sessions towards one
 * external endpoint (each needs a port of its own), and inside endpoints (with endpoint-independent mapping each needs
 * a port).
 */
#ifndef DETNAT_DEMAND_H
#define DETNAT_DEMAND_H

#include "planner/collection.h"

struct demand {
	uint32_t sessions;
	uint32_t busiest;
	uint32_t endpoints;
	uint64_t opened; /* sessions in all */
};

/* Memory for the work, which grows with the busiest subscriber. Zero-initialised. */
struct demand_work {
	struct demand_entry *table[3];
	size_t room; /* of each, a power of two */
	struct demand_due *heap;
	size_t room_heap;
};
void demand_work_free(struct demand_work *w);

/* The demand of one subscriber, whose flows are sorted by their first packet. 0 or -ENOMEM. */
int demand_of(struct demand_work *w, const struct collection *c, const struct plan_flow *flow, size_t n,
	      struct demand *ret);

#endif
