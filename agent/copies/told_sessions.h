/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in the overflow: those that the peers have been told, or are to be told once they are old enough, and
 * copies. There are at most as many as in the overflow.
 */
#ifndef DETNAT_TOLD_SESSIONS_H
#define DETNAT_TOLD_SESSIONS_H

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

/*
 * Sessions that have ended here while a peer may have them as its own: kept, in the order in which they have ended,
 * until all peers know it or the session has expired there, too. Bounded; the oldest make room.
 */

#define ENDED_MAX (1U << 20)

struct ended_session {
	struct overflow_id id; /* proto 0: all but mapping and subscriber is not known */
	uint16_t slot;
	uint16_t number; /* session_id() */
	uint8_t turn;
	bool gone;	  /* it has been opened again */
	uint32_t tick;	  /* when it has ended */
	uint64_t told_ms; /* CLOCK_MONOTONIC; 0: it has not been told */
};

struct ended_sessions {
	struct ended_session *entry; /* a ring of `room` */
	struct hash_index latest;    /* numbers of the latest end of each session */
	uint32_t room;		     /* a power of two, or 0 */
	uint64_t first;		     /* number of the oldest, counted from the first ever */
	uint64_t end;		     /* of the next one */
};

void ended_free(struct ended_sessions *t);

/* Does nothing for want of memory: the peer has the session until it expires. */
void ended_add(struct ended_sessions *t, const struct ended_session *like);

/* The one with a number from first to end - 1. */
static inline struct ended_session *ended_at(const struct ended_sessions *t, uint64_t number)
{
	return &t->entry[number & (t->room - 1)];
}

/* The latest end of a session; NULL: none is known, or it has been opened again. */
struct ended_session *ended_find(const struct ended_sessions *t, const struct overflow_id *id);

/* Forgets the oldest. */
void ended_drop_first(struct ended_sessions *t);

/* Forgets those of a mapping. */
void ended_forget(struct ended_sessions *t, uint16_t mapping);

static inline uint64_t ended_memory(const struct ended_sessions *t)
{
	return (uint64_t)t->room * sizeof(*t->entry) + hash_index_memory(&t->latest);
}

#endif
