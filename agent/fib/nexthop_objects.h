/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's nexthop objects (`ip nexthop`), which routes refer to by id. */
#ifndef DETNAT_FIB_NEXTHOP_OBJECTS_H
#define DETNAT_FIB_NEXTHOP_OBJECTS_H

#include "fib/route_message.h"

struct fib_object {
	struct fib_object *next;
	struct fib_told_object told; /* kind FIB_WAY_KERNEL while it is not known */
	bool known;
	uint8_t generation; /* of the reading that last saw it */
	uint8_t notified;   /* that in which a notification last told of it */
};

struct fib_objects {
	struct fib_object **bucket;
	size_t count;
};

/* 0 or -ENOMEM. */
int fib_objects_init(struct fib_objects *o);
void fib_objects_free(struct fib_objects *o);

/* The object with this id, made if it is not known; NULL: out of memory. */
struct fib_object *fib_objects_get(struct fib_objects *o, uint32_t id);

/* Calls the function for each; it may remove the one that it is called for. */
void fib_objects_each(struct fib_objects *o, void (*visit)(struct fib_object *object, void *arg), void *arg);
void fib_objects_remove(struct fib_objects *o, struct fib_object *object);

#endif
