/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's unicast IPv4 routes. A prefix may have several; the best has the lowest metric.
 *
 * A table of its own beside base/hash.h, for a million routes: the routes are in the places themselves, which takes
 * less memory than entries and an index, and 256 segments grow one by one, so no addition waits until the whole table
 * grows.
 */
#ifndef DETNAT_FIB_STORE_H
#define DETNAT_FIB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reasons for leaving packets of a route to the kernel; FIB_KEPT_NOT: the route is none. */
enum fib_kept {
	FIB_KEPT_NOT,
	FIB_KEPT_MULTIPATH,
	FIB_KEPT_ENCAPSULATION,
	FIB_KEPT_MTU_LOCKED,
	FIB_KEPT_TYPE,	   /* throw, multicast and the like */
	FIB_KEPT_OTHER,	   /* unknown attributes */
	FIB_KEPT_TOO_MANY, /* of next hops */
	N_FIB_KEPT,
};

/* Flags of a route. */
#define FIB_ROUTE_LOCAL	   0x01 /* in the table `local`, else in `main` */
#define FIB_ROUTE_NOTIFIED 0x02 /* changed by a notification since the present reading began */
#define FIB_ROUTE_GONE	   0x04 /* deleted since then, and kept so that the reading does not bring it back */
#define FIB_ROUTE_UNSURE   0x08 /* the kernel may have replaced it by another route */
#define FIB_ROUTE_USED	   0x80 /* the store's own */

struct fib_route {
	uint32_t dst; /* host byte order */
	uint32_t metric;
	uint16_t hop; /* number of a next hop */
	uint16_t tag; /* distinguishes it from others of the same prefix and metric */
	uint8_t plen;
	uint8_t flags;
	uint8_t kept;	    /* enum fib_kept */
	uint8_t generation; /* of the reading that last saw it */
};
_Static_assert(sizeof(struct fib_route) == 16, "a million of them are 16 MB and what is free in between");

#define FIB_SEGMENTS 256U

struct fib_segment {
	struct fib_route *route;
	uint32_t size;
	uint32_t count;
};

/* Zero-initialised. */
struct fib_store {
	struct fib_segment segment[FIB_SEGMENTS];
	size_t count;	      /* without those marked gone */
	size_t of_length[33]; /* in the table `main`, with those marked gone */
	size_t kept[N_FIB_KEPT];
	size_t unsure;
};

void fib_store_free(struct fib_store *s);

/*
 * Adds a route, or returns the existing one with the same destination, table, metric, next hop and tag. NULL: out of
 * memory. Pointers to routes are valid until the next one is added or removed. *ret_new may be NULL.
 */
struct fib_route *fib_store_add(struct fib_store *s, const struct fib_route *route, bool *ret_new);

void fib_store_remove(struct fib_store *s, struct fib_route *route);

/* Changes the flags of a route. */
void fib_store_flag(struct fib_store *s, struct fib_route *route, uint8_t flags);

/* The route that is equal in everything that fib_store_add() compares, or NULL. */
struct fib_route *fib_store_find(const struct fib_store *s, const struct fib_route *route);

/* Visits all routes of a prefix in a table; starts with *from NULL. flags: FIB_ROUTE_LOCAL or 0. */
struct fib_route *fib_store_next(const struct fib_store *s, uint32_t dst, unsigned plen, uint8_t flags,
				 struct fib_route *from);

/*
 * The best route of a prefix in a table. False: there is none. *ret_hop is FIB_HOP_KERNEL if the kernel's choice is
 * uncertain: several have the lowest metric, or one is unsure.
 */
bool fib_store_best(const struct fib_store *s, uint32_t dst, unsigned plen, uint8_t flags, uint32_t *ret_hop);

/* The longest prefix in `main` shorter than `plen` that covers dst. Returns its length; 0: the default route or none.
 */
unsigned fib_store_cover(const struct fib_store *s, uint32_t dst, unsigned plen, uint32_t *ret_hop);

/* Octets in use. */
size_t fib_store_memory(const struct fib_store *s);

static inline uint32_t fib_mask(unsigned plen)
{
	return plen ? ~0U << (32 - plen) : 0;
}

#endif
