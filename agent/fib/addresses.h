/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IPv4 addresses of all interfaces. When an interface loses its last one, the kernel removes all routes through it
 * without a notification.
 */
#ifndef DETNAT_FIB_ADDRESSES_H
#define DETNAT_FIB_ADDRESSES_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fib_address {
	uint32_t ifindex;
	uint32_t local, peer; /* network byte order */
	uint8_t plen;
	uint8_t generation; /* of the reading that last saw it; 0: none, it is deleted */
	uint8_t notified;   /* reading during which a notification last reported it */
};

/* Zero-initialised. */
struct fib_addresses {
	struct fib_address *list;
	size_t count;
	size_t room;
	bool lost; /* out of memory: any address may be the last one */
};

void fib_addresses_free(struct fib_addresses *a);

/*
 * Enters an RTM_NEWADDR or RTM_DELADDR. A reading does not change addresses notified since it began. Returns the index
 * of the interface that has lost its last address, or 0.
 */
uint32_t fib_addresses_message(struct fib_addresses *a, const struct nlmsghdr *h, uint8_t generation, bool notified);

/* Forgets addresses that the reading, which has ended, did not see. */
void fib_addresses_sweep(struct fib_addresses *a, uint8_t generation);

#endif
