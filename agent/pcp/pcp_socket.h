/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP sockets of the PCP server: bound to one address each, so that answers leave from where requests went. */
#ifndef DETNAT_PCP_SOCKET_H
#define DETNAT_PCP_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a request came from. */
struct pcp_arrival {
	uint32_t source; /* host byte order */
	uint16_t port;
	uint32_t ifindex; /* of the interface that received it */
};

/* Opens a socket at an address, host byte order. Returns it, or -errno. */
int pcp_socket_open(uint32_t addr);

/* Returns the octets of the next request, which are cut at `size`; -EAGAIN if there is none, or another -errno. */
ssize_t pcp_socket_receive(int fd, uint8_t *data, size_t size, struct pcp_arrival *ret);

/* 0 or -errno. */
int pcp_socket_answer(int fd, const struct pcp_arrival *to, const uint8_t *data, size_t size);

#endif
