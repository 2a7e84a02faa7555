/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of sessions between gateways: the side of the tables. Reads what there is to tell, writes what was told; knows
 * no sockets and has no timers. Everything is called by the main thread, in slices.
 *
 * A *copy* is a session received from a peer. It is marked with the number of the peer that told it, until a packet of
 * this gateway refreshes it: then it is this gateway's own, and told to the peers like any other; the gateway that had
 * it has a copy then. docs/OWNERSHIP.md has the rule.
 *
 * Order. A peer is told, on one connection and in the order in which they are emitted: the payloads of each pass that
 * begins or goes on after copying_whole_new(), for all peers alike, and those of its own whole copy. A peer that misses
 * one of them (its queue was full, its connection was lost) needs a whole copy again.
 */
#ifndef DETNAT_COPYING_H
#define DETNAT_COPYING_H

#include <stddef.h>
#include <stdint.h>

#include "tables/mappings.h"

/* Peers are numbered from 1. */
#define COPYING_PEERS 7U

struct copying;

struct copying_limits {
	unsigned min_age_s;   /* sessions are told once they are so old */
	unsigned interval_ms; /* at which passes begin */
	/* Whether the sessions of a mapping are told; NULL: of all. A change takes effect with a whole copy. */
	bool (*owned)(const void *arg, struct prefix in, struct prefix out);
	const void *owned_arg;
	bool spread; /* not every gateway has all mappings: one that another peer has, too, may be missing */
};

/*
 * state_file: where marks outlive the agent, one file for each mapping, named state_file and a suffix; in a directory
 * that does not outlive the machine. NULL: nowhere. What is found there and does not fit is logged and removed.
 * -ENOMEM, or -errno. The mappings must outlive the result.
 */
int copying_new(struct mappings *m, const struct copying_limits *limits, const char *state_file, struct copying **ret);

/* Marks stay in the files. */
void copying_free(struct copying *c);

/* After a change of the configuration. */
void copying_set_limits(struct copying *c, const struct copying_limits *limits);

/*
 * Which gateways there are, by number, this one as 0: a number of each, 0 for none. Of two with equal claims to a
 * session the one with the higher number has it.
 */
void copying_set_order(struct copying *c, const uint64_t order[COPYING_PEERS + 1]);

struct portmaps;
/*
 * From now on leases of PCP are exchanged, too; the portmaps must outlive the struct. lease_stamps: a map as of
 * lease_stamps_open(), or -1; the struct closes it.
 */
void copying_set_portmaps(struct copying *c, struct portmaps *portmaps, int lease_stamps);

/*
 * Marks go on in memory alone where a file cannot be written. Tries to have them in files again: 0: they are; -errno:
 * why not, of *ret_path. To be called now and then.
 */
int copying_marks(struct copying *c, const char **ret_path);

/* Removes the marks of an agent that no longer has peers. */
void copying_forget(const char *state_file);

/* After each change of the running mappings, before anything else is called. */
void copying_mappings_changed(struct copying *c);

/* Whether a peer has to be told all again, as what it was told has gone with a mapping that is back: once for each. */
bool copying_tells_again(struct copying *c, unsigned peer);

/* The sender's part. */

/*
 * Takes a payload of a type for which wire_is_of_sessions(): 0; -ENOBUFS: not now, it is offered again at the next
 * call; or another -errno, which ends the pass or the whole copy.
 */
typedef int (*copying_emit)(unsigned type, const void *payload, size_t length, void *arg);

/*
 * Goes on with a pass for about budget_us: 1: more to do; 0: the pass is complete, the next call begins another; or
 * what `emit` returned. The first pass after a start emits nothing: what there is already goes with whole copies. With
 * no peer, call it all the same, with an `emit` that returns 0: a session's age counts in passes.
 */
int copying_pass(struct copying *c, unsigned budget_us, copying_emit emit, void *arg);

/*
 * All that has been told so far, and what has ended, for one peer. 1: more to do; 0: complete, WIRE_WHOLE_END was the
 * last payload; or what `emit` returned. It waits (1, nothing emitted) for the first pass.
 */
struct copying_whole;
int copying_whole_new(struct copying *c, unsigned peer, struct copying_whole **ret);
int copying_whole_step(struct copying_whole *w, unsigned budget_us, copying_emit emit, void *arg);
void copying_whole_free(struct copying_whole *w);

/*
 * A peer has acknowledged all that passes have told which began before this time, CLOCK_MONOTONIC, and a whole copy
 * before that.
 */
void copying_known(struct copying *c, unsigned peer, uint64_t pass_ms);

/* The receiver's part. */

struct copying_table_report {
	unsigned common;  /* mappings that both have alike */
	unsigned differs; /* that both have, with another geometry, number of slots or kind of bindings */
	unsigned lacking; /* that one side alone has */
	bool whole;	  /* of what both have, the peer may lack what it was told: it needs a whole copy from us */
};

/* Takes a peer's WIRE_MAPPINGS. 0; -EPROTO: malformed, nothing has changed. */
int copying_mappings(struct copying *c, unsigned peer, const void *payload, size_t length,
		     struct copying_table_report *ret);

/* The report of the last table anew, after copying_mappings_changed(). All 0 before the first. */
void copying_report(struct copying *c, unsigned peer, struct copying_table_report *ret);

/* The nth mapping that is not exchanged with a peer. False: there are no more. */
enum copying_difference { COPYING_DIFFERS, COPYING_LACKING_HERE, COPYING_LACKING_THERE };
bool copying_difference(struct copying *c, unsigned peer, unsigned n, struct prefix *ret_in, struct prefix *ret_out,
			enum copying_difference *ret_why);

/* Mappings, exceptions and portmaps that are not alike here and at a peer, as far as they are known. */
#define COPYING_DIFFERENCES	100U
#define COPYING_DIFFERENCE_TEXT 128U

struct copying_rule_difference {
	bool portmap;
	bool matters; /* in a takeover: else the gateways may have it differently */
	enum copying_difference why;
	struct prefix in, out; /* of a mapping */
	uint8_t proto;	       /* of a portmap, with its endpoints */
	struct endpoint in_at, out_at;
	char text[COPYING_DIFFERENCE_TEXT]; /* what differs; "": it is missing */
};

struct copying_differences {
	uint32_t n_matter; /* all that matter */
	uint32_t n_noted;  /* all others */
	uint32_t n_spread; /* of these, missing on one side, and not to be there */
	uint32_t n;	   /* that are here, of both */
	struct copying_rule_difference item[COPYING_DIFFERENCES];
};
const struct copying_differences *copying_differences(struct copying *c, unsigned peer);

/* Of all mappings, exceptions and portmaps here; equal on gateways with equal ones. */
uint64_t copying_digest(struct copying *c);

/*
 * Says which tables a peer has now, by its number for them (not 0). If they are others than those of which it told what
 * is held of it, it has lost the sessions, as by a reboot, but has not ended them: this gateway has them as its own.
 */
void copying_peer_tables(struct copying *c, unsigned peer, uint64_t tables);

struct copying_counts {
	uint64_t placed;
	uint64_t updated; /* changes of state */
	uint64_t ended;
	uint64_t existing; /* sessions that were here already, this gateway's own included */
	uint64_t refused;  /* the port is another's here, no slot is free, the quota is reached, or a value out of range
			    */
	uint64_t skipped;  /* records of mappings that are not exchanged */
};

/*
 * Applies a payload of any type but WIRE_MAPPINGS and adds to the counts: 0; 1: not all of it yet, the same payload
 * must be given again before another one of this peer; -EPROTO: malformed, the connection must be closed; what came
 * before the fault may have been applied.
 */
int copying_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length,
		  struct copying_counts *add);

/*
 * Places a peer's sessions for which there was no room when they were told, if there is by now, and adds to the counts.
 * To be called a few times a second; it tries at most some hundred. 0 or -errno.
 */
int copying_retry(struct copying *c, unsigned peer, struct copying_counts *add);

/*
 * Keeps copies fresh. Bit p of peers_up: peer p has been heard lately, and its whole copy is complete. Copies of a peer
 * whose bit goes from 1 to 0 are refreshed for a last time. 1: more to do, call it again soon; 0: nothing is due now,
 * call it again in a second or so, or when peers_up changes.
 */
int copying_vouch(struct copying *c, uint8_t peers_up, unsigned budget_us);

/* Figures. */

struct copying_subscriber {
	uint32_t own;			    /* sessions */
	uint32_t copies[COPYING_PEERS + 1]; /* by peer */
};
/* -ENOENT if no mapping has the address. */
int copying_subscriber(const struct copying *c, uint32_t in_addr, struct copying_subscriber *ret);

/* Sessions told to the peers; copies held of a peer. */
uint64_t copying_told(const struct copying *c);
uint64_t copying_held(const struct copying *c, unsigned peer);

/* Octets of what is kept beside the tables. */
uint64_t copying_memory(const struct copying *c);

#endif
