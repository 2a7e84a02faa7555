/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateways of all IPv4 routes in any table, including multipath and encapsulating ones: a set that contains each of
 * them, and perhaps some of routes removed since the last reading.
 */
#ifndef DETNAT_FIB_GATEWAYS_H
#define DETNAT_FIB_GATEWAYS_H

#include <libmnl/libmnl.h>

#include "base/hash.h"

/* Calls a function for each gateway (IPv4, host byte order) that an RTM_NEWROUTE names. */
void fib_gateways_of(const struct nlmsghdr *h, void (*call)(uint32_t addr, void *arg), void *arg);

/* Zero-initialised. */
struct fib_gateways {
	struct hash_index addrs;
	bool lost; /* out of memory, or too many */
};

/* Empties it. */
void fib_gateways_free(struct fib_gateways *g);

void fib_gateways_add(struct fib_gateways *g, uint32_t addr);

/* Whether one of them may be in a prefix (host byte order): also true if some were lost. */
bool fib_gateways_in(const struct fib_gateways *g, uint32_t base, unsigned plen);

#endif
