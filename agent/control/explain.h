/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What explain has found out of an address, and what follows from it: each thing that makes packets be dropped, or
 * could surprise, is a finding with what to do about it.
 */
#ifndef DETNAT_EXPLAIN_H
#define DETNAT_EXPLAIN_H

#include <cjson/cJSON.h>

#include "control/control.h"
#include "control/explain_profile.h"
#include "links/route_lookup.h"

enum explain_side { EXPLAIN_NONE, EXPLAIN_INSIDE, EXPLAIN_OUTSIDE };

/* Of all subscribers of an outside address. */
struct explain_pool {
	uint32_t first; /* inside addresses */
	uint32_t last;
	uint32_t active; /* that have sessions */
	uint32_t at_quota;
	uint64_t sessions;
	uint64_t refused; /* packets */
};

struct explanation {
	const struct control_context *context;
	struct endpoint asked;
	bool with_port;
	enum explain_side side;
	const struct mapping *mapping; /* NULL: none */
	bool subscriber;	       /* there is one: the members from in_addr on are its */
	uint32_t in_addr;
	struct port_block block;
	struct explain_profile profile;
	struct explain_destination busiest;
	uint32_t overflow; /* sessions beyond the slots */
	uint32_t slots;
	uint32_t slots_free;
	uint64_t refused;	  /* packets */
	int64_t quota_refusal;	  /* seconds since the last one for quota, or room beyond the slots; -1: none lately */
	int64_t ports_refusal;	  /* for want of a free port */
	struct explain_pool pool; /* where an outside address was asked for without a port */
	struct explain_way way_in;
	struct explain_way way_out; /* addr 0: nothing to ask for */
};

/* The array of findings; NULL when memory is short. */
cJSON *explain_findings(const struct explanation *e);

/* Whether packets from an inside interface to an outside one are dropped, their source being in no mapping. */
bool explain_unmatched_dropped(const struct config *c, uint32_t addr);

#endif
