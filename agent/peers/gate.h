/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where peers connect: connections from addresses of no peer are closed at once, and of the others only a few may stand
 * there that have not yet proved to be a peer's.
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
	/* Whether the dialler, whose address and whose `listen` these are, is a peer: 0, or -errno with why. */
	int (*admit)(void *arg, uint32_t from, struct endpoint listen, struct error *why);
	/* It has proved to be: the connection is the callee's. */
	void (*enter)(void *arg, struct endpoint listen, struct connection *c, const struct hello *h);
	/* It was not let in. listen: the peer that it said it was, addr 0: it did not come to that. */
	void (*refused)(void *arg, uint32_t from, struct endpoint listen, const char *why);
};

/* A socket that listens there. -errno if that cannot be had. */
int gate_socket(struct endpoint at);

/* Lets peers in by a listening socket, which is the result's, or closed. setup must outlive it. 0 or -ENOMEM. */
int gate_open(const struct connection_setup *setup, int fd, const struct gate_ops *ops, void *arg, struct gate **ret);
void gate_close(struct gate *g);

/* Another descriptor of its listening socket, or -errno. */
int gate_socket_again(const struct gate *g);

#endif
