/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exporter's sockets: non-blocking, bound to the source from the start. That of UDP is connected to the collector
 * so that the kernel tells when nobody listens there.
 */
#ifndef DETNAT_SOCKET_H
#define DETNAT_SOCKET_H

#include <stdbool.h>

#include "config/config.h"

struct ipfix_socket {
	int fd; /* -1: none */
	bool connected;
	bool refused; /* set where an earlier message was answered by an ICMP error; the reader clears it */
	uint64_t connections;
	struct endpoint collector;
};

/*
 * Opens and binds. The sockets of `own`, each -1 for none, may hold the same source; they stay usable and are not in
 * the way. Returns 0, or -errno with err where the source is not an address of this machine or its port is taken. No
 * route to the collector is no error.
 */
int ipfix_socket_open(const struct collector_endpoint *to, struct endpoint source, const int *own, size_t n_own,
		      struct ipfix_socket *ret, struct error *err);
void ipfix_socket_close(struct ipfix_socket *s);

/* Begins to connect: 0 where it is under way or done, -errno. Of TCP; UDP does so by itself. */
int ipfix_socket_connect(struct ipfix_socket *s);

/* UDP. Sets s->refused where an ICMP error has arrived since the last message. */
void ipfix_socket_poll(struct ipfix_socket *s);

/* UDP. Sends one message, or -errno and nothing sent. An ICMP error that an earlier message met does not cost this one.
 */
int ipfix_socket_send(struct ipfix_socket *s, const void *message, size_t length);

#endif
