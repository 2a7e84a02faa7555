/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subscribers whose traffic looks like an infected host's: found by the pass through all sessions that serves the
 * metrics (sessions/survey.h) and in the counters of packets of strangers (suspects/stranger_rates.h), and reported
 * once an hour each where they reach a threshold of `suspects`. Nothing is kept: an agent that starts has reported
 * nothing.
 */
#ifndef DETNAT_SUSPECTS_H
#define DETNAT_SUSPECTS_H

#include "config/config.h"
#include "config/parts.h"
#include "sessions/survey.h"

struct suspects;

/* The parts must outlive the result; mappings and replication are read. 0 or -ENOMEM. */
int suspects_new(const struct parts *parts, struct suspects **ret);
void suspects_free(struct suspects *s); /* NULL is allowed */

/* Applies `suspects` of the configuration now in force, from the next pass on. */
void suspects_configure(struct suspects *s, const struct config_suspects *c);

/*
 * A pass begins at now_us of CLOCK_MONOTONIC: the survey that is to ride on it, until the next call of one of these
 * three; or NULL. suspects_end() ends it; suspects_abort() forgets what it has found.
 */
struct survey *suspects_begin(struct suspects *s, uint64_t now_us);
void suspects_end(struct suspects *s, uint64_t now_us);
void suspects_abort(struct suspects *s);

/*
 * Before the end of a pass: reads what the datapath has counted, for about budget_us microseconds from now_us. 1: more
 * to do, 0: done.
 */
int suspects_step(struct suspects *s, uint64_t now_us, unsigned budget_us);

/*
 * The subscribers with the highest rate, SURVEY_RATE or SURVEY_INBOUND, from the pass before the last to the last: up
 * to SUSPECTS_SHOWN, the highest first, valid until a pass ends. NULL: not known yet.
 */
#define SUSPECTS_SHOWN 4096U
const struct top_figure *suspects_rates(const struct suspects *s, enum survey_kind kind, size_t *ret_n);

/* Has a survey leave out the sessions that peers have copied here, if there are peers. */
void suspects_leave_out_copies(const struct parts *parts, struct survey_rules *rules);

struct suspect_figures {
	bool asked[N_SURVEY_KINDS];   /* there is a threshold */
	uint64_t now[N_SURVEY_KINDS]; /* subscribers that reached it in the last pass */
	uint64_t told;		      /* reports so far */
	uint64_t untold;	      /* subscribers left out of the reports of the last pass, as there were too many */
};
struct suspect_figures suspects_figures(const struct suspects *s);

/* "half_open" and so on, as in the configuration. */
const char *suspect_kind_text(enum survey_kind kind);

#endif
