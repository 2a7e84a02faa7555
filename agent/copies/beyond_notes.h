/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes about sessions in extents: those announced to the peers, those to be announced once they are old enough, and
 * copies. A slot's place says nothing to a peer, so an end is announced with all that identifies the session.
 */
#ifndef DETNAT_BEYOND_NOTES_H
#define DETNAT_BEYOND_NOTES_H

#include "copies/session_tuple.h"

struct beyond_note {
	struct hash_entry entry;
	uint32_t since; /* the pass that found it */
	struct session_tuple id;
	uint64_t word;	 /* at the last look: its owner is the peer whose copy it is; 0: this gateway's own */
	uint32_t round;	 /* of a copy: copying_peer.round when its peer announced it last */
	bool seen;	 /* in the scan under way */
	bool ended;	 /* according to a peer: if it begins again before the next scan, it is another session */
	bool taken;	 /* it belonged to a peer, which may still have it */
	bool again;	 /* of this gateway's own: to be announced once more */
	bool behalf;	 /* of a copy: its peer has told it on behalf of another */
	bool turn_known; /* of a copy, or a former copy */
	uint8_t turn;
	uint8_t state; /* as announced; 0: not announced */
};

extern const struct hash_type beyond_notes;

/* NULL: there is none. */
struct beyond_note *beyond_note_find(const struct hash_table *t, const struct session_tuple *id);

/* Adds one of a session without, as not announced. NULL: out of memory. */
struct beyond_note *beyond_note_add(struct hash_table *t, const struct session_tuple *id);

/* Removes those of a mapping. Returns the number of those that had been announced. */
uint32_t beyond_notes_del_mapping(struct hash_table *t, uint16_t mapping);

#endif
