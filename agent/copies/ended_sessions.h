/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that have ended here while a peer may have them as its own: kept, in the order of their ends, until all
 * peers know it or the session has expired there, too. Bounded; the oldest make room.
 */
#ifndef DETNAT_ENDED_SESSIONS_H
#define DETNAT_ENDED_SESSIONS_H

#include "copies/session_tuple.h"

#define ENDED_MAX (1U << 20)

struct ended_session {
	struct session_tuple id; /* proto 0: all except mapping and subscriber is unknown */
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
struct ended_session *ended_find(const struct ended_sessions *t, const struct session_tuple *id);

/* Forgets the oldest. */
void ended_drop_first(struct ended_sessions *t);

/* Forgets those of a mapping. */
void ended_forget(struct ended_sessions *t, uint16_t mapping);

static inline uint64_t ended_memory(const struct ended_sessions *t)
{
	return (uint64_t)t->room * sizeof(*t->entry) + hash_index_memory(&t->latest);
}

#endif
