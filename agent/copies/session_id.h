/* SPDX-License-Identifier: BSD-2-Clause */
/* 16 bits that identify the session of a slot. */
#ifndef DETNAT_SESSION_ID_H
#define DETNAT_SESSION_ID_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/session.h>

#define ID_BITS 13U
#define ID_MASK ((1U << ID_BITS) - 1)

/* From a session's endpoints and protocol: of two successive sessions in a slot, one pair in 8192 has the same. */
static inline uint16_t session_id(uint64_t key, uint64_t word)
{
	uint64_t hash = (key ^ ((uint64_t)word_out_port(word) << 8 | word_proto(word)) * 0x9e3779b97f4a7c15ULL) *
			0xff51afd7ed558ccdULL;

	hash = (hash ^ hash >> 32) * 0xc4ceb9fe1a85ec53ULL;
	return (uint16_t)(hash >> (64 - ID_BITS));
}

/*
 * The sender's note about a slot. 0: nothing has been announced, or its end has. NOTE_TOLD: the session with this id,
 * combined with its announced state by exclusive or. Lower tags: a session first seen in that phase, see note_phase().
 */
#define NOTE_TOLD   7U
#define NOTE_PHASES 6U

static inline uint16_t note_told(uint16_t id, uint8_t state)
{
	return (uint16_t)(NOTE_TOLD << ID_BITS | ((id ^ state) & ID_MASK));
}

/* A session was announced, its end was not, and the session with this id is another one, although it may look alike. */
static inline uint16_t note_of_ended(uint16_t id)
{
	return note_told(id ^ 1U << (ID_BITS - 1), 0);
}

/* The session is to be announced once more: as if it had been announced in another state of its protocol. */
static inline uint16_t note_of_told_again(uint16_t id, uint8_t state)
{
	if (state == SESSION_UDP || state == SESSION_ICMP)
		return note_told(id, state == SESSION_UDP ? SESSION_ICMP : SESSION_UDP);
	return note_told(id, state == SESSION_ESTABLISHED ? SESSION_SYN_SENT : SESSION_ESTABLISHED);
}

static inline uint16_t note_seen(uint16_t id, unsigned phase)
{
	return (uint16_t)((phase % NOTE_PHASES + 1) << ID_BITS | id);
}

static inline unsigned note_tag(uint16_t note)
{
	return note >> ID_BITS;
}

/* Phases since a session was first seen, at most NOTE_PHASES - 1. */
static inline unsigned note_age(uint16_t note, unsigned phase)
{
	return (phase + NOTE_PHASES - (note_tag(note) - 1)) % NOTE_PHASES;
}

/* Whether the announced entry could be this session in an earlier state. */
static inline bool note_is_of(uint16_t note, uint16_t id)
{
	unsigned state = ((note ^ id) & ID_MASK);

	return note_tag(note) == NOTE_TOLD && state > SESSION_OPENING && (state & ~SESSION_RESET) < N_SESSION_STATES;
}

/*
 * The mark of a slot: the peer whose copy it holds, and the session's id. 0: none. With peer 0: a session of this
 * gateway's own that belonged to a peer, which may still have it.
 */
static inline uint16_t mark_of(unsigned peer, uint16_t id)
{
	return (uint16_t)(peer << ID_BITS | id);
}

static inline unsigned mark_peer(uint16_t mark)
{
	return mark >> ID_BITS;
}

static inline uint16_t mark_of_taken(uint16_t id)
{
	return id ? id : 1;
}

static inline bool mark_is_taken(uint16_t mark)
{
	return mark && !mark_peer(mark);
}

/* Whether a mark belongs to this session. */
static inline bool mark_is_of(uint16_t mark, uint16_t id)
{
	return mark_peer(mark) ? mark == mark_of(mark_peer(mark), id) : mark && mark == mark_of_taken(id);
}

/*
 * A session's turn: 0 if no gateway has taken it over, 1 if one has, then from 2 to 15 and again from 2. Any turn is
 * after 0 and, except for 0, after 1. An agent that has forgotten turns knows which sessions were taken over and claims
 * 1, which is below any later turn.
 */
#define TURN_MAX 15U

static inline uint8_t turn_next(uint8_t turn)
{
	return turn < TURN_MAX ? (uint8_t)(turn + 1) : 2;
}

/* Whether a turn comes after another. */
static inline bool turn_after(uint8_t turn, uint8_t other)
{
	const unsigned round = TURN_MAX - 1;

	if (turn < 2 || other < 2)
		return turn > other;
	return turn != other && (turn + round - other) % round < round / 2 + (turn > other);
}

#endif
