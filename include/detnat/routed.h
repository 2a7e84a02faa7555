/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Routed hosts: inside hosts whose addresses are not translated, as no mapping has them or one says so. They reach
 * subscribers by pool addresses, as hosts outside do, and the answers have to come from there. But what a subscriber
 * sends to a routed host by itself is routed as it is. So the datapath notes the flows that such a host has begun: the
 * map `routed_flows`, an LRU_HASH from the flow as the subscriber sees it to the tick of its last packet.
 *
 * A note says only that answers are translated: to what, the subscriber's session, portmap or mapping says each time.
 * So one that is left over lets nothing leave with an address that is another's by now.
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
	__u8 pad[3];
};
_Static_assert(sizeof(struct routed_flow) == 16, "hashed as octets");

#endif
