/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last known act on each lease of PCP, by protocol and outside endpoint: its time and its result. A lease that a
 * client or an operator has ended stays known until it would have expired, so that a gateway that was away cannot bring
 * it back.
 */
#ifndef DETNAT_LEASE_SET_H
#define DETNAT_LEASE_SET_H

#include "base/act_stamp.h"
#include "base/hash.h"
#include "tables/portmap_table.h"

/* Ended leases known at a time; beyond that, some are forgotten. */
#define LEASES_ENDED_MAX 65536U

struct known_lease {
	struct hash_entry entry;
	struct endpoint in;
	struct endpoint out;
	uint64_t stamp;	  /* of the last act, see base/act_stamp.h */
	uint64_t until_s; /* CLOCK_BOOTTIME: when it ends by itself, or would have */
	uint32_t content; /* a digest of nonce and filters */
	uint8_t proto;
	bool ended;
	bool news; /* in the list of unannounced ones */
};

/* Zero-initialised. */
struct lease_set {
	struct hash_table table; /* of known_leases */
	uint32_t n_ended;
	uint32_t hand;	/* place at which the search for an ended one to forget continues */
	uint64_t due_s; /* no entry expires before */
	/* Numbers of changed entries, in order; some may be gone by now. */
	uint32_t *news;
	uint32_t n_news;
	uint32_t room_news;
};

extern const struct hash_type known_leases;

void lease_set_free(struct lease_set *s);

/* NULL: none. */
struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out);

/* The existing entry, or a new one with nothing but its key. NULL: out of memory. */
struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out);

/* Notes the state of a live lease; of an ended one. */
void lease_set_live(struct lease_set *s, struct known_lease *k, const struct portmap *m, uint64_t stamp);
void lease_set_ended(struct lease_set *s, struct known_lease *k, uint64_t stamp);

/* Whether a portmap matches the known lease. */
bool lease_is(const struct known_lease *k, const struct portmap *m);

/* Notes that a lease must be announced. False: out of memory. */
bool lease_set_tell(struct lease_set *s, struct known_lease *k);

/* An ended lease to forget, as there are LEASES_ENDED_MAX; NULL: there are fewer. */
struct known_lease *lease_set_excess(struct lease_set *s);

void lease_set_del(struct lease_set *s, struct known_lease *k);

/* Stamps of acts are kept in the pinned map `lease_stamps`, since they must outlive the agent as the leases do. */

/* Opens the map below a directory of pins, with room for that many leases. A descriptor, or -errno. */
int lease_stamps_open(const char *pin_dir, uint32_t leases);

/* A map of the same kind that is not pinned, for tests. */
int lease_stamps_make(void);

/* Writes the known act on a lease, or removes it. 0 or -errno; without a map (-1) does nothing. */
int lease_stamps_put(int map, const struct known_lease *k);
int lease_stamps_del(int map, const struct known_lease *k);

/* Adds the entries that an earlier agent has written. 0 or -errno. */
int lease_stamps_read(int map, struct lease_set *s);

#endif
