/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to peers/: shared by its lifetime (replication.c), its work and its states. */
#ifndef DETNAT_REPLICATION_PRIVATE_H
#define DETNAT_REPLICATION_PRIVATE_H

#include "peers/gate.h"
#include "peers/peer_receiver.h"
#include "peers/peer_sender.h"
#include "peers/replication.h"
#include "peers/replication_means.h"

struct replication_peer {
	struct copying *copying;
	struct endpoint at;
	unsigned number;
	struct sender *sender;
	struct receiver *receiver;
	enum peer_state state;
	uint64_t since_ms; /* of the state, CLOCK_MONOTONIC */
	bool was_up;
	enum peer_state told; /* reported to operators last */
	uint64_t silent_ms;   /* since when this gateway does not vouch for it, CLOCK_MONOTONIC; 0: it does */
	uint64_t back_ms;     /* since when it does; 0: it does not */
	bool spoken_for;      /* this gateway tells of its sessions on its behalf */
	uint64_t differs_ms;  /* since when rules differ, CLOCK_MONOTONIC; 0: they do not */
	int64_t clock_told_s; /* how far its clock is ahead, as operators are told; 0: they are not */
	struct error refused; /* reason why it must not be dialled at present; "": it may */
};

/* The mappings whose sessions are sent, in order of their prefixes. */
struct replication_owned {
	uint32_t n; /* 0: all */
	struct replication_pair {
		struct prefix in, out;
	} mapping[CONFIG_MAX_MAPPINGS];
};

struct replication_passes {
	struct event *work;   /* the next slice */
	uint64_t began_ms;    /* the pass under way, or the last one; 0: none yet */
	uint64_t complete_ms; /* beginning of the last complete one; 0: none yet */
	bool under_way;
	bool vouching;	    /* copying_vouch() has more to do */
	unsigned next_copy; /* the peer whose whole copy continues next */
};

struct replication {
	struct event_base *base;
	struct datapath *d;
	struct mappings *mappings;
	struct portmaps *portmaps;
	const struct grants *grants;
	struct growth *growth;
	struct replication_means now;
	struct replication_means next;
	bool prepared; /* `next` waits to be settled */
	struct copying *copying;
	char *state_file;
	struct replication_owned owned;
	struct sending sending;
	struct gate *gate;
	struct replication_peer peer[REPLICATION_MAX_PEERS];
	unsigned n_peers;
	uint8_t spoken; /* peers, by bit of their numbers, for which this gateway speaks, as is noted for the next agent
			 */
	struct event *tick;
	unsigned ticks;
	struct replication_passes passes;
};

#define REPLICATION_TICKS_A_SECOND 4U

static inline uint64_t replication_now_ms(void)
{
	return monotonic_us() / 1000;
}

/* States of peers: determined, and reported to operators in notices, the log and TROUBLE_REPLICATION. */

void replication_peer_figures(const struct replication_peer *p, struct peer_figures *ret);

/* REPLICATION_TICKS_A_SECOND times a second. */
void replication_state_tick(struct replication *r);

/* Replication is off: clears its trouble. */
void replication_state_end(void);

/*
 * The work on sessions, in slices of two milliseconds with as long a pause after each: passes, whole copies for peers,
 * and refreshes of vouched copies.
 */

/* 0 or -ENOMEM. */
int replication_work_start(struct replication *r);
void replication_work_stop(struct replication *r);

/* REPLICATION_TICKS_A_SECOND times a second: begins work that is due. */
void replication_work_tick(struct replication *r);

#endif
