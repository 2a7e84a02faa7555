/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the kernel's messages about routes and nexthop objects. */
#ifndef DETNAT_FIB_ROUTE_MESSAGE_H
#define DETNAT_FIB_ROUTE_MESSAGE_H

#include <libmnl/libmnl.h>

#include "base/hash.h"
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

/* The kernel's nexthop objects (`ip nexthop`), which routes refer to by id. */

struct fib_object {
	struct hash_entry entry;
	struct fib_told_object told; /* kind FIB_WAY_KERNEL while it is not known */
	bool known;
	uint8_t generation; /* of the reading that last saw it */
	uint8_t notified;   /* that in which a notification last told of it */
};

extern const struct hash_type fib_objects;

/* The object with this id, made if it is not known; NULL: out of memory. */
struct fib_object *fib_objects_get(struct hash_table *o, uint32_t id);

/* Calls the function for each; it may remove the one that it is called for. */
void fib_objects_each(struct hash_table *o, void (*visit)(struct fib_object *object, void *arg), void *arg);

#endif
