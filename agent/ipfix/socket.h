/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exporter's sockets: non-blocking, bound to the source from the start. A UDP socket is connected to the collector,
 * so that the kernel reports ICMP errors.
 */
#ifndef DETNAT_SOCKET_H
#define DETNAT_SOCKET_H

#include <stdbool.h>

#include "config/config.h"

struct ipfix_socket {
	int fd; /* -1: none */
	bool connected;
	bool refused; /* an ICMP error came back for an earlier message; the reader clears it */
	uint64_t connections;
	struct endpoint collector;
};

/*
 * Opens and binds. The sockets in `own` (-1 for none) may hold the same source and stay usable. 0, or -errno with err
 * if the source is not an address of this machine or its port is taken. A missing route to the collector is no error.
 */
int ipfix_socket_open(const struct collector_endpoint *to, struct endpoint source, const int *own, size_t n_own,
		      struct ipfix_socket *ret, struct error *err);
void ipfix_socket_close(struct ipfix_socket *s);

/* TCP. Begins to connect: 0 if connecting or connected, else -errno. UDP sockets connect by themselves. */
int ipfix_socket_connect(struct ipfix_socket *s);

/* UDP. Sets s->refused if an ICMP error has arrived since the last message. */
void ipfix_socket_poll(struct ipfix_socket *s);

/*
 * UDP. Sends one message, or returns -errno. A pending ICMP error for an earlier message does not make this one fail.
 */
int ipfix_socket_send(struct ipfix_socket *s, const void *message, size_t length);

#endif
