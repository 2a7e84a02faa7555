/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stays, or statements, by the names that they have: of a number those with an id and a MAC, with either, or all of
 * them. What is looked for then takes as long as what is found, however often a number was used.
 */
#ifndef DETNAT_STAY_LISTS_H
#define DETNAT_STAY_LISTS_H

#include "base/hash.h"

/* In place of an id, a MAC or a time. */
#define ANY_NAME UINT32_MAX

/* The end of a list, and nothing at its place. */
#define LIST_END UINT32_MAX

struct stay_names {
	uint32_t of, id, mac;
	uint32_t since; /* seconds around the beginning of a session */
};

struct stay_link {
	uint32_t number, next;
};

/* Zero-initialised. */
struct stay_lists {
	struct hash_table heads;
	struct stay_link *link;
	size_t n, room;
};

/* What is there for these very names: the first link of a list, or what the caller keeps. NULL: nothing was made. */
uint32_t *stay_list(const struct stay_lists *x, struct stay_names names);

/* The same; it is made, as LIST_END. NULL: no memory. */
uint32_t *stay_list_make(struct stay_lists *x, struct stay_names names);

/* Adds a number to a list, whose numbers descend. 0 or -ENOMEM. */
int stay_list_add(struct stay_lists *x, struct stay_names names, uint32_t number);

/* The same to one whose numbers ascend, which takes no longer for the largest one. */
int stay_list_append(struct stay_lists *x, struct stay_names names, uint32_t number);

enum stay_visit { VISIT_KEEP, VISIT_DROP, VISIT_ENOUGH };

/* Visits the numbers of a list that ascends, until it is enough. */
void stay_list_visit(struct stay_lists *x, struct stay_names names,
		     enum stay_visit (*visit)(void *arg, uint32_t number), void *arg);

void stay_lists_free(struct stay_lists *x);

/* The lists that one with these names is in: those for whom a name is not known look in the lists of any. */
#define STAY_KINDS 4U
static inline struct stay_names stay_kept(struct stay_names n, unsigned kind)
{
	return (struct stay_names){ n.of, kind & 1 ? ANY_NAME : n.id, kind & 2 ? ANY_NAME : n.mac, n.since };
}

/* The lists that have all who may be the same: a name is not known of them, or the same one. */
static inline struct stay_names stay_sought(struct stay_names n, unsigned kind)
{
	return (struct stay_names){ n.of,
				    !n.id      ? ANY_NAME
				    : kind & 1 ? 0
					       : n.id,
				    !n.mac     ? ANY_NAME
				    : kind & 2 ? 0
					       : n.mac,
				    n.since };
}

#endif
