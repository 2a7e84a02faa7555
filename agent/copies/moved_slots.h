/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies in another slot here than at the peer that announced them, as theirs was taken: found by either slot. Bounded.
 */
#ifndef DETNAT_MOVED_SLOTS_H
#define DETNAT_MOVED_SLOTS_H

#include <stdint.h>

#include "base/hash.h"

#define MOVED_MAX 262144U

/* Zero-initialised. */
struct moved_slots {
	struct hash_table by_ours;
	struct hash_index by_theirs; /* the same entries */
};

void moved_free(struct moved_slots *t);
size_t moved_memory(const struct moved_slots *t);

/* The slot here of a peer's copy; -1: the same as there. */
int moved_ours(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs);

/* The slot at its peer, whichever, of a copy here; -1: the same. */
int moved_theirs(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours);

/* Notes one, replacing any other with its slot here, or its slot there. 0; -ENOSPC, -ENOMEM. */
int moved_add(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs,
	      uint16_t ours);

/* Forget the one in this slot, if there is any; all of a mapping. */
void moved_del(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours);
void moved_del_mapping(struct moved_slots *t, uint16_t mapping);

#endif
