/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that wait a moment until the kernel knows the neighbour that they name as their source. There are few
 * places: the client of one that loses its place repeats it, and then the neighbour is known.
 */
#ifndef DETNAT_PCP_WAITING_H
#define DETNAT_PCP_WAITING_H

#include <event2/event.h>

#include "pcp/pcp_message.h"
#include "pcp/pcp_socket.h"

#define PCP_WAITING	    64U
#define PCP_WAITING_MS	    1000U
#define PCP_WAITING_LOOK_MS 40U

struct pcp_waiting;

/* Tries a request again, which came to the address `at`. Returns whether it has come to an end. */
typedef bool (*pcp_waiting_try)(void *arg, uint32_t at, const struct pcp_arrival *from, const uint8_t *data,
				size_t size);
/* One is given up. */
typedef void (*pcp_waiting_lost)(void *arg);

int pcp_waiting_new(struct event_base *base, pcp_waiting_try again, pcp_waiting_lost lost, void *arg,
		    struct pcp_waiting **ret); /* -ENOMEM */
void pcp_waiting_free(struct pcp_waiting *w);  /* NULL is allowed */

/* Keeps a request, in the place of the oldest if there is no other. */
void pcp_waiting_add(struct pcp_waiting *w, uint32_t at, const struct pcp_arrival *from, const uint8_t *data,
		     size_t size);

#endif
