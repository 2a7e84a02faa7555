/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the files that implement copying.h: a session that is here, in a slot of its subscriber's own or in the
 * subscriber's extent, <detnat/extents.h>. Of the former, marks and notes say whose it is; of the latter, its state
 * word and a note, beyond_notes.h.
 */
#ifndef DETNAT_FOUND_SESSION_H
#define DETNAT_FOUND_SESSION_H

#include "copies/ownership.h"

struct found_session {
	struct copied_mapping *cm;
	struct session_tuple id;
	struct slot *at;
	uint64_t word;
	int32_t slot;	/* number among the subscriber's own; -1: in the extent */
	unsigned owner; /* the peer whose copy it is; 0: this gateway's own */
};

/* The live session in a slot of the subscriber's own; its mark is settled. False: none. */
bool found_in_slot(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot,
		   struct found_session *ret);

/* The open session of a flow in the extent, given by all of `id` but the outside port. False: none. */
bool found_beyond(struct copying *c, const struct session_tuple *id, struct found_session *ret);

/* The one there that has an outside port, given by all of `id` but the inside port in its key. */
bool found_beyond_port(struct copying *c, const struct session_tuple *id, struct found_session *ret);

uint8_t found_turn(const struct copying *c, const struct found_session *s);

/* Ends it without reporting that. False: it has changed meanwhile. */
bool found_end(struct copying *c, const struct found_session *s);

/* After that: it goes on elsewhere, or its gateway has told the end: nothing is announced. */
void found_forget(struct copying *c, const struct found_session *s);

/* Or: a peer has told the end to all. If it is there again at the next look, it has begun since. */
void found_over(struct copying *c, const struct found_session *s);

/* Gives this turn to a session of this gateway's own; the next pass announces it, and later its end. */
void found_contest(struct copying *c, const struct found_session *s, uint8_t turn);

/* Makes it the copy that a request announces. False: it has changed meanwhile. */
bool found_to_peer(struct copying *c, struct found_session *s, const struct session_copy *r, const struct placing *p);

/* Notes turn, state and place of a copy in a slot, as announced. False: there is no room to note its place. */
bool note_announced(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot);

/* This gateway's own is announced once more. */
void found_tell_again(struct copying *c, const struct found_session *s);

/* Whether the peer whose copy it is has told it on behalf of another. */
bool found_behalf(const struct copying *c, const struct found_session *s);

/* The obstacle of a request gives way, if it must: rule 7. The announced session is then tried again. */
void gives_way(struct copying *c, const struct session_copy *r, const struct placing *p, const struct found_session *s);

/* A copy in an extent, with the announced turn. */
void note_copied(struct copying *c, const struct session_tuple *id, uint64_t word, const struct placing *p);

/* A peer's copy there is gone, and that is no ending that others must learn: its gateway may still have the session. */
void note_uncopied(struct copying *c, const struct session_tuple *id, unsigned peer);

/* The note of a session with this word, added if there is none. NULL: out of memory. */
struct beyond_note *note_known(struct copying *c, const struct session_tuple *id, uint64_t word);

void note_drop(struct copying *c, struct beyond_note *n);

/* It is a copy, by its word, and not announced here. */
void note_is_copy(struct copying *c, struct beyond_note *n, uint64_t word);

#endif
