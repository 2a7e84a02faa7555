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

#include "service/agent.h"

struct metrics;

/* Serves nothing until configured. -ENOMEM. a->usage must be there. */
int metrics_new(struct agent *a, struct metrics **ret, struct error *err);
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
