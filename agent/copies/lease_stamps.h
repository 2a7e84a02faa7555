/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When somebody last acted on a lease, as a number that all gateways compare alike: milliseconds of the wall clock, and
 * 16 bits that keep two acts apart. An act always gets a higher one than the act before that the gateway knows of, so
 * clocks that differ matter only for acts of which neither gateway knew the other.
 *
 * Stamps are kept in the pinned map `lease_stamps`, since they have to outlive the agent as the leases do.
 */
#ifndef DETNAT_LEASE_STAMPS_H
#define DETNAT_LEASE_STAMPS_H

#include "copies/lease_set.h"

/* A stamp above this is none: the clock of no gateway will show it. */
#define LEASE_STAMP_MAX (1ULL << 62)

/* The stamp of an act now, on a lease whose last known act had `before`. */
uint64_t lease_stamp_next(uint64_t before);

/* Opens the map below a directory of pins, with room for that many leases. A descriptor, or -errno. */
int lease_stamps_open(const char *pin_dir, uint32_t leases);

/* One of the same kind that is not pinned, for tests. */
int lease_stamps_make(void);

/* Writes what is known of a lease, or removes it. 0 or -errno; without a map (-1) nothing is done. */
int lease_stamps_put(int map, const struct known_lease *k);
int lease_stamps_del(int map, const struct known_lease *k);

/* Adds what an agent before this one has written. 0 or -errno. */
int lease_stamps_read(int map, struct lease_set *s);

#endif
