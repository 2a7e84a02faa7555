/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in the overflow: those that the peers have been told, or are to be told once they are old enough, and
 * copies. There are at most as many as in the overflow.
 */
#ifndef DETNAT_OVERFLOW_TOLD_H
#define DETNAT_OVERFLOW_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

/* What tells one session from another. */
struct overflow_id {
	uint64_t key; /* slot_key() */
	uint32_t subscriber;
	uint16_t mapping; /* number */
	uint16_t out_port;
	uint8_t proto;
};

struct overflow_told {
	struct hash_entry entry;
	uint32_t since; /* the pass that found it */
	struct overflow_id id;
	uint64_t word; /* at the last scan */
	bool seen;     /* in the scan under way */
	bool ended;    /* as a peer says: if it begins again before the next scan, that is another session */
	bool taken;    /* it was a peer's, which may have it still */
	uint8_t peer;  /* whose copy it is; 0: of this gateway's own */
	uint8_t turn;
	bool turn_known; /* of a copy, or one that was: it has been told */
	uint8_t state;	 /* as it was told; 0: it has not been told */
};

extern const struct hash_type overflow_tolds;

/* NULL: there is none. */
struct overflow_told *overflow_tolds_find(const struct hash_table *t, const struct overflow_id *id);

/* Adds one that is not there: not told, since pass 0. NULL: no memory. */
struct overflow_told *overflow_tolds_add(struct hash_table *t, const struct overflow_id *id);

/* Removes those of a mapping. Returns how many of them have been told. */
uint32_t overflow_tolds_del_mapping(struct hash_table *t, uint16_t mapping);

bool overflow_id_equal(const struct overflow_id *a, const struct overflow_id *b);

/* For sets of sessions. */
uint64_t overflow_id_hash(const struct overflow_id *id);

#endif
