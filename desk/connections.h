/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connections of clients: at most CONNECTIONS_MAX. A client has CONNECTION_REQUEST_S seconds for its request and
 * CONNECTION_LIFE_S in all; from half as many on, the one that has waited longest without a request is closed for the
 * next.
 */
#ifndef DETNAT_DESK_CONNECTIONS_H
#define DETNAT_DESK_CONNECTIONS_H

#define CONNECTIONS_MAX	     256U
#define CONNECTION_REQUEST_S 20
#define CONNECTION_LIFE_S    60

struct connection;

/* Thread-safe. Returns NULL if none is to be had; the caller then closes the descriptor. */
struct connection *connection_begin(int fd);
/* Its request is there in full, or as far as it will be read. */
void connection_has_request(struct connection *c);
/* Before the descriptor is closed. */
void connection_end(struct connection *c);

/* Starts the thread that closes slow ones. 0 or -errno. */
int connections_watch(void);

#endif
