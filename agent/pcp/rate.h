/* SPDX-License-Identifier: BSD-2-Clause */
/* How many PCP requests are taken in a second: of one source, and of all. */
#ifndef DETNAT_PCP_RATE_H
#define DETNAT_PCP_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define PCP_PER_SOURCE	10U
#define PCP_PER_SECOND	10000U
#define PCP_RATE_PLACES 32768U /* a power of two, well above the sources that one second can have */

struct pcp_rate {
	uint64_t second;
	uint32_t taken; /* in this second, of all sources */
	uint64_t seed;	/* of the hash, whose input hosts inside can choose; odd */
	struct pcp_rate_place {
		uint64_t second;
		uint64_t source;
		uint32_t taken;
	} place[PCP_RATE_PLACES];
};

/*
 * Counts a request in a second of any clock, or returns false if it is one too many. A source is an address as received
 * by one interface, so that hosts behind others cannot use up its share.
 */
bool pcp_rate_take(struct pcp_rate *r, uint32_t addr, uint32_t ifindex, uint64_t second);

#endif
