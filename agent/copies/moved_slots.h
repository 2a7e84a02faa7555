/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies that are in another slot here than at the peer that told them, as theirs was taken: found by either slot.
 * Bounded.
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

/* The slot in which a copy of a peer is here; -1: the same as there. */
int moved_ours(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs);

/* The slot from which a copy here is at its peer, whichever; -1: the same. */
int moved_theirs(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours);

/* Notes one, in place of any other with its slot here, or its slot there. 0; -ENOSPC, -ENOMEM. */
int moved_add(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs,
	      uint16_t ours);

/* Forgets the one in this slot, if there is any; all of a mapping. */
void moved_del(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours);
void moved_del_mapping(struct moved_slots *t, uint16_t mapping);

#endif
