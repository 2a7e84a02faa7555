/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What sets an infected host apart, by subscriber: half-open TCP connections, distinct external addresses, and sessions
 * opened a second. Subscribers with too few sessions to matter cost a load or two.
 *
 * Sessions that a peer has copied here do not count: they do at the peer. Nor do draining sessions.
 */
#ifndef DETNAT_SURVEY_H
#define DETNAT_SURVEY_H

#include <stdbool.h>

#include "base/hll.h"
#include "sessions/top.h"
#include "tables/mappings.h"

enum survey_kind {
	SURVEY_HALF_OPEN,    /* TCP sessions in the state tcp-syn-sent */
	SURVEY_DESTINATIONS, /* external addresses of sessions, counted by <base/hll.h> */
	SURVEY_RATE,	     /* sessions opened a second, or tried to */
	SURVEY_INBOUND,	     /* packets of strangers a second; no survey counts them */
	N_SURVEY_KINDS
};

/* A threshold that nothing reaches. */
#define SURVEY_NEVER UINT32_MAX

struct surveyed {
	uint32_t in_addr;
	uint32_t n[N_SURVEY_KINDS]; /* 0 for kinds that nothing asked for */
	uint8_t tenant;		    /* 0: there are none */
};

/* External ports; n 0: all. */
#define SURVEY_PORTS 16U
struct survey_ports {
	uint16_t port[SURVEY_PORTS];
	unsigned n;
};

/* Slots of a subscriber, as bits. */
#define SURVEY_SLOT_WORDS 32U

/*
 * Sets the bit of each slot of a mapping's subscriber that holds a copy of a peer's session, and returns their number;
 * 0: there is none, and the bits are as they were.
 */
typedef uint32_t (*survey_copies)(void *arg, int number, uint32_t subscriber, uint64_t bits[static SURVEY_SLOT_WORDS]);

struct survey_rules {
	/*
	 * Subscribers that reach one of these are reported, with all kinds that are not SURVEY_NEVER; from 1 on. A
	 * report may raise them.
	 */
	uint32_t least[N_SURVEY_KINDS];
	struct survey_ports ports; /* for half-open and destinations */
	/*
	 * Since the last survey that counted openings, microseconds. 0: not counted, and the next one does not know
	 * them either. SURVEY_FIRST: not known, but the next one can count them.
	 */
	uint64_t elapsed_us;
	survey_copies copies; /* NULL: there are none */
	void *copies_arg;
	void (*report)(void *arg, const struct surveyed *s);
	void *arg;
};

#define SURVEY_FIRST UINT64_MAX

/* A survey that rides on a pass through all sessions (sessions/usage.h). */
struct survey;
int survey_new(struct mappings *m, const struct survey_rules *rules, struct survey **ret); /* -ENOMEM */
void survey_free(struct survey *s);							   /* NULL is allowed */

/* The same with a pass of its own: 1: more to do, 0: done. */
int survey_step(struct survey *s, unsigned budget_us);

/* The rules, whose thresholds may be raised. */
struct survey_rules *survey_rules(struct survey *s);

#endif
