/* SPDX-License-Identifier: BSD-2-Clause */
/* How many sessions each port of a subscriber has, for subscribers in the order in which a session walk has them. */
#ifndef DETNAT_PORT_SESSIONS_H
#define DETNAT_PORT_SESSIONS_H

#include "sessions/sessions.h"

struct port_sessions;
/* Takes the walk over, which has not begun. NULL: no memory. */
struct port_sessions *port_sessions_new(struct session_walk *walk);
void port_sessions_free(struct port_sessions *b); /* may be NULL */

/*
 * Goes on to a subscriber, of a kind as a subscriber iterator has it: 1: the time is up, ask again; 0: done, or -errno.
 */
int port_sessions_gather(struct port_sessions *b, unsigned kind, uint32_t in_addr, uint64_t deadline_us);

/* The sessions of that subscriber that count and have a port. */
uint32_t port_sessions_of(const struct port_sessions *b, uint8_t proto, uint16_t out_port);

/* The ports that it has sessions of a protocol on. */
uint32_t port_sessions_ports(const struct port_sessions *b, uint8_t proto);

#endif
