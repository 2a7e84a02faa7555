/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends packets that the datapath cannot send itself: replies (ARP, ICMP, resets) and hairpinned packets through
 * interfaces that take no frames from XDP, hairpinned packets that must be fragmented, and ICMP errors made at tc. They
 * come through the ring buffer `transmissions`; see <detnat/transmit.h>.
 */
#ifndef DETNAT_SENDER_H
#define DETNAT_SENDER_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/datapath.h"

struct transmit;

/* Sends until transmit_free(). base and d must outlive the result. 0 or -errno with err. */
int transmit_new(struct event_base *base, const struct datapath *d, struct transmit **ret, struct error *err);

/* t may be NULL. */
void transmit_free(struct transmit *t);

/* Fragmentation of IPv4 packets (RFC 791 section 3.2), and of IPv6 packets that have a fragment header (RFC 8200 4.5).
 */

/*
 * Writes the next fragment of a packet, at most mtu octets, to `ret`, and advances *at, which is 0 before the first.
 * The packet may be a fragment itself. Returns the fragment's length; 0 after the last one, if the packet is malformed,
 * or if the MTU leaves no room for 8 octets.
 */
size_t ip_fragment_next(const uint8_t *packet, size_t size, size_t mtu, size_t *at, uint8_t *ret);

#endif
