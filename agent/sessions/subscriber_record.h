/* SPDX-License-Identifier: BSD-2-Clause */
/* What the records of subscribers say beside their sessions, for explain. */
#ifndef DETNAT_SUBSCRIBER_RECORD_H
#define DETNAT_SUBSCRIBER_RECORD_H

#include "tables/mappings.h"

struct subscriber_record {
	uint32_t slots;
	uint32_t slots_free;
	uint32_t overflow;     /* sessions beyond the slots */
	uint64_t refused;      /* packets */
	int64_t quota_refusal; /* seconds since the last refusal for quota, or for room beyond the slots; -1: none
				  lately */
	int64_t ports_refusal; /* since the last one because no port was free */
};

/* 0, or -ENOENT where the address is in no mapping. */
int subscriber_record_read(struct mappings *m, uint32_t in_addr, struct subscriber_record *ret);

/* Sums over subscribers of adjoining addresses, in slices. */
struct pool_figures {
	uint32_t active; /* subscribers that have sessions */
	uint32_t at_quota;
	uint64_t sessions;
	uint64_t refused; /* packets */
};
struct pool_walk;
int pool_walk_new(struct mappings *m, uint32_t first, uint32_t last, struct pool_walk **ret); /* -ENOMEM */
/* Goes on for about budget_us microseconds: 1 more to do, 0 done with *ret. */
int pool_walk_step(struct pool_walk *w, unsigned budget_us, struct pool_figures *ret);
void pool_walk_free(struct pool_walk *w); /* NULL is allowed */

#endif
