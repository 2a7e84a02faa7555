/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may have one more lease, as there is room for a limited number. Each subscriber is assured some, for which room
 * is kept; the rest goes to whoever asks first. So whatever others do, also in the name of neighbours, a subscriber
 * gets those that it is assured.
 */
#ifndef DETNAT_PCP_SHARES_H
#define DETNAT_PCP_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcp_shares {
	uint32_t limit;	  /* leases of all subscribers */
	uint32_t assured; /* of each; 0: there are more subscribers than leases */
	uint32_t common;  /* with that many leases of all, nobody gets more than it is assured */
};

/*
 * Shares of a limit. If it is enough for all, each subscriber is assured max_per_subscriber; otherwise half of it is
 * kept for what is assured, or as much as one lease for each takes.
 */
struct pcp_shares pcp_shares_of(uint32_t limit, uint64_t subscribers, uint32_t max_per_subscriber);

/* Whether a subscriber with that many leases may have one more, where there are `total` of all. */
bool pcp_shares_admit(const struct pcp_shares *s, size_t total, uint32_t own);

#endif
