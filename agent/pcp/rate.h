/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits the PCP requests accepted in a second: from one source, and from all. */
#ifndef DETNAT_PCP_RATE_H
#define DETNAT_PCP_RATE_H

#include "base/hash.h"

#define PCP_PER_SOURCE 10U
#define PCP_PER_SECOND 10000U

/* Zero-initialised; released by pcp_rate_free(). */
struct pcp_rate {
	uint64_t second;
	uint32_t taken;		   /* in this second, of all sources */
	struct hash_table sources; /* of this second */
};

/*
 * Counts a request in a second of any clock, or returns false if it is one too many or memory is short. A source is an
 * address on the interface that received it, so that hosts behind others cannot use up its share.
 */
bool pcp_rate_take(struct pcp_rate *r, uint32_t addr, uint32_t ifindex, uint64_t second);

void pcp_rate_free(struct pcp_rate *r);

#endif
