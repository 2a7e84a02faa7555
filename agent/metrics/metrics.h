/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metrics for Prometheus: GET /metrics at metrics.listen, by HTTP.
 *
 * A scrape reads counters and copies a text: what grows with the number of mappings, interfaces or sessions is
 * gathered beforehand, in slices (metrics/usage_monitor.h, metrics/page.h), and says when. Nobody who connects can hold
 * the agent up: connections are few, short-lived, and may say little (metrics/http.h).
 */
#ifndef DETNAT_METRICS_H
#define DETNAT_METRICS_H

#include <event2/event.h>
#include <time.h>

#include "config/active.h"
#include "datapath/datapath.h"
#include "ipfix/ipfix.h"
#include "tables/mappings.h"

struct devices;
struct guard;
struct usage;

/* Sweeps of expired sessions that have ended. */
struct sweep_figures {
	uint64_t count;
	uint64_t busy_us; /* work on all of them */
	uint64_t last_us; /* from beginning to end of the last one */
};

/* Where the figures come from. */
struct metrics_sources {
	const struct active_config *active;
	const struct datapath *datapath;
	const struct mappings *mappings;
	struct guard *guard; /* counts its drops when asked */
	const struct devices *devices;
	const struct ipfix *ipfix;
	struct usage *usage;
	const struct sweep_figures *sweeps;
	struct timespec started_wall; /* CLOCK_REALTIME */
};

struct metrics;

/* Serves nothing until configured. The sources must outlive the result. -ENOMEM. */
int metrics_new(struct event_base *base, const struct metrics_sources *from, struct metrics **ret, struct error *err);
void metrics_free(struct metrics *m); /* NULL is allowed */

/*
 * Listens where the configuration says, or nowhere. Where that cannot be done (port in use, address not on this
 * machine) it is tried again every second if `wait` is true, and that is the only trouble (TROUBLE_METRICS); else it is
 * an error, and nothing changes. An address that is waited for already is no error. name stands for the file in the
 * message, NULL: none.
 */
int metrics_configure(struct metrics *m, const struct config *c, bool wait, const char *name, struct error *err);

/*
 * For -t: whether it could listen, tried by binding alone. Where the running configuration (may be NULL) has the same
 * port, that is taken for what is in the way.
 */
int metrics_check(const struct config *c, const struct config *running, const char *name, struct error *err);

#endif
