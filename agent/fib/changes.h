/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of the kernel's routes: to the store, to the count of next hops, and to the trie. */
#ifndef DETNAT_FIB_CHANGES_H
#define DETNAT_FIB_CHANGES_H

#include "fib/route_copy_private.h"

/* A notification: RTM_NEWROUTE, with its NLM_F_..., or RTM_DELROUTE. */
void changes_notified(struct route_copy *c, const struct fib_told_route *told, uint16_t type, uint16_t flags);

/* A route of the present reading. */
void changes_read(struct route_copy *c, const struct fib_told_route *told);

/* An object. What is read does not change one that has been notified since the reading began. */
void changes_object(struct route_copy *c, const struct fib_told_object *told, bool notified);

/* Its routes are gone, too; see changes_purge(). */
void changes_object_gone(struct route_copy *c, struct fib_object *object);

/* A neighbour is usable, or not, or has another MAC address. */
void changes_neighbour(struct route_copy *c, struct fib_neighbour *n, bool gone);

/* Removes the routes of a segment of the store whose next hops are retired. */
void changes_purge(struct route_copy *c, uint32_t segment);

/* Removes the routes of a segment of the store that the reading that has ended did not see. */
void changes_sweep(struct route_copy *c, uint32_t segment);

#endif
