/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exporter's UDP socket: non-blocking, bound to the source, connected to the collector so that the kernel tells
 * when nobody listens there.
 */
#ifndef DETNAT_IPFIX_SOCKET_H
#define DETNAT_IPFIX_SOCKET_H

#include <stdbool.h>

#include "config.h"

struct ipfix_socket {
	int fd; /* -1: none */
	bool connected;
	bool refused; /* set where an earlier message was answered by an ICMP error; the reader clears it */
	struct endpoint collector;
};

/*
 * Opens and binds. `old`, which may hold the same source and stays usable, is not in the way. Returns 0, or -errno with
 * err where the source is not an address of this machine or its port is taken. No route to the collector is no error.
 */
int ipfix_socket_open(const struct config_ipfix *c, const struct ipfix_socket *old, struct ipfix_socket *ret,
		      struct error *err);
void ipfix_socket_close(struct ipfix_socket *s);

/* Sets s->refused where an ICMP error has arrived since the last message. */
void ipfix_socket_poll(struct ipfix_socket *s);

/* Sends one message, or -errno and nothing sent. An ICMP error that an earlier message met does not cost this one. */
int ipfix_socket_send(struct ipfix_socket *s, const void *message, size_t length);

#endif
