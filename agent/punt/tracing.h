/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracing: the tracing build of the programs (bpf/trace.h) runs while a trace does, in the place of the normal one, and
 * fills a ring buffer with records of the packets that a filter wants.
 *
 * Start and stop are changes as any other (change/change.h): while a trace is wanted, plans ask for the tracing build.
 * So a change of the configuration during a trace goes on tracing, and none of them can meet another. A trace ends by
 * itself when it has its packets, or after TRACE_MAX_S; its records stay until the next one.
 */
#ifndef DETNAT_TRACING_H
#define DETNAT_TRACING_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include <detnat/trace.h>

#include "service/agent.h"

/* A trace that nobody ends, ends by itself. */
#define TRACE_MAX_S 3600

struct trace;

int trace_new(struct agent *a, struct trace **ret); /* -ENOMEM */

/* Has the normal programs run again where a trace is under way, unless the datapath ends with the agent. */
void trace_free(struct trace *t);

/* Whether the tracing build is to run. */
bool trace_wanted(const struct trace *t);

/* In the edit of a change: from now on it is to run, or no more. 0, or -errno with err. */
int trace_prepare(struct trace *t, struct error *err);
void trace_dismiss(struct trace *t);

/*
 * When that change has ended: forgets the records there are and begins to record count packets that pass the filter, of
 * which endpoints and protocol are set.
 */
int trace_record(struct trace *t, const struct trace_filter *filter, uint32_t count, struct error *err);

/* The same where it failed, or where tracing was to end: follows what runs now. */
void trace_settle(struct trace *t);

/*
 * Record n in the order in which they came, NULL behind the last; valid until the next event. Its time is that of
 * CLOCK_REALTIME.
 */
const struct trace_record *trace_get(const struct trace *t, size_t n);

/* Differs where records were forgotten since. */
uint32_t trace_generation(const struct trace *t);

/* A record as the object of the contract; NULL where memory is short (punt/trace_json.c). */
cJSON *trace_record_json(const struct trace_record *r);

#endif
