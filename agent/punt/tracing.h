/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tracing: the tracing build of the programs (bpf/trace.h) runs while a trace does, in the place of the normal one, and
 * fills a ring buffer with records of the packets that a filter wants.
 *
 * Start and end each replace the programs, in turn with changes of the configuration (change/change.h): while a trace
 * is wanted, the tracing build is loaded, so a change of the configuration during a trace goes on tracing. A trace ends
 * by itself when it has its packets, or after TRACE_MAX_S; its records stay until the next one.
 */
#ifndef DETNAT_TRACING_H
#define DETNAT_TRACING_H

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdbool.h>

#include <detnat/trace.h>

#include "datapath/datapath.h"

/* A trace that nobody ends, ends by itself. */
#define TRACE_MAX_S 3600

struct trace;

/*
 * Has the programs replaced (change_submit_programs()): prepare is called first, done when they run or could not be
 * loaded, both with `trace`. 0 or -ENOMEM.
 */
typedef int (*trace_replace)(void *arg, int (*prepare)(void *trace, struct error *err),
			     void (*done)(void *trace, int r, const struct error *err), void *trace);

/* replace is called, with arg, when a trace has ended by itself. -ENOMEM. */
int trace_new(struct event_base *base, struct datapath *d, trace_replace replace, void *arg, struct trace **ret);
void trace_free(struct trace *t);

/* Whether the tracing build is to run. */
bool trace_wanted(const struct trace *t);

/* Before the programs are replaced: from now on it is to run, or no more. 0, or -errno with err. */
int trace_prepare(struct trace *t, struct error *err);
void trace_dismiss(struct trace *t);

/*
 * When they have been replaced: forgets the records there are and begins to record count packets that pass the filter,
 * of which endpoints and protocol are set.
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
