/* SPDX-License-Identifier: BSD-2-Clause */
/* For the files that implement copying.h: places sessions that a peer has told. */
#ifndef DETNAT_COPYING_PLACE_H
#define DETNAT_COPYING_PLACE_H

#include "copies/copying_private.h"

/* A record of the wire. */
struct told_session {
	uint64_t key;
	uint16_t out_port;
	uint16_t slot;
	uint8_t proto;
	uint8_t state; /* 0: ended */
	bool inbound;
	uint8_t turn;
	uint16_t age_s; /* since a packet has refreshed it */
};

/*
 * Adds a session to those to be placed, with this tick as last seen. The subscriber has marks. 0, or -errno if the
 * program could not be run.
 */
int placing_add(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		const struct placing *p, uint32_t seen);

/* Whether the session has ended here, and the peer has yet to hear of it: it is tried again. */
bool placing_waits(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		   const struct placing *p, uint32_t now);

/*
 * Adds a request about the overflow: key, word, before, mark_before, mark, takes and request are set. t: what the peer
 * in the mark has told, of which the turn, and what follows it, counts; told: at this tick.
 */
int placing_add_overflow(struct copying *c, const struct copied_mapping *cm, uint32_t subscriber,
			 const struct session_copy *request, const struct told_session *t, uint32_t told);

/* What has become of such a request. */
void placed_in_overflow(struct copying *c, const struct session_copy *r, const struct placing *p);

/* What is known of a session in the overflow, added if it is not known yet; NULL for want of memory. */
struct overflow_told *overflow_known(struct copying *c, const struct overflow_id *id);

/* It is a peer's copy, and nothing is told of it. */
void overflow_is_copy(struct copying *c, struct overflow_told *t, unsigned peer, uint64_t word);

/* As contest(), of one beyond the slots. */
void overflow_contest(struct copying *c, struct overflow_told *t, uint8_t turn);

struct waiting_copy waiting_copy_of(const struct session_copy *r, const struct placing *p);

/* The session of a request has no place yet, and is to be tried again. */
void wait_for(struct copying *c, const struct session_copy *r, const struct placing *p);

/* What holds the port of a request gives way, if it has to. */
void port_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p);

/* Tries once more to place a session; placing_flush() has to follow. 0 or -errno. */
int copied_slot_again(struct copying *c, struct copied_mapping *cm, const struct waiting_copy *w);
int copied_overflow_again(struct copying *c, const struct copied_mapping *cm, const struct waiting_copy *w);

/* Places them. 0 or -errno. */
int placing_flush(struct copying *c);

/* Whether a peer's session may be put in the place of one: not of one in time-wait, which counts no more. */
static inline bool word_is_open(uint64_t word)
{
	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT;
}

/* Changes the state of a session, which keeps its last seen. False: it has been changed meanwhile. */
static inline bool change_state(struct slot *s, __u64 word, uint8_t state)
{
	return word_is_open(word) &&
	       __atomic_compare_exchange_n(&s->truth, &word, word_with(word, state, word_seen(word)), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

#endif
