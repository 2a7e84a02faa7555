/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of metrics/, which serves metrics to Prometheus: GET /metrics at metrics.listen, over HTTP.
 *
 * A scrape reads counters and copies text. Figures whose number grows with mappings, interfaces or sessions are
 * gathered beforehand, in slices (metrics/usage_monitor.h, metrics/page.h), with a timestamp. Clients cannot delay the
 * agent: the number, duration and size of connections are bounded (metrics/http.h).
 */
#ifndef DETNAT_METRICS_H
#define DETNAT_METRICS_H

#include <event2/event.h>
#include <time.h>

#include "config/active.h"
#include "config/parts.h"
#include "datapath/datapath.h"
#include "ipfix/ipfix.h"
#include "tables/mappings.h"

/* Completed sweeps of expired sessions. */
struct sweep_figures {
	uint64_t count;
	uint64_t busy_us; /* work on all of them together */
	uint64_t last_us; /* from beginning to end of the last one */
};

struct metrics;

/* Serves nothing until configured. The parts must outlive the result. -ENOMEM. */
int metrics_new(struct event_base *base, const struct parts *parts, struct metrics **ret, struct error *err);
void metrics_free(struct metrics *m); /* NULL is allowed */

/*
 * Listens at the address of the configuration, or stops listening. If that fails (port in use, address not local) and
 * `wait` is true, it tries again every second, which is TROUBLE_METRICS; else it is an error and nothing changes. An
 * address already waited for is no error. name is the file's in the message; NULL: none.
 */
int metrics_configure(struct metrics *m, const struct config *c, bool wait, const char *name, struct error *err);

/*
 * For -t: whether the address can be bound; nothing listens. A port in use by the running configuration (may be NULL)
 * is no error.
 */
int metrics_check(const struct config *c, const struct config *running, const char *name, struct error *err);

#endif
