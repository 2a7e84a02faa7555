/* SPDX-License-Identifier: BSD-2-Clause */
/* What was last told of each address of a file, so that only changes become lines. */
#ifndef DETNAT_KNOWN_LEASES_H
#define DETNAT_KNOWN_LEASES_H

#include "base/hash.h"
#include "leases/lease_line.h"

/* The most addresses of a file. */
#define KNOWN_LEASES (4U << 20)

struct known_lease {
	struct lease_addr addr;
	uint64_t content; /* hash of the line */
	int64_t gone;	  /* the file has lacked it since; TIME_NONE: it is there */
	uint32_t reading; /* the last that had it */
	bool ended;	  /* it was told that it ended */
	char *body;	  /* the line, to tell its end later */
};

/* Zero-initialised. */
struct known_leases {
	struct hash_index index;
	struct known_lease *lease;
	size_t n, room;
};

/* The entry of an address, made if need be: an entry that is new has no body. NULL: no memory, or too many. */
struct known_lease *known_lease_get(struct known_leases *k, const struct lease_addr *addr);

/* Keeps a line. 0 or -ENOMEM. */
int known_lease_set(struct known_lease *x, const struct lease_line *l, uint64_t content);

/* The line that was kept; false: there is none. */
bool known_lease_line(const struct known_lease *x, struct lease_line *ret);

/* A hash of a line; timed: its times included, otherwise its end alone. */
uint64_t known_lease_hash(const struct lease_line *l, bool timed);

void known_leases_free(struct known_leases *k);

#endif
