/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the sessions that subscribers had when their mapping got its first limit, in slices. */
#ifndef DETNAT_LIMIT_COUNT_H
#define DETNAT_LIMIT_COUNT_H

#include "tables/mappings.h"

struct limit_count;

/* NULL: no subscriber has to be counted, or memory is short. */
struct limit_count *limit_count_new(struct mappings *m);

enum limit_count_progress {
	LIMIT_COUNT_DONE,
	LIMIT_COUNT_MORE,  /* call again at once */
	LIMIT_COUNT_WAITS, /* waiting for a grace period: call again in a millisecond or so */
};
int limit_count_step(struct limit_count *c, unsigned budget_us);
void limit_count_free(struct limit_count *c);

/* Counts the sessions of slots by protocol as the quota does: those that live and are not in time-wait. */
void limit_count_slots(const struct slot *slots, uint32_t n, uint32_t ret[N_LIMITS]);

#endif
