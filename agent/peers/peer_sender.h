/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells one peer of this gateway's sessions, on a connection that it dials: first a whole copy, then what each pass
 * finds, and ten minutes after a whole copy another, in case the two have drifted apart. Acknowledgements come back.
 */
#ifndef DETNAT_PEER_SENDER_H
#define DETNAT_PEER_SENDER_H

#include "copies/copying.h"
#include "peers/connection.h"

#define SENDER_WHOLE_AGAIN_S 600U

/* What all peers share. */
struct sending {
	struct connection_setup connection;
	struct copying *copying;
};

struct sender;

/* What is shared must outlive the result. number: of the peer. 0 or -ENOMEM. */
int sender_new(const struct sending *shared, struct endpoint peer, unsigned number, struct sender **ret);
void sender_free(struct sender *s);

/*
 * A few times a second: dials, says that this gateway is there, gives up a peer that acknowledges nothing. pass_ms:
 * when the last complete pass began, CLOCK_MONOTONIC; 0: there was none yet. refused: why the peer must not be dialled
 * at present, or NULL.
 */
void sender_tick(struct sender *s, uint64_t pass_ms, const char *refused);

/* The peer is there: it need not be waited for. */
void sender_hurry(struct sender *s);

/* Takes a payload of a pass. What does not fit in the queue is lost, and the whole copy begins again. */
void sender_tell(struct sender *s, unsigned type, const void *payload, size_t length);

/* Goes on with a whole copy, if there is one to be made and room for it. Returns whether it did anything. */
bool sender_step(struct sender *s, unsigned budget_us);

/* Begins a whole copy from the start. */
void sender_copy_again(struct sender *s);

struct sender_figures {
	bool connected;	 /* and what is sent is acknowledged */
	bool complete;	 /* the peer has the whole copy */
	const char *why; /* why it is not connected; "": it has not been tried, or it is */
	bool has_lag;
	uint64_t lag_ms;   /* age of what the peer may lack */
	uint64_t sent;	   /* records of sessions */
	uint64_t unsent;   /* the same, in the queue */
	uint64_t copies;   /* whole copies begun */
	uint64_t overruns; /* of these, because the queue was full */
	uint64_t memory;   /* octets */
	bool has_copies;   /* the peer has said so since the whole copy */
	uint64_t copies_there;
	uint64_t told_then; /* sessions that it had been told by then */
};
void sender_figures(const struct sender *s, struct sender_figures *ret);

#endif
