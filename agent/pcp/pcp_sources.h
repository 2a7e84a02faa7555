/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sends a request for a lease, as far as the gateway can tell. The source address of a packet can be forged; but a
 * subscriber on a link of the gateway's answers ARP requests for its address, with the MAC address that its packets
 * come from. Of one behind a router nothing can be told.
 */
#ifndef DETNAT_PCP_SOURCES_H
#define DETNAT_PCP_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "pcp/decide.h"

struct pcp_sources;

int pcp_sources_new(struct pcp_sources **ret); /* 0 or -errno */
void pcp_sources_free(struct pcp_sources *s);  /* NULL is allowed */

/* A MAC address that is to be compared: none, where that is not possible; or one that should be known and is not. */
enum pcp_mac { PCP_MAC_NONE, PCP_MAC_LOST, PCP_MAC_KNOWN };

/*
 * Whether a request by an interface may come from the source that it names. mac is that of its frame, if it is known.
 * resolve: if the kernel does not know the neighbour, it is told to ask for it, at most PCP_RESOLVED_PER_SECOND times.
 */
#define PCP_RESOLVED_PER_SECOND 100U
enum pcp_source pcp_source_of(struct pcp_sources *s, uint32_t source, uint32_t ifindex, enum pcp_mac known,
			      const uint8_t mac[static 6], bool resolve);

#endif
