/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection between two gateways: the hellos, from which its keys derive, then frames both ways. Frames are passed
 * on in slices, so that a busy peer delays nothing else.
 *
 * The dialler's hello has an HMAC with the group's key, so that a stranger gets no further. As it could be a replay,
 * the acceptor trusts the connection only after a frame whose key includes the acceptor's own nonce.
 */
#ifndef DETNAT_CONNECTION_H
#define DETNAT_CONNECTION_H

#include <event2/event.h>

#include "peers/frame.h"

/* Time for the TCP handshake and both hellos. */
#define CONNECTION_PATIENCE_S 5U
/* Octets that wait in a connection at most, beyond one frame. */
#define CONNECTION_OUTPUT (256U << 10)

struct connection;

/* Callbacks to the owner. They may free a connection only in ended(); otherwise free it outside its own calls. */
struct connection_ops {
	/* For an acceptor: the hello of a dialler that knows the key. 0, or -errno with the reason to close. */
	int (*hello)(void *arg, const struct hello *h, struct error *why);
	/* The other end has proved that it is alive. */
	void (*ready)(void *arg, const struct hello *h);
	/* 0; 1: not done with the frame, which comes again after a pause; or -errno with the reason to close. */
	int (*frame)(void *arg, const struct frame *f, struct error *why);
	/* There is room in the output again. */
	void (*room)(void *arg);
	/* The connection has ended: the callee frees it. */
	void (*ended)(void *arg, const char *why);
};

/* The parameters of both ends. */
struct connection_setup {
	struct event_base *base;
	const uint8_t *key; /* NULL: no HMAC; copied */
	struct endpoint listen;
	uint32_t interval_ms;
	uint64_t tables; /* see tables_identity() */
};

/* Dials a peer, from the address of `listen`. 0 or -errno. */
int connection_dial(const struct connection_setup *setup, struct endpoint to, const struct connection_ops *ops,
		    void *arg, struct connection **ret);

/* Takes an accepted connection and the ownership of fd, also on failure. 0 or -errno. */
int connection_accept(const struct connection_setup *setup, int fd, const struct connection_ops *ops, void *arg,
		      struct connection **ret);

void connection_free(struct connection *c);

/* Gives the connection another owner. */
void connection_hand_over(struct connection *c, const struct connection_ops *ops, void *arg);

/* Octets that can be sent now; at 0, room() is called once some have been sent. */
size_t connection_room(const struct connection *c);

/* Adds a frame to the output, even without room. 0 or -ENOMEM. */
int connection_send(struct connection *c, uint8_t type, uint8_t flags, const void *payload, size_t length);

/* Octets of memory in its buffers. */
size_t connection_memory(const struct connection *c);

#endif
