/* SPDX-License-Identifier: BSD-2-Clause */
/* Which outside ports of a subscriber are in use for an inside port other than one that asks for a port. */
#ifndef DETNAT_HELD_PORTS_H
#define DETNAT_HELD_PORTS_H

#include "tables/mappings.h"

struct held_ports {
	uint16_t own; /* bound to the inside port itself; 0: none */
	uint8_t others[(UINT16_MAX + 1) / 8];
};

static inline bool held_port(const struct held_ports *h, uint16_t port)
{
	return h->others[port / 8] >> port % 8 & 1;
}

/*
 * Finds the ports that bindings and sessions in slots hold for a protocol, other than those of the inside endpoint.
 * Sessions in time-wait hold none. Sessions beyond the slots are not looked for; where there are bindings, these hold
 * their ports. *ret is empty where the address has no sessions.
 */
void held_ports_find(struct mappings *m, struct endpoint in, uint8_t proto, struct held_ports *ret);

#endif
