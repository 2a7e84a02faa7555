/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The map `next_hops_used`, an LRU_HASH of the neighbours that XDP sends to. The agent probes these neighbours, because
 * the kernel does not: it forwards nothing to them itself.
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
	__u32 tick;   /* of the last lookup in the kernel; a cached next hop has one every second */
	__u32 router; /* 1: it forwards packets to other addresses */
};

#endif
