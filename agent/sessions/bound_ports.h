/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists the ports that endpoint-independent mapping has bound, <detnat/binding.h>. */
#ifndef DETNAT_BOUND_PORTS_H
#define DETNAT_BOUND_PORTS_H

#include "tables/mappings.h"

struct binding {
	uint32_t in_addr;
	uint32_t out_addr;
	uint16_t in_port;
	uint16_t out_port;
	uint8_t proto;
	uint32_t expires;  /* seconds, unless its sessions keep it */
	uint32_t sessions; /* that count; set only by a walk */
};

/* A non-zero result ends the visits. */
typedef int (*binding_visit)(const struct binding *b, void *arg);

/* Visits the bindings of all subscribers, or of one; -ENOENT if that one is in no mapping. */
struct binding_walk;
int binding_walk_new(struct mappings *m, struct binding_walk **ret);
int binding_walk_new_subscriber(struct mappings *m, uint64_t place, struct binding_walk **ret);
void binding_walk_free(struct binding_walk *w);

/*
 * Visits some: 1: more to do, 0: done, or -ENOMEM. The step ends if `wait`, called before each subscriber, returns
 * true; NULL: it never does.
 */
int binding_walk_step(struct binding_walk *w, unsigned budget_us, binding_visit visit, bool (*wait)(void *arg),
		      void *arg);

/* Visits the bindings of an iteration's present subscriber. */
struct subscriber_iterator;
int bindings_visit(struct subscriber_iterator *it, binding_visit visit, void *arg);

/* Number of ports that a subscriber has bound; 0 if it is in no mapping. */
uint32_t bindings_count(struct mappings *m, uint64_t place);

/* The outside ports of a subscriber that other inside ports use than the one that asks for a port. */

struct held_ports {
	uint16_t own; /* bound to the inside port itself; 0: none */
	uint8_t others[(UINT16_MAX + 1) / 8];
};

static inline bool held_port(const struct held_ports *h, uint16_t port)
{
	return h->others[port / 8] >> port % 8 & 1;
}

/*
 * Finds the ports that bindings and sessions in slots hold for a protocol, except those of the inside endpoint.
 * Sessions in time-wait hold none. Ignores sessions beyond the slots; where there are bindings, these hold their ports.
 * *ret is empty if the address has no sessions.
 */
void held_ports_find(struct mappings *m, uint8_t tenant, struct endpoint in, uint8_t proto, struct held_ports *ret);

#endif
