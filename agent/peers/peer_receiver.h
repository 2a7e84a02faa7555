/* SPDX-License-Identifier: BSD-2-Clause */
/* Applies one peer's announcements, on a connection that the peer has dialled, and acknowledges them. */
#ifndef DETNAT_PEER_RECEIVER_H
#define DETNAT_PEER_RECEIVER_H

#include "copies/copying.h"
#include "peers/connection.h"

struct receiver;

/* The peer has shown a mapping for the first time: it needs a whole copy from here. */
typedef void (*receiver_wants_copy)(void *arg);

/* number: of the peer, for copying.h. 0 or -ENOMEM. */
int receiver_new(struct copying *copying, unsigned number, receiver_wants_copy wants_copy, void *arg,
		 struct receiver **ret);
void receiver_free(struct receiver *r);

/* Takes over a connection that has become ready; an earlier one is closed. interval_ms: of the peer. */
void receiver_take(struct receiver *r, struct connection *c, uint32_t interval_ms);

/* Notices silence; call it a few times a second. */
void receiver_tick(struct receiver *r);

/* Whether this gateway may vouch for the peer's copies: the peer was heard lately, and its whole copy is complete. */
bool receiver_vouches(const struct receiver *r);

/* Whether a peer has been connected since before another one was last heard, so that it may have copies of that one. */
bool receiver_knew(const struct receiver *r, const struct receiver *silent);

/* Asks the peer for a whole copy. */
void receiver_ask_again(struct receiver *r);

/* After a change of the running mappings. */
void receiver_mappings_changed(struct receiver *r);

/* Notes the reason why a dialler that claimed to be this peer was refused. */
void receiver_note(struct receiver *r, const char *why);

struct receiver_figures {
	bool connected;	   /* and heard lately */
	bool complete;	   /* its whole copy has come */
	bool mismatch;	   /* no mapping is exchanged, although there are some */
	const char *why;   /* reason why it is not connected; "": it is, or has not dialled yet */
	uint64_t received; /* records of sessions */
	uint64_t refused;
	uint64_t existing;
	uint64_t held; /* copies */
	uint64_t memory;
	bool has_clock;
	int64_t clock_ahead_ms; /* of this gateway's */
	struct copying_lacks lacks;
	struct copying_table_report report;
};
void receiver_figures(const struct receiver *r, struct receiver_figures *ret);

#endif
