/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks all sessions periodically (sessions/usage.h), for the metrics, and warns before a mapping or the room for
 * extents is exhausted. Each warning is logged once, and again only after the condition has cleared.
 */
#ifndef DETNAT_USAGE_MONITOR_H
#define DETNAT_USAGE_MONITOR_H

#include <event2/event.h>

#include "config/active.h"
#include "sessions/pool_states.h"
#include "sessions/usage.h"

struct suspects;
struct usage;

/* Figures of the passes. */
struct usage_figures {
	uint64_t passes;
	uint64_t busy_us;			/* work on all of them together */
	double ended;				/* the last one, seconds since 1970; 0: none has */
	uint64_t table_memory;			/* mappings_table_memory() at the end of the last one */
	uint64_t pool_addresses[N_POOL_STATES]; /* in the last one */
	uint64_t beyond;			/* sessions in extents, in the last one */
};

/*
 * suspects: looks for suspects on the way, or NULL.
 *
 * The first pass begins with usage_hurry(). While metrics are served, or there are thresholds of suspects, the next one
 * begins sweep_interval seconds after the last and takes at most a twentieth of a core; otherwise it begins after a
 * minute and takes at most a hundredth.
 */
int usage_new(struct event_base *base, const struct active_config *active, struct mappings *m,
	      struct suspects *suspects, struct usage **ret, struct error *err);
void usage_free(struct usage *u); /* NULL is allowed */

/* ended is called at the end of each pass. */
typedef void (*usage_notify)(void *arg);
void usage_on_end(struct usage *u, usage_notify ended, void *arg);

/* Begins a pass now, unless one is under way. A configuration must be active by the next turn of the event loop. */
void usage_hurry(struct usage *u);

/* The result of the last complete pass, valid until the next one ends; NULL: none yet. */
const struct session_usage *usage_last(const struct usage *u);
/* Whether hardly any session of TCP of a mapping of the tables was answered when they were last counted. */
bool usage_is_silent(const struct usage *u, int number);
struct usage_figures usage_figures(const struct usage *u);

#endif
