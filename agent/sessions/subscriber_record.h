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
int subscriber_record_read(struct mappings *m, int number, uint32_t in_addr, struct subscriber_record *ret);

/* Sums over the subscribers of a mapping that have adjoining addresses, in slices; those with exceptions are left out.
 */
struct pool_figures {
	uint32_t excepted; /* addresses that have another mapping */
	uint32_t active;   /* subscribers that have sessions */
	uint32_t at_quota;
	uint64_t sessions;
	uint64_t refused; /* packets */
};
struct pool_walk;
/* number: of the mapping, whose addresses of one outside address these are; -1: those of all. 0 or -ENOMEM. */
int pool_walk_new(struct mappings *m, int number, uint32_t first, uint32_t last, struct pool_walk **ret);
/* Goes on for about budget_us microseconds: 1 more to do, 0 done with *ret. */
int pool_walk_step(struct pool_walk *w, unsigned budget_us, struct pool_figures *ret);
void pool_walk_free(struct pool_walk *w); /* NULL is allowed */

#endif
