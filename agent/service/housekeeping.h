/* SPDX-License-Identifier: BSD-2-Clause */
/* Periodic work: sweeping expired sessions, freeing the memory of deleted mappings, the watchdog. */
#ifndef DETNAT_HOUSEKEEPING_H
#define DETNAT_HOUSEKEEPING_H

#include <event2/event.h>

#include "config/active.h"
#include "config/parts.h"
#include "metrics/metrics.h"
#include "tables/mappings.h"

struct housekeeping;

/* Works in slices of the event loop until freed, at the intervals of the configuration. The parts must outlive it. */
int housekeeping_new(struct event_base *base, const struct parts *parts, struct housekeeping **ret, struct error *err);
void housekeeping_free(struct housekeeping *h);

#endif
