/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in the overflow: those announced to the peers, those to be announced once they are old enough, and copies.
 * At most as many as the overflow holds.
 */
#ifndef DETNAT_TOLD_SESSIONS_H
#define DETNAT_TOLD_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

/* Identifies a session. */
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
	bool ended;    /* according to a peer: if it begins again before the next scan, it is another session */
	bool taken;    /* it belonged to a peer, which may still have it */
	bool again;    /* of this gateway's own: to be announced once more */
	uint8_t peer;  /* peer whose copy it is; 0: this gateway's own */
	uint8_t turn;
	bool turn_known; /* of a copy, or a former copy: it was announced */
	bool inbound;	 /* the outside has opened it */
	bool behalf;	 /* of a copy: its peer has told it on behalf of another */
	uint8_t state;	 /* as announced; 0: not announced */
};

extern const struct hash_type overflow_tolds;

/* NULL: there is none. */
struct overflow_told *overflow_tolds_find(const struct hash_table *t, const struct overflow_id *id);

/* Adds a session that must not be there yet, as not announced, since pass 0. NULL: out of memory. */
struct overflow_told *overflow_tolds_add(struct hash_table *t, const struct overflow_id *id);

/* Removes those of a mapping. Returns the number of those that had been announced. */
uint32_t overflow_tolds_del_mapping(struct hash_table *t, uint16_t mapping);

bool overflow_id_equal(const struct overflow_id *a, const struct overflow_id *b);

/* For sets of sessions. */
uint64_t overflow_id_hash(const struct overflow_id *id);

/*
 * Sessions that have ended here while a peer may have them as its own: kept, in the order of their ends, until all
 * peers know it or the session has expired there, too. Bounded; the oldest make room.
 */

#define ENDED_MAX (1U << 20)

struct ended_session {
	struct overflow_id id; /* proto 0: all except mapping and subscriber is unknown */
	uint16_t slot;
	uint16_t number; /* session_id() */
	uint8_t turn;
	bool gone;	  /* it has been opened again */
	bool closed;	  /* by an operator here: at every gateway, unless a packet has come there since */
	uint32_t tick;	  /* when it ended */
	uint64_t told_ms; /* CLOCK_MONOTONIC; 0: not announced */
};

struct ended_sessions {
	struct ended_session *entry; /* a ring of `room` */
	struct hash_index latest;    /* numbers of the latest end of each session */
	uint32_t room;		     /* a power of two, or 0 */
	uint64_t first;		     /* number of the oldest, counted from the first ever */
	uint64_t end;		     /* of the next one */
};

void ended_free(struct ended_sessions *t);

/* Without memory it does nothing: the peer keeps the session until it expires. */
void ended_add(struct ended_sessions *t, const struct ended_session *like);

/* The one with a number from first to end - 1. */
static inline struct ended_session *ended_at(const struct ended_sessions *t, uint64_t number)
{
	return &t->entry[number & (t->room - 1)];
}

/* The latest end of a session; NULL: unknown, or opened again. */
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
