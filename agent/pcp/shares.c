/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/shares.h"

struct pcp_shares pcp_shares_of(uint32_t limit, uint64_t subscribers, uint32_t max_per_subscriber)
{
	struct pcp_shares s = { .limit = limit, .assured = max_per_subscriber };

	if (subscribers * max_per_subscriber > limit) {
		s.assured = (uint32_t)(limit / 2 / subscribers);
		if (!s.assured)
			s.assured = subscribers <= limit;
	}
	/* Leases beyond what is assured are granted up to here alone, so there are never more than this of them. */
	s.common = limit - (uint32_t)(s.assured * subscribers);
	return s;
}

bool pcp_shares_admit(const struct pcp_shares *s, size_t total, uint32_t own)
{
	return total < (own < s->assured ? s->limit : s->common);
}
