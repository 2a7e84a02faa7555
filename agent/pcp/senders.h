/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAC addresses that requests came from, as a filter of the sockets has noted them: see <detnat/pcp_sender.h>. */
#ifndef DETNAT_PCP_SENDERS_H
#define DETNAT_PCP_SENDERS_H

#include <stddef.h>
#include <stdint.h>

#include "pcp/pcp_socket.h"

struct pcp_senders;

/* Loads the filter. 0 or -errno. */
int pcp_senders_new(struct pcp_senders **ret);
void pcp_senders_free(struct pcp_senders *s); /* NULL is allowed */

/* Has the filter look at what a socket receives from now on. 0 or -errno. */
int pcp_senders_watch(const struct pcp_senders *s, int socket);

/* The MAC address that a request came from. 0; -ENOENT: it is not known, or the request is none for a lease. */
int pcp_senders_find(const struct pcp_senders *s, const struct pcp_arrival *from, const uint8_t *data, size_t size,
		     uint8_t ret_mac[static 6]);

#endif
