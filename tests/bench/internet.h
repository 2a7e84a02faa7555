/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of routes as large as the internet's, destinations in it, and how popular these are. The routes are always
 * the same ones; addresses are in host byte order.
 */
#ifndef DETNAT_BENCH_INTERNET_H
#define DETNAT_BENCH_INTERNET_H

#include <stdint.h>

#define INTERNET_ROUTES 1000000U

/* Next hops are numbered from 1 on; 0 is that of the default route. */
#define INTERNET_NEXT_HOPS	   64U
#define INTERNET_NEXT_HOP_ADDR(nr) (0xc6336440U + (nr)) /* 198.51.100.65 and up */

struct internet;

/* Draws the table; NULL without memory. */
struct internet *internet_new(void);
void internet_free(struct internet *t);

/* A route by its number, below INTERNET_ROUTES. */
void internet_route(const struct internet *t, uint32_t n, uint32_t *ret_base, unsigned *ret_plen,
		    uint32_t *ret_next_hop);

/* Number of the next hop of an address, by the longest prefix. */
uint32_t internet_next_hop(const struct internet *t, uint32_t addr);

/* Address of a destination by its number: in a route drawn at random. */
uint32_t internet_destination(const struct internet *t, uint32_t n);

/*
 * Adds the routes from..to-1 to the kernel's table of this network namespace, or deletes those from to..from-1. The
 * next hops must be reachable by the interface. 0 or -errno.
 */
int internet_tell_kernel(const struct internet *t, uint32_t ifindex, uint32_t from, uint32_t to);

/* How often each of n destinations is drawn: equally, or by a Zipf distribution. */
struct popularity {
	uint32_t n;
	double *sum; /* chances, added up; the first is the most popular */
};

/* exponent: of the distribution; 0: all are equal. 0 or -ENOMEM. */
int popularity_new(uint32_t n, double exponent, struct popularity *ret);
void popularity_free(struct popularity *p);
uint32_t popularity_draw(const struct popularity *p, uint64_t *seed);

#endif
