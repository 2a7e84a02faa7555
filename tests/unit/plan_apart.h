/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plan of a change with all that it calls replaced, but for the tables: each call is noted, and one of them fails.
 */
#ifndef DETNAT_TEST_PLAN_APART_H
#define DETNAT_TEST_PLAN_APART_H

#include "recorder/queue.h"
#include "plan_renamed.h"
#include "sessions/sessions.h"
#include "tables_fixture.h"

extern const char *const mapping_of[3][2];

extern char calls[1024];
extern const char *failing;	/* the call that fails, */
extern unsigned failing_number; /* and which of them, from 1 on */
extern int load_waits;		/* answers of datapath_load_ready() that it is not; below 0: it has said that it is */
extern uint64_t clock_us;
extern history_done record_done;
extern void *record_arg;
extern char saved[4096];
extern uint64_t saved_hash;
extern session_visit listener;
extern void (*after_step)(void); /* of the tables, by which a plan is carried out; NULL: none */

extern struct active_config active;
extern struct datapath datapath;
extern bool ending;
extern struct parts context;

void plan_set_up(void);

/*
 * A configuration with the mappings of these letters; + other timeouts, # other slots, ! other programs, * events, @ a
 * portmap of mapping a.
 */
struct config *config_with(const char *letters);

/* The letters of the mappings in the tables. */
const char *in_tables(void);

/* Steps until the plan is ready or fails; the disk answers record_r as soon as it is asked. */
int prepare(struct change_plan *p, int record_r, struct error *err);

void forget_calls(void);

/* The agent runs with these mappings. */
void run_with(const char *letters);

#endif
