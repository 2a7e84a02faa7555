/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the files that implement copying.h: which gateway has a session. docs/internals/OWNERSHIP.md has the rules; the
 * numbers here are its numbers.
 */
#ifndef DETNAT_OWNERSHIP_H
#define DETNAT_OWNERSHIP_H

#include "copies/copying_private.h"

/* For the files that implement copying.h: places sessions that a peer has announced. */

/* A record of the wire. */
struct told_session {
	uint64_t key;
	uint16_t out_port;
	uint16_t slot;
	uint8_t proto;
	uint8_t state; /* 0: ended */
	bool inbound;
	bool behalf; /* of another gateway, which is silent */
	bool beyond; /* not in a slot of its subscriber's own, there */
	uint8_t turn;
	uint16_t age_s; /* since a packet has refreshed it */
};

/*
 * Adds a session to those to place, with this tick as last seen. For a slot, the subscriber must have marks. 0, or
 * -errno if the program could not run.
 */
int placing_add(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		const struct placing *p, uint32_t seen);

/* Whether the session has ended here and the peer has yet to learn it: it is tried again. */
bool placing_waits(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		   const struct placing *p, uint32_t now);

struct waiting_copy waiting_copy_of(const struct session_copy *r, const struct placing *p);

/* The session of a request has no place yet, and must be tried again. */
void wait_for(struct copying *c, const struct session_copy *r, const struct placing *p);

/* The session of a request is here already: in an extent, or in the slot of the request. */
void copy_met(struct copying *c, const struct session_copy *r, const struct placing *p);

/* The holder of a request's port gives way, if it must. */
void port_gives_way(struct copying *c, const struct session_copy *r, const struct placing *p);

/* Tries once more to place a session; placing_flush() has to follow. 0 or -errno. */
int copied_again(struct copying *c, struct copied_mapping *cm, const struct waiting_copy *w);
/* Places them. 0 or -errno. */
int placing_flush(struct copying *c);

/* Whether a peer's session may replace this one: not if it is in time-wait, which no longer counts. */
static inline bool word_is_open(uint64_t word)
{
	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT;
}

/* Rule 4 of <detnat/session.h>. False: the session has changed meanwhile. */
static inline bool change_word(struct slot *s, __u64 word, uint64_t to)
{
	return __atomic_compare_exchange_n(&s->truth, &word, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Changes the state of a session, which keeps its last-seen tick. False: it has changed meanwhile. */
static inline bool change_state(struct slot *s, __u64 word, uint8_t state)
{
	return word_is_open(word) && change_word(s, word, word_with(word, state, word_seen(word)));
}

/*
 * Rule 3: whether a peer's announcement with a turn takes precedence over a session of a gateway (peer; 0: this one)
 * with another.
 */
bool claim_wins(const struct copying *c, unsigned peer, uint8_t turn, unsigned of, uint8_t than);

/*
 * Rules 3, 8 and 9: whether a peer's announcement replaces a copy of another peer (of), which has this turn, and which
 * that peer may have told on behalf of a third.
 */
bool copy_is_replaced(const struct copying *c, const struct placing *p, unsigned of, uint8_t turn, bool behalf);

/* Whether the peer of a slot's mark has told the session on behalf of another. */
static inline bool is_on_behalf(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot)
{
	size_t at = (size_t)subscriber * cm->tables.n_slots + slot;

	return cm->behalf[at / 8] >> at % 8 & 1;
}

static inline void set_on_behalf(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, bool behalf)
{
	size_t at = (size_t)subscriber * cm->tables.n_slots + slot;

	if (is_on_behalf(cm, subscriber, slot) != behalf)
		cm->behalf[at / 8] ^= (uint8_t)(1U << at % 8);
}

/*
 * Known data of a slot with a mark: its turn plus one, and above it the timeout that counts for a copy, plus one. 0:
 * unknown.
 */
#define KNOWN_TURN     0x1fU
#define KNOWN_LIFE_BIT 5U

static inline uint8_t *known_at(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot)
{
	return &cm->turns[(size_t)subscriber * cm->tables.n_slots + slot];
}

static inline void set_turn(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint8_t turn)
{
	uint8_t *at = known_at(cm, subscriber, slot);

	*at = (uint8_t)((*at & ~KNOWN_TURN) | (turn + 1));
}

/* A copy is in this state. */
static inline void set_life(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint8_t state)
{
	uint8_t *at = known_at(cm, subscriber, slot);
	uint8_t now = (uint8_t)((*at & KNOWN_TURN) | (session_timeout(state) + 1) << KNOWN_LIFE_BIT);

	if (*at != now)
		*at = now;
}

/* The turn of the session in a slot: of this gateway's own if the mark belongs to no peer. */
uint8_t slot_turn(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t mark, uint16_t id);

/*
 * Determines the fate of the session behind a slot's mark: still a copy (true); taken over by a packet (rule 2); or
 * ended, which is noted where others must learn it (rules 4 to 6). v: when the peer was vouched for; NULL: as the marks
 * say.
 */
bool mark_settle(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark,
		 const struct vouched *v, uint32_t now);

/*
 * Does so for all marks left by an earlier agent. Endings are not noted: tables may have been lost, and then a mark
 * without its session would count as an ending.
 */
void marks_settle_found(struct copying *c);

/* Rule 2: makes the copy in a slot this gateway's own. */
void take_over(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark);

/* Resets a slot as if nothing had been announced for it, without announcing an end. */
void forget_told(struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot);

/* The announced session of a slot is over: if one with this id is there, it has begun since. */
void note_over(struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t id);

/* Reports the end of a session of the request's subscriber. */
void report_end(struct copying *c, const struct session_copy *r, uint64_t key, uint64_t word);

/*
 * The bindings in its way give way: the one of its port to another inside port, and the one of its inside port to
 * another port, if no session here uses them. It is then tried again.
 */
void bindings_give_way(struct copying *c, const struct session_copy *r);

/* Whether an announced session has ended here, unknown to the peer: rules 4 and 5. p: how it was announced. */
bool ended_here(struct copying *c, const struct placing *p, const struct session_tuple *id);

/* A session of this gateway's own begins: if it had ended before, it gets the next turn. */
bool begins_again(struct copying *c, const struct session_tuple *id, uint8_t *ret_turn);

/* Notes that a session has ended with a turn; now: a tick. */
void note_ended(struct copying *c, const struct session_tuple *id, uint32_t slot, uint16_t number, uint8_t turn,
		uint32_t now);

/* The same for one that a peer has ended and announced to all. */
void note_heard_end(struct copying *c, const struct session_tuple *id, uint8_t turn, uint32_t now);

/* The id of a session in a slot. */
static inline struct session_tuple slot_session_id(const struct copied_mapping *cm, uint32_t subscriber, uint64_t key,
						   uint64_t word)
{
	return (struct session_tuple){ .key = key,
				       .subscriber = subscriber,
				       .mapping = (uint16_t)cm->number,
				       .out_port = word_out_port(word),
				       .proto = word_proto(word) };
}

#endif
