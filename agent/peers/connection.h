/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection between two gateways: the hellos that make its keys, then frames both ways. Frames are handed on in
 * slices, so that a peer that sends a lot holds up nothing else.
 *
 * The dialler's hello has an HMAC by the group's key, so that a stranger gets no further. It could be a repeated one,
 * so the acceptor takes the connection for the peer's only once a frame has come whose key holds the acceptor's own
 * nonce.
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

/* What the owner is told. A connection may be freed in ended() alone, or from outside its own calls. */
struct connection_ops {
	/* For an acceptor: the hello of a dialler that knows the key. 0, or -errno with the reason to close. */
	int (*hello)(void *arg, const struct hello *h, struct error *why);
	/* The other end has proved to be there now. */
	void (*ready)(void *arg, const struct hello *h);
	/* 0; 1: it is not done with the frame, which it gets again after a pause; or -errno with the reason to close.
	 */
	int (*frame)(void *arg, const struct frame *f, struct error *why);
	/* There is room in the output again. */
	void (*room)(void *arg);
	/* It is over: the callee frees it. */
	void (*ended)(void *arg, const char *why);
};

/* What both ends need. */
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

/* Takes a connection that was accepted; fd is the result's, or closed. 0 or -errno. */
int connection_accept(const struct connection_setup *setup, int fd, const struct connection_ops *ops, void *arg,
		      struct connection **ret);

void connection_free(struct connection *c);

/* Another owner from now on. */
void connection_hand_over(struct connection *c, const struct connection_ops *ops, void *arg);

/* Octets that can be sent now: 0 until some have gone, after which room() is called. */
size_t connection_room(const struct connection *c);

/* Adds a frame to the output, whether there is room or not. 0 or -ENOMEM. */
int connection_send(struct connection *c, uint8_t type, uint8_t flags, const void *payload, size_t length);

/* Octets that it holds in its buffers. */
size_t connection_memory(const struct connection *c);

#endif
