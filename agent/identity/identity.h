/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of identity/: the agent's side of detnat-leases, the program that records leases as they happen.
 * It gets the configuration's sources from here, and its figures and troubles come back, the latter as TROUBLE_LEASES.
 * Where the service manager listens for it, at LEASES_SOCKET beside the control socket, the service is another's
 * affair. Elsewhere the agent starts the program, and again whenever it has ended.
 */
#ifndef DETNAT_IDENTITY_H
#define DETNAT_IDENTITY_H

#include <event2/event.h>

#include "config/config.h"

struct identity;

/* Of sources that are in force or were; requests and packets are those of RADIUS. */
struct identity_figures {
	uint64_t lines;		  /* written */
	uint64_t requests;	  /* genuine, repeated ones not included */
	uint64_t answers;	  /* repeated ones included */
	uint64_t repeated;	  /* requests that came again */
	uint64_t forged;	  /* or of another secret */
	uint64_t malformed;	  /* no requests of accounting */
	uint64_t idle;		  /* requests without an address or without an event of a lease */
	uint64_t refused;	  /* requests that could not be taken, and were not answered */
	uint64_t looped;	  /* requests that had been forwarded from here, or by too many servers */
	uint64_t strangers;	  /* packets of addresses that are no client's, which the kernel discarded */
	uint64_t dropped;	  /* packets that the socket's buffer had no room for */
	uint64_t forwarded;	  /* and answered by the further server */
	uint64_t forward_lost;	  /* neither forwarded nor answered, as too many wait */
	uint64_t reads;		  /* of files that had changed */
	uint64_t unread;	  /* lines of files that are not what they should be */
	uint64_t lost;		  /* times recorded in which events were lost */
	uint64_t waiting;	  /* lines that are not on the disk yet */
	uint64_t forward_waiting; /* requests, for an answer of the further server */
	uint64_t sources;
	int64_t last; /* time of the last line; TIME_NONE: none */
};

int identity_new(struct event_base *base, struct identity **ret); /* -ENOMEM */

/* Ends the program if the agent started it, once it has written what is there. NULL is allowed. */
void identity_free(struct identity *x);

/*
 * Has the program prepare what a configuration needs: sockets and secrets. at_start: what is missing is waited for. 0,
 * or -errno with err; name is the file's in messages, or NULL. Then identity_settle() puts it in force, or
 * identity_abandon() drops it.
 */
int identity_prepare(struct identity *x, const struct config *c, bool at_start, const char *name, struct error *err);
void identity_settle(struct identity *x);
void identity_abandon(struct identity *x);

/* Call it once the agent has given up the privileges of root, which a program that it starts would have, too. */
void identity_run(struct identity *x);

/* Checks sockets and secrets, for `detnat-agent -t`. running may be NULL. */
int identity_check(const struct config *c, const struct config *running, const char *name, struct error *err);

/* Figures of about now; false: no leases are recorded. */
bool identity_figures(struct identity *x, struct identity_figures *ret);

#endif
