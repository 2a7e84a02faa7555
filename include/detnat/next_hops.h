/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The map `next_hops_used`, an LRU_HASH: neighbours that XDP sends to, so that the agent knows which to probe. The
 * kernel does not probe them, as it forwards nothing to them itself.
 */
#ifndef DETNAT_NEXT_HOPS_H
#define DETNAT_NEXT_HOPS_H

#include <linux/types.h>

#define NEXT_HOPS_USED 16384U

struct next_hop_address {
	__u32 ifindex;
	__u32 family;	/* AF_INET or AF_INET6 */
	__be32 addr[4]; /* IPv4: the first word only, the others are 0 */
};
_Static_assert(sizeof(struct next_hop_address) == 24, "hashed as octets");

struct next_hop_use {
	__u32 tick;   /* when the kernel was last asked for it, which happens once a second for a cached one */
	__u32 router; /* 1: packets to other addresses than its own go through it */
};

#endif
