/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of pcp/: the server of the Port Control Protocol (RFC 6887), with which subscribers open ports of
 * their own blocks. It listens on UDP port 5351 of the addresses of `pcp.listen` and answers requests that subscribers
 * send through inside interfaces. A lease is a portmap of origin `pcp` (tables/portmap_table.h): it is in force before
 * it is answered.
 */
#ifndef DETNAT_PCP_H
#define DETNAT_PCP_H

#include <event2/event.h>

#include "config/config.h"
#include "datapath/datapath.h"
#include "pcp/pcp_message.h"

struct mappings;
struct pcp;
struct portmaps;

/* Does nothing until configured. All must outlive the result. 0 or -errno with err. */
int pcp_new(struct event_base *base, struct datapath *d, struct mappings *m, struct portmaps *portmaps,
	    struct pcp **ret, struct error *err);
void pcp_free(struct pcp *p); /* leases stay in force; NULL is allowed */

/*
 * Listens at the addresses of the configuration, or stops. If that fails and `wait` is true, it tries again every
 * second, which is TROUBLE_PCP; else it is an error and nothing changes. name is the file's in the message; NULL: none.
 */
int pcp_configure(struct pcp *p, const struct config *c, bool wait, const char *name, struct error *err);

/*
 * Call it once a configuration and its mappings are in force: deletes leases that it does not allow, and begins a new
 * epoch if there were any. lost: number of leases that the change has deleted already.
 */
void pcp_settle(struct pcp *p, const struct config *c, size_t lost);

/* For -t: whether the addresses can be bound. Does not try those of the running configuration (may be NULL). */
int pcp_check(const struct config *c, const struct config *running, const char *name, struct error *err);

/* Requests dropped without an answer: X(constant, name, text) */
#define PCP_DROPS(X)                                                                                      \
	X(PCP_DROP_INTERFACE, "interface", "not by the inside interface on which the source is expected") \
	X(PCP_DROP_SOURCE, "source", "not of a subscriber of a served mapping, or no request")            \
	X(PCP_DROP_RATE, "rate", "too many in a second")                                                  \
	X(PCP_DROP_UNKNOWN, "unknown", "for a new lease of a neighbour that does not answer")             \
	X(PCP_DROP_FORGED, "forged", "for a new lease, not from the neighbour's MAC address")             \
	X(PCP_DROP_SEND, "send", "the answer could not be sent")

enum pcp_drop {
#define X(constant, name, text) constant,
	PCP_DROPS(X)
#undef X
		N_PCP_DROPS
};

/* Unsupported opcodes are counted as one, after the others. */
#define PCP_OPCODE_OTHER N_PCP_OPCODES

struct pcp_figures {
	bool enabled;
	unsigned listening; /* addresses */
	size_t leases;
	uint32_t limit;	  /* of leases */
	uint32_t assured; /* leases of each subscriber, see pcp/leases.h */
	uint32_t common;  /* likewise */
	uint64_t no_room; /* leases refused for lack of room */
	uint32_t epoch;	  /* seconds */
	uint64_t answers[PCP_OPCODE_OTHER + 1][N_PCP_RESULTS];
	uint64_t drops[N_PCP_DROPS];
};

void pcp_figures(const struct pcp *p, struct pcp_figures *ret);

#endif
