/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bindings of granted ports, <detnat/growth.h>, as the agent sees them: visited, kept and removed. The datapath makes
 * them; it removes them too, when another inside endpoint gets the port.
 */
#ifndef DETNAT_GRANTED_PORTS_H
#define DETNAT_GRANTED_PORTS_H

#include "tables/mappings.h"

struct granted_port {
	uint32_t in_addr;
	uint32_t out_addr;
	uint32_t seen; /* tick of the last use that is known */
	uint16_t in_port;
	uint16_t out_port;
	uint8_t proto;
};

/* A non-zero result ends the visits. */
typedef int (*granted_port_visit)(const struct granted_port *p, void *arg);

/*
 * A walk through all of them, in slices of the event loop; zero-initialised. Those that come or go meanwhile may or may
 * not be visited.
 */
struct granted_port_scan {
	uint32_t cursor;
	uint32_t n;
	bool started;
	struct grant_binding_key *keys;
	struct grant_binding *values;
};

/* Visits some: 1: more to do, 0: done, the result of visit, or -errno. */
int granted_ports_step(struct granted_port_scan *s, const struct datapath *d, granted_port_visit visit, void *arg);
void granted_ports_end(struct granted_port_scan *s);

/*
 * Removes all bindings of a block, once no subscriber has it: after its entry GRANT_OF_OUTSIDE, so that the datapath
 * binds none again. A sweep would do so later; nothing leads to them meanwhile.
 */
void granted_ports_forget(const struct mappings *m, uint32_t out_addr, uint16_t port_lo, uint16_t ports);

/*
 * For the sweep: removes a binding that has long expired, or whose port is not granted to its subscriber, or whose
 * mapping binds no ports of its protocol any more.
 */
void granted_port_sweep(const struct mappings *m, const struct granted_port *p, uint32_t now);

/* For the sweep, of a live session on a granted port: keeps its binding, as binding_keep() does in the block. */
void granted_port_keep(const struct mappings *m, int number, const struct granted_port *p, uint64_t word, uint32_t now);

/* Whether a port is granted to a subscriber of a mapping, by its inside address. */
bool granted_port_is_of(const struct mappings *m, const struct mapping *r, uint32_t in_addr, uint16_t out_port);

/* A granted block, and what is wanted of the sessions on it. */
struct granted_block {
	uint32_t out_addr;
	uint32_t in_addr;
	uint16_t port_lo;
	uint16_t ports;
	bool ends; /* they are to end */
};

/*
 * The sessions on a granted block that are in its subscriber's extent and have not expired; 0, with all of them closed,
 * if they are to end.
 */
uint32_t granted_sessions(struct mappings *m, const struct granted_block *b);

#endif
