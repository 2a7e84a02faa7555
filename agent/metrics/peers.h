/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to metrics/: figures of the gateways that sessions are copied to and from. */
#ifndef DETNAT_METRICS_PEERS_H
#define DETNAT_METRICS_PEERS_H

#include <event2/buffer.h>

struct replication;

/* Writes nothing where replication is off, or r is NULL. */
void metrics_peers(const struct replication *r, struct evbuffer *out);

#endif
