/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by grants.c, grants_open.c and grants_store.c. */
#ifndef DETNAT_GRANTS_PRIVATE_H
#define DETNAT_GRANTS_PRIVATE_H

#include "tables/grant_table.h"

/* Room in the agent's records: for grants, reserved ones included, and for free blocks with a stamp. */
#define FREE_MAX   (MAX_GRANTS / 4)
#define GRANTS_MAX (MAX_GRANTS + FREE_MAX)

struct grants {
	struct assignments table; /* its other addresses: those with an entry GRANT_NONE_LEFT */
	struct grant_figures figures;
};

/* The octet of an entry of an outside address in which the agent keeps `idle`: the datapath reads none of `pad`. */
#define IDLE_PAD 0U

/* The entries of the datapath's map. */
struct grant_key grant_key_of(const struct grant *grant, enum grant_direction direction);
struct grant_value grant_value_of(const struct grant *grant, enum grant_direction direction);
int grant_write(const struct assignments *s, const void *grant, unsigned direction);

/* A block was a subscriber's: the datapath may remember that. */
void grant_taken_away(const struct grants *g);

/* Adds to the figures, or takes from them. */
void grant_tally(struct assignments *s, const void *grant, int by);

#endif
