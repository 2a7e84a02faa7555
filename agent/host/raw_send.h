/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends whole packets of IPv4 and IPv6 through the kernel's routing. */
#ifndef DETNAT_RAW_SEND_H
#define DETNAT_RAW_SEND_H

#include <stddef.h>
#include <stdint.h>

/* -1: not open yet. */
struct raw_sockets {
	int ipv4;
	int ipv6;
};

struct raw_sockets raw_sockets_none(void);
void raw_sockets_close(struct raw_sockets *s);

/*
 * Sends an IP packet, header included, through the given interface, or by the routing table (0). The family's socket is
 * opened with the first. 0 or -errno.
 */
int raw_send(struct raw_sockets *s, uint32_t ifindex, const void *packet, size_t length);

#endif
