/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of leases, by protocol and outside endpoint. */
#ifndef DETNAT_LEASE_SET_H
#define DETNAT_LEASE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "tables/portmap_table.h"

struct known_lease {
	struct portmap lease;
	uint32_t round; /* in which it was last seen */
	uint8_t peer;	/* that has told it; 0: this gateway tells it */
	bool used;
	uint32_t next; /* number plus one */
};

/* Zero-initialised. */
struct lease_set {
	struct known_lease *entry;
	uint32_t room;
	uint32_t n;
	uint32_t free;
	uint32_t *head; /* of lists by hash, as many as there is room */
};

void lease_set_free(struct lease_set *s);

/* NULL: none. Valid until the next addition. */
struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out);

/* Adds one that is not there, with nothing but its key. NULL: no memory, or MAX_LEASES are there. */
struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out);

/* The first, or after `before` the next; the one before may be deleted meanwhile. NULL: no more. */
struct known_lease *lease_set_next(struct lease_set *s, const struct known_lease *before);

void lease_set_del(struct lease_set *s, struct known_lease *k);

#endif
