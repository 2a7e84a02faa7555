/* SPDX-License-Identifier: BSD-2-Clause */
/* The property test in parts: running a packet both ways (property_run.c), judging it (property_judge.c), time. */
#ifndef DETNAT_TEST_PROPERTY_H
#define DETNAT_TEST_PROPERTY_H

#include "fixture.h"
#include "model.h"
#include "random_packet.h"

#define LOOSE	     ADDR(10, 0, 0, 50) /* not in the model: sends what has its own tests */
#define OPEN_HOST    ADDR(10, 0, 0, 8)	/* has an address of its own, reachable from outside */
#define UNTRANSLATED ADDR(10, 0, 0, 9)

#define GATEWAY_ADDRESS ADDR(198, 51, 100, 1) /* towards the outside */

/* So slow that a token does not come back while a packet runs. */
#define PROPERTY_INTERVAL_NS 4000000000U
#define PROPERTY_BURST	     5

/* Mappings, and those of their subscribers that have sessions and send packets. */
struct scene {
	const struct model_mapping *mapping;
	size_t n_mappings;
	const uint32_t *subscriber;
	size_t n_subscribers;
	size_t small;	 /* the first of three whose blocks have 15 ports */
	bool reachable;	 /* by portmaps, open mappings and endpoint-independent filtering */
	bool renumbered; /* mappings are replaced by others while they have sessions */
	bool excepted;	 /* exceptions come and go, and cut sessions off */
	bool growing;	 /* blocks are granted and taken back */
	bool limited;	 /* mappings have limits, and get others */
};

extern const struct scene property_plain, property_reachable, property_renumbered, property_excepted, property_shared,
	property_growing;
extern const struct scene *property_scene; /* the one that was set up */

/* What became of a packet at a hook. */
struct outcome {
	int verdict;
	enum reason reason; /* the only one counted */
	unsigned sent;	    /* ICMP errors */
	unsigned opened;
	unsigned beyond;
	unsigned inbound; /* of those opened */
	unsigned portmap_in, portmap_out;
	bool token; /* the subscriber has one less */
	size_t size;
	uint8_t octet[FRAME_MAX];
};

/* A flow that UNTRANSLATED has begun, by a pool address. */
struct routed {
	uint32_t in_addr;
	uint16_t in_port, port;
	uint8_t proto;
};

struct property {
	struct random r;
	struct model model;
	uint64_t packets;
	uint64_t by_reason[N_REASONS];
	uint32_t resumed;  /* tick of the datapath in which the last packet began to run */
	uint32_t stopped;  /* and in which it ended */
	uint64_t drained;  /* packets of sessions of former mappings */
	unsigned replaced; /* mappings */
	struct routed routed[4096];
	size_t n_routed;
	unsigned excepted; /* exceptions that came */
	uint64_t cut;	   /* packets of flows whose session an exception, or its end, has cut off */
	bool left;	   /* an exception has gone since all was purged */
	uint64_t granted;  /* sessions opened on granted ports */
	unsigned revoked;  /* blocks taken back while they had sessions */
	bool no_token;	   /* the subscriber of the packet has none, so that it opens nothing */
	unsigned limits_changed;
};

/* Mappings beside the fixture's, and the model's idea of them. */
void property_set_up(struct property *t, const struct scene *scene, uint64_t seed);

/* Adds a portmap, or removes one. */
void property_change_portmaps(struct property *t);

/* Replaces a mapping, whose sessions go on, or ends former ones once theirs have expired. */
void property_change_plan(struct property *t);

/* Adds an exception or deletes one, or has the agent end what is left of the sessions that were cut off. */
void property_change_exceptions(struct property *t);
void property_end_cut(struct property *t);
/* Grants a block, closes one for openings, or takes one back, as an agent does. */
void property_change_grants(struct property *t);
/* Gives a mapping other limits, or none. */
void property_change_limits(struct property *t);
/* Limits that a mapping may have, put into it. */
void property_random_limits(struct property *t, struct model_mapping *m);
struct property_tables;
/* Whether a subscriber with a rate has tokens for the next packet; reports of limits are due, or not. */
uint64_t property_clock_ns(void);
void property_settle_limits(struct property *t, const struct property_tables *of, bool tokens, bool due);
/* Whether a token has been taken since the settlement, while the clock was at start_ns or later. */
bool property_token_taken(const struct property_tables *of, uint64_t start_ns);
/* Whether a protocol is at its limit by the counts, those expired included. */
bool property_limit_counted(uint32_t in_addr, uint8_t proto);
/* The counts of a subscriber's limits are those of its sessions in the tables. */
void property_compare_limits(uint32_t in_addr);

/* A mapping of the scene in its present state, and the specification by which to make one. */
struct model_mapping *property_mapping(size_t at);
struct mapping_spec;
void property_spec_of(const struct model_mapping *m, struct mapping_spec *ret);

/* Pools that mappings may get; *ret_n: how many. */
const struct model_mapping *property_plans(size_t *ret_n);

/*
 * Runs a packet at a hook. XDP_INSIDE and XDP_OUTSIDE: by the slow path and, from the same tables, by the fast path;
 * frame, verdict, reason and sessions must be the same.
 */
void property_run(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret);

/* The same once, by the program that stands at the hook. */
void property_run_alone(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret);

/* The same, where time has been resumed and is stopped by the caller. */
void property_run_once(struct property *t, enum hook hook, const struct random_packet *p, struct outcome *ret);

/* Holds the outcome against the model, and moves the model on. */
void property_judge_inside(struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o);
void property_judge_outside(struct property *t, const struct random_packet *p, const struct outcome *o);
/* A packet of or to LOOSE: what must hold of any packet. */
void property_judge_any(struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o);

/* property_time.c */

/* Before a packet runs, takes back what has passed since the one before; after it, notes the tick. */
void property_time_resume(struct property *t);
void property_time_stop(struct property *t);
/* Whether the tick is another one since time was resumed. */
bool property_time_is_late(const struct property *t);

/* Whether a search for a port of the subscriber's ended in vain within the packet's tick: it is not repeated. */
bool property_searched_in_vain(const struct property *t, uint32_t in_addr);
/* Whether the tick's searches are used up, and whether the outside's sessions have been counted in it. */
bool property_searches_spent(const struct property *t, uint32_t in_addr);
bool property_inbound_counted(const struct property *t, uint32_t in_addr);

/* Lets time pass, as sessions see it: so many seconds, and more while one is so near its end that clocks may differ. */
void property_skip(struct property *t, unsigned seconds);

/* The agent's sweep. */
void property_sweep(struct property *t);

/* What the record says of the sessions: expired ones that are in slots still count. */
uint32_t property_sessions_counted(uint32_t in_addr);

/* A subscriber's record and slots; no slots where its mapping has none. Whether there is a record. */
struct property_tables {
	struct subscriber *record;
	uint64_t (*slot)[2];
	size_t slots;
	int number;
	struct limit_line *line; /* NULL: the mapping has no limits */
	uint64_t *bindings;	 /* of all protocols, from the header on */
	size_t n_bindings;	 /* words */
};
bool property_tables(uint32_t in_addr, struct property_tables *ret);
/* The same in a mapping of its number; negative: in none. */
bool property_tables_of(int number, uint32_t in_addr, struct property_tables *ret);

/* The sessions in the tables against those of the model. */
void property_compare_tables(struct property *t);

void property_events_begin(void);
/* Fetches what the last packet made the datapath tell; then it counts, or with the tables put back is forgotten. */
void property_events_collect(void);
void property_events_apply(void);
/* The agent itself has taken a session away: session_visit. */
int property_closed(const struct session *s, void *arg);
/* Sessions of a subscriber that were told to be opened, and not yet closed; whether this is one. */
unsigned property_told(uint32_t in_addr);
bool property_is_told(const struct session *s);

bool property_is_pool(uint32_t addr);
/* Of an exception that is not there: no session towards it opens meanwhile, as it would be one with the outside. */
bool property_was_pool(uint32_t addr);

/* What random packets are made of. */
uint32_t random_external(struct random *r);
uint16_t random_port(struct random *r);
uint16_t random_ext_port(struct random *r);
uint8_t random_flags(struct random *r);
uint8_t random_proto(struct random *r);

/* A packet from inside, or from outside: run and judged. */
void property_random_inside(struct property *t);
void property_random_outside(struct property *t);

/* A datagram that passes, in fragments, or an ICMP error about one. */
void property_random_passage(struct property *t);

/* Fails the test with the packet and what came out. o may be NULL. */
void property_fail(const struct property *t, enum hook hook, const struct random_packet *p, const struct outcome *o,
		   const char *what);

#endif
