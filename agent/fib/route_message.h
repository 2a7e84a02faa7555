/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the kernel's messages about routes and nexthop objects. */
#ifndef DETNAT_FIB_ROUTE_MESSAGE_H
#define DETNAT_FIB_ROUTE_MESSAGE_H

#include <detnat/prefix6.h>
#include <libmnl/libmnl.h>

#include "base/hash.h"
#include "fib/hops.h"
#include "fib/store.h"

struct fib_told_route {
	struct fib_route route; /* without its next hop and generation; of IPv6, without destination and length, too */
	struct fib_way way;	/* with `object` set, the object determines all members but `mtu` */
	bool own;		/* one or a range of the gateway's own addresses */
	uint32_t source;	/* preferred source of a route that is not the kernel's own, host byte order; 0: none */
	struct address6 dst6;	/* of IPv6; what virtual_route_of() makes of it is a route of its own */
	uint8_t plen6;
	uint8_t family; /* AF_INET or AF_INET6 */
};

/* False if the message is not about a route in `main` or `local`, or about one for a TOS. */
bool fib_route_read(const struct nlmsghdr *h, struct fib_told_route *ret);

struct fib_told_object {
	uint32_t id;
	struct fib_way way; /* kind FIB_WAY_KERNEL if it is a group or encapsulates */
	uint8_t kept;	    /* enum fib_kept */
};

/* False if the message is not about a nexthop object. */
bool fib_object_read(const struct nlmsghdr *h, struct fib_told_object *ret);

/* The kernel's nexthop objects (`ip nexthop`), which routes refer to by id. */

struct fib_object {
	struct hash_entry entry;
	struct fib_told_object told; /* kind FIB_WAY_KERNEL while unknown */
	bool known;
	uint8_t generation; /* of the reading that last saw it */
	uint8_t notified;   /* reading during which a notification last reported it */
};

extern const struct hash_type fib_objects;

/* The object with this id, added if unknown; NULL: out of memory. */
struct fib_object *fib_objects_get(struct hash_table *o, uint32_t id);

/* Calls the function for each; it may remove its argument. */
void fib_objects_each(struct hash_table *o, void (*visit)(struct fib_object *object, void *arg), void *arg);

#endif
