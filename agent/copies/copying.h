/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of sessions between gateways: the tables' side. Reads sessions to announce, applies those that peers announce;
 * knows no sockets and has no timers. The main thread calls everything, in slices.
 *
 * A *copy* is a session received from a peer. Its mark has the number of the peer that announced it, until a packet of
 * this gateway refreshes it: then it is this gateway's own and announced to the peers like any other, and the gateway
 * that had it now has a copy. docs/internals/OWNERSHIP.md has the rule.
 *
 * Order. A peer receives, on one connection and in the order in which they are emitted: the payloads of each pass that
 * begins or continues after copying_whole_new(), for all peers alike, and those of its own whole copy. A peer that
 * misses one of them (its queue was full, its connection was lost) needs another whole copy.
 */
#ifndef DETNAT_COPYING_H
#define DETNAT_COPYING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/label.h"
#include "tables/mappings.h"

/* Peers are numbered from 1. */
#define COPYING_PEERS 7U

struct copying;

struct copying_limits {
	unsigned min_age_s;   /* minimum age of announced sessions */
	unsigned interval_ms; /* between the beginnings of two passes */
	/* Whether a mapping's sessions are announced; NULL: all are. A change takes effect with a whole copy. */
	bool (*owned)(const void *arg, struct prefix in, struct prefix out);
	const void *owned_arg;
	bool spread; /* some gateways lack some mappings: a mapping of another peer may be missing here */
};

/*
 * state_file: marks outlive the agent in one file for each mapping, named state_file and a suffix, in a directory that
 * does not outlive a reboot. NULL: nowhere. Files there that do not fit are logged and removed. -ENOMEM, or -errno. The
 * mappings must outlive the result.
 */
int copying_new(struct mappings *m, const struct copying_limits *limits, const char *state_file, struct copying **ret);

/* Marks stay in the files. */
void copying_free(struct copying *c);

/* After a change of the configuration. */
void copying_set_limits(struct copying *c, const struct copying_limits *limits);

/*
 * Sets the order of the gateways, by number, this one as 0: a number for each, 0 for none. Of two with equal claims to
 * a session, the one with the higher number has it.
 */
void copying_set_order(struct copying *c, const uint64_t order[COPYING_PEERS + 1]);

/* Whether of equal claims those of a peer win over this gateway's. */
bool copying_claims_win(const struct copying *c, unsigned peer);

struct portmaps;
/*
 * From now on also exchanges leases of PCP; the portmaps must outlive the struct. lease_stamps: a map from
 * lease_stamps_open(), or -1; the struct closes it.
 */
void copying_set_portmaps(struct copying *c, struct portmaps *portmaps, int lease_stamps);

struct grants;
struct growth;
/* From now on also exchanges grants of blocks, whose parts must outlive the struct. */
void copying_set_growth(struct copying *c, struct growth *growth, const struct grants *grants);

/*
 * If a file cannot be written, marks continue in memory only. This function tries files again: 0: all are in files;
 * -errno: the reason for *ret_path. Call it now and then.
 */
int copying_marks(struct copying *c, const char **ret_path);

/* Removes the marks of an agent that had peers. */
void copying_forget(const char *state_file);

/* Call it after each change of the running mappings, before anything else. */
void copying_mappings_changed(struct copying *c);

/* Whether a peer needs everything again, as its sessions were lost with a mapping that is back: true once for each. */
bool copying_tells_again(struct copying *c, unsigned peer);

/* The sender's part. */

/*
 * Takes a payload of a type for which wire_is_of_sessions(): 0; -ENOBUFS: not now, the next call offers it again; or
 * another -errno, which ends the pass or the whole copy.
 */
typedef int (*copying_emit)(unsigned type, const void *payload, size_t length, void *arg);

/*
 * Continues a pass for about budget_us: 1: more to do; 0: the pass is complete, the next call begins another; or the
 * error of `emit`. The first pass after a start emits nothing: existing sessions go with whole copies. With no peer,
 * call it all the same, with an `emit` that returns 0: a session's age counts in passes.
 */
int copying_pass(struct copying *c, unsigned budget_us, copying_emit emit, void *arg);

/*
 * Everything announced so far, and all endings, for one peer. 1: more to do; 0: complete, WIRE_WHOLE_END was the last
 * payload; or the error of `emit`. Waits (1, nothing emitted) for the first pass.
 */
struct copying_whole;
int copying_whole_new(struct copying *c, unsigned peer, struct copying_whole **ret);
int copying_whole_step(struct copying_whole *w, unsigned budget_us, copying_emit emit, void *arg);
void copying_whole_free(struct copying_whole *w);

/*
 * A peer has acknowledged all payloads of passes that began before this time, CLOCK_MONOTONIC, and a whole copy before
 * that.
 */
void copying_known(struct copying *c, unsigned peer, uint64_t pass_ms);

/*
 * Peers, by bit, that are silent and on whose behalf this gateway tells: passes and whole copies have its copies of
 * their sessions, too, so that a gateway that comes meanwhile gets them. They stay copies: each ends with its timeout.
 */
void copying_speak(struct copying *c, uint8_t peers);

/* Whether it does so, or has done so lately: what peers have then differs from what this gateway has announced. */
bool copying_speaks(const struct copying *c);

/* The receiver's part. */

struct copying_table_report {
	unsigned common;  /* mappings that are equal on both */
	unsigned differs; /* on both, with another geometry, number of slots or kind of bindings */
	unsigned lacking; /* mappings on one side only */
	bool whole; /* the peer may have lost announced sessions of mappings on both: it needs a whole copy from us */
};

/* Takes a peer's WIRE_MAPPINGS. 0; -EPROTO: malformed, nothing has changed. */
int copying_mappings(struct copying *c, unsigned peer, const void *payload, size_t length,
		     struct copying_table_report *ret);

/* The same of WIRE_MAPPINGS_PART; 1: parts are missing, nothing has changed. */
int copying_mappings_part(struct copying *c, unsigned peer, const void *payload, size_t length,
			  struct copying_table_report *ret);

/* The report on the last table again, after copying_mappings_changed(). All 0 before the first. */
void copying_report(struct copying *c, unsigned peer, struct copying_table_report *ret);

/* The nth mapping that is not exchanged with a peer. False: no more. */
enum copying_difference { COPYING_DIFFERS, COPYING_LACKING_HERE, COPYING_LACKING_THERE };
bool copying_difference(struct copying *c, unsigned peer, unsigned n, struct prefix *ret_in, struct prefix *ret_out,
			enum copying_difference *ret_why);

/* Known differences between this gateway and a peer in mappings, exceptions and portmaps. */
#define COPYING_DIFFERENCES	100U
#define COPYING_DIFFERENCE_TEXT 128U

struct copying_rule_difference {
	bool portmap;
	bool matters; /* in a takeover; otherwise the gateways may differ */
	enum copying_difference why;
	struct prefix in, out;	 /* of a mapping */
	uint32_t tenant_digest;	 /* of a mapping, here if it is on both; 0: none */
	char tenant[LABEL_TEXT]; /* here, or "": there is none of that name here */
	uint8_t proto;		 /* of a portmap, with its endpoints */
	struct endpoint in_at, out_at;
	char text[COPYING_DIFFERENCE_TEXT]; /* the difference; "": it is missing */
};

struct copying_differences {
	uint32_t n_matter; /* all that matter */
	uint32_t n_noted;  /* number of the others */
	uint32_t n_spread; /* of these, missing on one side where they need not exist */
	uint32_t n;	   /* number of both kinds in the list */
	struct copying_rule_difference item[COPYING_DIFFERENCES];
};
const struct copying_differences *copying_differences(struct copying *c, unsigned peer);

/* Of all mappings, exceptions and portmaps here; equal gateways have equal digests. */
uint64_t copying_digest(struct copying *c);

/*
 * Sets the number that identifies a peer's tables (not 0). If they are not the tables from which it announced its
 * sessions, it has lost the sessions, as by a reboot, but has not ended them: they become this gateway's own.
 */
void copying_peer_tables(struct copying *c, unsigned peer, uint64_t tables);

struct copying_counts {
	uint64_t placed;
	uint64_t updated; /* changes of state */
	uint64_t ended;
	uint64_t existing; /* sessions that existed here, including this gateway's own */
	uint64_t refused; /* another session has the port here, no slot is free, the quota is reached, or a value is out
			     of range */
	uint64_t skipped; /* records of mappings that are not exchanged */
};

/*
 * Applies a payload of any type except those of the table of mappings and adds to the counts: 0; 1: not all of it yet,
 * pass the same payload again before another one of this peer; -EPROTO: malformed, the connection must be closed;
 * records before the fault may have been applied.
 */
int copying_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length,
		  struct copying_counts *add);

/*
 * What a peer has announced and this gateway lacks, for some seconds at least, because something here prevents it: the
 * mapping history cannot be written, blocks are granted here in another way, there is no room, or another session of
 * this gateway's, which is in use, has its flow or its outside endpoint. It is tried again.
 */
struct copying_lacks {
	uint32_t grants;    /* blocks */
	uint32_t sessions;  /* that have no place */
	uint32_t contested; /* sessions whose flow or outside endpoint another one has here */
	bool unknown;	    /* and some that are not known any more */
};
struct copying_lacks copying_lacks(const struct copying *c, unsigned peer);

static inline bool copying_lacks_any(const struct copying_lacks *l)
{
	return l->grants || l->sessions || l->contested || l->unknown;
}

/* Whether the peer must announce everything again, as what prevented it has ended: true once. */
bool copying_asks_again(struct copying *c, unsigned peer);

/*
 * Places a peer's sessions that found no room when they were announced, if there is room now, and adds to the counts.
 * Call it a few times a second; it tries at most some hundred. 0 or -errno.
 */
int copying_retry(struct copying *c, unsigned peer, struct copying_counts *add);

/*
 * Keeps copies fresh. Bit p of peers_up: peer p was heard lately, and its whole copy is complete. Copies of a peer
 * whose bit changes from 1 to 0 are refreshed for a last time. 1: more to do, call it again soon; 0: nothing is due
 * now, call it again in about a second, or when peers_up changes.
 */
int copying_vouch(struct copying *c, uint8_t peers_up, unsigned budget_us);

/* An operator has closed a session here, see sessions_on_act(); arg: struct copying. */
void copying_closed(void *arg, int number, uint32_t in_addr, uint64_t key, uint64_t word);

/* Figures. */

struct copying_subscriber {
	uint32_t own;			    /* sessions */
	uint32_t copies[COPYING_PEERS + 1]; /* by peer */
};
/* -ENOENT if no mapping of the tenant has the address. */
int copying_subscriber(const struct copying *c, uint8_t tenant, uint32_t in_addr, struct copying_subscriber *ret);

/*
 * Sets the bits of those slots of a mapping's subscriber that hold copies, and returns their number; the others stay as
 * they are. bits: as many as the subscriber has slots, 2048 at most.
 */
uint32_t copying_copies(const struct copying *c, int number, uint32_t subscriber, uint64_t *bits);

/* Sessions announced to the peers; copies held of a peer. */
uint64_t copying_told(const struct copying *c);
uint64_t copying_held(const struct copying *c, unsigned peer);

/* Octets of memory beside the tables. */
uint64_t copying_memory(const struct copying *c);

#endif
