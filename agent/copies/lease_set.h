/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of each lease of PCP, by protocol and outside endpoint: when somebody last acted on it, and what came
 * of that. One that a client or an operator has ended stays known until its time would have been over, so that a
 * gateway that has been away cannot bring it back.
 */
#ifndef DETNAT_LEASE_SET_H
#define DETNAT_LEASE_SET_H

#include "base/hash.h"
#include "tables/portmap_table.h"

/* Ended leases that are known at a time; beyond that, some are forgotten. */
#define LEASES_ENDED_MAX 65536U

struct known_lease {
	struct hash_entry entry;
	struct endpoint in;
	struct endpoint out;
	uint64_t stamp;	  /* of the last act, see lease_stamps.h */
	uint64_t until_s; /* CLOCK_BOOTTIME: when it ends by itself, or would have */
	uint32_t content; /* a digest of nonce and filters */
	uint8_t proto;
	bool ended;
	bool news; /* in the list of what is to be told */
};

/* Zero-initialised. */
struct lease_set {
	struct hash_table table; /* of known_leases */
	uint32_t n_ended;
	uint32_t hand;	/* where the next ended one to be forgotten is looked for */
	uint64_t due_s; /* no entry's time is over before */
	/* Numbers of entries that changed, in order; some may be gone by now. */
	uint32_t *news;
	uint32_t n_news;
	uint32_t room_news;
};

extern const struct hash_type known_leases;

void lease_set_free(struct lease_set *s);

/* NULL: none. */
struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out);

/* The one that is there, or a new one with nothing but its key. NULL: no memory. */
struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out);

/* Says what became of one. */
void lease_set_live(struct lease_set *s, struct known_lease *k, const struct portmap *m, uint64_t stamp);
void lease_set_ended(struct lease_set *s, struct known_lease *k, uint64_t stamp);

/* Whether a portmap is the lease as it is known. */
bool lease_is(const struct known_lease *k, const struct portmap *m);

/* Notes that one is to be told. False: no memory. */
bool lease_set_tell(struct lease_set *s, struct known_lease *k);

/* An ended one to be forgotten, as there are LEASES_ENDED_MAX; NULL: there are fewer. */
struct known_lease *lease_set_excess(struct lease_set *s);

void lease_set_del(struct lease_set *s, struct known_lease *k);

/*
 * When somebody last acted on a lease, as a number that all gateways compare alike: milliseconds of the wall clock, and
 * 16 bits that keep two acts apart. An act always gets a higher one than the act before that the gateway knows of, so
 * clocks that differ matter only for acts of which neither gateway knew the other.
 *
 * Stamps are kept in the pinned map `lease_stamps`, since they have to outlive the agent as the leases do.
 */

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
