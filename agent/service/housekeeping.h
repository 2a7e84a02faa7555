/* SPDX-License-Identifier: BSD-2-Clause */
/* Periodic work: sweeping expired sessions, freeing the memory of deleted mappings, the watchdog. */
#ifndef DETNAT_HOUSEKEEPING_H
#define DETNAT_HOUSEKEEPING_H

#include <event2/event.h>

#include "config/active.h"
#include "metrics/metrics.h"
#include "tables/mappings.h"

struct history_queue;

struct housekeeping;

/* What the periodic work reads and acts on. */
struct chores {
	const struct active_config *active;
	struct datapath *datapath;
	struct mappings *mappings;
	struct history_queue *history;
	struct guard *guard;
	struct ipfix *ipfix;
	struct sweep_figures *sweeps; /* updated at the end of each sweep */
};

/* Works in slices of the event loop until freed, at the intervals of the configuration. The chores must outlive it. */
int housekeeping_new(struct event_base *base, const struct chores *chores, struct housekeeping **ret,
		     struct error *err);
void housekeeping_free(struct housekeeping *h);

#endif
