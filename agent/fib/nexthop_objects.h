/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's nexthop objects (`ip nexthop`), which routes refer to by id. */
#ifndef DETNAT_FIB_NEXTHOP_OBJECTS_H
#define DETNAT_FIB_NEXTHOP_OBJECTS_H

#include "base/hash.h"
#include "fib/route_message.h"

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
