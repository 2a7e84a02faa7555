/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes of IPv6 as routes of virtual addresses (<detnat/prefix6.h>): the trie has one entry for a subscriber,
 * whichever family its address is of.
 *
 * Several prefixes of IPv6 may be one of virtual addresses: all that cover an inside prefix are that prefix's range,
 * and all that lie within a subscriber are its address. Of the former the longest decides, which their metrics say
 * here. Of the latter none is known well enough, as hosts of one subscriber may have several next hops: the kernel
 * decides.
 */
#ifndef DETNAT_FIB_VIRTUAL_H
#define DETNAT_FIB_VIRTUAL_H

#include <detnat/prefix6.h>
#include <stdbool.h>

#include "fib/route_message.h"

/* An inside prefix and its range of virtual addresses. */
struct virtual_range {
	uint64_t first; /* upper half of the prefix, host byte order */
	uint32_t virt;	/* of its first subscriber, a multiple of their number */
	uint8_t plen;	/* shorter than the next, by SUBSCRIBER_BITS_MAX bits at most */
	uint8_t subscriber_plen;
	uint8_t pad[2]; /* 0 */
};

/* Octets by which a packet grows on its way to a subscriber. */
#define VIRTUAL_GROWTH 20U

/* Length of a range as a prefix of virtual addresses. */
static inline unsigned virtual_plen(const struct virtual_range *r)
{
	return 32U - (r->subscriber_plen - r->plen);
}

/* What a route of IPv6 is in a range. False: it leads to none of its subscribers. */
bool virtual_route_of(const struct virtual_range *r, const struct fib_told_route *told, struct fib_told_route *ret);

/* What a range has where no route covers it: the kernel decides. The default route is that of IPv4. */
struct fib_told_route virtual_route_none(const struct virtual_range *r);

#endif
