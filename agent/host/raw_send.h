/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends whole IPv4 packets through the kernel's routing. */
#ifndef DETNAT_RAW_SEND_H
#define DETNAT_RAW_SEND_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sends an IPv4 packet, header included, through the given interface, or by the routing table (0). *socket is opened if
 * it is negative, and belongs to the caller. 0 or -errno.
 */
int raw_send(int *socket, uint32_t ifindex, const void *packet, size_t length);

#endif
