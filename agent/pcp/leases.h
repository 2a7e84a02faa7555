/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases of PCP as portmaps of that origin: they are in the pinned map with expiry and nonce, so they outlive the
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
 * Decides who may have one more lease, as room is limited. Each subscriber is assured some, for which room is kept; the
 * rest goes to whoever asks first. So whatever others do, even in the name of neighbours, a subscriber gets its assured
 * leases.
 */

struct pcp_shares {
	uint32_t limit;	  /* leases of all subscribers */
	uint32_t assured; /* of each; 0: there are more subscribers than leases */
	uint32_t common;  /* from this total on, no subscriber gets more than its assured leases */
};

/*
 * Shares of a limit. If it suffices for all, each subscriber is assured max_per_subscriber; otherwise half of it, or as
 * much as one lease for each takes, is kept for assured leases.
 */
struct pcp_shares pcp_shares_of(uint32_t limit, uint64_t subscribers, uint32_t max_per_subscriber);

/* Whether a subscriber with that many leases may have one more, with `total` of all. */
bool pcp_shares_admit(const struct pcp_shares *s, size_t total, uint32_t own);

/* The prefixes of a served mapping: those inside alone may be several tenants'. */
struct pcp_served {
	struct prefix in;
	struct prefix out;
};

struct pcp_leases {
	struct mappings *mappings;
	struct portmaps *portmaps;
	struct pcp_served *served;
	size_t n_served;
	uint8_t tenant; /* of the client whose request is decided, by the interface that it came in by; 0: none */
	struct pcp_shares shares;
	uint64_t refused; /* for lack of room */
	uint64_t due_s;	  /* no lease ends before; 0: unknown */
	/* A walk that looks for ended leases: its place, 0: none, and the next end of the others. */
	uint32_t place;
	uint64_t next_due_s;
};

/* The functions of the server's decisions; arg: struct pcp_leases. */
extern const struct pcp_table pcp_lease_table;

/* Takes the mappings that a configuration serves: none if PCP is off. 0 or -ENOMEM. */
int pcp_leases_configure(struct pcp_leases *l, const struct config *c);
void pcp_leases_free(struct pcp_leases *l);

/*
 * Deletes leases that no longer fit: the subscriber is not served, or the port is not in the subscriber's block.
 * Returns their number.
 */
unsigned pcp_leases_trim(struct pcp_leases *l);

/* Deletes ended leases, as many as fit into a slice. Returns whether there may be more. */
bool pcp_leases_expire(struct pcp_leases *l, uint64_t now_s);

#endif
