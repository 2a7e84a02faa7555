/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases of PCP as portmaps of that origin: they stand in the pinned map with expiry and nonce, so they outlive the
 * agent. Times in seconds of CLOCK_BOOTTIME.
 */
#ifndef DETNAT_PCP_LEASES_H
#define DETNAT_PCP_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/mapping.h>

#include "base/address.h"
#include "config/config.h"
#include "pcp/lease_table.h"
#include "sessions/bound_ports.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

/*
 * Who may have one more lease, as there is room for a limited number. Each subscriber is assured some, for which room
 * is kept; the rest goes to whoever asks first. So whatever others do, also in the name of neighbours, a subscriber
 * gets those that it is assured.
 */

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

struct pcp_leases {
	struct mappings *mappings;
	struct portmaps *portmaps;
	struct prefix *served; /* inside prefixes of the mappings that are served */
	size_t n_served;
	struct pcp_shares shares;
	uint64_t refused; /* for want of room */
	uint64_t due_s;	  /* none ends before; 0: not known */
	/* A walk that looks for those that have ended: where it is, 0: there is none, and when the others end. */
	uint32_t place;
	uint64_t next_due_s;
};

/* The functions of the server's decisions; arg: struct pcp_leases. */
extern const struct pcp_table pcp_lease_table;

/* Takes the mappings that a configuration serves: none where PCP is off. 0 or -ENOMEM. */
int pcp_leases_configure(struct pcp_leases *l, const struct config *c);
void pcp_leases_free(struct pcp_leases *l);

/*
 * Deletes leases that no longer fit: the subscriber is not served, or the port is not of the subscriber's block.
 * Returns how many.
 */
unsigned pcp_leases_trim(struct pcp_leases *l);

/* Deletes leases that have ended, as many as fit into a slice. Returns whether there may be more. */
bool pcp_leases_expire(struct pcp_leases *l, uint64_t now_s);

#endif
