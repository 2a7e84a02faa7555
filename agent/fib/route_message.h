/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the kernel's messages about routes and nexthop objects. */
#ifndef DETNAT_FIB_ROUTE_MESSAGE_H
#define DETNAT_FIB_ROUTE_MESSAGE_H

#include <libmnl/libmnl.h>

#include "fib/hops.h"
#include "fib/store.h"

struct fib_told_route {
	struct fib_route route; /* without its next hop and generation */
	struct fib_way way;	/* with `object` set, the object tells all but `mtu` */
	bool own;		/* one of the gateway's own addresses, or a range of them */
	uint32_t source;	/* preferred source of a route that is not the kernel's own, host byte order; 0: none */
};

/* False if the message is about no IPv4 route in `main` or `local`, or about one for a TOS. */
bool fib_route_read(const struct nlmsghdr *h, struct fib_told_route *ret);

struct fib_told_object {
	uint32_t id;
	struct fib_way way; /* kind FIB_WAY_KERNEL if it is a group or encapsulates */
	uint8_t kept;	    /* enum fib_kept */
};

/* False if the message is about no nexthop object. */
bool fib_object_read(const struct nlmsghdr *h, struct fib_told_object *ret);

#endif
