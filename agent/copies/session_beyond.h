/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the files that implement copying.h: sessions beyond their subscriber's own slots. They are in an extent,
 * <detnat/extents.h>, or in the overflow: this gateway's own, and copies.
 */
#ifndef DETNAT_SESSION_BEYOND_H
#define DETNAT_SESSION_BEYOND_H

#include "copies/copying_private.h"

struct session_beyond {
	uint64_t key;
	uint64_t word;
	uint16_t mark;		/* of the overflow */
	struct slot *slot;	/* in an extent; NULL: it is in the overflow */
	struct overflow_key in; /* its entry there */
};

/* The session of a flow, given by all of `id` but the outside port. False: it is not beyond the slots. */
bool session_beyond_find(const struct copying *c, const struct overflow_id *id, struct session_beyond *ret);

/* The one that has an outside port, given by all of `id` but the inside port in its key. */
bool session_beyond_find_port(const struct copying *c, const struct overflow_id *id, struct session_beyond *ret);

/* The peer whose copy it is; 0: this gateway's own. */
unsigned session_beyond_owner(const struct session_beyond *b);

/* Ends it without reporting that. False: it has changed meanwhile. */
bool session_beyond_end(const struct copying *c, const struct overflow_id *id, const struct session_beyond *b);

/* Buckets of all extents in use. */
uint64_t extents_used(const struct datapath *d);

/* Non-zero: stop here, and begin with this session again. slot: where the session was with this word. */
typedef int (*extent_visit)(struct copying *c, const struct overflow_id *id, struct slot *slot, uint64_t word,
			    void *arg);

/*
 * Visits the sessions in extents that have not expired, from the cursor on. 0: all; 1: the time is up; or what `visit`
 * returned.
 */
int copied_extents_visit(struct copying *c, struct copying_cursor *at, uint64_t deadline_us, extent_visit visit,
			 void *arg);

#endif
