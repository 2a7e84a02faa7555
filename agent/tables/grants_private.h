/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by grants.c, grants_open.c and grants_store.c. */
#ifndef DETNAT_GRANTS_PRIVATE_H
#define DETNAT_GRANTS_PRIVATE_H

#include "tables/grant_table.h"

/* Room in the agent's records: for grants, reserved ones included, and for free blocks with a stamp. */
#define FREE_MAX   (MAX_GRANTS / 4)
#define GRANTS_MAX (MAX_GRANTS + FREE_MAX)

struct grants {
	struct mappings *m;
	int map;
	struct hash_table by_out;
	struct hash_index by_in_addr;  /* the first of each inside address's list */
	struct hash_index by_out_addr; /* and of each outside address's */
	struct hash_index full;	       /* a set: addresses with an entry GRANT_NONE_LEFT */
	struct grant_figures figures;
};

/* The octet of an entry of an outside address in which the agent keeps `idle`: the datapath reads none of `pad`. */
#define IDLE_PAD 0U

/* Keeps a copy, whose in_addr is in the list of its inside address unless it is 0. NULL: no memory or room. */
struct grant *grant_store(struct grants *g, const struct grant *like);
void grant_forget(struct grants *g, struct grant *grant);
void grant_store_free(struct grants *g);

/* Changes the subscriber of a stored one: 0 takes it out of its list. */
void grant_leave(struct grants *g, struct grant *grant);

/* The entries of the datapath's map. */
struct grant_key grant_key_of(const struct grant *grant, enum grant_direction direction);
struct grant_value grant_value_of(const struct grant *grant, enum grant_direction direction);
int grant_write(const struct grants *g, const struct grant *grant, enum grant_direction direction);
int grant_erase(const struct grants *g, const struct grant *grant, enum grant_direction direction);

/* Removes an entry, and tells the datapath if it may remember it. 0 or -errno; -ENOENT: there is none. */
int grant_erase_entry(const struct grants *g, const struct grant_key *key);

/* The tenant of an outside address's mapping; 0: none, or there is no mapping. */
uint8_t grant_tenant(const struct grants *g, uint32_t out_addr);

/* Adds to the figures, or takes from them. */
void grant_tally(struct grants *g, const struct grant *grant, int by);

#endif
