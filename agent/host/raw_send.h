/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole IPv4 packets, sent by the kernel's routing. */
#ifndef DETNAT_RAW_SEND_H
#define DETNAT_RAW_SEND_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sends an IPv4 packet with its header to its destination: by that interface, or where routes lead (0). *socket is
 * opened where it is negative, and stays the caller's. Returns 0 or -errno.
 */
int raw_send(int *socket, uint32_t ifindex, const void *packet, size_t length);

#endif
