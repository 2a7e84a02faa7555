/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What of the upper layer differs between IPv4 and IPv6, and the addresses that are never translated. */
#ifndef DETNAT_PROTOCOLS6_H
#define DETNAT_PROTOCOLS6_H

#include "packet/protocol_sums.h"
#include "six/packet6.h"
#include "subscriber/lookup.h"

#define IPPROTO_IGMP_NUMBER 2

/*
 * Returns 1 if an IPv4 address is nobody's, or may not be in the prefix: this network, loopback, multicast, class E,
 * broadcast, link-local, virtual addresses; private ones in 64:ff9b::/96 (RFC 6052 section 3.1). Host byte order.
 */
static __always_inline int address_is_nobodys(const struct record6 *r, __u32 addr)
{
	return addr >> 29 == 7 || address_is_martian(addr) || address_is_link_local(addr) ||
	       (r->flags & RECORD6_WELL_KNOWN && address_is_private(addr));
}

/* Returns 1 for numbers that mean something else in IPv6: extension headers, and ICMPv6. */
static __always_inline int protocol_is_foreign_to6(__u8 proto)
{
	return proto == IPPROTO_IGMP_NUMBER || proto == IPPROTO_ICMPV6 || proto == IPPROTO_HOPOPTS ||
	       proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT || proto == IPPROTO_DSTOPTS || proto == IPPROTO_AH;
}

static __always_inline int protocol_is_foreign_to4(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_IGMP_NUMBER;
}

/* Offset of the checksum of a packet of IPv6 or IPv4, if it covers addresses; else 0. */
static __always_inline __u32 upper_check_offset(__u8 proto)
{
	if (proto == IPPROTO_ICMPV6 || proto == IPPROTO_ICMP)
		return offsetof(struct icmphdr, checksum);
	return protocol_sums_addresses(proto) ? protocol_check_offset(proto) : 0;
}

#endif
