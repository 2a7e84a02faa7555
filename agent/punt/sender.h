/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends what the datapath cannot send itself: replies (ARP, ICMP, resets) and hairpinned packets through interfaces
 * that take no frames from XDP, hairpinned packets that must be fragmented, and ICMP errors made at tc. They come by
 * the ring buffer `transmissions`; see <detnat/transmit.h>.
 */
#ifndef DETNAT_SENDER_H
#define DETNAT_SENDER_H

#include <event2/event.h>

#include "datapath/datapath.h"

struct transmit;

/* Sends until transmit_free(). base and d must outlive the result. 0 or -errno with err. */
int transmit_new(struct event_base *base, const struct datapath *d, struct transmit **ret, struct error *err);

/* t may be NULL. */
void transmit_free(struct transmit *t);

#endif
