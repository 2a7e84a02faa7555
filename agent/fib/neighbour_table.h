/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's neighbours, as last notified. */
#ifndef DETNAT_FIB_NEIGHBOUR_TABLE_H
#define DETNAT_FIB_NEIGHBOUR_TABLE_H

#include <libmnl/libmnl.h>

#include "base/hash.h"

#define FIB_NEIGHBOURS (1U << 17)

struct fib_neighbour {
	struct hash_entry entry;
	uint32_t ifindex;
	uint8_t family;	    /* AF_INET or AF_INET6 */
	uint8_t addr[16];   /* network byte order; IPv4 uses the first four, the others are 0 */
	uint8_t mac[6];	    /* valid if usable */
	bool usable;	    /* the kernel sends to that address */
	bool gone;	    /* about to be removed */
	bool queued;	    /* its leaf must be looked at again */
	uint8_t generation; /* of the reading that last saw it; 0: none, it is deleted */
	uint8_t notified;   /* reading during which a notification last reported it */
	uint16_t leaf;	    /* next hop of its leaf in the trie; 0: none */
};

/* Zero-initialised. */
struct fib_neighbours {
	struct hash_table table;
	struct hash_index by_ipv4; /* by address only: it may be a neighbour on several interfaces */
	size_t refused;		   /* beyond FIB_NEIGHBOURS */
};

void fib_neighbours_free(struct fib_neighbours *t);

struct fib_neighbour *fib_neighbours_find(const struct fib_neighbours *t, uint32_t ifindex, uint8_t family,
					  const uint8_t addr[static 16]);
void fib_neighbours_remove(struct fib_neighbours *t, struct fib_neighbour *n);

/* The next one with an IPv4 address (host byte order), on any interface; *step begins as 0. */
struct fib_neighbour *fib_neighbours_next(const struct fib_neighbours *t, uint32_t addr, uint32_t *step);

/* The origin of a message. */
enum fib_neighbour_from {
	FIB_NEIGHBOUR_READ,
	FIB_NEIGHBOUR_NOTIFIED,
	/* Notified during a reading, which may be older: deleted and unusable neighbours are remembered, too. */
	FIB_NEIGHBOUR_NOTIFIED_FIRST,
};

/* Calls the function for each; it may remove its argument. */
void fib_neighbours_each(struct fib_neighbours *t, void (*visit)(struct fib_neighbour *n, void *arg), void *arg);

/* IPv4 addresses in host byte order. */
uint32_t fib_neighbour_ipv4(const struct fib_neighbour *n);
void fib_address_of_ipv4(uint32_t addr, uint8_t ret[static 16]);

/*
 * Enters an RTM_NEWNEIGH or RTM_DELNEIGH. Returns the neighbour if its MAC address or whether it is usable has changed,
 * else NULL. Also returns a deleted one, which is no longer usable; the caller removes it, unless the deletion was
 * notified during a reading: then it stays until that ends.
 */
struct fib_neighbour *fib_neighbours_message(struct fib_neighbours *t, const struct nlmsghdr *h, uint8_t generation,
					     enum fib_neighbour_from from);

#endif
