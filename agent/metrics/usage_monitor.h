/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks through all sessions again and again (sessions/usage.h), for the metrics and to warn before a mapping or
 * the overflow is exhausted: each is said once, and again only after it was well in between.
 */
#ifndef DETNAT_USAGE_MONITOR_H
#define DETNAT_USAGE_MONITOR_H

#include <event2/event.h>

#include "config/active.h"
#include "sessions/usage.h"

struct usage;

/* Figures of all passes and of the last one. */
struct usage_figures {
	uint64_t passes;
	uint64_t busy_us;      /* of all */
	double ended;	       /* seconds since 1970; 0: none has */
	uint64_t table_memory; /* octets, mappings_table_memory() */
};

/*
 * The first pass begins with usage_hurry(). While metrics are served, the next one begins sweep_interval seconds after
 * the last and takes a twentieth of a core at most; else one a minute and a hundredth.
 */
int usage_new(struct event_base *base, const struct active_config *active, struct mappings *m, struct usage **ret,
	      struct error *err);
void usage_free(struct usage *u); /* NULL is allowed */

/* Has a function called at the end of each pass. */
typedef void (*usage_notify)(void *arg);
void usage_on_end(struct usage *u, usage_notify ended, void *arg);

/* Begins a pass at once, unless one is under way. A configuration must be active when the event loop turns next. */
void usage_hurry(struct usage *u);

/* Of the last pass that ended, until the next one ends; NULL: none has. */
const struct session_usage *usage_last(const struct usage *u);
struct usage_figures usage_figures(const struct usage *u);

#endif
