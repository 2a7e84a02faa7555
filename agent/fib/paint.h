/* SPDX-License-Identifier: BSD-2-Clause */
/* Brings the trie in line with the store, prefix by prefix. */
#ifndef DETNAT_FIB_PAINT_H
#define DETNAT_FIB_PAINT_H

#include "fib/route_copy_private.h"

/* A prefix has got or lost a route. flags: FIB_ROUTE_LOCAL or 0. */
void paint_prefix(struct route_copy *c, uint32_t dst, unsigned plen, uint8_t flags);

/* Paints what no route says: special ranges, and ranges of addresses of the gateway's own. */
void paint_special(struct route_copy *c);

/* Whether a prefix of addresses is painted as a special range, so that all has to be painted again if it changes. */
bool paint_is_special(const struct fib_route *r);

/* Gives the neighbours with an IPv4 address (host byte order) their leaves, or takes them away. */
void paint_neighbours_at(struct route_copy *c, uint32_t addr);

/* Has the neighbours with an address, with any in a prefix, or on an interface looked at by paint_met(). */
void paint_meet(struct route_copy *c, uint32_t addr);
void paint_meet_all(struct route_copy *c, uint32_t base, unsigned plen);
void paint_meet_interface(struct route_copy *c, uint32_t ifindex);

/* Looks at some of them. Whether there are more. */
bool paint_met(struct route_copy *c, size_t most);

#endif
