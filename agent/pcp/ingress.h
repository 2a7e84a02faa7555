/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a request came in by the interface on which its source is expected (RFC 6887 section 8.2): another one could
 * be a subscriber who opens ports of a neighbour's.
 */
#ifndef DETNAT_PCP_INGRESS_H
#define DETNAT_PCP_INGRESS_H

#include "datapath/datapath.h"

struct pcp_ingress;

int pcp_ingress_new(const struct datapath *d, struct pcp_ingress **ret); /* d must outlive it; -errno */
void pcp_ingress_free(struct pcp_ingress *i);				 /* NULL is allowed */

/* Whether an interface has the role `inside`. */
bool pcp_ingress_is_inside(const struct pcp_ingress *i, uint32_t ifindex);

/*
 * Whether the route back to a source leaves by an inside interface. Asks the kernel, unless the interface's
 * reverse-path filter is strict: then the kernel has checked it.
 */
bool pcp_ingress_leads_back(struct pcp_ingress *i, uint32_t source, uint32_t ifindex);

#endif
