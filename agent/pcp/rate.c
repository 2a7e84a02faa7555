/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/rate.h"

#define SHIFT (64 - __builtin_ctz(PCP_RATE_PLACES))

/* The place of a source in this second, or the one it may take. There always is one: few of them are of this second. */
static struct pcp_rate_place *place_of(struct pcp_rate *r, uint64_t source)
{
	uint64_t at = (source * r->seed * 0x9e3779b97f4a7c15ULL) >> SHIFT;

	while (r->place[at].second == r->second && r->place[at].taken && r->place[at].source != source)
		at = (at + 1) % PCP_RATE_PLACES;
	return &r->place[at];
}

bool pcp_rate_take(struct pcp_rate *r, uint32_t addr, uint32_t ifindex, uint64_t second)
{
	uint64_t source = (uint64_t)ifindex << 32 | addr;
	struct pcp_rate_place *place;

	if (second != r->second) {
		r->second = second;
		r->taken = 0;
	}
	place = place_of(r, source);
	if (place->second != second || !place->taken)
		*place = (struct pcp_rate_place){ .second = second, .source = source };
	if (place->taken >= PCP_PER_SOURCE || r->taken >= PCP_PER_SECOND)
		return false;
	place->taken++;
	r->taken++;
	return true;
}
