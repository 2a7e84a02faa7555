/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Routed hosts: inside hosts whose addresses are not translated, because no mapping covers them or an exception says
 * so. Like hosts outside, they reach subscribers at pool addresses, and expect the answers from there. But packets that
 * a subscriber sends to a routed host unasked are routed unchanged. So the datapath notes each flow that a routed host
 * begins: the map `routed_flows`, an LRU_HASH from the flow as the subscriber sees it to the tick of its last packet.
 *
 * A note says only that answers are translated. The subscriber's session, portmap or mapping gives the translation for
 * each packet, so a stale note never lets a packet leave with an address that belongs to another subscriber.
 */
#ifndef DETNAT_ROUTED_H
#define DETNAT_ROUTED_H

#include <linux/types.h>

#define ROUTED_FLOWS 65536U

/* Host byte order; ports as in struct packet of the subscriber's packets, 0 for protocols without. */
struct routed_flow {
	__u32 in_addr;
	__u32 routed_addr;
	__u16 in_port;
	__u16 routed_port;
	__u8 proto;
	__u8 tenant; /* of the subscriber's mapping */
	__u8 pad[2];
};
_Static_assert(sizeof(struct routed_flow) == 16, "hashed as octets");

#endif
