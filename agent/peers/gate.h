/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where peers connect: connections from addresses of no peer are closed at once, and only a few others may be open
 * without proof that they are a peer's.
 */
#ifndef DETNAT_GATE_H
#define DETNAT_GATE_H

#include "peers/connection.h"

/* Connections without a proof, beyond which the oldest is closed. */
#define GATE_PLACES 16U

struct gate;

struct gate_ops {
	/* Whether a peer has this address. */
	bool (*known)(void *arg, uint32_t addr);
	/* Whether the dialler, with this address and this `listen`, is a peer: 0, or -errno with the reason. */
	int (*admit)(void *arg, uint32_t from, struct endpoint listen, struct error *why);
	/* The dialler has proved that it is a peer: the callee owns the connection. */
	void (*enter)(void *arg, struct endpoint listen, struct connection *c, const struct hello *h);
	/* The dialler was refused. listen: the peer that it claimed to be, addr 0: unknown. */
	void (*refused)(void *arg, uint32_t from, struct endpoint listen, const char *why);
};

/* A socket that listens there, or -errno. */
int gate_socket(struct endpoint at);

/*
 * Lets peers in through a listening socket. Takes ownership of fd, also on failure. setup must outlive it. 0 or
 * -ENOMEM.
 */
int gate_open(const struct connection_setup *setup, int fd, const struct gate_ops *ops, void *arg, struct gate **ret);
void gate_close(struct gate *g);

/* Another descriptor of its listening socket, or -errno. */
int gate_socket_again(const struct gate *g);

#endif
