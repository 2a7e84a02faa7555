/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Announces this gateway's sessions to one peer, on a connection that it dials: first a whole copy, then the findings
 * of each pass, and every ten minutes another whole copy, in case the two have drifted apart. Acknowledgements come
 * back.
 */
#ifndef DETNAT_PEER_SENDER_H
#define DETNAT_PEER_SENDER_H

#include "copies/copying.h"
#include "peers/connection.h"

#define SENDER_WHOLE_AGAIN_S 600U

/* Shared by all peers. */
struct sending {
	struct connection_setup connection;
	struct copying *copying;
};

struct sender;

/* `shared` must outlive the result. number: the peer's. 0 or -ENOMEM. */
int sender_new(const struct sending *shared, struct endpoint peer, unsigned number, struct sender **ret);
void sender_free(struct sender *s);

/*
 * Call it a few times a second: dials, sends signs of life, gives up a peer that acknowledges nothing. pass_ms: the
 * beginning of the last complete pass, CLOCK_MONOTONIC; 0: none yet. refused: the reason why the peer must not be
 * dialled at present, or NULL.
 */
void sender_tick(struct sender *s, uint64_t pass_ms, const char *refused);

/* The peer is there: dials without further waiting. */
void sender_hurry(struct sender *s);

/* Takes a payload of a pass. If it does not fit in the queue, it is lost, and the whole copy begins again. */
void sender_tell(struct sender *s, unsigned type, const void *payload, size_t length);

/* Continues a whole copy, if one is due and there is room. Returns whether it did anything. */
bool sender_step(struct sender *s, unsigned budget_us);

/* Begins a whole copy from the start. */
void sender_copy_again(struct sender *s);

struct sender_figures {
	bool connected;	 /* and acknowledges */
	bool complete;	 /* the peer has the whole copy */
	const char *why; /* reason why it is not connected; "": it is, or was not tried yet */
	bool has_lag;
	uint64_t lag_ms;   /* replication lag */
	uint64_t sent;	   /* records of sessions */
	uint64_t unsent;   /* the same, in the queue */
	uint64_t copies;   /* whole copies begun */
	uint64_t overruns; /* of these, because the queue was full */
	uint64_t memory;   /* octets */
	bool lacks;	   /* the peer cannot store all that was announced */
	bool has_copies;   /* the peer has reported them since the whole copy */
	uint64_t copies_there;
	uint64_t told_then; /* sessions announced by then */
};
void sender_figures(const struct sender *s, struct sender_figures *ret);

#endif
