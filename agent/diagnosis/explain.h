/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What explain has found out about an address, and what follows from it: everything that causes drops, or could
 * surprise, is a finding with advice.
 */
#ifndef DETNAT_EXPLAIN_H
#define DETNAT_EXPLAIN_H

#include <cjson/cJSON.h>

#include "config/active.h"
#include "config/parts.h"
#include "diagnosis/explain_profile.h"
#include "routing/route_lookup.h"
#include "sessions/subscriber_record.h"

enum explain_side { EXPLAIN_NONE, EXPLAIN_INSIDE = DEVICE_INSIDE, EXPLAIN_OUTSIDE = DEVICE_OUTSIDE };

struct explanation {
	const struct parts *context;
	struct endpoint asked;
	bool with_port;
	enum explain_side side;
	const struct mapping *mapping; /* NULL: none */
	int number;		       /* of the mapping, which may be retired */
	bool kept;		       /* in_addr, whose port was asked for, has another mapping */
	bool subscriber;	       /* there is one: the members from in_addr on are its */
	uint32_t in_addr;
	struct port_block block;
	struct explain_profile profile;
	struct explain_destination busiest;
	struct subscriber_record record;
	/* If an outside address was given without a port: its subscribers, from first to last address. */
	uint32_t pool_first;
	uint32_t pool_last;
	struct pool_figures pool;
	struct kernel_way way_in;
	struct kernel_way way_out;  /* addr 0: nothing to ask for */
	bool copied_in, copied_out; /* the datapath takes the next hop from its copy of the routes */
};

/*
 * Writes "kept for ADDR, which NAME maps to ADDR" where an inside address, of whose block in mapping `number` is the
 * question, has another mapping, and nothing of the address drains from this one; returns whether that is so. number: a
 * mapping of the tables.
 */
#define KEPT_TEXT 192
bool explain_kept(const struct parts *a, int number, uint32_t in_addr, char text[static KEPT_TEXT]);

/* The array of findings; NULL when memory is short. */
cJSON *explain_findings(const struct explanation *e);

#endif
