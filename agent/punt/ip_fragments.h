/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragmentation of IPv4 packets (RFC 791 section 3.2). */
#ifndef DETNAT_IP_FRAGMENTS_H
#define DETNAT_IP_FRAGMENTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes the next fragment of a packet, at most mtu octets, to `ret`, and advances *at, which is 0 before the first.
 * The packet may be a fragment itself. Returns the fragment's length; 0 after the last one, if the packet is malformed,
 * or if the MTU leaves no room for 8 octets.
 */
size_t ip_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret);

#endif
