/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the files that apply a peer's announcements to slots: its changes, and its whole copies. */
#ifndef DETNAT_COPYING_APPLY_H
#define DETNAT_COPYING_APPLY_H

#include "copies/ownership.h"

/* A payload being read. */
struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

/* The records of one subscriber. */
struct group {
	struct copied_mapping *cm; /* NULL: not exchanged */
	uint32_t subscriber;
	uint32_t n;
	const struct wire_session *record;
};

/* The announcement being applied. */
struct applying {
	struct copying *c;
	unsigned peer;
	uint32_t now;
	uint32_t fresh_ticks; /* age up to which a subscriber's tick of vouching is good enough for new copies */
	uint32_t told;	      /* tick at which the peer has announced it */
	uint64_t last;	      /* mapping and subscriber of the last group */
	uint64_t deadline_us;
};

/* A copy of the peer: where, and what. */
struct held {
	uint32_t slot;
	uint16_t *mark;
	struct slot *at;
	uint64_t key;
	uint64_t word;
};

/* The next octets of a payload; NULL: it has fewer. */
const void *reader_take(struct reader *r, size_t size);

/* 1: there is one; 0: the payload has ended; -EPROTO. */
int group_next(struct applying *a, struct reader *r, struct group *ret);

struct told_session session_of_record(const struct wire_session *w);

/* The slot here for this slot at the peer, if its mark is the peer's. */
uint32_t copy_slot(const struct applying *a, const struct group *g, uint16_t theirs);

/* Finds the copy of a peer's slot. False: there is none, or no longer one. */
bool copy_find(const struct applying *a, const struct group *g, uint16_t *marks, uint16_t theirs, struct held *ret);

bool copy_is(const struct held *h, const struct told_session *t);
void copy_end(const struct applying *a, const struct group *g, const struct held *h);
void copy_update(const struct applying *a, const struct group *g, const struct held *h, const struct told_session *t);

/* 0 or -errno. */
int copy_place(const struct applying *a, const struct group *g, const struct told_session *t);

/* Prepares for the records of a group. 0; 1: nobody here has them, they are counted as refused; or -errno. */
int group_begin(struct applying *a, const struct group *g);

/* Places a session beyond the slots, announced in this copying_peer.round. 0 or -errno. */
int apply_beyond(const struct applying *a, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		 uint32_t round);

/* Applies WIRE_BEYOND: 0 or -errno. */
int copied_beyond_apply(const struct applying *a, const void *payload, size_t length);

/* Applies WIRE_WHOLE: 0; 1: not all of it yet; or -errno. */
int apply_range(struct applying *a, struct reader *r);

#endif
