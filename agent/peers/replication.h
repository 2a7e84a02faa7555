/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of peers/: copies of sessions between gateways with one configuration. Each gateway dials every
 * peer and announces its sessions there; it applies its peers' announcements on the connections that they have dialled.
 * So a connection has one direction, and acknowledgements come back on it.
 *
 * 	copying.h	sessions to announce, and announced sessions: tables, no sockets
 * 	frame.h		frames and their HMAC;  connection.h: hellos, then frames both ways;  gate.h: who may come in
 * 	peer_sender.h, peer_receiver.h	one of each for every peer
 * 	replication_work.h		passes, whole copies and refreshes, in slices
 * 	replication_state.h		reports to operators
 */
#ifndef DETNAT_REPLICATION_H
#define DETNAT_REPLICATION_H

#include <event2/event.h>

#include "config/config.h"
#include "copies/copying.h"
#include "datapath/datapath.h"

struct mappings;
struct grants;
struct growth;
struct portmaps;
struct replication;

/* Does nothing until configured. All must outlive the result. 0 or -errno with err. */
int replication_new(struct event_base *base, struct datapath *d, struct mappings *m, struct portmaps *portmaps,
		    const struct grants *grants, struct growth *growth, struct replication **ret, struct error *err);
void replication_free(struct replication *r); /* copies stay, and their marks; NULL is allowed */

/*
 * Reads the key and begins to listen, as configured, for replication_settle(). If that fails and `wait` is true, it
 * tries again every second, which is TROUBLE_REPLICATION; else it is an error. name is the file's in the message; NULL:
 * none.
 */
int replication_configure(struct replication *r, const struct config *c, bool wait, const char *name,
			  struct error *err);

/* The configuration will not take effect after all. */
void replication_abandon(struct replication *r);

/* Call it once a configuration and its mappings are in force. Renews connections if `replication` has changed. */
void replication_settle(struct replication *r, const struct config *c);

/* For -t: whether the key can be read and the address be bound. running may be NULL. */
int replication_check(const struct config *c, const struct config *running, const char *name, struct error *err);

/* X(constant, name) */
#define PEER_STATES(X)               \
	X(PEER_DOWN, "down")         \
	X(PEER_COPYING, "copying")   \
	X(PEER_MISMATCH, "mismatch") \
	X(PEER_DIFFERS, "differs")   \
	X(PEER_SYNCHRONISED, "synchronised")

enum peer_state {
#define X(constant, name) constant,
	PEER_STATES(X)
#undef X
		N_PEER_STATES
};
const char *peer_state_name(enum peer_state state);

struct peer_figures {
	struct endpoint peer;
	unsigned number; /* as of copying_subscriber() */
	enum peer_state state;
	char reason[192]; /* reason why it is not synchronised; "": it is, or there is none */
	bool has_lag;
	uint64_t lag_ms;	    /* replication lag */
	uint64_t sent;		    /* records of sessions */
	uint64_t received;	    /* the same */
	uint64_t refused;	    /* of these, the port or the place was not free here */
	uint64_t existing;	    /* of these, already this gateway's own */
	uint64_t held;		    /* copies at present */
	uint64_t unsent;	    /* records in the queue */
	uint64_t copies;	    /* whole copies begun */
	uint64_t overruns;	    /* of these, because the queue was full */
	uint64_t memory;	    /* octets of queues and buffers */
	uint32_t differ;	    /* mappings, exceptions and portmaps that differ and should not */
	bool differs_long;	    /* for longer than changes of both gateways take */
	struct copying_lacks lacks; /* what it has announced and this gateway cannot store */
	bool lacks_there;	    /* it cannot store all that was announced to it */
	bool has_copies_there;
	uint64_t copies_there; /* the peer's copies of sessions here */
	uint64_t told_then;    /* sessions announced to it by then */
	bool spoken_for;       /* this gateway tells of its sessions on its behalf */
	bool has_clock;
	int64_t clock_ahead_ms; /* of this gateway's */
};

bool replication_enabled(const struct replication *r);

/* The number of peers, and the figures of one. */
unsigned replication_peers(const struct replication *r);
void replication_peer(const struct replication *r, unsigned n, struct peer_figures *ret);

/* The kth mapping that is not exchanged with a peer, as copying_difference(). */
bool replication_difference(const struct replication *r, unsigned n, unsigned k, struct prefix *ret_in,
			    struct prefix *ret_out, enum copying_difference *ret_why);

/* The differences between this gateway and a peer, and one of them in words. */
const struct copying_differences *replication_differences(const struct replication *r, unsigned n);
#define COPYING_DIFFERENCE_LINE 304U
const char *replication_difference_text(const struct copying_rule_difference *d,
					char text[static COPYING_DIFFERENCE_LINE]);

/* Of the mappings, exceptions and portmaps here. 0: replication is off. */
uint64_t replication_digest(const struct replication *r);

/* Copies all sessions again, from here to the peer and back. -ENOENT: not a peer; -ENOTCONN: it is down. */
int replication_resync(struct replication *r, struct endpoint peer);

/* The owners of the sessions of a tenant's inside address. -ENOENT: no mapping has it, or replication is off. */
int replication_subscriber(const struct replication *r, uint8_t tenant, uint32_t in_addr,
			   struct copying_subscriber *ret);

/* As copying_copies(); 0 where replication is off. */
uint32_t replication_copies(const struct replication *r, int number, uint32_t subscriber, uint64_t *bits);

/* Octets of marks, queues and buffers. */
uint64_t replication_memory(const struct replication *r);

#endif
