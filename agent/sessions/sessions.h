/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions as the agent sees them: walked in slices, swept, counted, listed, closed. All of it works on the memory
 * that the datapath writes at the same time, by the rules of <detnat/session.h>.
 */
#ifndef DETNAT_SESSIONS_H
#define DETNAT_SESSIONS_H

#include "tables/mappings.h"

/* A session, host byte order. */
struct session {
	uint32_t in_addr;
	uint32_t out_addr;
	uint32_t ext_addr;
	uint16_t in_port;
	uint16_t out_port;
	uint16_t ext_port;
	uint8_t proto;
	uint8_t state;	  /* enum session_state with SESSION_RESET */
	uint32_t expires; /* whole seconds left; 0 for an expired one */
	bool counts;	  /* neither expired nor in time-wait */
};

/* "tcp-established" and so on. */
const char *session_state_name(uint8_t state);

/* Called for each session; a value other than 0 ends the walk at once and is returned. */
typedef int (*session_visit)(const struct session *s, void *arg);

/*
 * A walk through the sessions of one subscriber, or of all in order of inside address: every mapping by inside prefix,
 * subscriber by subscriber, slots first, then that subscriber's overflow sessions. Sessions opened or
 * closed meanwhile may or may not be seen; no session is seen twice.
 */
struct session_walk;
int session_walk_new(struct mappings *m, struct session_walk **ret); /* all */
int session_walk_new_subscriber(struct mappings *m, uint32_t in_addr,
				struct session_walk **ret); /* -ENOENT: no mapping */
/* Visit sessions that count alone; subscribers without any cost one load each. To be called before the first step. */
void session_walk_only_counted(struct session_walk *w);
/* Goes on for about budget_us microseconds: 1 more to do, 0 done, else what visit returned. */
int session_walk_step(struct session_walk *w, unsigned budget_us, session_visit visit, void *arg);
void session_walk_free(struct session_walk *w);

/*
 * Sweep: frees expired sessions (slots and overflow) and puts counts right. closed, where not NULL, is called for each
 * session freed (IPFIX session events). The same slices as a walk.
 */
struct session_sweep;
int session_sweep_new(struct mappings *m, struct session_sweep **ret);
int session_sweep_step(struct session_sweep *s, unsigned budget_us, session_visit closed, void *arg);
void session_sweep_free(struct session_sweep *s);

/*
 * Has `closed` called (NULL: nothing) for each session that the two functions below close, and each that ends with its
 * mapping (IPFIX session events).
 */
void sessions_on_close(struct mappings *m, session_visit closed, void *arg);

/* Closes sessions by inside or outside endpoint and external endpoint; proto 0: of every protocol. How many, or -errno.
 */
int sessions_close_in(struct mappings *m, struct endpoint in, struct endpoint ext, uint8_t proto);
int sessions_close_out(struct mappings *m, struct endpoint out, struct endpoint ext, uint8_t proto);

/*
 * Figures of one subscriber, computed in slices where he has overflow sessions, which are to be found among all.
 * -ENOENT where the address is in no mapping.
 */
struct subscriber_figures {
	uint32_t sessions;
	uint32_t quota;
	uint64_t quota_exceeded;
};
struct subscriber_counter;
int subscriber_counter_new(struct mappings *m, uint32_t in_addr, struct subscriber_counter **ret);
int subscriber_counter_step(struct subscriber_counter *c, unsigned budget_us,
			    struct subscriber_figures *ret); /* 1 more, 0 done, -ENOENT */
void subscriber_counter_free(struct subscriber_counter *c);

/* The same while the caller waits. */
int sessions_subscriber(struct mappings *m, uint32_t in_addr, struct subscriber_figures *ret);

/*
 * Counts of sessions per mapping number, computed in slices; subscribers that have none cost one load.
 */
struct session_count {
	uint64_t total;
	uint64_t by_mapping[MAX_MAPPINGS];
};
struct session_counter;
int session_counter_new(struct mappings *m, struct session_counter **ret);
int session_counter_step(struct session_counter *c, unsigned budget_us, struct session_count *ret); /* 1 more, 0 done */
void session_counter_free(struct session_counter *c);

#endif
